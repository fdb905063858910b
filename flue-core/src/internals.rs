//! What the models look at besides the public interface: the words that one
//! thread after another steps, each by itself. Only in model builds.

#![allow(missing_docs, missing_debug_implementations, reason = "for the models alone")]

pub use crate::sync::atomic::THREADS;
pub use crate::twin::{Twin, set};

use crate::arena::small::Small;
use crate::arena::{Arena, Slot};
use crate::cap::Reference;
use crate::cap::entry::{By, Key, Lowered};
use crate::cap::permissions::Permissions;
use crate::index::{Family, LinkCell};
use crate::life::{Address, Ended};
use crate::mailbox::head::{Element, Queued};
use crate::mailbox::wake::Left;
use crate::panics::Panics;
use crate::reclaim::{Participants, Pin};
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::sync::{UnsafeCell, unmodelled};
use alloc::vec::Vec;
use core::task::Waker;

/// A count of a slot's lives.
pub struct Life(crate::life::Life);

impl Life {
    pub fn vacant(floor: u32) -> Self {
        Self(crate::life::Life::vacant(floor))
    }
    pub fn begin(&self) -> u32 {
        self.0.begin()
    }
    /// Whether this call ended it.
    pub fn end(&self, generation: u32) -> bool {
        self.0.end(generation) == Ended::Now
    }
    pub fn is(&self, generation: u32) -> bool {
        self.0.is(generation)
    }
    pub fn is_spent(&self) -> bool {
        self.0.is_spent()
    }
}

/// A slot with a value that its claimant writes, and that says when it is gone.
pub struct Plain {
    value: UnsafeCell<u32>,
    floor: AtomicU32,
    is_gone: unmodelled::AtomicBool,
}

impl Slot for Plain {
    fn vacant() -> Self {
        let is_gone = unmodelled::AtomicBool::new(false);
        Self { value: UnsafeCell::new(0), floor: AtomicU32::new(0), is_gone }
    }
    const NEAR: usize = 0; // All of them are given back.
    fn floor(&self) -> u32 {
        self.floor.load(Acquire)
    }
    fn raise(&self, floor: u32) {
        self.floor.fetch_max(floor, AcqRel);
    }
}

impl Plain {
    /// One more write by the claimant, which the model checker sees as one.
    fn touch(&self) -> u32 {
        // SAFETY: the claimant's alone; the model checker says so if not.
        self.value.with_mut(|value| unsafe {
            *value += 1;
            *value
        })
    }

    /// Looks at a word of it. If it was not made before, the model checker says so.
    fn look(&self) {
        self.floor.load(Relaxed);
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.is_gone.store(true, unmodelled::Ordering::SeqCst);
    }
}

// SAFETY: the value is its claimant's, as the models check.
unsafe impl Sync for Plain {}
// SAFETY: as above.
unsafe impl Send for Plain {}

/// An arena of plain slots.
pub struct Slots {
    arena: Arena<Plain>,
    participants: Participants,
}

impl Slots {
    pub fn new(limit: usize) -> Self {
        Self { arena: Arena::new(limit), participants: Participants::new() }
    }
    pub fn claim(&self) -> Option<u32> {
        self.arena.claim().ok()
    }
    pub fn claim_some(&self, want: usize) -> Vec<u32> {
        self.arena.claim_some(want).map(Iterator::collect).unwrap_or_default()
    }
    pub fn give_back(&self, index: u32) {
        self.arena.give_back(index);
    }
    pub fn give_back_all(&self, slots: Vec<u32>) {
        self.arena.give_back_all(slots);
    }
    /// For the claimant of `index`.
    pub fn touch(&self, index: u32) -> u32 {
        // SAFETY: claimed, per the caller.
        unsafe { self.arena.slot(index) }.touch()
    }
    /// For the claimant: counts on from whatever this slot's place has had.
    pub fn next_generation(&self, index: u32) -> u32 {
        // SAFETY: claimed, per the caller.
        unsafe { self.arena.slot(index) }.floor.fetch_add(1, AcqRel) + 1
    }
    pub fn live(&self) -> usize {
        self.arena.live()
    }
    pub fn each(&self) -> usize {
        let mut count = 0;
        self.arena.visit(&self.participants.pin(), |_, slot| {
            slot.look();
            count += 1;
        });
        count
    }
    pub fn reclaim(&self) {
        let pin = self.participants.pin();
        self.arena.reclaim(&pin, 0);
        pin.flush();
    }
    /// Looks, pinned, at a slot that others claim and give back; whether it was
    /// there, and stayed while it was looked at.
    pub fn peek(&self, index: u32, meanwhile: impl FnOnce()) -> Option<bool> {
        let pin = self.participants.pin();
        let slot = if crate::twin::is(Twin::Unpinned) {
            drop(pin);
            // SAFETY: none, which is the point; what is freed then is kept.
            unsafe { self.arena.peek_unpinned(index) }?
        } else {
            self.arena.peek(&pin, index)?
        };
        meanwhile();
        slot.look();
        Some(!slot.is_gone.load(unmodelled::Ordering::SeqCst))
    }
}

/// A small arena of plain slots, the first of which is in place.
pub struct SmallSlots(Small<Plain, 1>);

impl SmallSlots {
    pub fn new() -> Self {
        Self(Small::new([Plain::vacant()]))
    }
    pub fn claim(&self) -> Option<u32> {
        self.0.claim().ok()
    }
    pub fn give_back(&self, index: u32) {
        self.0.give_back(index);
    }
    /// For the claimant of `index`.
    pub fn touch(&self, index: u32) -> u32 {
        // SAFETY: claimed, per the caller.
        unsafe { self.0.slot(index) }.touch()
    }
    pub fn seal(&self) -> bool {
        self.0.seal()
    }
    /// Whether there is a slot at `index` that stays.
    pub fn is_settled(&self, index: u32) -> bool {
        self.0.settled(index).map(Plain::look).is_some()
    }
}

impl Default for SmallSlots {
    fn default() -> Self {
        Self::new()
    }
}

/// A table's magazine.
pub struct Magazine(crate::mailbox::magazine::Magazine);

impl Magazine {
    pub fn new() -> Self {
        Self(crate::mailbox::magazine::Magazine::new())
    }
    pub fn take(&self) -> Option<u32> {
        self.0.take()
    }
    /// Fills it, and returns what it did not take.
    pub fn fill(&self, nodes: &[u32]) -> Vec<u32> {
        let mut claim = crate::arena::Claim::none();
        assert!(nodes.iter().all(|node| claim.try_add(*node)), "of one segment");
        if self.0.fill(claim) { Vec::new() } else { nodes.to_vec() }
    }
}

impl Default for Magazine {
    fn default() -> Self {
        Self::new()
    }
}

/// A place for one waker.
pub struct WakeSlot(crate::mailbox::wake::WakeSlot);

impl WakeSlot {
    pub fn new() -> Self {
        Self(crate::mailbox::wake::WakeSlot::new())
    }
    pub fn open(&self) {
        self.0.open();
    }
    pub fn register(&self, waker: &Waker) {
        self.0.register(waker);
    }
    /// Whether this call was the one that left a closed slot vacant.
    pub fn wake(&self) -> bool {
        let mut panics = Panics::new();
        let left = self.0.wake(&mut panics);
        panics.resume();
        left == Left::Vacant
    }
    /// Likewise.
    pub fn close(&self) -> bool {
        let mut panics = Panics::new();
        let left = self.0.close(&mut panics);
        panics.resume();
        left == Left::Vacant
    }
}

impl Default for WakeSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// A head, by the indices of its elements.
pub struct Head(crate::mailbox::head::Head);

/// What was seen of a head.
#[derive(Clone, Copy)]
pub struct Seen(crate::mailbox::head::Word);

impl Head {
    pub fn new() -> Self {
        Self(crate::mailbox::head::Head::new())
    }
    pub fn look(&self) -> Seen {
        Seen(self.0.look())
    }
    /// Whether it went through.
    pub fn push_message(&self, seen: Seen, index: u32) -> bool {
        self.0.push_message(seen.0, Element::message(index)).is_some()
    }
    pub fn push_down(&self, seen: Seen, index: u32) -> bool {
        self.0.push_down(seen.0, Element::down(Queued { record: index, again: false })).is_some()
    }
    /// Whether it sleeps now, having nothing but `marker`.
    pub fn sleep(&self, seen: Seen, marker: Option<u32>) -> bool {
        self.0.sleep(seen.0, marker.map_or(Element::NONE, Element::message))
    }
    pub fn rouse(&self) -> Seen {
        Seen(self.0.rouse())
    }
    /// Whether there was anything to take.
    pub fn close(&self) -> bool {
        !self.0.close().is_none()
    }
}

impl Default for Head {
    fn default() -> Self {
        Self::new()
    }
}

impl Seen {
    pub fn is_empty(self) -> bool {
        self.0.newest().is_none()
    }
    pub fn is_sleeping(self) -> bool {
        self.0.is_sleeping()
    }
}

/// A count that belongs to one generation.
pub struct Credit(crate::route::Credit);

impl Credit {
    pub fn open(generation: u32) -> Self {
        let credit = crate::route::Credit::new();
        credit.open(generation);
        Self(credit)
    }
    pub fn reopen(&self, generation: u32) {
        self.0.open(generation);
    }
    pub fn raise(&self, generation: u32, most: u32) -> bool {
        self.0.raise(generation, 1, |used| used < most).is_ok()
    }
    pub fn raise_ahead(&self, generation: u32, most: u32, received: impl Fn() -> u32) -> bool {
        self.0.raise_ahead(generation, most, received).is_ok()
    }
    pub fn lower(&self, generation: u32) -> bool {
        self.0.lower(generation, 1)
    }
    pub fn count(&self) -> u32 {
        self.0.count()
    }
}

/// A mailbox's share of its table.
pub struct Share(crate::route::Share);

impl Share {
    pub fn open(generation: u32) -> Self {
        let share = crate::route::Share::new();
        share.open(generation);
        Self(share)
    }
    pub fn raise(&self, generation: u32, most: u32) -> bool {
        self.0.raise(generation, 1, most).is_ok()
    }
    /// Whether it was this generation's, and whether somebody waits for it.
    pub fn lower(&self, generation: u32) -> Option<bool> {
        match self.0.lower(generation, 1) {
            crate::route::Lowered::Stale => None,
            crate::route::Lowered::Done => Some(false),
            crate::route::Lowered::Awaited => Some(true),
        }
    }
    pub fn await_it(&self, generation: u32) {
        self.0.await_it(generation, true);
    }
    /// Returns what was used.
    pub fn close(&self, generation: u32) -> u32 {
        self.0.close(generation)
    }
}

/// A table entry, alone.
pub struct Entry(crate::cap::entry::Entry);

fn reference(number: u32) -> Reference {
    let address = Address { index: number, generation: number };
    let permissions = Permissions::from_bits_truncate(number);
    Reference { route: address, group: address, permissions }
}

impl Entry {
    pub fn new() -> Self {
        Self(crate::cap::entry::Entry::new())
    }
    /// Makes it hold capability `number` (1 to 7), with one own reference;
    /// returns the generation.
    pub fn fill(&self, number: u32) -> u32 {
        let handle = self.0.stage(0, reference(number), Address::NOWHERE, By::Own);
        self.0.publish(handle.generation());
        handle.generation()
    }
    /// Makes it hold capability `number`, but not found by its handle.
    pub fn stage(&self, number: u32) -> u32 {
        self.0.stage(0, reference(number), Address::NOWHERE, By::Own).generation()
    }
    pub fn publish(&self, generation: u32) {
        self.0.publish(generation);
    }
    /// The same, for a capability that turns out to be listed elsewhere.
    pub fn stage_in_vain(&self, number: u32) {
        let _ = self.0.stage(0, reference(number), Address::NOWHERE, By::Own);
        self.0.withdraw();
    }
    /// The number of the capability that `generation` holds.
    ///
    /// # Panics
    /// If it is a mixture of two.
    pub fn copy(&self, generation: u32) -> Option<u32> {
        let copy = self.0.copy(generation)?;
        let number = copy.route.index;
        assert!(copy == reference(number), "not what was put there: a mixture");
        Some(number)
    }
    /// Whether that was the last reference; `None`: there was none.
    pub fn lower(&self, generation: u32) -> Option<bool> {
        self.0.lower(generation, By::Own).map(|lowered| lowered == Lowered::Last)
    }
    pub fn retain(&self, generation: u32) -> bool {
        self.0.retain(generation).is_ok()
    }
    /// Raises it if it holds capability `number`; its generation then.
    pub fn raise_key(&self, number: u32) -> Option<u32> {
        let handle = self.0.raise_key(0, Key::of(reference(number)), By::Own, || true)?;
        Some(handle.generation())
    }
    /// The same, unless it is only staged.
    pub fn raise_live(&self, number: u32) -> Option<u32> {
        let handle = self.0.raise_live(0, Key::of(reference(number)), By::Own)?;
        Some(handle.generation())
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self::new()
    }
}

/// An index over a handful of records, each with a key and a life.
pub struct Records {
    index: crate::index::Index,
    records: [Record; 4],
}

struct Record {
    link: LinkCell,
    life: crate::life::Life,
    key: AtomicU32,
    unlinked: AtomicU32,
}

impl Records {
    pub fn new() -> Self {
        let record = || Record {
            link: LinkCell::new(),
            life: crate::life::Life::vacant(0),
            key: AtomicU32::new(0),
            unlinked: AtomicU32::new(0),
        };
        Self { index: crate::index::Index::new(), records: core::array::from_fn(|_| record()) }
    }
    /// Lists record `at`, which is not listed, under `key`; else who has the key.
    pub fn insert(&self, at: u32, key: u32) -> Result<(), u32> {
        let record = &self.records[at as usize];
        record.key.store(key, crate::sync::atomic::Ordering::Release);
        let _ = record.life.begin();
        self.index.insert(&Keys(self), key, at, || {}).inspect_err(|_| {
            let _ = record.life.end(record.life.count());
        })
    }
    pub fn find(&self, key: u32) -> Option<u32> {
        self.index.find(&Keys(self), key)
    }
    /// Ends the record's life and settles the index.
    pub fn remove(&self, at: u32, key: u32) -> bool {
        let life = &self.records[at as usize].life;
        if life.end(life.count()) != Ended::Now {
            return false;
        }
        self.index.settle(&Keys(self), key);
        true
    }
    pub fn spread(&self, records: usize) {
        self.index.spread(records);
    }
    /// How often record `at` was unlinked.
    pub fn unlinked(&self, at: u32) -> u32 {
        self.records[at as usize].unlinked.load(Acquire)
    }
}

impl Default for Records {
    fn default() -> Self {
        Self::new()
    }
}

struct Keys<'r>(&'r Records);

impl Family for Keys<'_> {
    type Record = Record;
    type Key = u32;

    fn record(&self, index: u32) -> Option<&Record> {
        self.0.records.get(index as usize)
    }
    fn link(record: &Record) -> &LinkCell {
        &record.link
    }
    fn key(&self, record: &Record) -> Option<u32> {
        let before = record.life.living()?;
        let key = record.key.load(Acquire);
        record.life.is(before).then_some(key)
    }
    fn hash(&self, key: u32) -> u32 {
        key
    }
    fn unlinked(&self, index: u32) {
        self.0.records[index as usize].unlinked.fetch_add(1, AcqRel);
    }
}

/// A roster of records.
pub struct Roster {
    roster: crate::roster::Roster,
    participants: Participants,
}

impl Roster {
    pub fn new() -> Self {
        Self { roster: crate::roster::Roster::new(), participants: Participants::new() }
    }
    pub fn add(&self, index: u32) -> Option<u32> {
        self.roster.add(index).ok()
    }
    pub fn remove(&self, position: u32) {
        self.roster.remove(position);
    }
    pub fn members(&self) -> Vec<u32> {
        let pin: Pin = self.participants.pin();
        let mut members = Vec::new();
        self.roster.visit(&pin, |index| members.push(index));
        members
    }
}

impl Default for Roster {
    fn default() -> Self {
        Self::new()
    }
}

//! The post office: all the memory that routes, groups, tables and signals of
//! one world live in, and the references that keep it.

use crate::arena::Arena;
use crate::arena::Slot as _;
use crate::cap::slot::TableSlot;
#[cfg(feature = "alloc")]
use crate::cap::table::Held;
use crate::cap::table::Table;
use crate::error::{CreateError, OutOfMemory};
use crate::group::{Group, RouteGroup};
use crate::index::{Index, MOST_RECORDS};
use crate::life::{Address, Life};
use crate::limits::{Limits, MAX_MESSAGE_HANDLES, Stats};
use crate::link::Link;
#[cfg(feature = "alloc")]
use crate::mailbox::block::Block;
use crate::mailbox::channel::Channel;
use crate::mailbox::node::Node;
use crate::mailbox::waiters::Waiter;
use crate::monitor::Monitor;
use crate::payload::{BLOCK_BYTES, INLINE_BYTES};
use crate::reclaim::{Participants, Pin};
use crate::refs::Refs;
use crate::route::{Route, ahead};
use crate::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed},
};
use crate::sync::const_fn;
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

/// What all values of one post office share.
#[doc(hidden)]
pub struct Office {
    refs: Refs,
    limits: Limits,
    /// Mixed into every index, so that keys cannot be chosen to collide.
    seed: AtomicU32,
    /// A life without end, for tables that no group seals.
    eternal: Life,
    /// Slots for entries of each table, if storage is fixed; else 0.
    fixed_handles: u32,
    is_fixed: bool,
    participants: Participants,
    pub(crate) groups: Arena<Group>,
    pub(crate) routes: Arena<Route>,
    pub(crate) channels: Arena<Channel>,
    pub(crate) tables: Arena<TableSlot>,
    pub(crate) nodes: Arena<Node>,
    /// No more of them are in messages than nodes are.
    #[cfg(feature = "alloc")]
    pub(crate) blocks: Arena<Block>,
    pub(crate) monitors: Arena<Monitor>,
    pub(crate) links: Arena<Link>,
    pub(crate) waiters: Arena<Waiter>,
    /// The next one's, of whatever line: each line's would be a word of every mailbox.
    pub(crate) tickets: AtomicUsize,
    pub(crate) monitor_index: Index,
    pub(crate) link_index: Index,
}

/// Slots that a growing arena may claim where nothing else limits it.
const MANY: usize = if crate::bits::WORD >= 64 { 1 << 30 } else { 1 << 20 };

/// Below so many message buffers, nobody keeps any.
const FEW_MESSAGES: u32 = 4096;

const fn least(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

impl Office {
    const_fn! {
        pub(crate) const fn new(limits: Limits, is_fixed: bool, fixed_handles: u32) -> Self {
            // See `Slot::NAMES`.
            let part = if is_fixed { 1 } else { 2 };
            Self {
                refs: Refs::new(),
                limits,
                seed: AtomicU32::new(0),
                eternal: Life::eternal(),
                fixed_handles,
                is_fixed,
                participants: Participants::new(),
                groups: Arena::new(limits.groups as usize),
                routes: Arena::new(MANY),
                channels: Arena::new(MANY),
                tables: Arena::new(limits.tables as usize),
                nodes: Arena::new(least(limits.messages as usize, Node::NAMES / part)),
                #[cfg(feature = "alloc")]
                blocks: Arena::new(least(limits.messages as usize, Node::NAMES / part)),
                monitors: Arena::new(Monitor::NAMES / part),
                links: Arena::new(least(MANY, Link::NAMES / part)),
                waiters: Arena::new(MANY),
                tickets: AtomicUsize::new(0),
                monitor_index: Index::new(),
                link_index: Index::new(),
            }
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The most capabilities that a message may carry here.
    pub(crate) fn most_attached(&self) -> usize {
        (self.limits.handles_per_message as usize).min(MAX_MESSAGE_HANDLES)
    }

    /// The most entries that a table can have, shares included.
    pub(crate) fn most_handles(&self) -> u32 {
        if self.is_fixed { self.fixed_handles } else { (MOST_RECORDS / 2) as u32 }
    }

    /// Whether storage was given, and none is allocated.
    #[inline(always)]
    pub(crate) fn is_fixed(&self) -> bool {
        cfg!(not(feature = "alloc")) || self.is_fixed
    }

    /// Adds buckets to an index that has so many records, where storage grows.
    #[inline]
    pub(crate) fn spread(&self, index: &Index, records: usize) {
        if !self.is_fixed() {
            index.spread(records);
        }
    }

    /// Bytes that are inline here: in a node, or in a block.
    #[inline(always)]
    pub(crate) fn most_inline(&self) -> usize {
        if self.is_fixed() { INLINE_BYTES } else { BLOCK_BYTES }
    }

    /// Whether buffers are too few for some to be kept at hand, where others miss them.
    #[inline(always)]
    pub(crate) fn is_thrifty(&self) -> bool {
        self.is_fixed() || self.limits.messages < FEW_MESSAGES
    }

    /// A life of which `NEVER` is the generation for ever: that of `NOWHERE`.
    pub(crate) fn eternal(&self) -> &Life {
        &self.eternal
    }

    pub(crate) fn seed(&self) -> u32 {
        self.seed.load(Relaxed)
    }

    pub(crate) fn set_seed(&self, seed: u32) {
        self.seed.store(seed, Relaxed);
    }

    /// Keeps what others may give back in place for a while.
    #[inline(always)]
    pub(crate) fn pin(&self) -> Pin {
        self.participants.pin()
    }

    /// One more value of the office, for somebody who has one, or whose slot in
    /// it is kept by somebody who has.
    pub(crate) fn counted(&self) -> PostOffice {
        self.refs.add();
        PostOffice(NonNull::from(self))
    }
}

/// Where routes live and signals wait: a counted reference to one.
///
/// Objects of different post offices do not work together (rule O1). The post
/// office goes with the last value that needs it, whichever that is.
///
/// ```
/// use flue_core::PostOffice;
///
/// let office = PostOffice::new();
/// let group = office.create_group()?;
/// drop(office);
/// let table = group.create_table()?; // The group keeps its office.
/// assert_eq!(table.len(), 0);
/// # Ok::<(), flue_core::CreateError>(())
/// ```
///
/// # Cost
/// Dropping the last value that needs it gives all of its memory back, but for static
/// storage: linear in what there ever was at one time. Dropping another is one step.
///
/// # Progress
/// Lock-free: no operation of any process waits for another's.
pub struct PostOffice(NonNull<Office>);

// SAFETY: a counted reference to what is changed by atomic steps only.
unsafe impl Send for PostOffice {}
// SAFETY: as above.
unsafe impl Sync for PostOffice {}

impl Deref for PostOffice {
    type Target = Office;

    #[inline(always)]
    fn deref(&self) -> &Office {
        // SAFETY: the office stays while this reference to it does.
        unsafe { self.0.as_ref() }
    }
}

impl PostOffice {
    /// Makes a group.
    ///
    /// ```
    /// let office = flue_core::PostOffice::new();
    /// let group = office.create_group()?;
    /// assert!(!group.is_dead());
    /// # Ok::<(), flue_core::CreateError>(())
    /// ```
    ///
    /// # Errors
    /// `LimitReached`: the office has as many as it may have; `OutOfMemory`.
    ///
    /// # Cost
    /// [A slot](crate#what-operations-cost).
    pub fn create_group(&self) -> Result<RouteGroup, CreateError> {
        Ok(RouteGroup::create(self)?)
    }

    /// Makes a table that is the host's: no group's death seals it (rule O5).
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// # let office = PostOffice::new();
    /// # let group = office.create_group()?;
    /// let table = office.create_table()?;
    /// let mailbox = group.create_mailbox(&table)?;
    /// let handle = mailbox.export(Permissions::SEND)?;
    /// group.kill();
    /// assert!(table.contains(handle));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `LimitReached`: the office has as many as it may have; `OutOfMemory`.
    ///
    /// # Cost
    /// [A slot](crate#what-operations-cost).
    pub fn create_table(&self) -> Result<Table, CreateError> {
        Ok(Table::create(self, Address::NOWHERE)?)
    }

    /// Bytes of a message that travel in the message itself: they are copied, need no memory
    /// of their own, and count for nothing against the mailbox's limit of bytes (rule S3).
    /// At least [`INLINE_BYTES`], which is what there is in static storage.
    ///
    /// ```
    /// # use flue_core::{INLINE_BYTES, Permissions, PostOffice};
    /// let office = PostOffice::new();
    /// assert!(office.inline_bytes() > INLINE_BYTES);
    /// # let group = office.create_group()?;
    /// # let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// # let capability = mailbox.capability(Permissions::SEND);
    /// capability.send(&vec![7; office.inline_bytes()], &[])?;
    /// assert_eq!(office.stats().bytes, 0);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Cost
    /// A read of what never changes.
    #[must_use]
    pub fn inline_bytes(&self) -> usize {
        self.most_inline()
    }

    /// What is there, counted by walking: for people, not on any signal's path.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// let office = PostOffice::new();
    /// let group = office.create_group()?;
    /// let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// mailbox.capability(Permissions::SEND).send(b"one", &[])?;
    /// let stats = office.stats();
    /// assert_eq!((stats.groups, stats.routes, stats.tables, stats.messages), (1, 1, 1, 1));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Cost
    /// Linear in all there is; no memory.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let pin = self.pin();
        let mut stats = Stats {
            groups: self.groups.live(),
            tables: self.tables.live(),
            buffers: self.nodes.live(),
            #[cfg(feature = "alloc")]
            blocks: self.blocks.live(),
            links: self.links.live(),
            ..Stats::default()
        };
        self.monitors.visit(&pin, |_, monitor| stats.monitors += usize::from(monitor.is_pending()));
        self.routes.visit(&pin, |_, route| {
            let Some(generation) = route.life.living() else { return };
            stats.routes += 1;
            let Some(channel) = self.channels.peek(&pin, route.channel.load(Acquire)) else {
                return;
            };
            // What was received had been accepted: in this order it is never more.
            let received = channel.received.count();
            let (accepted, bytes) = (route.credit.count(), channel.bytes.count());
            if route.life.is(generation) {
                stats.messages += ahead(accepted, received) as usize;
                stats.bytes += bytes as usize;
            }
        });
        stats
    }

    /// Gives memory that nothing uses back to the allocator (rule Q2).
    ///
    /// ```
    /// # use flue_core::PostOffice;
    /// # let office = PostOffice::new();
    /// let burst: Result<Vec<_>, _> = (0..1000).map(|_| office.create_table()).collect();
    /// drop(burst?);
    /// office.reclaim();
    /// # Ok::<(), flue_core::CreateError>(())
    /// ```
    ///
    /// # Cost
    /// Linear in what there ever was at one time. Memory is given back when no
    /// operation that began before is still under way: in this call, or while one
    /// is, by a later one. The collector may allocate a little here, and that cannot
    /// be refused: call it before memory is short.
    #[cfg(feature = "alloc")]
    pub fn reclaim(&self) {
        if self.is_fixed() {
            return; // Its memory is nobody else's.
        }
        let pin = self.pin();
        self.tables.visit(&pin, |number, slot| {
            if slot.acquire() {
                let _held = Held::from_acquired(self, number, slot);
                self.empty_magazines(slot);
                slot.entries.reclaim(&pin);
            }
        });
        self.groups.visit(&pin, |_, group| {
            group.route_roster.reclaim(&pin);
            group.link_roster.reclaim(&pin);
        });
        self.channels.visit(&pin, |at, channel| {
            if channel.acquire() {
                channel.observers.reclaim(&pin);
                channel.waiters.reclaim(&pin);
                self.release_channel(at);
            }
        });
        self.nodes.reclaim(&pin, 0);
        self.blocks.reclaim(&pin, 0);
        self.monitors.reclaim(&pin, 0);
        self.links.reclaim(&pin, 0);
        self.waiters.reclaim(&pin, 0);
        self.channels.reclaim(&pin, 0);
        self.tables.reclaim(&pin, 0);
        self.groups.reclaim(&pin, usize::MAX);
        pin.flush();
        let retired = pin.retired();
        drop(pin);
        if crate::sync::MODEL || retired == 0 {
            return;
        }
        // Each pin may bring the collector one step on, and frees a part of what
        // is due: some hundreds. Whoever is pinned meanwhile keeps the rest for later.
        for _ in 0..retired / 256 + 4 {
            self.pin().flush();
        }
    }

    /// Does nothing: storage that was given is kept.
    #[cfg(not(feature = "alloc"))]
    pub fn reclaim(&self) {}

    /// Registers this thread (or one more context, without `std`) with the
    /// collector now, so that no later operation allocates for that.
    ///
    /// ```
    /// let office = flue_core::PostOffice::new();
    /// std::thread::spawn(move || office.prepare_thread()).join().unwrap();
    /// ```
    ///
    /// # Cost
    /// Allocations that cannot be refused: with `std` the first time, with `alloc` alone
    /// every time. Without either, nothing.
    pub fn prepare_thread(&self) {
        self.participants.prepare_thread();
    }
}

#[cfg(feature = "alloc")]
impl PostOffice {
    /// A post office with the default limits. See [`PostOffice`] for an example.
    ///
    /// # Panics
    /// If there is no memory; see [`try_new`](Self::try_new).
    ///
    /// # Cost
    /// One allocation.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A post office with these limits. See [`Limits`] for an example.
    ///
    /// # Panics
    /// If there is no memory; see [`try_with_limits`](Self::try_with_limits).
    ///
    /// # Cost
    /// One allocation.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        match Self::try_with_limits(limits) {
            Ok(office) => office,
            Err(error) => panic!("{error}"),
        }
    }

    /// A post office with the default limits.
    ///
    /// ```
    /// let office = flue_core::PostOffice::try_new()?;
    /// assert_eq!(office.stats(), flue_core::Stats::default());
    /// # Ok::<(), flue_core::OutOfMemory>(())
    /// ```
    ///
    /// # Errors
    /// [`OutOfMemory`].
    ///
    /// # Cost
    /// One allocation.
    pub fn try_new() -> Result<Self, OutOfMemory> {
        Self::try_with_limits(Limits::default())
    }

    /// A post office with these limits.
    ///
    /// ```
    /// use flue_core::{Limits, PostOffice};
    ///
    /// let mut limits = Limits::default();
    /// limits.groups = 10_000;
    /// let office = PostOffice::try_with_limits(limits)?;
    /// # Ok::<(), flue_core::OutOfMemory>(())
    /// ```
    ///
    /// # Errors
    /// [`OutOfMemory`].
    ///
    /// # Cost
    /// One allocation.
    pub fn try_with_limits(mut limits: Limits) -> Result<Self, OutOfMemory> {
        use crate::arena::memory;
        // Half of what a table can have: its mailboxes' shares want some too.
        limits.handles_per_table = limits.handles_per_table.min((MOST_RECORDS / 4) as u32);
        let office = memory::allocate(1, || Office::new(limits, false, 0));
        let office = office.map_err(|memory::Refused| OutOfMemory)?;
        // SAFETY: just allocated, so not null and valid.
        let office = unsafe { &*office };
        if !crate::sync::REPEATABLE {
            office.set_seed(secret(office));
        }
        Ok(office.counted())
    }
}

/// A number that a process cannot know.
#[cfg(feature = "std")]
fn secret(_office: &Office) -> u32 {
    use core::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() as u32
}

/// As unknown as the allocator's addresses are.
#[cfg(all(feature = "alloc", not(feature = "std")))]
fn secret(office: &Office) -> u32 {
    let address = core::ptr::from_ref(office).addr();
    crate::index::mix(0x9e37_79b9, &[address as u32, (address >> (usize::BITS / 2)) as u32])
}

#[cfg(feature = "alloc")]
impl Default for PostOffice {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for PostOffice {
    /// One more reference to the same post office: one step.
    fn clone(&self) -> Self {
        self.counted()
    }
}

impl PartialEq for PostOffice {
    /// Whether both are the same post office.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for PostOffice {}

impl Drop for PostOffice {
    fn drop(&mut self) {
        let is_last = self.refs.give_back();
        #[cfg(feature = "alloc")]
        if is_last && !self.is_fixed {
            // SAFETY: the last reference is gone, so nobody is in the office
            // any more; `try_with_limits` allocated it.
            unsafe { crate::arena::memory::free(self.0.as_ptr(), 1) };
        }
        let _ = is_last; // Storage that was given stays.
    }
}

impl fmt::Debug for PostOffice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostOffice").finish_non_exhaustive()
    }
}

impl fmt::Debug for Office {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Office").finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "alloc", not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// Names are spread by a seed of each office's own, so that nobody can choose
    /// some that fall together (`index`).
    #[test]
    fn each_office_has_a_seed_of_its_own() {
        let offices: alloc::vec::Vec<_> = (0..4).map(|_| PostOffice::new()).collect();
        let seeds: alloc::collections::BTreeSet<_> = offices.iter().map(|o| o.seed()).collect();
        assert!(seeds.len() > 1 && !seeds.contains(&0), "{seeds:?}");
    }
}

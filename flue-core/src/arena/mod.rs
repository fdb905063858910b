//! Arenas: all of the memory that a post office hands out, as slots.
//!
//! A slot is named by its index. Slots come in *segments*; a segment's header
//! says which of its slots are free and where they are. Headers stay where they
//! are until the arena goes, so looking for a free slot never follows a stale
//! address; the slots of a segment may be given back when all are free. The
//! first few segments' slots lie together and stay (`near`): in a small program
//! they are all there is, and one load finds them.
//!
//! ```text
//!  Arena ── pages ──► [Segment]             page k holds 2^k headers
//!                     [Segment][Segment]
//!                     [Segment] ...
//!                        └─ slots ──► [T; SLOTS]   given back by `reclaim`
//! ```
//!
//! # Who may look at a slot
//! - Whoever holds its claim: its segment cannot be all free, so it stays.
//! - Anybody pinned, through `peek`: a segment that is retired meanwhile stays
//!   until the pin ends. What is seen must be validated by the slot's own words.
//! - In arenas that never retire (routes, groups): anybody, always.
//!
//! # Progress
//! Claiming is lock-free: an attempt fails only because another's succeeded.
//! `live` is raised before slots are looked for and lowered after they are given
//! back, so a claim that was counted in finds a slot; the limit is exact.
//! Giving back is wait-free: one atomic step for each run of slots.

#[cfg(feature = "alloc")]
mod grow;
mod segment;
pub(crate) mod small;

#[cfg(feature = "alloc")]
pub(crate) use segment::memory;
pub(crate) use segment::{SLOTS, Segment, Slot};

use crate::life::Address;
use crate::reclaim::Pin;
use crate::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::{const_fn, each_new};
use core::ptr;

/// Pages of headers: together they cover every index that a word can name.
const PAGES: usize = if crate::sync::MODEL {
    4
} else if IS_ONE_PIECE {
    1
} else {
    27
};

/// Whether all arenas are fixed: then their headers lie in one piece.
const IS_ONE_PIECE: bool = !cfg!(feature = "alloc") && !crate::sync::MODEL;

/// Slots that the pages cover.
const MOST_SLOTS: usize = if IS_ONE_PIECE { usize::MAX } else { ((1 << PAGES) - 1) * SLOTS };

/// Segments that a claim looks at before it rather adds one.
const PATIENCE: usize = 16;

/// Why no slot could be claimed. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// As many slots are claimed as the arena may have.
    Limit,
    /// The allocator had nothing.
    Memory,
}

/// Slots of one segment, held by whoever has this.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    base: u32,
    mask: u32,
}

const _: () = assert!(SLOTS <= u32::BITS as usize);

impl Claim {
    /// No slots.
    pub(crate) const fn none() -> Self {
        Self { base: 0, mask: 0 }
    }

    /// Which segment they are of.
    #[inline(always)]
    pub(crate) fn segment(self) -> usize {
        self.base as usize / SLOTS
    }

    /// Which of its slots they are.
    #[inline(always)]
    pub(crate) fn mask(self) -> usize {
        self.mask as usize
    }

    /// Adds a slot that the caller has claimed, if it is of the same segment, or
    /// there is none yet.
    pub(crate) fn try_add(&mut self, index: u32) -> bool {
        if self.mask == 0 {
            self.base = index & !(SLOTS as u32 - 1);
        }
        self.try_extend(index)
    }

    /// Adds a slot that the caller has claimed, if it is of this very segment.
    #[inline(always)]
    pub(crate) fn try_extend(&mut self, index: u32) -> bool {
        let same = self.base == index & !(SLOTS as u32 - 1);
        if same {
            self.mask |= 1 << (index as usize % SLOTS);
        }
        same
    }
}

impl Iterator for Claim {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        if self.mask == 0 {
            return None;
        }
        let slot = self.mask.trailing_zeros();
        self.mask &= self.mask - 1;
        Some(self.base + slot)
    }
}

/// A growing, or fixed, set of slots.
pub(crate) struct Arena<T: Slot> {
    /// The slots below `near_count`, in one piece that stays.
    near: AtomicPtr<T>,
    near_count: AtomicUsize,
    pages: [AtomicPtr<Segment<T>>; PAGES],
    /// Segments that were ever opened; their headers exist.
    span: AtomicUsize,
    /// Slots claimed, or about to be.
    live: AtomicUsize,
    limit: AtomicUsize,
    /// Where the last claim was made: only a hint, and what rotates reuse.
    cursor: AtomicUsize,
    /// Slots of a fixed arena; 0 in one that grows.
    wired: AtomicUsize,
}

impl<T: Slot> Arena<T> {
    const_fn! {
        /// An arena without slots, which may claim up to `limit` of them.
        pub(crate) const fn new(limit: usize) -> Self {
            Self {
                near: AtomicPtr::new(ptr::null_mut()),
                near_count: AtomicUsize::new(0),
                pages: each_new!(AtomicPtr::new(ptr::null_mut()); PAGES),
                span: AtomicUsize::new(0),
                live: AtomicUsize::new(0),
                // Who is counted in finds a slot, so no more are than there are.
                limit: AtomicUsize::new(if limit < MOST_SLOTS { limit } else { MOST_SLOTS }),
                cursor: AtomicUsize::new(0),
                wired: AtomicUsize::new(0),
            }
        }
    }

    /// Slots claimed now, or being claimed.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Relaxed)
    }

    /// Whether more than half of the slots are claimed.
    pub(crate) fn is_scarce(&self) -> bool {
        self.live() > self.limit.load(Relaxed) / 2
    }

    /// Above every index that was ever claimed.
    pub(crate) fn span(&self) -> usize {
        self.span.load(Relaxed) * SLOTS
    }

    /// The slot at `index`.
    ///
    /// # Safety
    /// - `index` is claimed, and stays so while the reference is used; or this
    ///   arena never retires and `index` was claimed once.
    #[inline(always)]
    pub(crate) unsafe fn slot(&self, index: u32) -> &T {
        // A claim has seen what the index lies in installed.
        if IS_ONE_PIECE || (index as usize) < self.near_count.load(Relaxed) {
            // SAFETY: there are `near_count` slots from `near` on, and they stay.
            return unsafe { &*self.near.load(Relaxed).add(index as usize) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.far_slot(index) }
    }

    #[cold]
    #[inline(never)]
    unsafe fn far_slot(&self, index: u32) -> &T {
        let (page, at) = Self::place(index as usize / SLOTS);
        // SAFETY: claimed, so page, header and slots exist and stay (above), and the
        // claim has seen them made.
        unsafe {
            let page = self.pages.get_unchecked(page).load(Relaxed);
            let segment = &*page.add(at);
            segment.slot(index as usize % SLOTS)
        }
    }

    /// The slot at `index`, if there is one now. What it says is to be doubted.
    #[inline]
    pub(crate) fn peek<'p>(&'p self, _pin: &'p Pin, index: u32) -> Option<&'p T> {
        // SAFETY: pinned.
        unsafe { self.peek_unpinned(index) }
    }

    /// `peek` for those who have another reason to know that what is there stays.
    ///
    /// # Safety
    /// - The segment of `index` is not retired while the reference is used.
    #[inline]
    pub(crate) unsafe fn peek_unpinned(&self, index: u32) -> Option<&T> {
        let wired = self.wired.load(Relaxed);
        if wired != 0 && index as usize >= wired {
            return None;
        }
        if IS_ONE_PIECE {
            // SAFETY: below the number of slots that lie there, and stay.
            return (wired != 0).then(|| unsafe { &*self.near.load(Relaxed).add(index as usize) });
        }
        let segment = self.segment(index as usize / SLOTS)?;
        segment.peek(index as usize % SLOTS)
    }

    /// Page and position in it of header `number`.
    #[inline(always)]
    fn place(number: usize) -> (usize, usize) {
        if IS_ONE_PIECE {
            return (0, number);
        }
        let page = (number + 1).ilog2() as usize;
        (page, number + 1 - (1 << page))
    }

    #[inline]
    fn segment(&self, number: usize) -> Option<&Segment<T>> {
        let (page, at) = Self::place(number);
        let page = self.pages.get(page)?.load(Acquire);
        if page.is_null() {
            return None;
        }
        // SAFETY: a page once set stays until the arena goes, and page k has
        // 2^k headers, of which `place` never names one beyond; what is in one
        // piece has a header for every number below the span, and callers name
        // those, or that of an index below `wired`.
        Some(unsafe { &*page.add(at) })
    }

    /// Counts up to `want` slots in; the count is a promise that they exist.
    #[inline(always)] // For one, two comparisons less.
    fn reserve(&self, want: usize) -> Result<usize, Exhausted> {
        let limit = self.limit.load(Relaxed);
        let mut live = self.live.load(Relaxed);
        loop {
            if live >= limit {
                return Err(Exhausted::Limit);
            }
            let granted = want.min(limit - live);
            // Partner: `forget`, so that slots given back before are seen free by
            // who is counted in after.
            match self.live.compare_exchange_weak(live, live + granted, Acquire, Relaxed) {
                Ok(_) => return Ok(granted),
                Err(now) => live = now,
            }
        }
    }

    fn forget(&self, count: usize) {
        self.live.fetch_sub(count, Release); // Partner: `reserve`.
    }

    /// Claims one slot.
    #[cfg_attr(not(feature = "alloc"), inline(never))] // The same code for all that is in slots.
    pub(crate) fn claim(&self) -> Result<u32, Exhausted> {
        let granted = self.reserve(1)?;
        let cursor = self.cursor.load(Relaxed);
        let span = self.span.load(Relaxed);
        let number = if cursor / SLOTS < span { cursor / SLOTS } else { 0 };
        // Where the last claim was made there mostly is another.
        if span > 0
            && let Some(at) = self.segment(number).and_then(|segment| segment.claim_one(cursor))
        {
            let index = number * SLOTS + at;
            self.cursor.store(index + 1, Relaxed); // A hint.
            return Ok(index as u32);
        }
        let claim = self.claim_counted(granted)?;
        Ok(claim.base + claim.mask.trailing_zeros())
    }

    /// Claims at least one slot and at most `want`, all of one segment.
    pub(crate) fn claim_some(&self, want: usize) -> Result<Claim, Exhausted> {
        let granted = self.reserve(want)?;
        self.claim_counted(granted)
    }

    /// Claims up to `granted` slots, which were counted in.
    fn claim_counted(&self, granted: usize) -> Result<Claim, Exhausted> {
        let mut patience = PATIENCE;
        loop {
            let span = self.span.load(Relaxed);
            let cursor = self.cursor.load(Relaxed);
            let mut hollow = None;
            for step in 0..span.min(patience) {
                let number = (cursor / SLOTS + step) % span;
                let Some(segment) = self.segment(number) else { continue };
                let from = if step == 0 { cursor % SLOTS } else { 0 };
                if let Some(mask) = segment.claim(from, granted) {
                    return Ok(self.claimed(number, mask, granted));
                }
                if hollow.is_none() && segment.is_hollow() {
                    hollow = Some(number);
                }
            }
            // Growing is quicker than a long search, but only in use is it worth
            // its memory (rule Q2).
            if hollow.is_none() && patience < span && self.live() < span * SLOTS / 2 {
                patience = usize::MAX;
                continue;
            }
            match self.grow(hollow, granted) {
                Ok(Some((number, mask))) => return Ok(self.claimed(number, mask, granted)),
                Ok(None) => {} // Somebody else added one: look again.
                Err(Full::Segments) => patience = usize::MAX,
                Err(Full::Memory) if patience < span => patience = usize::MAX,
                Err(Full::Memory) => {
                    self.forget(granted);
                    return Err(Exhausted::Memory);
                }
            }
        }
    }

    fn claimed(&self, number: usize, mask: usize, granted: usize) -> Claim {
        let last = (usize::BITS - 1 - mask.leading_zeros()) as usize;
        self.cursor.store(number * SLOTS + last + 1, Relaxed); // A hint.
        let surplus = granted - mask.count_ones() as usize;
        if surplus > 0 {
            self.forget(surplus);
        }
        Claim { base: (number * SLOTS) as u32, mask: mask as u32 }
    }

    /// Gives back one slot.
    #[cfg_attr(not(feature = "alloc"), inline(never))] // As `claim`.
    pub(crate) fn give_back(&self, index: u32) {
        if let Some(segment) = self.segment(index as usize / SLOTS) {
            segment.give_back(1 << (index as usize % SLOTS));
            self.forget(1);
        }
    }

    /// Gives back slots: those of one segment in one step, as far as a few
    /// segments can be kept apart.
    pub(crate) fn give_back_all(&self, slots: impl IntoIterator<Item = u32>) {
        let mut runs = [(0, 0); 4];
        let mut count = 0;
        for index in slots {
            let (number, bit) = (index as usize / SLOTS, 1 << (index as usize % SLOTS));
            count += 1;
            let same = runs.iter_mut().find(|(run, mask)| *run == number || *mask == 0);
            match same {
                Some(run) => *run = (number, run.1 | bit),
                None => {
                    self.free_run(runs[0]);
                    runs.rotate_left(1);
                    runs[3] = (number, bit);
                }
            }
        }
        for run in runs {
            self.free_run(run);
        }
        if count > 0 {
            self.forget(count);
        }
    }

    /// Gives back a claim in one step.
    pub(crate) fn give_back_claim(&self, claim: Claim) {
        self.free_run((claim.segment(), claim.mask()));
        self.forget(claim.mask().count_ones() as usize);
    }

    fn free_run(&self, (number, mask): (usize, usize)) {
        if mask != 0
            && let Some(segment) = self.segment(number)
        {
            segment.give_back(mask);
        }
    }

    /// Visits the slots that are claimed, each with its index, for those who
    /// validate what they see. One that is claimed meanwhile may be left out.
    pub(crate) fn visit<'p>(&'p self, _pin: &'p Pin, mut visit: impl FnMut(u32, &'p T)) {
        let wired = self.wired.load(Relaxed);
        for number in 0..self.span.load(Relaxed) {
            let first = number * SLOTS;
            // The last segment of a fixed arena may be shorter.
            let here = if wired == 0 { SLOTS } else { SLOTS.min(wired - first) };
            if let Some(segment) = self.segment(number) {
                segment.visit(here, |at, slot| visit((first + at) as u32, slot));
            }
        }
    }

    /// Whether no slot is claimed. Who must not miss one has a fence before.
    #[cfg(feature = "alloc")]
    pub(crate) fn is_idle(&self) -> bool {
        self.live.load(Relaxed) == 0
    }

    /// Makes this a fixed arena over `slots`, with `headers` for their segments.
    ///
    /// # Safety
    /// - Both are for this arena alone, from now until it goes.
    /// - There are `count` slots, all vacant, and a header for every `SLOTS` of them.
    /// - Whoever looks at this arena later has acquired what the caller releases after this.
    pub(crate) unsafe fn wire(&self, headers: *mut Segment<T>, slots: *mut T, count: usize) {
        let count = count.min(T::NAMES);
        let segments = count.div_ceil(SLOTS);
        for number in 0..segments {
            let here = SLOTS.min(count - number * SLOTS);
            // SAFETY: `number` is below the number of headers promised.
            unsafe { headers.add(number).write(Segment::over(slots.add(number * SLOTS), here)) };
        }
        for (k, page) in self.pages.iter().enumerate() {
            let first = (1usize << k) - 1;
            if first < segments {
                // SAFETY: within the headers promised. The page may reach
                // beyond them, but no index below `count` does.
                page.store(unsafe { headers.add(first) }, Relaxed);
            }
        }
        self.near.store(slots, Relaxed);
        self.near_count.store(count, Relaxed);
        self.limit.store(count.min(self.limit.load(Relaxed)), Relaxed);
        self.wired.store(count, Relaxed);
        self.span.store(segments, Relaxed);
    }
}

/// More slots than any arena may have.
#[cfg(feature = "alloc")]
const SEALED: usize = usize::MAX / 2;

/// Why no segment was added.
enum Full {
    /// There are as many as there may be: what was counted in is among them.
    Segments,
    Memory,
}

#[cfg(not(feature = "alloc"))]
impl<T: Slot> Arena<T> {
    fn grow(&self, _hollow: Option<usize>, _want: usize) -> Result<Option<(usize, usize)>, Full> {
        Err(Full::Segments)
    }
}

impl<T: Slot> Arena<T> {
    /// Whether this is a fixed arena.
    fn is_wired(&self) -> bool {
        self.wired.load(Relaxed) != 0
    }
}

/// An address's slot in an arena whose slots stay: routes and groups.
#[inline(always)]
pub(crate) fn stable<T: Slot>(arena: &Arena<T>, address: Address) -> Option<&T> {
    if address.is_nowhere() {
        return None;
    }
    // SAFETY: only `begin` on a claimed slot makes a generation, so this slot
    // was claimed once, and the arenas of routes and groups never retire.
    Some(unsafe { arena.slot(address.index) })
}

#[cfg(all(test, feature = "alloc", not(any(loom, shuttle))))]
mod tests;

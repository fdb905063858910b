//! Post offices in storage that was given: a `static`, without any allocator.
//!
//! The algorithms are the same as in a growing office; its arenas are wired to
//! arrays here, and never grow. Storage starts as zeroes, so it takes no room in
//! an image (unless the limits are not the default ones).

use crate::PostOffice;
use crate::arena::{Arena, Segment, Slot};
use crate::bits::WORD;
use crate::cap::entry::Entry;
use crate::cap::slot::TableSlot;
use crate::group::Group;
use crate::limits::Limits;
use crate::link::Link;
use crate::mailbox::channel::Channel;
use crate::mailbox::node::Node;
use crate::mailbox::waiters::Waiter;
use crate::monitor::Monitor;
use crate::office::Office;
use crate::route::Route;
use crate::sync::UnsafeMemory;
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use core::fmt;
use core::mem::{MaybeUninit, offset_of};

/// `N` slots, and room for the headers of their segments: a byte for each slot
/// is more than enough for all but the first, which is beside.
#[repr(C)]
struct Slots<T: Slot, const N: usize> {
    slots: UnsafeMemory<[MaybeUninit<T>; N]>,
    first: UnsafeMemory<MaybeUninit<Segment<T>>>,
    #[cfg(not(any(all(loom, feature = "loom"), flue_word = "16")))]
    headers: UnsafeMemory<[MaybeUninit<u8>; N]>,
    // The model checker's atomics are larger, and segments of narrow words smaller.
    #[cfg(any(all(loom, feature = "loom"), flue_word = "16"))]
    headers: UnsafeMemory<[MaybeUninit<Segment<T>>; N]>,
}

const _: () = assert!(
    crate::sync::MODEL
        || cfg!(flue_word = "16")
        || size_of::<Segment<Node>>() <= crate::arena::SLOTS
);

impl<T: Slot, const N: usize> Slots<T, N> {
    const fn new() -> Self {
        // Builds with narrow words are given what they cannot name, and leave it.
        const { assert!(N <= T::NAMES || WORD < usize::BITS, "more than words can name") };
        Self {
            slots: UnsafeMemory::new([const { MaybeUninit::uninit() }; N]),
            first: UnsafeMemory::new(MaybeUninit::uninit()),
            headers: UnsafeMemory::new([const { MaybeUninit::uninit() }; N]),
        }
    }

    /// Wires `arena` to this storage.
    ///
    /// # Safety
    /// - Called once, before anything else looks at the arena or at this.
    /// - This stays for good.
    unsafe fn wire(&self, arena: &Arena<T>) {
        let slots = self.slots.get().cast::<T>();
        for at in 0..N {
            // SAFETY: within the array, which nobody else looks at yet.
            unsafe { slots.add(at).write(T::vacant()) };
        }
        // From `first` on into `headers`, so a pointer to both.
        let first = core::ptr::from_ref(self).cast::<u8>().wrapping_add(offset_of!(Self, first));
        let headers = first.cast_mut().cast::<Segment<T>>();
        // SAFETY: the caller's promises; the headers are for this arena alone.
        unsafe { arena.wire(headers, slots, N) };
    }
}

/// A post office in a `static`: no allocator, no growth (see
/// [`PostOffice`] for what it does).
///
/// The parameters are how much storage there is, not part of any other type:
/// - `GROUPS` groups, and `HANDLES` entries for each table, the shares of its
///   mailboxes included;
/// - `MESSAGES` message buffers for all mailboxes together;
/// - `ROUTES` mailboxes and `TABLES` tables, as many as groups if not said;
/// - `MONITORS`, `LINKS`, and `WAITERS` for senders that wait for room.
///
/// What words cannot name does not compile: with 32 bits, more than 16,383
/// messages, 8,190 monitors or links, or 8,186 entries of a table.
///
/// ```
/// use flue_core::{MailboxLimits, Permissions, Signal, StaticPostOffice};
///
/// static OFFICE: StaticPostOffice<2, 8, 16> = StaticPostOffice::new();
///
/// let office = OFFICE.office();
/// let group = office.create_group()?;
/// let table = group.create_table()?;
/// let mut limits = MailboxLimits::default();
/// limits.handles = 2;
/// let mut mailbox = group.create_mailbox_with(&table, limits)?;
/// let to = mailbox.export(Permissions::SEND)?;
/// table.send(to, b"from a static", &[])?;
/// let Signal::Message(message) = mailbox.try_recv()? else { unreachable!() };
/// assert_eq!(message.data(), b"from a static");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct StaticPostOffice<
    const GROUPS: usize,
    const HANDLES: usize,
    const MESSAGES: usize,
    const ROUTES: usize = GROUPS,
    const TABLES: usize = GROUPS,
    const MONITORS: usize = GROUPS,
    const LINKS: usize = GROUPS,
    const WAITERS: usize = GROUPS,
> {
    /// Made by the first call of `office`.
    office: UnsafeMemory<MaybeUninit<Office>>,
    /// In how far the limits are not the default ones: zeroes if they are.
    difference: Limits,
    state: AtomicU32,
    groups: Slots<Group, GROUPS>,
    routes: Slots<Route, ROUTES>,
    channels: Slots<Channel, ROUTES>,
    tables: Slots<TableSlot, TABLES>,
    nodes: Slots<Node, MESSAGES>,
    monitors: Slots<Monitor, MONITORS>,
    links: Slots<Link, LINKS>,
    waiters: Slots<Waiter, WAITERS>,
    rests: UnsafeMemory<[MaybeUninit<Arena<Entry>>; TABLES]>,
    entries: [Slots<Entry, HANDLES>; TABLES],
}

// SAFETY: the storage is reached only through the office's arenas, once it is
// wired, which happens once (`state`); they hand it out by atomic steps.
unsafe impl<
    const GROUPS: usize,
    const HANDLES: usize,
    const MESSAGES: usize,
    const ROUTES: usize,
    const TABLES: usize,
    const MONITORS: usize,
    const LINKS: usize,
    const WAITERS: usize,
> Sync for StaticPostOffice<GROUPS, HANDLES, MESSAGES, ROUTES, TABLES, MONITORS, LINKS, WAITERS>
{
}

const RAW: u32 = 0;
const WIRING: u32 = 1;
const READY: u32 = 2;

impl<
    const GROUPS: usize,
    const HANDLES: usize,
    const MESSAGES: usize,
    const ROUTES: usize,
    const TABLES: usize,
    const MONITORS: usize,
    const LINKS: usize,
    const WAITERS: usize,
> StaticPostOffice<GROUPS, HANDLES, MESSAGES, ROUTES, TABLES, MONITORS, LINKS, WAITERS>
{
    crate::sync::const_fn! {
        /// Storage for a post office with the default limits, half of each
        /// table's entries being its own. See [`StaticPostOffice`] for an example.
        ///
        /// # Cost
        /// Nothing at run time: all zeroes, so it lies where an image has none of it.
        #[must_use]
        pub const fn new() -> Self {
            Self::with_limits(Limits::DEFAULT)
        }
    }

    crate::sync::const_fn! {
        /// Storage for a post office with these limits, as far as it suffices.
        /// A table's own handles are half of `HANDLES` if the limit is above that.
        ///
        /// ```
        /// use flue_core::{Limits, StaticPostOffice};
        ///
        /// const LIMITS: Limits = {
        ///     let mut limits = Limits::DEFAULT;
        ///     limits.bytes_per_message = 16;
        ///     limits
        /// };
        /// static OFFICE: StaticPostOffice<2, 8, 16> = StaticPostOffice::with_limits(LIMITS);
        /// assert!(OFFICE.office().create_group().is_ok());
        /// ```
        ///
        /// # Cost
        /// Nothing at run time; with other limits than the default ones the image has
        /// all of the storage.
        #[must_use]
        pub const fn with_limits(limits: Limits) -> Self {
            Self {
                office: UnsafeMemory::new(MaybeUninit::uninit()),
                difference: limits.difference(),
                state: AtomicU32::new(RAW),
                groups: Slots::new(),
                routes: Slots::new(),
                channels: Slots::new(),
                tables: Slots::new(),
                nodes: Slots::new(),
                monitors: Slots::new(),
                links: Slots::new(),
                waiters: Slots::new(),
                rests: UnsafeMemory::new([const { MaybeUninit::uninit() }; TABLES]),
                entries: [const { Slots::new() }; TABLES],
            }
        }
    }

    /// The post office. The first call makes it ready; a call that comes while
    /// another is making it ready waits for that, so make the first one before
    /// interrupts that call this too are let in.
    ///
    /// ```
    /// use flue_core::StaticPostOffice;
    ///
    /// static OFFICE: StaticPostOffice<2, 8, 16> = StaticPostOffice::new();
    /// assert_eq!(OFFICE.office(), OFFICE.office());
    /// ```
    ///
    /// # Cost
    /// Linear in the storage the first time; then two steps.
    ///
    /// # Progress
    /// Waits for the first call; wait-free when that has returned.
    pub fn office(&'static self) -> PostOffice {
        match self.state.compare_exchange(RAW, WIRING, Relaxed, Relaxed) {
            Ok(_) => {
                // SAFETY: this call's step from Raw, which happens once.
                unsafe { self.wire() };
                self.state.store(READY, Release);
            }
            Err(_) => {
                // Acquire pairs with the release above: who sees it ready sees it wired.
                while self.state.load(Acquire) != READY {
                    crate::sync::spin_loop();
                }
            }
        }
        // SAFETY: Ready, so it was made, and nobody takes it out.
        unsafe { (*self.office.get()).assume_init_ref() }.counted()
    }

    /// # Safety
    /// - Called once, before anything else looks at the office.
    unsafe fn wire(&'static self) {
        let mut limits = self.difference.difference();
        if limits.handles_per_table as usize > HANDLES {
            limits.handles_per_table = (HANDLES - HANDLES / 2) as u32;
        }
        // SAFETY: nobody else looks at it yet, per the caller.
        let office =
            unsafe { (*self.office.get()).write(Office::new(limits, true, HANDLES as u32)) };
        let office: &'static Office = office;
        // SAFETY: the caller's promise, for each; all of it is static.
        unsafe {
            self.groups.wire(&office.groups);
            self.routes.wire(&office.routes);
            self.channels.wire(&office.channels);
            self.tables.wire(&office.tables);
            self.nodes.wire(&office.nodes);
            self.monitors.wire(&office.monitors);
            self.links.wire(&office.links);
            self.waiters.wire(&office.waiters);
        }
        for (number, entries) in self.entries.iter().enumerate() {
            // SAFETY: within the array, which nobody else looks at yet; the
            // table's slot was wired just now.
            unsafe {
                let rest = self.rests.get().cast::<Arena<Entry>>().add(number);
                rest.write(Arena::new(HANDLES));
                entries.wire(&*rest);
                office.tables.slot(number as u32).entries.wire(rest);
            }
        }
        if !crate::sync::REPEATABLE {
            office.set_seed(core::ptr::from_ref(self).addr() as u32);
        }
    }
}

impl<
    const GROUPS: usize,
    const HANDLES: usize,
    const MESSAGES: usize,
    const ROUTES: usize,
    const TABLES: usize,
    const MONITORS: usize,
    const LINKS: usize,
    const WAITERS: usize,
> fmt::Debug
    for StaticPostOffice<GROUPS, HANDLES, MESSAGES, ROUTES, TABLES, MONITORS, LINKS, WAITERS>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticPostOffice").finish_non_exhaustive()
    }
}

impl<
    const GROUPS: usize,
    const HANDLES: usize,
    const MESSAGES: usize,
    const ROUTES: usize,
    const TABLES: usize,
    const MONITORS: usize,
    const LINKS: usize,
    const WAITERS: usize,
> Default
    for StaticPostOffice<GROUPS, HANDLES, MESSAGES, ROUTES, TABLES, MONITORS, LINKS, WAITERS>
{
    fn default() -> Self {
        Self::new()
    }
}

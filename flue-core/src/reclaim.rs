//! Giving memory back while others may still look at it.
//!
//! A thread that follows an address into memory it holds no claim on *pins*
//! first; memory taken out of use is *retired* and freed when no pin taken
//! before is left (epoch-based reclamation, Fraser 2004, by `crossbeam-epoch`).
//! Only `PostOffice::reclaim` retires. Nothing on a signal's usual path pins.
//!
//! | build              | a pin is                                        |
//! |--------------------|-------------------------------------------------|
//! | `std`              | one of the thread's own participant             |
//! | `alloc` alone      | one of a participant borrowed from the office    |
//! | neither, or model  | nothing: that memory is never given back         |
//!
//! A model build retires only under `--cfg crossbeam_loom`, because elsewhere
//! the collector's own steps are invisible to the model checker and a model of
//! reclamation would pass vacuously.
//!
//! # Progress
//! Pinning is lock-free: a participant is borrowed by one compare-and-swap, and
//! when all are borrowed another is registered. A pin that never ends keeps
//! what is retired after it, and stops nobody.

#[cfg(all(feature = "std", not(all(loom, feature = "loom", not(crossbeam_loom)))))]
mod backend {
    use core::cell::Cell;

    /// Keeps what is retired from now on in place until it is dropped.
    pub(crate) struct Pin {
        guard: crossbeam_epoch::Guard,
        retired: Cell<usize>,
    }

    /// The participants of an office: here every thread has its own.
    pub(crate) struct Participants(());

    impl Participants {
        pub(crate) const fn new() -> Self {
            Self(())
        }

        #[inline]
        pub(crate) fn pin(&self) -> Pin {
            Pin { guard: crossbeam_epoch::pin(), retired: Cell::new(0) }
        }

        pub(crate) fn prepare_thread(&self) {
            drop(self.pin());
        }
    }

    impl Pin {
        /// Runs `free` when no pin taken before now is left.
        ///
        /// # Safety
        /// - `free` may run on any thread, at any later time.
        /// - Whatever it frees can be reached only through pins taken before.
        pub(crate) unsafe fn retire(&self, free: impl FnOnce() + 'static) {
            self.retired.set(self.retired.get() + 1);
            // SAFETY: the caller's promise is what `defer_unchecked` asks for.
            unsafe { self.guard.defer_unchecked(free) }
        }

        /// How much was retired under this pin.
        pub(crate) fn retired(&self) -> usize {
            self.retired.get()
        }

        pub(crate) fn flush(&self) {
            self.guard.flush();
        }
    }
}

#[cfg(all(feature = "alloc", not(feature = "std"), not(all(loom, feature = "loom"))))]
mod backend {
    use crate::sync::atomic::{
        AtomicBool, AtomicPtr,
        Ordering::{Acquire, Relaxed, Release},
    };
    use alloc::boxed::Box;
    use core::cell::Cell;
    use core::mem::ManuallyDrop;
    use core::ptr;
    use crossbeam_epoch::{Collector, Guard, LocalHandle};

    /// The most pins that one operation has at the same time: a send of many bytes
    /// has one, takes another to count the room exactly, and a third while it takes
    /// apart what another thread has left to it.
    const NESTED: usize = 3;

    /// Keeps what is retired from now on in place until it is dropped.
    pub(crate) struct Pin {
        guard: ManuallyDrop<Guard>,
        participant: &'static Participant,
        retired: Cell<usize>,
    }

    /// A collector's participant, used by one context at a time.
    struct Participant {
        handle: LocalHandle,
        borrowed: AtomicBool,
        next: *const Participant,
    }

    /// The participants of an office: a list that only grows, one for each
    /// context that was ever inside an operation at the same time. A context is
    /// a thread, a CPU or a nested interrupt: an interrupt finds the interrupted
    /// context's participant borrowed and takes another.
    pub(crate) struct Participants {
        first: AtomicPtr<Participant>,
        collector: AtomicPtr<Collector>,
    }

    impl Participants {
        pub(crate) const fn new() -> Self {
            Self {
                first: AtomicPtr::new(ptr::null_mut()),
                collector: AtomicPtr::new(ptr::null_mut()),
            }
        }

        fn collector(&self) -> &Collector {
            let mut seen = self.collector.load(Acquire);
            if seen.is_null() {
                let fresh = Box::into_raw(Box::new(Collector::new()));
                // Release pairs with both acquires: who finds the collector sees it built.
                match self.collector.compare_exchange(ptr::null_mut(), fresh, Release, Acquire) {
                    Ok(_) => seen = fresh,
                    Err(other) => {
                        // SAFETY: `fresh` came from `into_raw` above and was not published.
                        drop(unsafe { Box::from_raw(fresh) });
                        seen = other;
                    }
                }
            }
            // SAFETY: set once to a leaked box that only `drop` takes back.
            unsafe { &*seen }
        }

        fn borrow(&self) -> &'static Participant {
            let mut at: *const Participant = self.first.load(Acquire);
            // SAFETY: listed participants are leaked boxes that only `drop` frees.
            while let Some(participant) = unsafe { at.as_ref() } {
                // Acquire pairs with the release in `Pin::drop`: the last
                // borrower's use of the handle is over and seen.
                if !participant.borrowed.load(Relaxed)
                    && participant.borrowed.compare_exchange(false, true, Acquire, Relaxed).is_ok()
                {
                    return participant;
                }
                at = participant.next;
            }
            self.register()
        }

        #[cold]
        fn register(&self) -> &'static Participant {
            let fresh = Box::leak(Box::new(Participant {
                handle: self.collector().register(),
                borrowed: AtomicBool::new(true),
                next: ptr::null(),
            }));
            let fresh: *mut Participant = fresh;
            let mut first = self.first.load(Relaxed);
            loop {
                // SAFETY: not yet published, so nobody else looks at it.
                unsafe { (*fresh).next = first };
                // Release pairs with the acquire load in `borrow`.
                match self.first.compare_exchange_weak(first, fresh, Release, Relaxed) {
                    // SAFETY: leaked, and freed only by `drop`.
                    Ok(_) => return unsafe { &*fresh },
                    Err(now) => first = now,
                }
            }
        }

        pub(crate) fn pin(&self) -> Pin {
            let participant = self.borrow();
            let guard = ManuallyDrop::new(participant.handle.pin());
            Pin { guard, participant, retired: Cell::new(0) }
        }

        pub(crate) fn prepare_thread(&self) {
            let participants = [(); NESTED].map(|()| self.register());
            for participant in participants {
                participant.borrowed.store(false, Release); // As in `Pin::drop`.
            }
        }
    }

    impl Drop for Participants {
        fn drop(&mut self) {
            let mut at = self.first.load(Acquire);
            while !at.is_null() {
                // SAFETY: `&mut self`: no pin is left, for each is taken and
                // dropped inside an operation on the office that owns this.
                let participant = unsafe { Box::from_raw(at) };
                at = participant.next.cast_mut();
            }
            let collector = self.collector.load(Acquire);
            if !collector.is_null() {
                // SAFETY: as above; made by `into_raw` in `collector`.
                drop(unsafe { Box::from_raw(collector) });
            }
        }
    }

    // SAFETY: a participant's `LocalHandle` is used by one context at a time: from
    // the compare-and-swap that sets `borrowed` (acquire, in `borrow`) until the store
    // that clears it (release, in `Pin::drop`), so each sees the last one's writes.
    // `next` is written before publication only.
    unsafe impl Sync for Participants {}
    // SAFETY: as above; the list owns its participants wherever it is.
    unsafe impl Send for Participants {}

    impl Pin {
        /// Runs `free` when no pin taken before now is left.
        ///
        /// # Safety
        /// - `free` may run on any thread, at any later time.
        /// - Whatever it frees can be reached only through pins taken before.
        pub(crate) unsafe fn retire(&self, free: impl FnOnce() + 'static) {
            self.retired.set(self.retired.get() + 1);
            // SAFETY: the caller's promise is what `defer_unchecked` asks for.
            unsafe { self.guard.defer_unchecked(free) }
        }

        /// How much was retired under this pin.
        pub(crate) fn retired(&self) -> usize {
            self.retired.get()
        }

        pub(crate) fn flush(&self) {
            self.guard.flush();
        }
    }

    impl Drop for Pin {
        fn drop(&mut self) {
            // SAFETY: dropped once, here, and not used after.
            unsafe { ManuallyDrop::drop(&mut self.guard) };
            self.participant.borrowed.store(false, Release); // Partner: `borrow`.
        }
    }
}

#[cfg(any(not(feature = "alloc"), all(loom, feature = "loom", not(crossbeam_loom))))]
mod backend {
    /// Stands for the pin that a build which keeps its memory does not need.
    pub(crate) struct Pin(());

    /// There are none in a build that keeps its memory.
    pub(crate) struct Participants(());

    impl Participants {
        pub(crate) const fn new() -> Self {
            Self(())
        }

        #[inline(always)]
        pub(crate) fn pin(&self) -> Pin {
            Pin(())
        }

        pub(crate) fn prepare_thread(&self) {}
    }

    #[cfg(feature = "alloc")]
    impl Pin {
        /// Never comes: a model build retires nothing.
        ///
        /// # Safety
        /// - None is needed.
        pub(crate) unsafe fn retire(&self, _free: impl FnOnce()) {}

        pub(crate) fn retired(&self) -> usize {
            0
        }

        pub(crate) fn flush(&self) {}
    }
}

pub(crate) use backend::{Participants, Pin};

/// Whether this build gives memory back before its office goes.
pub(crate) const RECLAIMS: bool =
    cfg!(all(feature = "alloc", not(all(loom, feature = "loom", not(crossbeam_loom)))));

/// Frees `count` values at `memory` when no pin taken before now is left.
///
/// # Safety
/// - `memory` came from `memory::allocate` with the same `count`.
/// - It can be reached only through pins taken before.
/// - The values may be dropped on any thread.
#[cfg(feature = "alloc")]
pub(crate) unsafe fn retire<T: 'static>(pin: &Pin, memory: *mut T, count: usize) {
    // SAFETY: the caller's promises are those that `Pin::retire` asks for.
    unsafe { pin.retire(move || crate::arena::memory::free(memory, count)) };
}

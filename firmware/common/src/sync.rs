//! What CPUs that share memory need besides a post office: a lock, a barrier, and to sleep until another rouses them.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A spin lock, for the heap and for handing things over at start. Never taken by an interrupt handler.
pub struct Lock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `with` gives the value to one CPU at a time, so it moves between CPUs (`Send`) and is never shared.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub const fn new(value: T) -> Lock<T> {
        Lock { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Runs `work` on the value, alone.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // Acquire: partner of the release below, by whoever had the value before.
        while self
            .taken
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            relax();
        }
        // SAFETY: sole access: `taken` was false and is true until the store below.
        let result = work(unsafe { &mut *self.value.get() });
        self.taken.store(false, Ordering::Release);
        result
    }
}

/// What a CPU does between two looks at what it waits for. Not `spin_loop`: x86's `pause` makes QEMU leave the CPU's
/// thread for a while, some microseconds each time.
pub fn relax() {
    for turn in 0..16 {
        core::hint::black_box(turn);
    }
}

// SAFETY: each image of several CPUs defines both, once, with these signatures; a missing or a second one fails to link.
unsafe extern "Rust" {
    /// Stops this CPU until another rouses it; returns at once if that happened since it last returned. What the other did
    /// before is seen after.
    safe fn machine_doze();
    /// Rouses all other CPUs.
    safe fn machine_rouse();
}

/// Looks this often before it sleeps.
const LOOKS: u32 = 64;

/// Waits until `ready`, which another CPU makes true before it calls [`rouse`]. A CPU that slept leaves the host's to
/// those that work: there may be fewer of them than here.
pub fn doze_until(mut ready: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if ready() {
            return;
        }
        relax();
    }
    while !ready() {
        machine_doze();
    }
}

/// Lets all others look again at what they wait for.
pub fn rouse() {
    machine_rouse();
}

/// Lets a fixed number of CPUs meet.
#[derive(Default)]
pub struct Barrier {
    arrived: AtomicUsize,
    round: AtomicUsize,
}

impl Barrier {
    pub const fn new() -> Barrier {
        Barrier { arrived: AtomicUsize::new(0), round: AtomicUsize::new(0) }
    }

    /// Returns when `cpus` CPUs have called it. All that each did before is seen by all after.
    pub fn wait(&self, cpus: usize) {
        let round = self.round.load(Ordering::Acquire);
        // AcqRel: the last to arrive has seen what all others did, and passes it on with the release of `round`.
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == cpus {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round + 1, Ordering::Release);
            rouse();
        } else {
            doze_until(|| self.round.load(Ordering::Acquire) != round);
        }
    }
}

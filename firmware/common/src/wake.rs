//! Wakers for machines without an allocator, and the smallest executor.
#![allow(unexpected_cfgs, reason = "a test of `flue-core` has this file too, and no feature `smp`")]

use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// Remembers that it was woken. Load and store are enough: one consumer clears it, before it looks for work.
#[derive(Default)]
pub struct Flag(AtomicBool);

impl Flag {
    pub const fn new() -> Flag {
        Flag(AtomicBool::new(false))
    }

    /// A waker that raises this flag.
    pub fn waker(&'static self) -> Waker {
        // SAFETY: the vtable's functions take the pointer for a `&'static Flag`, which it is; a flag is `Sync`.
        unsafe { Waker::from_raw(RawWaker::new((self as *const Flag).cast(), &VTABLE)) }
    }

    /// Whether it was raised since the last call; lowers it.
    pub fn take(&self) -> bool {
        // Acquire: partner of the release in `wake`; what the waker did before is seen by who finds the flag up.
        let raised = self.0.load(Ordering::Acquire);
        if raised {
            // Relaxed: whoever raises it again from here on has its work seen by the poll that follows.
            self.0.store(false, Ordering::Relaxed);
        }
        raised
    }
}

static VTABLE: RawWakerVTable =
    RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), wake, wake, |_| {});

fn wake(data: *const ()) {
    // SAFETY: only `Flag::waker` makes wakers with this vtable, out of a `&'static Flag`.
    let flag = unsafe { &*data.cast::<Flag>() };
    flag.0.store(true, Ordering::Release);
    #[cfg(feature = "smp")]
    crate::sync::rouse();
}

/// Runs a future to its end, polling it only when `flag` was raised: a lost wake-up is a hang.
pub fn block_on<F: Future>(flag: &'static Flag, future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = flag.waker();
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        #[cfg(feature = "smp")]
        crate::sync::doze_until(|| flag.take());
        #[cfg(not(feature = "smp"))]
        while !flag.take() {
            core::hint::spin_loop();
        }
    }
}

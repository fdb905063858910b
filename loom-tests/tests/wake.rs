//! Models of the waker slot: called by anybody, replaced by its owner.
#![cfg(loom)]

use flue_core::internals::WakeSlot;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom_tests::{Parker, block_on, model, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Wake, Waker};

/// A waker that only counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (count.clone(), count.into())
}

model! {
    /// Of a registration and a call one is first: either the call finds the
    /// waker, or who registered sees what the caller did before. So a call is a
    /// step even where it changes nothing.
    fn wake_races_register() {
        let shared = Arc::new((WakeSlot::new(), AtomicBool::new(false)));
        let parker = Parker::new();
        shared.0.register(&parker.waker());
        shared.0.wake(); // Of an earlier cause.
        let caller = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.1.store(true, Relaxed);
                shared.0.wake();
            }
        });
        parker.block_on(|cx| {
            shared.0.register(cx.waker());
            if shared.1.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        });
        drop(parker);
        caller.join().unwrap();
    }
    twin fails_without_a_step: CallUnstepped says "deadlock";
}

model! {
    /// A waker is replaced by another task's while it may be called: it is not
    /// written under the caller, and the latest one's task is woken.
    fn wake_races_replace() {
        let shared = Arc::new((WakeSlot::new(), AtomicBool::new(false)));
        let (_, old) = counter();
        shared.0.register(&old);
        let caller = thread::spawn({
            let shared = shared.clone();
            move || {
                shared.1.store(true, Relaxed);
                shared.0.wake();
            }
        });
        block_on(|cx| {
            shared.0.register(cx.waker());
            if shared.1.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending }
        });
        caller.join().unwrap();
    }
    twin fails_writing_under_a_caller: BusyDespiteCallers says "Causality violation";
}

model! {
    /// Two calls for two causes, and an owner that looks for both: the end of
    /// the first call says *called* only if no registration came meanwhile.
    fn two_wakes_race_register() {
        let shared = Arc::new((WakeSlot::new(), [AtomicBool::new(false), AtomicBool::new(false)]));
        let parker = Parker::new();
        let waker = parker.waker();
        shared.0.register(&waker);
        let call = |cause: usize| {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.1[cause].store(true, Relaxed);
                shared.0.wake();
            })
        };
        let callers = [call(0), call(1)];
        for cause in &shared.1 {
            parker.block_on(|_| {
                shared.0.register(&waker); // The same one: no replacement.
                if cause.load(Relaxed) { Poll::Ready(()) } else { Poll::Pending }
            });
        }
        drop(parker);
        for caller in callers {
            caller.join().unwrap();
        }
    }
    twin fails_ignoring_the_registration: LeaveIgnoresRegistration says "deadlock";
}

model! {
    /// A slot that is closed while somebody is inside is left vacant by exactly
    /// one of the two, and the waker is dropped.
    fn wake_races_close() {
        let slot = Arc::new(WakeSlot::new());
        let (count, waker) = counter();
        slot.register(&waker);
        drop(waker);
        let caller = thread::spawn({
            let slot = slot.clone();
            move || slot.wake()
        });
        let closed = slot.close();
        let left = caller.join().unwrap();
        assert!(closed ^ left, "left vacant by both, or by none");
        assert_eq!(Arc::strong_count(&count), 1, "the waker was kept");
    }
}

model! {
    /// Two callers and a close: the last to leave vacates.
    fn two_wakes_race_close() {
        let slot = Arc::new(WakeSlot::new());
        let (count, waker) = counter();
        slot.register(&waker);
        drop(waker);
        let call = || {
            let slot = slot.clone();
            thread::spawn(move || slot.wake())
        };
        let callers = [call(), call()];
        let closed = usize::from(slot.close());
        let left = callers.map(|caller| usize::from(caller.join().unwrap()));
        assert_eq!(closed + left[0] + left[1], 1);
        assert_eq!(Arc::strong_count(&count), 1, "the waker was kept");
    }
}

model! {
    /// A call that comes late to a slot which was closed and opened again finds
    /// nobody to call, or the new owner's waker: a spurious wake, no more.
    fn wake_races_reopen() {
        let slot = Arc::new(WakeSlot::new());
        let (old_count, old) = counter();
        slot.register(&old);
        let caller = thread::spawn({
            let slot = slot.clone();
            move || slot.wake()
        });
        let (new_count, new) = counter();
        let is_vacant = slot.close();
        if is_vacant {
            slot.open();
            slot.register(&new);
        }
        let left = caller.join().unwrap();
        assert!(is_vacant ^ left);
        let calls = old_count.0.load(SeqCst) + new_count.0.load(SeqCst);
        assert!(calls <= 1);
    }
}

//! What the stall tests must find: if they do not, they are dead, and prove nothing.
//!
//! The same stepping over structures that are known to block, to refuse for
//! ever, or to lose an update; and over one that does none of that.

use crate::machine::{self, Patience, Plan, Tally};
use crossbeam_queue::{ArrayQueue, SegQueue};
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

/// What is to be found at one instruction at least; and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finds {
    Nothing,
    Blocked,
    Wrong,
}

struct Control {
    name: &'static str,
    finds: Finds,
    /// Makes what is shared ready.
    ready: fn(),
    operation: fn(),
    /// What others do with it, and check.
    others: fn(),
    /// What is checked in the end, where the operation goes on.
    check: fn(),
}

const TIMES: u32 = 100;

static LOCKED: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU32 = AtomicU32::new(0);
static SEGMENTS: OnceLock<SegQueue<u32>> = OnceLock::new();
static RING: OnceLock<ArrayQueue<u32>> = OnceLock::new();

fn nothing() {}

fn try_lock() -> bool {
    LOCKED.compare_exchange(false, true, Acquire, Relaxed).is_ok()
}

fn lock_and_count() {
    while !try_lock() {
        std::hint::spin_loop();
    }
    COUNT.store(COUNT.load(Relaxed) + 1, Relaxed);
    LOCKED.store(false, Release);
}

fn try_lock_and_count() {
    if try_lock() {
        COUNT.store(COUNT.load(Relaxed) + 1, Relaxed);
        LOCKED.store(false, Release);
    }
}

fn count_in_two_steps() {
    COUNT.store(std::hint::black_box(COUNT.load(Relaxed)) + 1, Relaxed);
}

fn count_in_one_step() {
    COUNT.fetch_add(1, Relaxed);
}

fn times(operation: impl Fn()) {
    (0..TIMES).for_each(|_| operation());
}

fn is_counted() {
    assert_eq!(COUNT.load(Relaxed), TIMES + 1, "lost");
}

const CONTROLS: [Control; 6] = [
    Control {
        name: "spin lock",
        finds: Finds::Blocked,
        ready: nothing,
        operation: lock_and_count,
        others: || times(lock_and_count),
        check: is_counted,
    },
    Control {
        name: "crossbeam SegQueue",
        finds: Finds::Blocked,
        ready: || {
            let queue = SEGMENTS.get_or_init(SegQueue::new);
            queue.push(0);
            queue.pop();
        },
        operation: || SEGMENTS.wait().push(1),
        others: || {
            times(|| {
                SEGMENTS.wait().push(2);
                assert!(SEGMENTS.wait().pop().is_some());
            });
        },
        check: nothing,
    },
    Control {
        name: "crossbeam ArrayQueue",
        finds: Finds::Blocked,
        ready: || {
            let _ = RING.get_or_init(|| ArrayQueue::new(8));
        },
        operation: || {
            let _ = RING.wait().push(1);
        },
        others: || {
            times(|| {
                let pushed = RING.wait().push(2);
                assert!(pushed.is_ok() && RING.wait().pop().is_some());
            });
        },
        check: nothing,
    },
    Control {
        name: "try-lock (refuses)",
        finds: Finds::Wrong,
        ready: nothing,
        operation: try_lock_and_count,
        others: || {
            times(|| {
                assert!(
                    try_lock() && {
                        LOCKED.store(false, Release);
                        true
                    },
                    "refused"
                )
            })
        },
        check: nothing,
    },
    Control {
        name: "count in two steps",
        finds: Finds::Wrong,
        ready: nothing,
        operation: count_in_two_steps,
        others: || times(count_in_two_steps),
        check: is_counted,
    },
    Control {
        name: "count in one step",
        finds: Finds::Nothing,
        ready: nothing,
        operation: count_in_one_step,
        others: || times(count_in_one_step),
        check: is_counted,
    },
];

/// The control that is being run.
static CHOSEN: AtomicU32 = AtomicU32::new(0);

fn chosen() -> &'static Control {
    &CONTROLS[CHOSEN.load(Relaxed) as usize]
}

const PATIENCE: Patience = Patience { cpu: 60, clock: 30_000 };

/// When the others do what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The operation stands still for ever.
    Stopped,
    /// It goes on after them.
    Interrupted,
}

/// Does what others do with the control that is being run.
pub fn play_others() {
    (chosen().others)();
}

/// Runs the controls, prints what they found, and says whether that is what is
/// to be found.
pub fn test(visit: fn(u32), when: When) -> bool {
    machine::fail_silently();
    let mut alive = true;
    for (number, control) in CONTROLS.iter().enumerate() {
        // An update is lost only by an operation that goes on.
        let finds = match control.finds {
            Finds::Wrong if when == When::Stopped && control.name == "count in two steps" => {
                Finds::Nothing
            }
            finds => finds,
        };
        CHOSEN.store(number as u32, Relaxed);
        let plan = Plan { visit, stride: 1, first: 0, variants: 1, patience: PATIENCE };
        let tally = machine::run(plan, || {
            (control.ready)();
            machine::stepped(&mut || (control.operation)());
            if machine::is_child() {
                (control.check)();
                machine::well();
            }
        });
        let found = is_as_expected(finds, tally);
        let verdict = if found { "as expected" } else { "NOT AS EXPECTED" };
        println!(
            "control {:22} {:4} visits: {} fine, {} blocked, {} wrong, {} crashed: {verdict}",
            control.name, tally.visits, tally.fine, tally.blocked, tally.wrong, tally.crashed
        );
        alive &= found;
    }
    machine::report_failures();
    alive
}

fn is_as_expected(finds: Finds, tally: Tally) -> bool {
    let only = |found: u32| found > 0 && tally.fine > 0 && tally.fine + found == tally.visits;
    match finds {
        Finds::Nothing => tally.is_clean(),
        Finds::Blocked => only(tally.blocked) && !tally.unrunnable,
        Finds::Wrong => only(tally.wrong) && !tally.unrunnable,
    }
}

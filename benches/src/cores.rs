//! Which core a thread runs on, how far apart two of them are, and the two shapes in which threads on
//! several cores work together: [`Cores::fan_in`] and [`Cores::exchange`].

use core_affinity::CoreId;
use crossbeam_utils::Backoff;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A round trip of a cache line shorter than this is *near*.
const NEAR: Duration = Duration::from_nanos(150);
const TRIPS: u32 = 400;

/// Where the two sides of a window ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On one thread.
    Here,
    /// On cores whose cache lines travel fast.
    Near,
    /// On cores whose cache lines travel slowly.
    Far,
}

impl Place {
    /// How reports write it.
    pub fn label(self) -> &'static str {
        match self {
            Place::Here => "",
            Place::Near => "near",
            Place::Far => "far",
        }
    }
}

/// What a receiver does that found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// It looks again, after one pause instruction.
    Looking,
    /// It pauses for twice as long each time, up to 64 pause instructions, as `crossbeam_utils::Backoff`
    /// has it: the senders have the cache line to themselves meanwhile.
    BackingOff,
}

/// The cores of this machine: one for the measuring thread, the rest for the others.
#[derive(Clone, Debug)]
pub struct Cores {
    here: CoreId,
    others: Vec<CoreId>,
}

impl Cores {
    /// Pins the calling thread to the first core. `None` where cores cannot be told. They stay as long
    /// as the program, so that every workload may keep them.
    pub fn take() -> Option<&'static Self> {
        let mut all = core_affinity::get_core_ids()?.into_iter();
        let here = all.next()?;
        core_affinity::set_for_current(here);
        Some(Box::leak(Box::new(Self { here, others: all.collect() })))
    }

    /// Whether there is a second core at all.
    pub fn several(&self) -> bool {
        !self.others.is_empty()
    }

    /// Pins the calling thread to the `index`th of the other cores, round and round.
    pub fn pin_other(&self, index: usize) {
        let core =
            if self.others.is_empty() { self.here } else { self.others[index % self.others.len()] };
        core_affinity::set_for_current(core);
    }

    /// How far the other core is, by bouncing one cache line for a moment.
    pub fn place(&self) -> Place {
        #[repr(align(128))]
        struct Line(AtomicU32);
        let line = Line(AtomicU32::new(0));
        let answer = |mine: u32| {
            while line.0.load(Ordering::Acquire) != mine {
                core::hint::spin_loop();
            }
            line.0.store(mine + 1, Ordering::Release);
        };
        let elapsed = thread::scope(|scope| {
            scope.spawn(|| {
                self.pin_other(0);
                (0..TRIPS).for_each(|trip| answer(2 * trip + 1));
            });
            // The first round trip waits for the other thread to exist.
            line.0.store(1, Ordering::Release);
            answer(2);
            let start = Instant::now();
            (2..TRIPS).for_each(|trip| answer(2 * trip));
            start.elapsed()
        });
        if elapsed / (TRIPS - 2) < NEAR { Place::Near } else { Place::Far }
    }

    /// Each of `senders` calls `send` `each` times on a core of its own (as far as there are), while
    /// this thread calls `receive` until it returned `true` for all of it; in between, as `idle` says.
    pub fn fan_in<S: Send>(
        &self,
        idle: Idle,
        senders: Vec<S>,
        each: u64,
        send: impl Fn(&mut S) + Sync,
        mut receive: impl FnMut() -> bool,
    ) -> Duration {
        let expected = senders.len() as u64 * each;
        let waiting = AtomicUsize::new(senders.len());
        let go = AtomicBool::new(false);
        thread::scope(|scope| {
            for (index, mut sender) in senders.into_iter().enumerate() {
                let (waiting, go, send) = (&waiting, &go, &send);
                scope.spawn(move || {
                    self.pin_other(index);
                    waiting.fetch_sub(1, Ordering::AcqRel);
                    while !go.load(Ordering::Acquire) {
                        thread::yield_now();
                    }
                    (0..each).for_each(|_| send(&mut sender));
                });
            }
            while waiting.load(Ordering::Acquire) != 0 {
                thread::yield_now();
            }
            let start = Instant::now();
            go.store(true, Ordering::Release);
            let backoff = Backoff::new();
            let mut received = 0;
            while received < expected {
                match (receive(), idle) {
                    (true, _) => {
                        received += 1;
                        backoff.reset();
                    }
                    (false, Idle::Looking) => core::hint::spin_loop(),
                    (false, Idle::BackingOff) => backoff.spin(),
                }
            }
            start.elapsed()
        })
    }

    /// This thread calls `ask` `turns` times, another one `answer` as often.
    pub fn exchange(
        &self,
        turns: u64,
        mut ask: impl FnMut(),
        mut answer: impl FnMut() + Send,
    ) -> Duration {
        const WARM: u64 = 16;
        thread::scope(|scope| {
            scope.spawn(move || {
                self.pin_other(0);
                (0..WARM + turns).for_each(|_| answer());
            });
            (0..WARM).for_each(|_| ask());
            let start = Instant::now();
            (0..turns).for_each(|_| ask());
            start.elapsed()
        })
    }

    /// The time from just before `act` on this thread until `seen` returns `true` on another core.
    pub fn until_seen(&self, act: impl FnOnce(), seen: impl Fn() -> bool + Sync) -> Duration {
        let ready = AtomicBool::new(false);
        thread::scope(|scope| {
            let (ready, seen) = (&ready, &seen);
            let watcher = scope.spawn(move || {
                self.pin_other(0);
                ready.store(true, Ordering::Release);
                while !seen() {
                    core::hint::spin_loop();
                }
                Instant::now()
            });
            while !ready.load(Ordering::Acquire) {
                core::hint::spin_loop();
            }
            let start = Instant::now();
            act();
            watcher.join().expect("the watcher only looks").saturating_duration_since(start)
        })
    }
}

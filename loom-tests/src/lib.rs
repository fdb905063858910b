//! Models of flue-core for the loom model checker, in `tests/`: one file for each
//! module, one race for each model.
//!
//! A model says which ordering or re-check it is there for; its *twins* run the
//! same model over the same code with that one left out, and must be rejected.
//! `ci/loom.sh` runs them all; without `--cfg loom` this package is empty.
#![cfg(loom)]

use flue_core::internals::{THREADS, Twin};
use flue_core::{MailboxLimits, PostOffice};
use loom::thread::Thread;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Set for the child process that runs a twin.
const CHILD: &str = "FLUE_TWIN";

/// Seconds after which a model is given up unfinished.
const MOST_SECONDS: u64 = 40;

/// Seconds that a twin may take: it ends as soon as it is rejected, and a busy machine must not
/// pass for a model that does not notice.
const TWIN_SECONDS: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Explores `body` and returns how many executions there were.
fn explore(name: &str, seconds: u64, body: impl Fn() + Send + Sync + 'static) -> usize {
    let executions = Arc::new(AtomicUsize::new(0));
    let mut model = loom::model::Builder::new();
    let bound = *model.preemption_bound.get_or_insert(2);
    let most = Duration::from_secs(seconds);
    model.max_threads = THREADS;
    model.max_branches = 20_000;
    model.max_duration = Some(most);
    model.checkpoint_interval = 50;
    let started = Instant::now();
    let counted = executions.clone();
    model.check(move || {
        counted.fetch_add(1, SeqCst);
        body();
    });
    let (count, took) = (executions.load(SeqCst), started.elapsed());
    let extent = if took < most { "all" } else { "NOT ALL" };
    println!(
        "model {name}: bound {bound}, {count} executions in {:.1} s, {extent}",
        took.as_secs_f64()
    );
    count
}

/// Explores a model. Panics if one of its executions fails, or there was but one.
pub fn holds(name: &str, body: fn()) {
    let executions = explore(name, number("FLUE_LOOM_SECONDS").unwrap_or(MOST_SECONDS), body);
    assert!(executions > 1, "nothing raced in {name}");
}

/// Requires that the model fails, and says `says`, with `twin` left out of the
/// code. It runs in a process of its own: a failing model may abort.
pub fn fails(name: &str, twin: Twin, says: &str, body: fn()) {
    if std::env::var_os(CHILD).is_some() {
        flue_core::internals::set(twin);
        explore(name, TWIN_SECONDS, body);
        return;
    }
    let (_, path) = name.split_once("::").expect("a path below the crate");
    let child = Command::new(std::env::current_exe().expect("a test binary"))
        .args([path, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "0") // Names of functions are no reasons.
        .output()
        .expect("the test binary runs");
    let said = String::from_utf8_lossy(&child.stderr).into_owned()
        + &String::from_utf8_lossy(&child.stdout);
    assert!(!child.status.success(), "{name}: not rejected without {twin:?}\n{said}");
    assert!(
        said.contains(says),
        "{name}: rejected without {twin:?}, but not for `{says}` ({}):\n{said}",
        child.status
    );
    println!("twin {name}: rejected without {twin:?}");
}

/// loom's threads.
pub mod thread {
    pub use loom::thread::{park, spawn as spawn_once, yield_now};
    use std::thread::Result;

    /// In a twin's process the others begin: one of them stops on its way when its race is lost,
    /// and what they do last is varied first.
    pub fn others_first() {
        if std::env::var_os(super::CHILD).is_some() {
            yield_now();
        }
    }

    /// A thread that keeps what its body captured.
    #[derive(Debug)]
    pub struct JoinHandle<R, B>(loom::thread::JoinHandle<(R, B)>);

    /// Runs `body` on a thread of its own. What it captured is dropped by who
    /// joins it: that races with nothing. A body that consumes what it captured
    /// is for `spawn_once`.
    pub fn spawn<R: 'static, B: FnMut() -> R + 'static>(mut body: B) -> JoinHandle<R, B> {
        JoinHandle(loom::thread::spawn(move || (body(), body)))
    }

    impl<R: 'static, B: 'static> JoinHandle<R, B> {
        /// Waits for it.
        ///
        /// # Errors
        /// If it panicked.
        pub fn join(self) -> Result<R> {
            self.0.join().map(|(result, _)| result)
        }
    }
}

/// Declares a model, and the twins of it that must fail.
#[macro_export]
macro_rules! model {
    ($(#[$doc:meta])* fn $name:ident() $body:block
     $($(#[$twin_doc:meta])* twin $fails:ident: $twin:ident says $says:literal;)*) => {
        $(#[$doc])*
        mod $name {
            #[allow(unused_imports, reason = "a model may need none of them")]
            use super::*;

            fn body() $body

            #[test]
            fn holds() {
                $crate::holds(concat!(module_path!(), "::holds"), body);
            }

            $($(#[$twin_doc])*
            #[test]
            fn $fails() {
                let name = concat!(module_path!(), "::", stringify!($fails));
                $crate::fails(name, flue_core::internals::Twin::$twin, $says, body);
            })*
        }
    };
}

/// Unparks the loom thread that made it, while that waits.
#[derive(Debug)]
struct Unpark {
    thread: Thread,
    is_waiting: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        // A thread that joins another one must not be unparked, loom says.
        if self.is_waiting.load(SeqCst) {
            self.thread.unpark();
        }
    }
}

/// A thread that waits: its waker wakes it until this is dropped.
#[derive(Debug)]
pub struct Parker(Arc<Unpark>);

impl Parker {
    /// For this thread.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "not a value like any other")]
    pub fn new() -> Self {
        Self(Arc::new(Unpark {
            thread: loom::thread::current(),
            is_waiting: AtomicBool::new(true),
        }))
    }

    /// The waker.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.0.clone().into()
    }

    /// Parks until `poll` is ready. A lost wake-up is a deadlock, which loom reports.
    pub fn block_on<R>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
        let waker = self.waker();
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = poll(&mut cx) {
                return result;
            }
            thread::park();
        }
    }
}

impl Drop for Parker {
    fn drop(&mut self) {
        self.0.is_waiting.store(false, SeqCst);
    }
}

/// Whether its waker was called.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    /// One whose waker was not called.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The waker.
    #[must_use]
    pub fn waker(self: &Arc<Self>) -> Waker {
        self.clone().into()
    }

    /// Whether it was.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Parks until `poll` is ready, with a waker of its own.
pub fn block_on<R>(poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    Parker::new().block_on(poll)
}

/// An office that is the same in every execution.
#[must_use]
pub fn office() -> PostOffice {
    PostOffice::new()
}

/// Limits of a mailbox for so many messages, a few of which share a table whatever
/// the words are.
#[must_use]
pub fn room(messages: u32) -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    limits.messages = messages;
    limits.handles = 64;
    limits
}

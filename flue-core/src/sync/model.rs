//! loom's atomics, each beside words that every access steps.
//!
//! loom looks for the orders worth trying by comparing each access with the last
//! one to the same word. A load followed by a compare-and-swap of the same
//! thread hides another thread's load before it, and the orders in which that
//! one comes later are never tried. So each word has a step for each thread. A
//! load moves its own thread's, a write those of all others, relaxed: that orders
//! nothing, a load hides no other, and every write meets the last load of each.
//!
//! An access and its steps are one: loom tries nothing between them. To come
//! between would be to come before.

use super::unmodelled;
use core as std; // As loom's macro calls it.
use loom::sync::atomic as theirs;
pub(crate) use theirs::{Ordering, fence};

/// How many threads a model may have.
pub const THREADS: usize = 3;

loom::lazy_static! {
    /// How many threads of this execution have a number.
    static ref NUMBERED: unmodelled::AtomicUsize = unmodelled::AtomicUsize::new(0);
}

loom::thread_local! {
    /// Which of them this is: numbered as they come, no two of one execution alike.
    static NUMBER: usize = NUMBERED.fetch_add(1, unmodelled::Ordering::Relaxed) % THREADS;
}

/// The steps of a word.
#[derive(Debug)]
struct Steps([theirs::AtomicUsize; THREADS]);

impl Steps {
    fn new() -> Self {
        Self(core::array::from_fn(|_| theirs::AtomicUsize::new(0)))
    }

    /// Ends an access to the word: moves the steps of the threads so far from its
    /// own number. Counted from there, they come in one order in all executions.
    fn end(&self, threads: core::ops::Range<usize>) {
        let own = NUMBER.with(|number| *number);
        loom::stop_exploring();
        for thread in threads {
            self.0[(own + thread) % THREADS].fetch_add(1, Ordering::Relaxed);
        }
        loom::explore();
    }

    fn loaded(&self) {
        self.end(0..1);
    }

    fn written(&self) {
        self.end(1..THREADS);
    }
}

macro_rules! stepped {
    ($name:ident $(<$t:ident>)?, $value:ty: $($rmw:ident)*) => {
        #[derive(Debug)]
        pub(crate) struct $name $(<$t>)? {
            word: theirs::$name $(<$t>)?,
            steps: Steps,
        }

        #[allow(dead_code, reason = "the same for every word")]
        impl $(<$t>)? $name $(<$t>)? {
            pub(crate) fn new(value: $value) -> Self {
                Self { word: theirs::$name::new(value), steps: Steps::new() }
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                let value = self.word.load(order);
                self.steps.loaded();
                value
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.word.store(value, order);
                self.steps.written();
            }

            pub(crate) fn compare_exchange(
                &self,
                seen: $value,
                next: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let result = self.word.compare_exchange(seen, next, success, failure);
                self.steps.written();
                result
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                seen: $value,
                next: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let result = self.word.compare_exchange_weak(seen, next, success, failure);
                self.steps.written();
                result
            }
        }

        #[allow(dead_code, reason = "the same for every word")]
        impl $(<$t>)? $name $(<$t>)? {
            $(pub(crate) fn $rmw(&self, value: $value, order: Ordering) -> $value {
                let before = self.word.$rmw(value, order);
                self.steps.written();
                before
            })*
        }
    };
}

stepped!(AtomicUsize, usize: swap fetch_add fetch_sub fetch_or fetch_and fetch_max);
stepped!(AtomicU32, u32: swap fetch_add fetch_sub fetch_or fetch_and fetch_max);
stepped!(AtomicPtr<T>, *mut T: swap);

//! Panics of wakers: none of them stops what is to be done after it.

/// Runs users' code and keeps the first panic until all is done: what calls users'
/// code in the middle of something takes one of these by reference.
///
/// With `std` panics are caught here. Without, an unwinding panic passes
/// through; whoever calls users' code then relies on nothing after the call but
/// what the stack's drops do.
pub(crate) struct Panics {
    #[cfg(feature = "std")]
    first: Option<alloc::boxed::Box<dyn core::any::Any + Send>>,
}

impl Default for Panics {
    fn default() -> Self {
        Self::new()
    }
}

impl Panics {
    /// Does all of `code`, then goes on with the first panic of what it ran.
    pub(crate) fn after<T>(code: impl FnOnce(&mut Self) -> T) -> T {
        let mut panics = Self::new();
        let done = code(&mut panics);
        panics.resume();
        done
    }
}

#[cfg(feature = "std")]
impl Panics {
    pub(crate) fn new() -> Self {
        Self { first: None }
    }

    pub(crate) fn run(&mut self, code: impl FnOnce()) {
        // Unwind safe: the callers' state is whole before and after.
        let result = std::panic::catch_unwind(core::panic::AssertUnwindSafe(code));
        if let Err(panic) = result {
            self.keep(panic);
        }
    }

    /// Keeps the first. The drop of another one's payload is user code, too, and may panic.
    fn keep(&mut self, panic: alloc::boxed::Box<dyn core::any::Any + Send>) {
        if self.first.is_none() {
            self.first = Some(panic);
        } else if let Err(third) =
            std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| drop(panic)))
        {
            core::mem::forget(third);
        }
    }

    /// Adds what another has kept, which came later.
    #[inline(always)]
    pub(crate) fn add(&mut self, later: Self) {
        if let Some(panic) = later.first {
            self.keep(panic);
        }
    }

    /// Whether `resume` will not return: there was a panic, and no other is under way.
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        self.first.is_some() && !std::thread::panicking()
    }

    /// Goes on with the first panic, if there was one and no other is under way.
    #[inline(always)]
    pub(crate) fn resume(self) {
        if self.first.is_some() {
            self.go_on();
        }
    }

    #[cold]
    fn go_on(self) {
        if self.is_due()
            && let Some(panic) = self.first
        {
            std::panic::resume_unwind(panic);
        }
    }
}

#[cfg(not(feature = "std"))]
impl Panics {
    pub(crate) fn new() -> Self {
        Self {}
    }

    pub(crate) fn run(&mut self, code: impl FnOnce()) {
        code();
    }

    pub(crate) fn add(&mut self, _: Self) {}

    pub(crate) fn is_due(&self) -> bool {
        false
    }

    pub(crate) fn resume(self) {}
}

#[cfg(all(test, feature = "std", not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use core::panic::AssertUnwindSafe;
    use std::panic::{catch_unwind, panic_any};

    /// What panics when it is dropped.
    struct Loud;

    impl Drop for Loud {
        fn drop(&mut self) {
            panic_any(Self);
        }
    }

    /// Rule K3: whatever panics, and however often, all of it is run, and the first goes on.
    #[test]
    fn the_first_panic_is_kept() {
        let mut count = 0;
        let result = catch_unwind(AssertUnwindSafe(|| {
            Panics::after(|panics| {
                panics.run(|| panic_any(1_u8));
                panics.run(|| panic_any(Loud));
                let mut later = Panics::new();
                later.run(|| panic_any(Loud));
                panics.add(later);
                panics.run(|| count += 1);
            });
        }));
        assert_eq!(count, 1);
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&1_u8));
    }
}

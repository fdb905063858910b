//! Panics of wakers: none of them stops what is to be done after it.

/// Runs users' code and keeps the first panic until all is done.
///
/// With `std` panics are caught here. Without, an unwinding panic passes
/// through; whoever calls users' code then relies on nothing after the call but
/// what the stack's drops do.
pub(crate) struct Panics {
    #[cfg(feature = "std")]
    first: Option<alloc::boxed::Box<dyn core::any::Any + Send>>,
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
            self.first.get_or_insert(panic);
        }
    }

    /// Goes on with the first panic, if there was one and no other is under way.
    pub(crate) fn resume(self) {
        if let Some(panic) = self.first
            && !std::thread::panicking()
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

    pub(crate) fn resume(self) {}
}

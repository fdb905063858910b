//! The one door through which atomics and shared cells enter this crate.
//!
//! A normal build gets `core` (or `portable-atomic` on targets without
//! compare-and-swap); a model build, `--cfg loom` together with the feature
//! `loom`, gets loom; `--cfg shuttle` with the feature `shuttle`, a scheduler. No
//! other file names `core::sync::atomic` or `core::cell::UnsafeCell`, so what the
//! models check is what ships.
//!
//! Both halves of a switch are needed: a bare `--cfg loom` or `--cfg shuttle` of
//! somebody else's model run changes nothing here.

/// Whether this is a model build. Models shrink what they must exhaust.
pub(crate) const MODEL: bool = cfg!(all(loom, feature = "loom"));
/// Whether what happens in a test build must happen again when it is repeated.
pub(crate) const REPEATABLE: bool = MODEL || cfg!(all(shuttle, feature = "shuttle"));

#[cfg(not(all(loom, feature = "loom")))]
pub(crate) use self::real::*;
#[cfg(all(loom, feature = "loom"))]
#[path = "sync/model.rs"]
pub(crate) mod atomic;
#[cfg(all(shuttle, feature = "shuttle"))]
#[path = "sync/shuttle.rs"]
pub(crate) mod atomic;
/// Memory of a `static`, which arenas hand out slot by slot: the model checker looks at
/// the slots.
pub(crate) use core::cell::UnsafeCell as UnsafeMemory;
/// For what is about a model, not in it.
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub(crate) use core::sync::atomic as unmodelled;
#[cfg(all(loom, feature = "loom"))]
pub(crate) use loom::{cell::UnsafeCell, hint::spin_loop};

#[cfg(not(all(loom, feature = "loom")))]
mod real {
    pub(crate) use core::hint::spin_loop;
    #[cfg(not(any(all(shuttle, feature = "shuttle"), feature = "portable-atomic")))]
    pub(crate) use core::sync::atomic;
    #[cfg(all(not(all(shuttle, feature = "shuttle")), feature = "portable-atomic"))]
    pub(crate) use portable_atomic as atomic;

    /// `core`'s cell behind loom's interface, so callers are written once.
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }
}

/// Asks for the cache line at `pointer`, to write it soon. Only a hint: it may
/// point anywhere.
#[inline(always)]
pub(crate) fn prefetch_to_write<T>(pointer: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch reads and writes nothing, and does not fault.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) pointer, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = pointer;
}

/// Declares a function `const` where the atomics it builds allow it; loom's do
/// not.
#[cfg(not(all(loom, feature = "loom")))]
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
}
#[cfg(all(loom, feature = "loom"))]
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => { $(#[$meta])* $vis fn $($rest)* };
}
pub(crate) use const_fn;

/// An array whose elements are each made by an expression, in a constant where
/// the atomics allow it.
#[cfg(not(all(loom, feature = "loom")))]
macro_rules! each_new {
    ($new:expr; $count:expr) => {
        [const { $new }; $count]
    };
}
#[cfg(all(loom, feature = "loom"))]
macro_rules! each_new {
    ($new:expr; $count:expr) => {
        core::array::from_fn::<_, { $count }, _>(|_| $new)
    };
}
pub(crate) use each_new;

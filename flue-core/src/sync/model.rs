//! loom's atomics, each beside a word that every access steps.
//!
//! loom looks for the orders worth trying by comparing each access with the last
//! one to the same word. A load followed by a compare-and-swap of the same
//! thread hides another thread's load before it, and the orders in which that
//! one comes later are never tried. So every access first adds to a word of its
//! own, relaxed: that orders nothing, hides nothing, and is seen by all.

use loom::sync::atomic as theirs;
pub(crate) use theirs::{AtomicPtr, Ordering, fence};

macro_rules! stepped {
    ($name:ident, $value:ty) => {
        #[derive(Debug)]
        pub(crate) struct $name {
            word: theirs::$name,
            step: theirs::AtomicUsize,
        }

        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self { word: theirs::$name::new(value), step: theirs::AtomicUsize::new(0) }
            }

            fn word(&self) -> &theirs::$name {
                self.step.fetch_add(1, Ordering::Relaxed);
                &self.word
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.word().load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.word().store(value, order);
            }

            pub(crate) fn compare_exchange(
                &self,
                seen: $value,
                next: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.word().compare_exchange(seen, next, success, failure)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                seen: $value,
                next: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.word().compare_exchange_weak(seen, next, success, failure)
            }
        }

        stepped!(@rmw $name, $value: swap fetch_add fetch_sub fetch_or fetch_and fetch_max);
    };
    (@rmw $name:ident, $value:ty: $($rmw:ident)*) => {
        #[allow(dead_code, reason = "the same for every width")]
        impl $name {
            $(pub(crate) fn $rmw(&self, value: $value, order: Ordering) -> $value {
                self.word().$rmw(value, order)
            })*
        }
    };
}

stepped!(AtomicUsize, usize);
stepped!(AtomicU32, u32);

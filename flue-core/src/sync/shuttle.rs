//! `core`'s atomics under a scheduler: before each access, and at each fence,
//! any other thread of the test may run.
//!
//! One thread runs at a time, so orderings mean nothing here: what a test under
//! this scheduler sees is sequentially consistent. Weaker memory is loom's part.

use super::unmodelled as theirs;
pub(crate) use theirs::Ordering;

/// Where another thread may be run. A sleep is just that to this scheduler.
fn step() {
    if !shuttle::thread::panicking() {
        shuttle::thread::sleep(core::time::Duration::ZERO);
    }
}

pub(crate) fn fence(order: Ordering) {
    step();
    theirs::fence(order);
}

macro_rules! stepped {
    ($($name:ident $(<$generic:ident>)?, $value:ty: $($rmw:ident)*;)*) => {$(
        #[derive(Debug)]
        #[repr(transparent)]
        pub(crate) struct $name $(<$generic>)? (theirs::$name $(<$generic>)?);

        #[allow(dead_code, reason = "the same for every width")]
        impl $(<$generic>)? $name $(<$generic>)? {
            pub(crate) const fn new(value: $value) -> Self {
                Self(theirs::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                step();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            pub(crate) fn compare_exchange(
                &self,
                seen: $value,
                next: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                step();
                self.0.compare_exchange(seen, next, success, failure)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                seen: $value,
                next: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(seen, next, success, failure)
            }

            $(pub(crate) fn $rmw(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.$rmw(value, order)
            })*
        }
    )*};
}

stepped! {
    AtomicU32, u32: swap fetch_add fetch_sub fetch_or fetch_and fetch_max;
    AtomicUsize, usize: swap fetch_add fetch_sub fetch_or fetch_and fetch_max;
    AtomicBool, bool: swap;
    AtomicPtr<T>, *mut T: swap;
}

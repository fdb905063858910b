//! The integers that process code names capabilities by.

use core::fmt;
use core::num::NonZeroU64;

/// An integer that may name a capability of one table.
///
/// A handle is an allegation, not a proof: process code may invent any integer,
/// and each use of one is looked up in the table it is used with, where an
/// integer that names nothing is `InvalidHandle` (rule P3). A handle names one
/// capability for ever; when that is gone, no later one gets the same integer.
///
/// ```
/// use flue_core::Handle;
///
/// let forged = Handle::from_raw(0x1_0000_0007).unwrap();
/// assert_eq!(forged.to_raw(), 0x1_0000_0007);
/// assert_eq!(Handle::from_raw(0), None);
/// ```
///
/// # Cost
/// None: it is the integer, and making one looks nothing up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Handle(NonZeroU64);

impl Handle {
    /// The handle with this integer, as a guest or a wire may give it. Any
    /// integer but zero is one; whether it names something, a table says. See
    /// [`Handle`] for an example.
    #[inline]
    pub const fn from_raw(raw: u64) -> Option<Self> {
        match NonZeroU64::new(raw) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// The integer, never zero. See [`Handle`] for an example.
    #[inline]
    pub const fn to_raw(self) -> u64 {
        self.0.get()
    }

    /// The handle of the entry at `index` in its life `generation`, which is not 0.
    #[inline]
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        let raw = (generation as u64) << u32::BITS | index as u64;
        debug_assert!(generation != 0);
        // SAFETY: `generation` counts from 1, so the upper half is not zero.
        Self(unsafe { NonZeroU64::new_unchecked(raw) })
    }

    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0.get() as u32
    }

    #[inline]
    pub(crate) fn generation(self) -> u32 {
        (self.0.get() >> u32::BITS) as u32
    }
}

/// Says nothing that helps to forge or to count.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Handle {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Handle(..)");
    }
}

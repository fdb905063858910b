//! The bytes of a message.

use core::fmt;
use core::num::NonZero;
use core::ops::Deref;

/// Bytes that travel in the message itself in every post office; where storage grows,
/// [more do](crate::PostOffice::inline_bytes). Beyond that they are copied once into
/// memory of their own, or not at all if they are owned.
///
/// ```
/// # use flue_core::{INLINE_BYTES, Permissions, PostOffice};
/// # let office = PostOffice::new();
/// # let group = office.create_group()?;
/// # let mailbox = group.create_mailbox(&group.create_table()?)?;
/// # let capability = mailbox.capability(Permissions::SEND);
/// capability.send(&[7; INLINE_BYTES], &[])?;
/// assert_eq!(office.stats().bytes, 0, "inline bytes count for nothing");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub const INLINE_BYTES: usize = if usize::BITS >= 64 { 48 } else { 24 };

/// Bytes that travel in a message with a block: twice as many, and no more, for a payload
/// of them is moved by value.
pub(crate) const BLOCK_BYTES: usize = INLINE_BYTES * if cfg!(feature = "alloc") { 2 } else { 1 };

/// Owned bytes, sent without copying: the receiver reads the sender's very
/// buffer (rule S5).
///
/// ```
/// use flue_core::Payload;
///
/// let payload = Payload::from(vec![1u8, 2, 3]);
/// assert_eq!(&payload[..], [1, 2, 3]);
/// assert_eq!(payload.try_into_vec().unwrap(), [1, 2, 3]);
///
/// let constant = Payload::from(&b"never moves"[..]);
/// let shared = Payload::from(std::sync::Arc::<[u8]>::from([4, 5]));
/// assert!(constant.len() == 11 && shared.as_ref() == [4, 5]);
/// ```
///
/// # Cost
/// Made of what owns the bytes by moving that: nothing is allocated or copied.
pub struct Payload(Kind);

pub(crate) enum Kind {
    /// Bytes that travelled in the message.
    Inline(InlineBytes),
    Owned(Owned),
}

const _: () = assert!(size_of::<Payload>() == size_of::<InlineBytes>());

/// Bytes that fit inline. In words, so that a payload is moved in words: moved
/// in pieces of other sizes, stores and the loads after them do not meet.
pub(crate) struct InlineBytes {
    /// One more than there are: so a payload needs no word to say that it is inline.
    length: NonZero<usize>,
    words: [usize; BLOCK_BYTES / size_of::<usize>()],
}

impl InlineBytes {
    /// A copy of `data`, of which there are at most `BLOCK_BYTES`.
    fn copied(data: &[u8]) -> Self {
        let mut words = [0; BLOCK_BYTES / size_of::<usize>()];
        let length = data.len().min(BLOCK_BYTES);
        // SAFETY: `length` bytes are readable there and writable here, apart.
        unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), (&raw mut words).cast(), length) };
        Self { length: NonZero::<usize>::MIN.saturating_add(length), words }
    }
}

impl Deref for InlineBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: initialised bytes; `copied` made `length` one of so many.
        unsafe {
            core::slice::from_raw_parts((&raw const self.words).cast(), self.length.get() - 1)
        }
    }
}

/// Bytes that are elsewhere; what a message carries if they are not inline.
pub(crate) enum Owned {
    Static(&'static [u8]),
    #[cfg(feature = "alloc")]
    Vec(alloc::vec::Vec<u8>),
    #[cfg(feature = "alloc")]
    Box(alloc::boxed::Box<[u8]>),
    #[cfg(feature = "alloc")]
    Arc(alloc::sync::Arc<[u8]>),
    #[cfg(feature = "bytes")]
    Bytes(bytes::Bytes),
}

impl Owned {
    /// A copy of `data` in memory of its own, if there is some.
    #[cfg(feature = "alloc")]
    pub(crate) fn copied(data: &[u8]) -> Result<Self, crate::error::OutOfMemory> {
        let mut copy = alloc::vec::Vec::new();
        copy.try_reserve_exact(data.len()).map_err(|_| crate::error::OutOfMemory)?;
        copy.extend_from_slice(data);
        Ok(Self::Vec(copy))
    }
}

impl Deref for Owned {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            #[cfg(feature = "alloc")]
            Self::Vec(bytes) => bytes,
            #[cfg(feature = "alloc")]
            Self::Box(bytes) => bytes,
            #[cfg(feature = "alloc")]
            Self::Arc(bytes) => bytes,
            #[cfg(feature = "bytes")]
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Payload {
    /// A copy of `data`, which is at most `BLOCK_BYTES`.
    pub(crate) fn inline(data: &[u8]) -> Self {
        Self(Kind::Inline(InlineBytes::copied(data)))
    }

    pub(crate) fn owned(owned: Owned) -> Self {
        Self(Kind::Owned(owned))
    }

    /// Bytes that a mailbox is charged for it: those that are not inline.
    pub(crate) fn weight(&self) -> u32 {
        match &self.0 {
            Kind::Inline(_) => 0,
            Kind::Owned(owned) => owned.len() as u32,
        }
    }

    /// Whether its bytes are copied when it is sent.
    pub(crate) fn is_inline(&self) -> bool {
        matches!(self.0, Kind::Inline(_))
    }

    pub(crate) fn into_kind(self) -> Kind {
        self.0
    }

    /// The bytes as a vector, without copying, if they own their memory alone
    /// and the allocator made it for a vector or a box; otherwise the payload
    /// is handed back. See [`Payload`] for an example.
    ///
    /// # Errors
    /// The payload itself: its bytes are inline, static or shared.
    ///
    /// # Cost
    /// Of a vector or a box: nothing is allocated or copied.
    #[cfg(feature = "alloc")]
    pub fn try_into_vec(self) -> Result<alloc::vec::Vec<u8>, Self> {
        match self.0 {
            Kind::Owned(Owned::Vec(vec)) => Ok(vec),
            Kind::Owned(Owned::Box(boxed)) => Ok(boxed.into_vec()),
            #[cfg(feature = "bytes")]
            Kind::Owned(Owned::Bytes(bytes)) => match bytes.try_into_mut() {
                Ok(unique) => Ok(unique.into()),
                Err(shared) => Err(Self::owned(Owned::Bytes(shared))),
            },
            kind => Err(Self(kind)),
        }
    }
}

impl Deref for Payload {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Inline(bytes) => bytes,
            Kind::Owned(owned) => owned,
        }
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Says how long it is, not what it says.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Self {
        Self::owned(Owned::Static(bytes))
    }
}

#[cfg(feature = "alloc")]
impl From<alloc::vec::Vec<u8>> for Payload {
    fn from(bytes: alloc::vec::Vec<u8>) -> Self {
        Self::owned(Owned::Vec(bytes))
    }
}

#[cfg(feature = "alloc")]
impl From<alloc::boxed::Box<[u8]>> for Payload {
    fn from(bytes: alloc::boxed::Box<[u8]>) -> Self {
        Self::owned(Owned::Box(bytes))
    }
}

#[cfg(feature = "alloc")]
impl From<alloc::sync::Arc<[u8]>> for Payload {
    fn from(bytes: alloc::sync::Arc<[u8]>) -> Self {
        Self::owned(Owned::Arc(bytes))
    }
}

#[cfg(feature = "bytes")]
impl From<bytes::Bytes> for Payload {
    fn from(bytes: bytes::Bytes) -> Self {
        Self::owned(Owned::Bytes(bytes))
    }
}

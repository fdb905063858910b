//! Message nodes: where a message lies from its sending to its receipt.
//!
//! # States of a node
//! | state   | who may read and write it                                     |
//! |---------|----------------------------------------------------------------|
//! | Free    | nobody                                                         |
//! | Spare   | whoever takes it out of the magazine or stash it lies in       |
//! | Private | the sender that fills it                                       |
//! | Queued  | the receiver, from the acquire that found it                   |
//! | Lent    | the receiver's guard                                           |
//!
//! A node goes round through these states in this order; each hand-over is the
//! release and acquire of the word that hands it over (a segment's free bits, a
//! magazine's word, the head).

use super::head::Element;
use crate::arena::Slot;
use crate::cap::Reference;
#[cfg(feature = "alloc")]
use crate::payload::BLOCK_BYTES;
use crate::payload::{INLINE_BYTES, Owned};
use crate::sync::UnsafeCell;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

/// A capability attached to a message, and the slot reserved for it in the
/// receiver's table.
#[derive(Clone, Copy)]
pub(crate) struct Attachment {
    pub(crate) reference: Reference,
    pub(crate) slot: u32,
}

/// Attachments that fit into one node.
pub(crate) const ATTACHMENTS: usize = INLINE_BYTES / size_of::<Attachment>();

const _: () = assert!(ATTACHMENTS > 0 && size_of::<Owned>() <= INLINE_BYTES);

/// Which part of the body is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Inline,
    #[cfg(feature = "alloc")]
    Block,
    Owned,
    Attachments,
}

/// What a node says.
#[repr(C)]
pub(crate) struct Content {
    /// The element pushed before this one; then, for the receiver, the next one.
    pub(crate) next: Element,
    /// The first of the nodes with attachments.
    pub(crate) more: Element,
    pub(crate) length: u32,
    pub(crate) holds: Holds,
    /// Attached capabilities.
    pub(crate) attached: u8,
    pub(crate) body: Body,
}

impl Content {
    /// Adds an attachment to those that are here. The node has room for it.
    pub(crate) fn attach(&mut self, attachment: Attachment) {
        // SAFETY: plain data: any part of the body may be written.
        let places = unsafe { &mut self.body.attachments };
        if let Some(place) = places.get_mut(usize::from(self.attached)) {
            place.write(attachment);
            self.attached += 1;
        }
    }

    /// Takes the last attachment out.
    ///
    /// # Safety
    /// - The node holds attachments.
    pub(crate) unsafe fn detach(&mut self) -> Option<Attachment> {
        let last = self.attached.checked_sub(1)?;
        self.attached = last;
        // SAFETY: the caller's promise; `attach` wrote those below `attached`.
        unsafe { Some(self.body.attachments.get(usize::from(last))?.assume_init()) }
    }
}

#[repr(C)]
pub(crate) union Body {
    pub(crate) inline: [MaybeUninit<u8>; INLINE_BYTES],
    /// Index of the block that has the bytes.
    #[cfg(feature = "alloc")]
    pub(crate) block: u32,
    pub(crate) owned: ManuallyDrop<Owned>,
    pub(crate) attachments: [MaybeUninit<Attachment>; ATTACHMENTS],
}

/// Copies bytes in pieces of known size, which may overlap: on small machines
/// copying by a call is a sixth of a send.
///
/// # Safety
/// - As `copy_nonoverlapping`.
#[inline(always)]
unsafe fn copy_few(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: the caller's promise; each piece lies within the length.
    let piece = |at: usize, size: usize| unsafe {
        let (from, to) = (from.add(at), to.add(at));
        match size {
            4 => core::ptr::copy_nonoverlapping(from, to, 4),
            8 => core::ptr::copy_nonoverlapping(from, to, 8),
            _ => core::ptr::copy_nonoverlapping(from, to, size),
        }
    };
    match length {
        0 => {}
        4..=8 => {
            piece(0, 4);
            piece(length - 4, 4);
        }
        9..=16 => {
            piece(0, 8);
            piece(length - 8, 8);
        }
        _ => piece(0, length),
    }
}

impl Content {
    /// Writes bytes that fit inline.
    #[inline(always)]
    pub(super) fn fill_inline(&mut self, data: &[u8]) {
        let length = data.len().min(INLINE_BYTES);
        self.length = length as u32;
        self.more = Element::NONE;
        self.holds = Holds::Inline;
        self.attached = 0;
        // SAFETY: `length` bytes are readable there and writable here, apart.
        unsafe {
            let to = (&raw mut self.body.inline).cast::<u8>();
            if length == 16 {
                // The commonest length as one copy of known size.
                core::ptr::copy_nonoverlapping(data.as_ptr(), to, 16);
            } else if cfg!(any(target_pointer_width = "32", target_arch = "riscv64")) {
                copy_few(data.as_ptr(), to, length);
            } else {
                core::ptr::copy_nonoverlapping(data.as_ptr(), to, length);
            }
        }
    }

    /// Names the block that has the bytes.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn fill_block(&mut self, block: u32, length: usize) {
        self.length = length.min(BLOCK_BYTES) as u32;
        self.more = Element::NONE;
        self.holds = Holds::Block;
        self.attached = 0;
        self.body.block = block;
    }

    /// Takes the block out, if there is one.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn take_block(&mut self) -> Option<u32> {
        let block = self.block()?;
        self.holds = Holds::Inline;
        self.length = 0;
        Some(block)
    }

    /// The block that has the bytes, if one has.
    #[cfg(feature = "alloc")]
    #[inline(always)]
    pub(super) fn block(&self) -> Option<u32> {
        match self.holds {
            // SAFETY: `holds` says that the body is a block's index.
            Holds::Block => Some(unsafe { self.body.block }),
            _ => None,
        }
    }

    pub(super) fn fill_owned(&mut self, owned: Owned) {
        self.length = owned.len() as u32;
        self.more = Element::NONE;
        self.holds = Holds::Owned;
        self.attached = 0;
        self.body.owned = ManuallyDrop::new(owned);
    }

    /// Takes the owned bytes out, if that is what the body holds.
    pub(crate) fn take_owned(&mut self) -> Option<Owned> {
        if self.holds != Holds::Owned {
            return None;
        }
        self.holds = Holds::Inline;
        self.length = 0;
        // SAFETY: `holds` said so, and says so no more: taken once.
        Some(unsafe { ManuallyDrop::take(&mut self.body.owned) })
    }
}

/// A node.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub(crate) struct Node(UnsafeCell<Content>);

const _: () = assert!(crate::sync::MODEL || size_of::<Node>() <= 64);

// SAFETY: a node is touched by one thread at a time, and handed over by a
// release and an acquire (States). What lies in it, `Owned` bytes and plain
// numbers, is Send.
unsafe impl Sync for Node {}
// SAFETY: as above.
unsafe impl Send for Node {}

impl Node {
    crate::sync::const_fn! {
        pub(crate) const fn new() -> Self {
            Self(UnsafeCell::new(Content {
                next: Element::NONE,
                more: Element::NONE,
                length: 0,
                holds: Holds::Inline,
                attached: 0,
                body: Body { inline: [MaybeUninit::uninit(); INLINE_BYTES] },
            }))
        }
    }

    /// Where inline bytes are.
    ///
    /// # Safety
    /// - The caller may touch this node now (States).
    #[inline(always)]
    pub(super) unsafe fn inline(&self) -> NonNull<u8> {
        // SAFETY: nobody else touches the node, per the caller; the address alone is taken.
        self.0.with(|content| unsafe { NonNull::from(&(*content).body.inline).cast() })
    }

    /// Reads the content.
    ///
    /// # Safety
    /// - The caller may touch this node now (States).
    #[inline(always)]
    pub(crate) unsafe fn read<R>(&self, read: impl FnOnce(&Content) -> R) -> R {
        // SAFETY: nobody else touches the node, per the caller.
        self.0.with(|content| read(unsafe { &*content }))
    }

    /// Writes the content.
    ///
    /// # Safety
    /// - The caller may touch this node now (States).
    #[inline(always)]
    pub(crate) unsafe fn write<R>(&self, write: impl FnOnce(&mut Content) -> R) -> R {
        // SAFETY: nobody else touches the node, per the caller.
        self.0.with_mut(|content| write(unsafe { &mut *content }))
    }
}

impl Slot for Node {
    const NAMES: usize = super::head::MOST_ELEMENTS;

    const NEAR: usize = if crate::sync::MODEL { 1 } else { 4 };

    fn vacant() -> Self {
        Self::new()
    }
}

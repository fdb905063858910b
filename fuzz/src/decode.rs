//! Bytes become operations. Every sequence of bytes is one of operations, and small changes of
//! the bytes are small changes of these.

use arbitrary::{Result, Unstructured};
use flue_core::INLINE_BYTES;
use flue_spec::{Limits, MailboxLimits};

use crate::op::{Alleged, Letter, Op, Passing, Pick, Setup, Via};

/// What `PostOffice::inline_bytes` says where storage grows.
const WIDE: usize = 2 * INLINE_BYTES;

/// How one operation is made of bytes.
pub type Verb = fn(&mut Bytes<'_>) -> Result<Op>;

/// How process code behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// Most handles that it presents name something.
    Usual,
    /// Most are invented, and so are permissions and lengths.
    Hostile,
}

/// The bytes that are left.
#[derive(Debug)]
pub struct Bytes<'a> {
    bytes: Unstructured<'a>,
    manners: Manners,
}

/// Steps from a handle to one that might be its neighbour: of the index, the generation, the
/// sign, or both halves.
const STEPS: [u64; 8] = [1, 2, u64::MAX, 1 << 31, 1 << 32, 2 << 32, u64::MAX << 32, (1 << 32) | 1];

impl<'a> Bytes<'a> {
    /// All that there are.
    pub fn new(bytes: &'a [u8], manners: Manners) -> Self {
        Self { bytes: Unstructured::new(bytes), manners }
    }

    /// The next operation, one of `verbs`; an error at the end.
    pub fn op(&mut self, verbs: &[Verb]) -> Result<Op> {
        if self.bytes.is_empty() {
            return Err(arbitrary::Error::NotEnoughData);
        }
        let verb = *self.bytes.choose(verbs)?;
        verb(self)
    }

    /// Once in so many bytes.
    pub fn one_in(&mut self, times: u8) -> bool {
        self.bytes.ratio(1, times).unwrap_or(false)
    }

    /// As they are.
    pub(crate) fn raw(&mut self) -> &mut Unstructured<'a> {
        &mut self.bytes
    }

    pub(crate) fn flag(&mut self) -> Result<bool> {
        self.bytes.arbitrary()
    }

    pub(crate) fn pick(&mut self) -> Result<Pick> {
        // One byte names one of a few objects; the bits above say how choosy it is.
        let byte: u8 = self.bytes.arbitrary()?;
        Ok(Pick(u16::from(byte) * 257))
    }

    pub(crate) fn alleged(&mut self) -> Result<Alleged> {
        let kind = self.bytes.int_in_range(0..=15_u8)?;
        let kind = if self.manners == Manners::Usual && kind < 11 { 0 } else { kind };
        Ok(match kind {
            0..=2 => Alleged::Live(self.pick()?),
            3 | 4 | 11 | 12 => Alleged::Stale(self.pick()?),
            5 | 6 | 13 => Alleged::Alien(self.pick()?),
            7 | 8 | 14 => Alleged::Near(self.pick()?, *self.bytes.choose(&STEPS)?),
            9 => Alleged::Near(self.pick()?, self.bytes.arbitrary()?),
            _ => Alleged::Forged(self.bytes.arbitrary()?),
        })
    }

    pub(crate) fn via(&mut self) -> Result<Via> {
        let is_host = self.manners == Manners::Usual && self.bytes.ratio(1, 5)?;
        if is_host {
            return Ok(Via::Host(self.pick()?));
        }
        Ok(Via::Table(self.pick()?, self.alleged()?))
    }

    pub(crate) fn permissions(&mut self) -> Result<u32> {
        if self.manners == Manners::Hostile && self.flag()? {
            return self.bytes.arbitrary();
        }
        Ok(match self.bytes.arbitrary::<u8>()? {
            byte @ 0..0x80 => u32::from(byte & 0b111),
            0x80..0xF0 => 0b111,
            byte => u32::from(byte) << 2,
        })
    }

    pub(crate) fn length(&mut self) -> Result<usize> {
        let edges = [INLINE_BYTES - 1, INLINE_BYTES, INLINE_BYTES + 1, WIDE, WIDE + 1, 121, 1000];
        let byte = self.bytes.arbitrary::<u8>()?;
        Ok(if byte < 0xA0 { usize::from(byte & 7) } else { edges[usize::from(byte) % 7] })
    }

    pub(crate) fn letter(&mut self) -> Result<Letter> {
        let to = self.via()?;
        let length = self.length()?;
        let passing = match self.bytes.int_in_range(0..=7_u8)? {
            0 => Passing::Vec,
            1 => Passing::Box,
            2 => Passing::Arc,
            3 => Passing::Static,
            _ => Passing::Reference,
        };
        let most = if self.manners == Manners::Hostile { 20 } else { 9 };
        let count = if self.flag()? { 0 } else { self.bytes.int_in_range(0..=most)? };
        let attach = (0..count).map(|_| Ok((self.alleged()?, self.pick()?)));
        Ok(Letter { to, length, passing, attach: attach.collect::<Result<_>>()? })
    }

    /// Small limits of a mailbox.
    pub fn mailbox_limits(&mut self) -> Result<MailboxLimits> {
        let messages = self.bytes.int_in_range(0..=4)?;
        let bytes = *self.bytes.choose(&[0, 60, 120, 250, 5000])?;
        let handles = self.bytes.int_in_range(0..=4)?;
        let waiters = self.bytes.int_in_range(0..=3)?;
        Ok(MailboxLimits { messages, bytes, handles, waiters })
    }

    /// An office with these limits, and a few processes.
    pub fn setup(&mut self, limits: Limits) -> Result<Setup> {
        let processes = self.bytes.int_in_range(0..=4)?;
        let (mailboxes, chained) = (self.mailbox_limits()?, self.flag()?);
        Ok(Setup { limits, processes, mailboxes, chained })
    }

    /// Any limits that the specification counts as Flue does: of messages, Flue also counts
    /// buffers at hand, and of handles it can count to a certain number only.
    pub fn limits(&mut self) -> Result<Limits> {
        let mut limit = |usual: u32| -> Result<u32> {
            Ok(match self.bytes.arbitrary::<u8>()? {
                byte @ 0..0x80 => u32::from(byte % 8),
                byte @ 0x80..0xC0 => u32::from(byte) * usual / 0x80,
                0xC0..0xF0 => usual,
                _ => u32::MAX,
            })
        };
        Ok(Limits {
            groups: limit(8)?,
            tables: limit(8)?,
            messages: 1 << 22,
            routes_per_group: limit(4)?,
            tables_per_group: limit(4)?,
            monitors_per_group: limit(4)?,
            links_per_group: limit(4)?,
            handles_per_table: limit(8)?.min(1 << 20),
            handles_per_message: limit(4)?.min(8),
            bytes_per_message: limit(200)?,
        })
    }
}

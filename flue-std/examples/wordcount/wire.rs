//! The messages, as bytes. Whoever decodes trusts nobody: what is malformed is
//! `None`, never a panic.

use std::collections::HashMap;

/// What a worker is to do with a file; the last byte of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Order {
    /// Count it.
    Count,
    /// Crash on the way.
    Crash,
    /// Hang on the way.
    Hang,
    /// No file: leave.
    Leave,
}

impl Order {
    fn decode(byte: u8) -> Option<Self> {
        [Self::Count, Self::Crash, Self::Hang, Self::Leave]
            .into_iter()
            .find(|&order| order as u8 == byte)
    }
}

/// The length of what follows the bytes of a file, where it costs no copy of
/// them.
pub const TRAILER: usize = size_of::<u64>() + 1;

/// To a worker: the bytes of a file, and behind them its number and the order.
pub struct Task<'a> {
    pub order: Order,
    pub number: u64,
    pub text: &'a [u8],
}

impl<'a> Task<'a> {
    pub fn trailer(order: Order, number: u64) -> [u8; TRAILER] {
        let mut trailer = [order as u8; TRAILER];
        trailer[..size_of::<u64>()].copy_from_slice(&number.to_le_bytes());
        trailer
    }

    pub fn decode(message: &'a [u8]) -> Option<Self> {
        let (&order, message) = message.split_last()?;
        let (text, number) = message.split_last_chunk()?;
        Some(Self { order: Order::decode(order)?, number: u64::from_le_bytes(*number), text })
    }
}

/// From a worker: the number of the file, then whether it is text, then each
/// word with its count.
pub struct Answer<'a> {
    pub number: u64,
    /// `None` when the file is not UTF-8.
    pub words: Option<Vec<(&'a str, u32)>>,
}

const NOT_TEXT: u8 = 0;
const TEXT: u8 = 1;

impl<'a> Answer<'a> {
    pub fn encode(number: u64, words: Option<&HashMap<&str, u32>>) -> Vec<u8> {
        let mut bytes = number.to_le_bytes().to_vec();
        let Some(words) = words else {
            bytes.push(NOT_TEXT);
            return bytes;
        };
        bytes.push(TEXT);
        for (word, count) in words {
            // No file, and so no word, is as long as 4 GiB.
            bytes.extend_from_slice(&(word.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(word.as_bytes());
        }
        bytes
    }

    pub fn decode(message: &'a [u8]) -> Option<Self> {
        let (number, message) = message.split_first_chunk()?;
        let number = u64::from_le_bytes(*number);
        let words = match message.split_first()? {
            (&NOT_TEXT, []) => None,
            (&TEXT, words) => Some(decode_words(words)?),
            _ => return None,
        };
        Some(Self { number, words })
    }
}

fn decode_words(mut bytes: &[u8]) -> Option<Vec<(&str, u32)>> {
    let mut words = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (word, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        words.push((str::from_utf8(word).ok()?, u32::from_le_bytes(*count)));
        bytes = rest;
    }
    Some(words)
}

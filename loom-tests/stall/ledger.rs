//! Which messages were sent, and which are to come: nothing is lost, doubled,
//! reordered or torn.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Release},
};

/// A message: who sent it, the sender's number for it, and both once more, turned round.
pub type Mail = [u8; 16];

/// Counts for each sender and receiver.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Accepted messages, by sender and receiver.
    sent: [[AtomicU32; 2]; 2],
    /// Received messages, by receiver and sender.
    received: [[AtomicU32; 2]; 2],
}

impl Ledger {
    /// The next message from one to another: the same until it is accepted.
    pub fn next(&self, from: usize, to: usize) -> Mail {
        let number = self.sent[from][to].load(Acquire);
        let words = [from as u32, number, !(from as u32), !number];
        let mut mail = [0; 16];
        for (bytes, word) in mail.chunks_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        mail
    }

    /// The next message was accepted.
    pub fn sent(&self, from: usize, to: usize) {
        let number = self.sent[from][to].load(Acquire);
        self.sent[from][to].store(number + 1, Release);
    }

    /// A message came: it is its sender's next, whole, and may be followed by anything.
    pub fn received(&self, at: usize, data: &[u8]) {
        let word = |at: usize| {
            let bytes = data.get(at * 4..at * 4 + 4).expect("torn: too short");
            u32::from_le_bytes(bytes.try_into().expect("four bytes"))
        };
        let (from, number) = (word(0) as usize, word(1));
        assert!(from < 2 && word(2) == !word(0) && word(3) == !number, "torn: {data:?}");
        assert!(data.iter().skip(16).all(|byte| *byte == from as u8), "torn at its end");
        let expected = self.received[at][from].load(Acquire);
        assert_eq!(number, expected, "from {from}: lost, doubled or reordered");
        // The sender may not have been told yet.
        assert!(number <= self.sent[from][at].load(Acquire), "from {from}: never sent");
        self.received[at][from].store(number + 1, Release);
    }

    /// Whether everything that `from` sent to `to` was received.
    pub fn is_settled_from_to(&self, from: usize, to: usize) {
        let (sent, received) = (&self.sent[from][to], &self.received[to][from]);
        assert_eq!(received.load(Acquire), sent.load(Acquire), "from {from} to {to}: lost");
    }

    /// Whether everything was received.
    pub fn is_settled(&self) {
        for (from, to) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            self.is_settled_from_to(from, to);
        }
    }
}

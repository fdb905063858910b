//! Messages that are recognised, and the order they must come in.

use crate::office::GROWS;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// The most bytes of a mail.
pub const MOST: usize = if GROWS { 200 } else { flue_core::INLINE_BYTES };
const WORDS: usize = 4;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mail {
    pub from: u64,
    pub number: u64,
    /// Which life of a route it was sent to, where that is of interest.
    pub life: u64,
}

impl Mail {
    /// The mail in so many bytes, all of which say whether they are of one piece.
    pub fn bytes(self, length: usize) -> Vec<u8> {
        let length = length.clamp(WORDS * 8, MOST);
        let words = [self.from, self.number, self.life, length as u64];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let sum = self.sum(length);
        bytes.resize(length, sum);
        bytes
    }

    fn sum(self, length: usize) -> u8 {
        (self.from ^ self.number ^ self.life ^ length as u64) as u8
    }

    /// What bytes say. Panics if they are torn.
    pub fn read(bytes: &[u8]) -> Self {
        let word = |at: usize| {
            let word = bytes.get(at * 8..at * 8 + 8).expect("torn: too short");
            u64::from_le_bytes(word.try_into().expect("eight bytes"))
        };
        let mail = Self { from: word(0), number: word(1), life: word(2) };
        assert_eq!(word(3), bytes.len() as u64, "torn: another length");
        let sum = mail.sum(bytes.len());
        assert!(bytes.iter().skip(WORDS * 8).all(|byte| *byte == sum), "torn: {mail:?}");
        mail
    }
}

/// Checks that each sender's messages come in order, none lost and none twice.
#[derive(Debug)]
pub struct Fifo(Vec<u64>);

impl Fifo {
    pub fn new(senders: usize) -> Self {
        Self(vec![0; senders])
    }

    /// The sender's next one came.
    pub fn came(&mut self, mail: Mail) {
        let expected = &mut self.0[mail.from as usize];
        assert_eq!(mail.number, *expected, "from {}: lost, doubled or reordered", mail.from);
        *expected += 1;
    }

    /// How many came of each.
    pub fn counts(&self) -> &[u64] {
        &self.0
    }
}

/// When each send began and ended, by one clock: for rule R1.
pub struct Times {
    clock: AtomicU64,
    /// By sender and number: begin and end, + 1; 0 while unknown.
    sends: Vec<Vec<[AtomicU64; 2]>>,
}

impl Times {
    pub fn new(senders: usize, messages: u64) -> Self {
        let times = || [AtomicU64::new(0), AtomicU64::new(0)];
        let sends = (0..senders).map(|_| (0..messages).map(|_| times()).collect());
        Self { clock: AtomicU64::new(1), sends: sends.collect() }
    }

    /// An attempt to send begins.
    pub fn begins(&self, mail: Mail) {
        self.note(mail, 0);
    }

    /// It was accepted.
    pub fn ended(&self, mail: Mail) {
        self.note(mail, 1);
    }

    fn note(&self, mail: Mail, which: usize) {
        let now = self.clock.fetch_add(1, SeqCst);
        self.sends[mail.from as usize][mail.number as usize][which].store(now, Relaxed);
    }

    /// Rule R1: no message was received after one whose send began only when its
    /// own had ended. Called when all is over.
    pub fn check(&self, received: &[Mail]) {
        let of = |mail: &Mail, which: usize| {
            self.sends[mail.from as usize][mail.number as usize][which].load(Relaxed)
        };
        let mut earliest_end = u64::MAX;
        for mail in received.iter().rev() {
            assert!(of(mail, 0) < earliest_end, "{mail:?} overtook one that was sent before");
            earliest_end = earliest_end.min(of(mail, 1));
        }
    }
}

//! What a worker tries and may not do.
//!
//! It was given one capability, to report to the supervisor with: SEND and
//! nothing else.

use flue_std::{Handle, Mailbox, Permissions, RouteGroup, SendError, Table, TableError};

/// Something that must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    Kill,
    Link,
    Monitor,
    Widen,
    Forge,
    Attach,
    /// Made by a worker that hung until it was killed, and told by its thread.
    AnswerDead,
}

impl Attempt {
    pub const ALL: [Self; 7] = [
        Self::Kill,
        Self::Link,
        Self::Monitor,
        Self::Widen,
        Self::Forge,
        Self::Attach,
        Self::AnswerDead,
    ];

    /// What is tried, and what it is refused with.
    pub fn describe(self) -> (&'static str, String) {
        let denied = TableError::PermissionDenied.to_string();
        match self {
            Self::Kill => ("kill the supervisor", denied),
            Self::Link => ("link with the supervisor", denied),
            Self::Monitor => ("monitor the supervisor", denied),
            Self::Widen => ("widen a capability", denied),
            Self::Forge => ("send through forged handles", SendError::InvalidHandle.to_string()),
            Self::Attach => {
                ("attach a forged handle", SendError::InvalidAttachment { index: 0 }.to_string())
            }
            Self::AnswerDead => ("answer after being killed", SendError::Dead.to_string()),
        }
    }
}

/// How often each was tried, and refused with the error it must be refused
/// with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts([Count; Attempt::ALL.len()]);

#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    pub tried: u64,
    pub refused: u64,
}

impl Attempts {
    /// Tries everything with `target`, a capability to send and nothing else.
    pub fn make(group: &RouteGroup, table: &Table, mailbox: &Mailbox, target: Handle) -> Self {
        let mut attempts = Self::default();
        let denied = TableError::PermissionDenied;
        attempts.record(Attempt::Kill, table.kill(target) == Err(denied));
        attempts.record(Attempt::Link, table.link(target, group) == Err(denied));
        attempts.record(Attempt::Monitor, table.monitor(target, mailbox) == Err(denied));
        let wider = Permissions::SEND | Permissions::KILL;
        attempts.record(Attempt::Widen, table.demote(target, wider) == Err(denied));
        // A handle is an integer: here is every one that is one bit off.
        for forged in
            (0..u64::BITS).filter_map(|bit| Handle::from_raw(target.to_raw() ^ (1 << bit)))
        {
            let sent = table.send(forged, b"forged", &[]);
            attempts.record(Attempt::Forge, sent == Err(SendError::InvalidHandle));
            let sent = table.send(target, b"forged", &[forged]);
            let refusal = Err(SendError::InvalidAttachment { index: 0 });
            attempts.record(Attempt::Attach, sent == refusal);
        }
        attempts
    }

    pub fn record(&mut self, attempt: Attempt, refused: bool) {
        let count = &mut self.0[attempt as usize];
        count.tried += 1;
        count.refused += u64::from(refused);
    }

    pub fn of(&self, attempt: Attempt) -> Count {
        self.0[attempt as usize]
    }

    pub fn add(&mut self, other: &Self) {
        for (count, other) in self.0.iter_mut().zip(other.0) {
            count.tried = count.tried.saturating_add(other.tried);
            count.refused = count.refused.saturating_add(other.refused);
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let numbers = self.0.iter().flat_map(|count| [count.tried, count.refused]);
        numbers.flat_map(u64::to_le_bytes).collect()
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (numbers, []) = bytes.as_chunks() else {
            return None;
        };
        let (counts, []) = numbers.as_chunks() else {
            return None;
        };
        let mut attempts = Self::default();
        if counts.len() != attempts.0.len() {
            return None;
        }
        for (count, &[tried, refused]) in attempts.0.iter_mut().zip(counts) {
            let (tried, refused) = (u64::from_le_bytes(tried), u64::from_le_bytes(refused));
            *count = Count { tried, refused };
        }
        Some(attempts)
    }
}

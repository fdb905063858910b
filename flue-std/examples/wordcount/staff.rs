//! A worker and its files, as the supervisor sees them.
//!
//! | state | it is handed files | its deadline counts | left by |
//! |---|---|---|---|
//! | Working | yes, as far as it may owe more | if it owes, or shall leave | its down |
//! | Over | no | no | its down |
//! | Overdue | no | no | its down |

use core::error::Error;
use core::time::Duration;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use flue_std::{
    Capability, Handle, JoinHandle, Mailbox, MailboxLimits, Permissions, PostOffice, Process,
    TableError,
};

use crate::wire::Order;
use crate::worker::{self, Ending};

/// How many files a worker may owe: one to count, one to go on with.
const OWED: usize = 2;

/// For each of so many bytes a worker is granted its patience once more.
const BYTES_PER_PATIENCE: u64 = 1 << 20;

pub struct Worker {
    pub number: u64,
    /// To send to, monitor and kill it with.
    pub handle: Handle,
    /// Takes its answers and its down.
    pub desk: Mailbox,
    /// To its desk: what it is sent along with every file, to answer with.
    pub reply: Handle,
    pub thread: JoinHandle<Ending>,
    /// What it was handed and has not answered, in that order.
    pub owed: VecDeque<File>,
    /// When the first of `owed` became the first.
    pub since: Instant,
    pub state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    Working,
    /// Its mailbox was found closed, or it was killed for talking nonsense.
    Over,
    /// It was killed for hanging.
    Overdue,
}

pub struct File {
    pub number: u64,
    pub path: PathBuf,
    pub bytes: u64,
    /// What shall happen to the worker that gets it.
    pub fault: Option<Order>,
    /// How many workers it has cost that were not asked to crash or hang.
    pub deaths: u32,
}

impl Worker {
    /// Starts a worker that may send to `reports`, and a desk of `supervisor`'s
    /// for it.
    pub fn start(
        number: u64,
        office: &PostOffice,
        supervisor: &Process,
        reports: &Capability,
    ) -> Result<Self, Box<dyn Error>> {
        // Room for what it may owe, and for the order to leave.
        let process = Process::with_limits(office, limits(OWED as u32 + 1))?;
        let all = Permissions::SEND | Permissions::MONITOR | Permissions::KILL;
        let handle = supervisor.grant(&process.capability(all))?;
        let (group, table) = (supervisor.group(), supervisor.table());
        let desk = group.create_mailbox_with(table, limits(OWED as u32))?;
        let reply = desk.export(Permissions::SEND)?;
        table.monitor(handle, &desk)?;

        let reports = process.grant(reports)?;
        let builder = thread::Builder::new().name(format!("worker {number}"));
        // All that the worker captures is an integer.
        let thread = process.spawn_with(builder, move |process| worker::run(process, reports))?;
        Ok(Self {
            number,
            handle,
            desk,
            reply,
            thread,
            owed: VecDeque::new(),
            since: Instant::now(),
            state: State::Working,
        })
    }

    pub fn may_owe_more(&self) -> bool {
        self.state == State::Working && self.owed.len() < OWED
    }

    /// The file was handed out.
    pub fn owe(&mut self, file: File) {
        if self.owed.is_empty() {
            self.since = Instant::now();
        }
        self.owed.push_back(file);
    }

    /// When it will be killed unless it answers, or leaves.
    pub fn deadline(&self, patience: Duration, leaving: bool) -> Option<Instant> {
        if self.state != State::Working {
            return None;
        }
        match self.owed.front() {
            None => leaving.then(|| self.since + patience),
            // Who was killed for nothing would be killed again without more time.
            Some(file) => {
                let size = u32::try_from(file.bytes / BYTES_PER_PATIENCE).unwrap_or(u32::MAX);
                let times = size.saturating_add(1).saturating_mul(1 << file.deaths);
                self.since.checked_add(patience.saturating_mul(times))
            }
        }
    }

    /// Kills it through the supervisor's table.
    pub fn kill(&mut self, supervisor: &Process, state: State) -> Result<(), TableError> {
        self.state = state;
        match supervisor.table().kill(self.handle) {
            // `Closed`: it has just left by itself.
            Ok(()) | Err(TableError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Room for so many files, of whatever size.
fn limits(messages: u32) -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    limits.messages = messages;
    limits.bytes = u32::MAX;
    limits
}

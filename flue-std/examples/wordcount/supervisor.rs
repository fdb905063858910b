//! The supervisor process: hands files out, hears answers and downs, and
//! replaces workers.
//!
//! # Whom it hears where
//!
//! Its own mailbox takes the workers' reports. Besides it has a *desk* for each
//! worker: a mailbox for that worker's answers and for its down. So an answer
//! needs no signature, a worker that floods its desk floods nobody else's, and
//! since a down comes after whatever its sender had sent (rule K8), what is
//! still owed at a down was never answered: it can be handed out again and is
//! not counted twice.
//!
//! # The way of a file
//!
//! | event | the file |
//! |---|---|
//! | handed out | is owed by a worker |
//! | answered, in the order in which they were handed out | is counted, or left out |
//! | the worker's down | goes back to the front of the queue |
//! | owed for longer than its worker has time | the worker is killed, and its down will come |

use core::error::Error;
use core::fmt::Display;
use core::mem;
use core::time::Duration;
use std::collections::VecDeque;
use std::thread;
use std::time::Instant;

use flue_std::{
    Capability, DownReason, JoinHandle, Limits, Permissions, PostOffice, Process, Selector,
    SendError, Signal,
};

use crate::attempts::{Attempt, Attempts};
use crate::faults::Faults;
use crate::progress::Progress;
use crate::staff::{File, State, Worker};
use crate::tally::Tally;
use crate::tree::{self, Tree, printable};
use crate::wire::{Answer, Order, TRAILER, Task};
use crate::worker::Ending;

/// A file that has cost so many workers that nobody asked to crash or hang is
/// left out.
const MOST_DEATHS: u32 = 10;

/// How long threads may take to end, after the last worker's down.
const GRACE: Duration = Duration::from_secs(2);

/// What to do.
pub struct Plan {
    pub workers: usize,
    pub faults: u32,
    pub patience: Duration,
}

pub struct Supervisor {
    plan: Plan,
    office: PostOffice,
    process: Process,
    /// What a worker is granted: to send to the supervisor's own mailbox.
    reports: Capability,
    selector: Selector,
    workers: Vec<Worker>,
    /// The threads of workers that are down.
    former: Vec<JoinHandle<Ending>>,
    queue: VecDeque<File>,
    faults: Faults,
    /// Every file is done with.
    leaving: bool,
    started: Instant,
    tally: Tally,
    progress: Progress,
}

impl Supervisor {
    pub fn new(plan: Plan, tree: Tree) -> Result<Self, Box<dyn Error>> {
        let mut limits = Limits::default();
        limits.bytes_per_message = u32::MAX;
        let office = PostOffice::with_limits(limits);
        let process = Process::new(&office)?;
        let total = tree.files.len() as u64;
        let file = |(number, path)| File { number, path, bytes: 0, fault: None, deaths: 0 };
        let mut supervisor = Self {
            reports: process.capability(Permissions::SEND),
            selector: Selector::new(),
            workers: Vec::new(),
            former: Vec::new(),
            queue: (0..).zip(tree.files).map(file).collect(),
            faults: Faults::new(plan.faults, total),
            leaving: false,
            started: Instant::now(),
            tally: Tally::default(),
            progress: Progress::new(total),
            plan,
            office,
            process,
        };
        supervisor.tally.links = tree.links;
        for what in tree.unreadable {
            supervisor.tally.unreadable += 1;
            supervisor.progress.note(&format!("left out: {what}"));
        }
        Ok(supervisor)
    }

    /// Counts everything and leaves no worker behind.
    pub fn run(mut self) -> Result<Tally, Box<dyn Error>> {
        let (files, workers) = (self.queue.len(), self.plan.workers);
        self.progress.note(&format!("{files} files, {workers} workers"));
        for _ in 0..workers.min(files) {
            self.start_worker()?;
        }
        loop {
            self.hand_out()?;
            if self.queue.is_empty() && self.workers.iter().all(|worker| worker.owed.is_empty()) {
                break;
            }
            self.listen()?;
        }
        self.tally.time = self.started.elapsed();
        self.dismiss()?;
        Ok(self.tally)
    }

    fn start_worker(&mut self) -> Result<(), Box<dyn Error>> {
        self.tally.started += 1;
        let number = self.tally.started;
        let worker = Worker::start(number, &self.office, &self.process, &self.reports)?;
        self.workers.push(worker);
        Ok(())
    }

    /// Gives files to the workers that owe the fewest, as far as they may owe
    /// more.
    fn hand_out(&mut self) -> Result<(), Box<dyn Error>> {
        while let Some(worker) = self
            .workers
            .iter_mut()
            .filter(|worker| worker.may_owe_more())
            .min_by_key(|worker| worker.owed.len())
        {
            let Some(mut file) = self.queue.pop_front() else {
                break;
            };
            file.fault = file.fault.or_else(|| self.faults.next());
            let mut payload = match tree::read(&file.path, TRAILER) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.leave_out(file, error);
                    continue;
                }
            };
            file.bytes = payload.len() as u64;
            let order = file.fault.unwrap_or(Order::Count);
            payload.extend_from_slice(&Task::trailer(order, file.number));
            let table = self.process.table();
            match table.send_payload(worker.handle, payload.into(), &[worker.reply]) {
                Ok(()) => {
                    self.tally.sent += 1;
                    worker.owe(file);
                }
                Err(rejected) => match rejected.error {
                    // It is gone, and its down is on the way.
                    SendError::Closed => {
                        worker.state = State::Over;
                        self.queue.push_front(file);
                    }
                    SendError::OutOfMemory => self.leave_out(file, rejected),
                    _ => return Err(rejected.into()),
                },
            }
        }
        Ok(())
    }

    /// Waits for one signal or for somebody's time to be over, and acts on it.
    fn listen(&mut self) -> Result<(), Box<dyn Error>> {
        let (patience, leaving) = (self.plan.patience, self.leaving);
        let workers = self.workers.iter();
        let deadline = workers.filter_map(|worker| worker.deadline(patience, leaving)).min();
        let mut mailboxes = vec![self.process.mailbox()];
        mailboxes.extend(self.workers.iter_mut().map(|worker| &mut worker.desk));
        let ready = match deadline {
            Some(deadline) => self.selector.wait_deadline(&mut mailboxes, deadline),
            None => Some(self.selector.wait(&mut mailboxes)),
        };
        match ready {
            Some(0) => self.hear_report()?,
            Some(index) => self.hear_worker(index - 1)?,
            None => {}
        }

        // Whose desk has something is heard first.
        let now = Instant::now();
        for worker in &mut self.workers {
            let deadline = worker.deadline(patience, leaving);
            if deadline.is_some_and(|deadline| deadline <= now) && !worker.desk.is_ready() {
                worker.kill(&self.process, State::Overdue)?;
            }
        }
        Ok(())
    }

    /// What a worker tried in vain. Who says so is unknown, and nothing hangs
    /// on it.
    fn hear_report(&mut self) -> Result<(), Box<dyn Error>> {
        if let Signal::Message(message) = self.process.mailbox().try_recv()? {
            self.tally.received += 1;
            if let Some(attempts) = Attempts::decode(message.data()) {
                self.tally.attempts.add(&attempts);
            }
        }
        Ok(())
    }

    /// An answer, or the worker's down.
    fn hear_worker(&mut self, index: usize) -> Result<(), Box<dyn Error>> {
        enum Heard {
            Counted,
            NotText(File),
            Nonsense,
            Down(DownReason),
        }

        let worker = &mut self.workers[index];
        let heard = match worker.desk.try_recv()? {
            Signal::Message(message) => {
                self.tally.received += 1;
                let answer = Answer::decode(message.data());
                let owed = &mut worker.owed;
                match answer.and_then(|answer| {
                    let file = owed.pop_front_if(|file| file.number == answer.number)?;
                    Some((file, answer.words))
                }) {
                    Some((file, Some(words))) => {
                        self.tally.count(file.bytes, &words);
                        Heard::Counted
                    }
                    Some((file, None)) => Heard::NotText(file),
                    None => Heard::Nonsense,
                }
            }
            Signal::Down(down) => Heard::Down(down.reason()),
            _ => return Ok(()),
        };
        worker.since = Instant::now();
        match heard {
            Heard::Counted => self.progress.advance(),
            Heard::NotText(file) => {
                self.tally.not_text += 1;
                self.note_left_out(&file, "not UTF-8");
            }
            Heard::Nonsense => {
                let number = worker.number;
                self.progress.note(&format!("worker {number} talks nonsense and is killed"));
                worker.kill(&self.process, State::Over)?;
            }
            Heard::Down(reason) => self.bury(index, reason)?,
        }
        Ok(())
    }

    /// A worker is down: what it owes goes to others, and another one takes its
    /// place.
    fn bury(&mut self, index: usize, reason: DownReason) -> Result<(), Box<dyn Error>> {
        self.tally.down(reason);
        let mut worker = self.workers.swap_remove(index);
        self.former.push(worker.thread);
        self.process.table().release(worker.handle)?;
        self.process.table().release(worker.reply)?;
        if self.leaving && worker.state == State::Working {
            return Ok(()); // As it was told to.
        }

        let what = if worker.state == State::Overdue {
            self.tally.hung += 1;
            "hung and was killed"
        } else {
            self.tally.crashed += 1;
            "crashed"
        };
        // It was with the first of its files that it crashed or hung.
        if let Some(mut first) = worker.owed.pop_front() {
            first.deaths += u32::from(first.fault.take().is_none());
            if first.deaths < MOST_DEATHS {
                worker.owed.push_front(first);
            } else {
                self.tally.unreadable += 1;
                self.note_left_out(&first, "it cost too many workers");
            }
        }
        let (number, again) = (worker.number, worker.owed.len());
        let note = format!("worker {number} {what}; files handed out again: {again}");
        self.progress.note(&note);
        self.tally.handed_out_again += again as u64;
        for file in worker.owed.into_iter().rev() {
            self.queue.push_front(file);
        }
        if self.leaving { Ok(()) } else { self.start_worker() }
    }

    /// Tells the workers to leave, hears the last of them and what their
    /// threads have to tell.
    fn dismiss(&mut self) -> Result<(), Box<dyn Error>> {
        self.leaving = true;
        for worker in &mut self.workers {
            worker.since = Instant::now();
            let order = Task::trailer(Order::Leave, 0);
            match self.process.table().send(worker.handle, &order, &[]) {
                Ok(()) => self.tally.sent += 1,
                Err(SendError::Closed) => worker.state = State::Over,
                Err(error) => return Err(error.into()),
            }
        }
        while !self.workers.is_empty() {
            self.listen()?;
        }
        while self.process.mailbox().is_ready() {
            self.hear_report()?;
        }

        // A thread that hangs for good cannot be waited for; its process is gone.
        let end = Instant::now() + GRACE;
        for thread in mem::take(&mut self.former) {
            while !thread.is_finished() && Instant::now() < end {
                thread::sleep(Duration::from_millis(1));
            }
            if !thread.is_finished() {
                self.progress.note("a thread still hangs");
                continue;
            }
            match thread.join() {
                Ok(Ending::Late(Err(SendError::Dead)) | Ending::Failed(SendError::Dead)) => {
                    self.tally.attempts.record(Attempt::AnswerDead, true);
                }
                Ok(Ending::Late(_)) => self.tally.attempts.record(Attempt::AnswerDead, false),
                Ok(Ending::Failed(error)) => {
                    self.progress.note(&format!("a worker failed: {error}"));
                }
                Ok(Ending::Left) | Err(_) => {} // A crash, which its down has told of.
            }
        }
        Ok(())
    }

    /// The file cannot be handed out.
    fn leave_out(&mut self, file: File, why: impl Display) {
        self.faults.put_back(file.fault);
        self.tally.unreadable += 1;
        self.note_left_out(&file, why);
    }

    fn note_left_out(&mut self, file: &File, why: impl Display) {
        let path = printable(&file.path);
        self.progress.note(&format!("left out: {path}: {why}"));
        self.progress.advance();
    }
}

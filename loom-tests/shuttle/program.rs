//! Programs of many threads on one post office, and what they see of it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use flue_core::{
    Capability, Handle, Mailbox, MailboxLimits, MonitorId, Permissions, PostOffice, RouteGroup,
    SendWait, Signal, Table, TryRecvError,
};
use shuttle::{future, thread};

use crate::check::{History, Recorder};
use crate::office::{Call, Process, Received};
use crate::source::Source;

/// What a thread does next. What it cannot do it leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Send(Process),
    /// Waits for room.
    SendWaiting(Process),
    Receive,
    /// Waits for a signal.
    ReceiveWaiting,
    IsReady,
    Close,
    Monitor(Process),
    /// The latest monitor but so many.
    Demonitor(usize),
    Kill(Process),
    Link(Process),
    Unlink(Process),
    IsDead(Process),
    IsClosed(Process),
}

/// What kind of acts a program is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Messages, and now and then a kill or a close.
    Stream,
    Links,
    Monitors,
    Everything,
    /// A receiver that watches its senders, who are killed.
    LastWords,
    /// Senders that wait for room, receivers that wait for them.
    Waiting,
}

/// One program.
#[derive(Clone, Debug)]
pub struct Program {
    /// The first so many threads are processes; the others use the host's capabilities.
    pub processes: usize,
    pub capacity: usize,
    pub threads: Vec<Vec<Act>>,
}

impl Program {
    /// A program of one kind. `most` is how many threads there may be.
    pub fn draw(kind: Kind, most: usize, source: &mut Source) -> Self {
        let (processes, threads, acts) = match source.below(16) {
            0 => (8, 32, 2),
            1..=3 => (6, 16, 3),
            4..=7 => (4, 12, 3),
            _ => (3 + source.below(4), 8, 2 + source.below(4)),
        };
        let (processes, threads) = (processes.min(most), threads.min(most));
        let capacity = 1 + source.below(3);
        match kind {
            Kind::Waiting => return Self::waiting(threads, capacity, source),
            Kind::LastWords => return Self::last_words(threads.min(12), source),
            _ => {}
        }
        // Messages are more of a race if they meet in few mailboxes.
        let processes = if kind == Kind::Stream { 2 } else { processes };
        let mut act = || Self::act(kind, processes, source);
        let threads = (0..threads).map(|_| (0..acts).map(|_| act()).collect()).collect();
        Self { processes, capacity, threads }
    }

    fn act(kind: Kind, processes: usize, source: &mut Source) -> Act {
        let of = source.below(processes);
        let weights: &[(usize, Act)] = match kind {
            Kind::Waiting | Kind::LastWords | Kind::Stream => &[
                (16, Act::Send(of)),
                (8, Act::Receive),
                (2, Act::IsReady),
                (1, Act::Kill(of)),
                (1, Act::Close),
                (2, Act::IsClosed(of)),
            ],
            Kind::Links => &[
                (6, Act::Link(of)),
                (4, Act::Unlink(of)),
                (3, Act::Kill(of)),
                (4, Act::IsDead(of)),
                (1, Act::Close),
                (1, Act::Monitor(of)),
                (1, Act::Receive),
            ],
            Kind::Monitors => &[
                (8, Act::Monitor(of)),
                (3, Act::Demonitor(source.below(2))),
                (6, Act::Receive),
                (2, Act::Kill(of)),
                (2, Act::Close),
                (2, Act::Send(of)),
                (1, Act::Link(of)),
                (1, Act::IsReady),
            ],
            Kind::Everything => &[
                (6, Act::Send(of)),
                (6, Act::Receive),
                (4, Act::Monitor(of)),
                (1, Act::Demonitor(source.below(2))),
                (2, Act::Kill(of)),
                (1, Act::Close),
                (3, Act::Link(of)),
                (2, Act::Unlink(of)),
                (1, Act::IsDead(of)),
                (1, Act::IsClosed(of)),
                (1, Act::IsReady),
            ],
        };
        source.weighted(weights)
    }

    /// A process is told of the deaths of those who send to it, while they do.
    fn last_words(threads: usize, source: &mut Source) -> Self {
        let processes = threads / 2;
        let mut scripts = vec![Vec::new()];
        scripts[0].extend((1..processes).map(Act::Monitor));
        scripts[0].extend([Act::Receive; 2]);
        scripts.extend((1..processes).map(|_| vec![Act::Send(0); 1 + source.below(2)]));
        let killer = |_| vec![Act::Kill(1 + source.below(processes - 1))];
        scripts.extend((processes..threads).map(killer));
        Self { processes, capacity: 2 * threads, threads: scripts }
    }

    /// As many receives as sends, or a kill: so that whoever waits for ever has lost a wake-up.
    fn waiting(threads: usize, capacity: usize, source: &mut Source) -> Self {
        let senders = threads - 1;
        let mut scripts = vec![vec![Act::ReceiveWaiting; 2 * senders]];
        scripts.extend(vec![vec![Act::SendWaiting(0); 2]; senders]);
        match source.below(6) {
            0 => scripts[1 + source.below(senders)].insert(1, Act::Kill(0)),
            1 => {
                let at = 1 + source.below(senders);
                scripts[0].insert(at, Act::Close);
            }
            _ => {}
        }
        Self { processes: 1, capacity, threads: scripts }
    }
}

/// Waits until `poll` is ready. A lost wake-up leaves nobody who can run, which is reported: this
/// scheduler wakes nobody without cause, as it does those who park.
fn block_on<R>(poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    future::block_on(poll_fn(poll))
}

/// What all threads share.
struct Shared {
    recorder: Recorder<Call>,
    groups: Vec<RouteGroup>,
    capabilities: Vec<Capability>,
}

/// What a thread has.
struct Thread {
    shared: Arc<Shared>,
    number: usize,
    own: Option<Own>,
    sent: u32,
}

/// What a process has.
struct Own {
    table: Table,
    handles: Vec<Handle>,
    mailbox: Option<Mailbox>,
    monitors: Vec<MonitorId>,
}

/// Runs a program: within shuttle, whose scheduler decides how. Returns what was seen.
///
/// # Panics
/// If something is left in the office at the end.
pub fn run(program: &Program) -> History<Call> {
    let office = PostOffice::new();
    let mut limits = MailboxLimits::default();
    limits.messages = program.capacity as u32;
    let groups: Vec<RouteGroup> =
        (0..program.processes).map(|_| office.create_group().expect("few")).collect();
    let open = |group: &RouteGroup| {
        let table = group.create_table().expect("few");
        let mailbox = group.create_mailbox_with(&table, limits).expect("few");
        (table, mailbox)
    };
    let opened: Vec<(Table, Mailbox)> = groups.iter().map(open).collect();
    let all = Permissions::all();
    let capabilities: Vec<Capability> = opened.iter().map(|own| own.1.capability(all)).collect();
    let own = opened.into_iter().map(|(table, mailbox)| {
        let insert = |capability: &Capability| table.insert(capability).expect("few");
        let handles = capabilities.iter().map(insert).collect();
        Own { table, handles, mailbox: Some(mailbox), monitors: Vec::new() }
    });
    let mut own = own.collect::<Vec<_>>().into_iter();
    let shared = Arc::new(Shared { recorder: Recorder::new(), groups, capabilities });
    let threads = program.threads.iter().enumerate().map(|(number, script)| {
        let (script, shared) = (script.clone(), shared.clone());
        let mut thread = Thread { shared, number, own: own.next(), sent: 0 };
        thread::spawn(move || {
            script.into_iter().for_each(|act| thread.act(act));
            thread
        })
    });
    let threads: Vec<_> = threads.collect();
    let mut threads: Vec<Thread> =
        threads.into_iter().map(|thread| thread.join().expect("it did not panic")).collect();
    threads.iter_mut().for_each(Thread::drain);
    let history = shared.recorder.finish();
    drop((threads, shared));
    let left = office.stats();
    let counts = [left.groups, left.tables, left.routes, left.messages, left.monitors, left.links];
    assert_eq!(counts, [0; 6], "left behind: {left:?}");
    history
}

impl Thread {
    /// Receives all that is left, so that nothing that was lost goes unnoticed.
    fn drain(&mut self) {
        while let Some(received) = self.receive(false)
            && !matches!(received, Received::Empty | Received::Dead)
        {}
    }

    fn receive(&mut self, waits: bool) -> Option<Received> {
        let by = self.number;
        let mailbox = self.own.as_mut()?.mailbox.as_mut()?;
        let receive = || {
            let received = if waits {
                block_on(|cx| mailbox.poll_ready(cx));
                mailbox.try_recv()
            } else {
                mailbox.try_recv()
            };
            match received {
                Ok(Signal::Message(message)) => {
                    let data = message.data().try_into().expect("four bytes");
                    Received::Message(u32::from_ne_bytes(data))
                }
                Ok(Signal::Down(down)) => Received::Down(down.monitor().number(), down.reason()),
                Ok(_) => panic!("a new kind of signal"),
                Err(TryRecvError::Empty) => Received::Empty,
                Err(TryRecvError::Dead) => Received::Dead,
            }
        };
        let recorder = &self.shared.recorder;
        Some(recorder.call(receive, |&answer| Call::Receive { by, answer }))
    }

    fn send(&mut self, to: Process, waits: bool) {
        self.sent += 1;
        let message = (self.number as u32) << 16 | self.sent;
        let data = message.to_ne_bytes();
        let by = self.own.as_ref().map(|_| self.number);
        let Shared { recorder, capabilities, .. } = &*self.shared;
        let mut wait = SendWait::default();
        let mut send = |cx: &mut Context<'_>| match &self.own {
            Some(own) => own.table.poll_send(cx, &mut wait, own.handles[to], &data, &[]),
            None => capabilities[to].poll_send(cx, &mut wait, &data, &[]),
        };
        let call = || match &self.own {
            _ if waits => block_on(&mut send),
            Some(own) => own.table.send(own.handles[to], &data, &[]),
            None => capabilities[to].send(&data, &[]),
        };
        let _ = recorder.call(call, |&answer| Call::Send { by, to, message, answer });
    }

    fn act(&mut self, act: Act) {
        let (number, shared) = (self.number, self.shared.clone());
        let recorder = &shared.recorder;
        match act {
            Act::Send(to) => self.send(to, false),
            Act::SendWaiting(to) => self.send(to, true),
            Act::Receive => drop(self.receive(false)),
            Act::ReceiveWaiting => drop(self.receive(true)),
            Act::IsDead(of) => {
                let call = || shared.groups[of].is_dead();
                recorder.call(call, |&answer| Call::IsDead { of, answer });
            }
            Act::IsClosed(of) => {
                let call = || shared.capabilities[of].is_closed();
                recorder.call(call, |&answer| Call::IsClosed { of, answer });
            }
            Act::Kill(of) => {
                let by = self.own.as_ref().map(|_| number);
                let call = || match &self.own {
                    Some(own) => own.table.kill(own.handles[of]),
                    None => shared.capabilities[of].kill(),
                };
                let _ = recorder.call(call, |&answer| Call::Kill { by, of, answer });
            }
            _ => self.act_as_process(act),
        }
    }

    fn act_as_process(&mut self, act: Act) {
        let (by, shared) = (self.number, &self.shared);
        let (recorder, Some(own)) = (&shared.recorder, &mut self.own) else { return };
        match (act, &mut own.mailbox) {
            (Act::Link(with), _) => {
                let call = || own.table.link(own.handles[with], &shared.groups[by]);
                let _ = recorder.call(call, |&answer| Call::Link { by, with, answer });
            }
            (Act::Unlink(with), _) => {
                let call = || own.table.unlink(own.handles[with], &shared.groups[by]);
                let _ = recorder.call(call, |&answer| Call::Unlink { by, with, answer });
            }
            (Act::Close, mailbox @ Some(_)) => {
                let mailbox = mailbox.take();
                recorder.call(|| drop(mailbox), |()| Call::Close { by });
            }
            (Act::IsReady, Some(mailbox)) => {
                recorder.call(|| mailbox.is_ready(), |&answer| Call::IsReady { by, answer });
            }
            (Act::Monitor(of), Some(mailbox)) => {
                let call = || own.table.monitor(own.handles[of], mailbox);
                let answered = |answer: &Result<MonitorId, _>| Call::Monitor {
                    by,
                    of,
                    answer: answer.map(MonitorId::number),
                };
                own.monitors.extend(recorder.call(call, answered));
            }
            (Act::Demonitor(back), Some(mailbox)) => {
                let latest = own.monitors.iter().rev().nth(back);
                let Some(id) = latest.copied() else { return };
                let (call, number) = (|| mailbox.demonitor(id), id.number());
                recorder.call(call, |&answer| Call::Demonitor { by, number, answer });
            }
            _ => {}
        }
    }
}

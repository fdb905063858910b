//! One table, used by many threads, and the executable specification of it. Handles that Flue
//! returned and those of the specification are paired as they come.
//!
//! Every call takes effect in one step; but `demote` finds what to make weaker in one and inserts
//! that in another, `same_route` looks up one handle after the other, and a receive makes room
//! before it imports what was attached. `Full` is right a little more often than in the
//! specification: while other calls that want room, or give some back, are under way (rule Q1).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use flue_core::{Capability, Handle, Mailbox, OwnedSignal, Permissions, PostOffice, Table};
use flue_spec::{self as spec, Limits, MailboxLimits, SendError, Spec, TableError};
use shuttle::thread;

use crate::check::{History, Number, Object, Recorder, UnderWay};
use crate::source::Source;
use crate::translate::{self, Translate};

/// The integer of a handle.
type Raw = u64;

/// A call, and what it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after what it calls")]
pub enum Call {
    Insert {
        what: spec::Capability,
        answer: Result<Raw, TableError>,
    },
    Demote {
        handle: Raw,
        to: u32,
        answer: Result<Raw, TableError>,
    },
    Retain {
        handle: Raw,
        answer: Result<(), TableError>,
    },
    Release {
        handle: Raw,
        answer: Result<(), TableError>,
    },
    LookUp {
        handle: Raw,
        answer: Result<spec::Capability, TableError>,
    },
    SameRoute {
        a: Raw,
        b: Raw,
        answer: Result<bool, TableError>,
    },
    /// By the host, to the mailbox whose table this is. The message is its number.
    Send {
        message: u8,
        attach: Vec<spec::Capability>,
        answer: Result<(), SendError>,
    },
    /// The message, and the handles of its guard, which is kept.
    Receive {
        answer: Result<(u8, Vec<Raw>), spec::TryRecvError>,
    },
    /// Of the oldest guard that is left: all its handles are taken, or given back.
    Take {
        answer: Vec<Raw>,
    },
    DropGuard,
    Kill,
}

/// What all threads know.
#[derive(Debug)]
pub struct World {
    /// Before the first call: one table, number 0, with mailbox 0; and routes to have
    /// capabilities to.
    spec: Spec,
    limits: (Limits, MailboxLimits),
    received: Vec<u8>,
}

/// The routes that capabilities are to; mailbox 0 is one of them.
const ROUTES: usize = 2;
const PERMISSIONS: [u32; 3] = [spec::ALL, spec::SEND | spec::MONITOR, spec::SEND];

/// The specification, and the names of what is in it.
#[derive(Clone, Debug)]
pub struct Tables {
    spec: Spec,
    /// Every handle that was ever seen (rule P3: it means one capability for ever).
    names: BTreeMap<Raw, spec::Handle>,
    guards: Vec<spec::Guard>,
    /// How many of the messages that are received in the end were sent, and which others.
    sent: usize,
    unread: BTreeSet<u8>,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    Begun,
    /// What it named, or asks for.
    Found(spec::Capability),
    /// The guard, and how many handles it has given up.
    Dismantled(spec::Guard, usize),
}

/// What can be told of the two apart: the specification's own numbers depend on the order.
type Seen = (bool, Vec<(Raw, Option<(spec::Capability, usize, usize, Option<usize>)>)>);

impl Tables {
    /// Before the first call.
    pub fn new(world: &World) -> Self {
        Self {
            spec: world.spec.clone(),
            names: BTreeMap::new(),
            guards: Vec::new(),
            sent: 0,
            unread: BTreeSet::new(),
        }
    }

    fn seen(&self) -> Seen {
        let entry = |(&raw, &handle): (&Raw, &spec::Handle)| {
            let found = self.spec.look_up(0, handle).ok().zip(self.spec.references(0, handle));
            (raw, found.map(|(capability, (own, held, payer))| (capability, own, held, payer)))
        };
        (self.spec.is_sealed(0), self.names.iter().map(entry).collect())
    }

    /// A number that the specification gave no handle is a forged one.
    fn model(&self, raw: Raw) -> spec::Handle {
        self.names.get(&raw).copied().unwrap_or(spec::Handle::MAX)
    }

    /// Both gave this handle. `false`: it was another one's (rules P3 and P4).
    fn bind(&mut self, raw: Raw, handle: spec::Handle) -> bool {
        let known = self.names.iter().find(|one| *one.1 == handle).map(|one| *one.0);
        match known {
            Some(known) => known == raw,
            None => self.names.insert(raw, handle).is_none(),
        }
    }

    fn bind_all(&mut self, raw: &[Raw], handles: &[spec::Handle]) -> bool {
        raw.len() == handles.len() && raw.iter().zip(handles).all(|(&r, &h)| self.bind(r, h))
    }

    fn given(
        &mut self,
        answer: Result<Raw, TableError>,
        spec: Result<spec::Handle, TableError>,
    ) -> bool {
        match (answer, spec) {
            (Ok(raw), Ok(handle)) => self.bind(raw, handle),
            (answer, spec) => answer.map(drop) == spec.map(drop),
        }
    }
}

impl PartialEq for Tables {
    fn eq(&self, other: &Self) -> bool {
        (self.sent, &self.unread, self.seen()) == (other.sent, &other.unread, other.seen())
    }
}

impl Eq for Tables {}

impl Hash for Tables {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.sent, &self.unread, self.seen()).hash(state);
    }
}

impl Object for Tables {
    type Call = Call;
    type Progress = Progress;
    type World = World;

    fn is_pure(call: &Call) -> bool {
        match call {
            Call::Insert { answer, .. } => answer.is_err(),
            Call::Demote { answer, .. } => answer.is_err(),
            Call::Retain { answer, .. } | Call::Release { answer, .. } => answer.is_err(),
            Call::Send { answer, .. } => answer.is_err(),
            Call::Receive { answer } => answer.is_err(),
            Call::LookUp { .. } => true,
            Call::SameRoute { .. } | Call::Take { .. } | Call::DropGuard | Call::Kill => false,
        }
    }

    fn begin(&self, _: &World, _: &Call) -> Progress {
        Progress::Begun
    }

    fn steps(
        &self,
        world: &World,
        number: Number,
        under_way: &UnderWay<'_, Self>,
        then: &mut dyn FnMut(Self, Option<Progress>),
    ) {
        let mut next = self.clone();
        let call = under_way.call(number);
        let is_right = match call {
            Call::Insert { answer: Err(TableError::Full), .. }
            | Call::Demote { answer: Err(TableError::Full), .. } => {
                self.is_crowded(world, number, under_way)
            }
            &Call::Insert { what, answer } => {
                let given = next.spec.insert(0, what);
                next.given(answer, given)
            }
            &Call::Demote { handle, to, answer } => {
                match (*under_way.progress(number), self.spec.look_up(0, self.model(handle))) {
                    (Progress::Found(weaker), _) => {
                        let given = next.spec.insert(0, weaker);
                        next.given(answer, given)
                    }
                    (_, found) => match found.and_then(|one| one.demote(to)) {
                        Ok(weaker) => return then(next, Some(Progress::Found(weaker))),
                        Err(refused) => answer == Err(refused),
                    },
                }
            }
            &Call::Retain { handle, answer } => next.spec.retain(0, self.model(handle)) == answer,
            &Call::Release { handle, answer } => next.spec.release(0, self.model(handle)) == answer,
            &Call::LookUp { handle, answer } => next.spec.look_up(0, self.model(handle)) == answer,
            &Call::SameRoute { a, b, answer } => match *under_way.progress(number) {
                Progress::Found(first) => {
                    let second = self.spec.look_up(0, self.model(b));
                    second.map(|second| second.route == first.route) == answer
                }
                _ => match self.spec.look_up(0, self.model(a)) {
                    Ok(first) => return then(next, Some(Progress::Found(first))),
                    Err(refused) => answer == Err(refused),
                },
            },
            Call::Send { attach, answer: Err(SendError::Full), .. } => {
                self.is_share_crowded(world, attach.len(), number, under_way)
            }
            Call::Send { message, attach, answer } => {
                let outgoing = spec::Outgoing {
                    to: Ok(spec::Capability { route: 0, permissions: spec::SEND }),
                    attach: attach.iter().map(|&one| Ok(one)).collect(),
                    data: vec![*message],
                    owned: false,
                };
                // A receive under way may have made room, and not imported yet.
                let makes_room = |(_, call, is_done): (Number, &Call, bool)| {
                    matches!(call, Call::Receive { answer: Ok(_) }) && !is_done
                };
                let early = usize::from(under_way.others(number).any(makes_room));
                let fits = self.spec.len(0) < world.limits.1.messages as usize + early;
                next.spec.send(&outgoing) == *answer
                    && (answer.is_err() || fits && next.is_in_order(world, *message))
            }
            Call::Receive { answer } => match (next.spec.try_recv(0), answer) {
                (Err(refused), Err(answer)) => refused == *answer,
                (Ok(guard), Ok((message, raw))) => {
                    let received = next.spec.received(guard).clone();
                    next.guards.push(guard);
                    received.signal == spec::Signal::Message(vec![*message])
                        && next.bind_all(raw, &received.handles)
                }
                _ => false,
            },
            // One handle after the other, as the guard gives them up.
            Call::Take { answer } => {
                let (guard, count) = next.dismantled(under_way.progress(number));
                let taken = next.spec.take_handle(guard);
                match (answer.get(count), taken) {
                    (Some(&raw), Some(handle)) => {
                        if next.bind(raw, handle) {
                            then(next, Some(Progress::Dismantled(guard, count + 1)));
                        }
                        return;
                    }
                    (None, None) => {
                        next.spec.drop_guard(guard);
                        true
                    }
                    _ => false,
                }
            }
            Call::DropGuard => {
                let (guard, count) = next.dismantled(under_way.progress(number));
                if let Some(handle) = next.spec.take_handle(guard) {
                    let _ = next.spec.release(0, handle); // A sealed table has none.
                    return then(next, Some(Progress::Dismantled(guard, count + 1)));
                }
                next.spec.drop_guard(guard);
                true
            }
            Call::Kill => {
                next.spec.kill_group(0);
                true
            }
        };
        if is_right {
            then(next, None);
        }
    }
}

impl Tables {
    /// The guard that is being dropped or taken apart, and how many handles it has given up.
    fn dismantled(&mut self, progress: &Progress) -> (spec::Guard, usize) {
        match *progress {
            Progress::Dismantled(guard, count) => (guard, count),
            _ => (self.guards.remove(0), 0),
        }
    }

    /// Messages are sent in the order in which they are received; others after them.
    fn is_in_order(&mut self, world: &World, message: u8) -> bool {
        match world.received.get(self.sent) {
            Some(next) if *next == message => self.sent += 1,
            Some(_) => return false,
            None => drop(self.unread.insert(message)),
        }
        true
    }

    /// Whether no slot may be left of the table's own.
    fn is_crowded(&self, world: &World, number: Number, under_way: &UnderWay<'_, Self>) -> bool {
        let entries = self.spec.handles(0).into_iter();
        let own = entries.filter(|&handle| {
            self.spec.references(0, handle).is_some_and(|references| references.2.is_none())
        });
        // What is released is taken apart by whoever comes by, so each may have that in hand; and
        // what it claimed, or what it has released itself.
        let holds = |(_, call, is_done): (Number, &Call, bool)| match call {
            Call::Insert { answer, .. } | Call::Demote { answer, .. } => {
                1 + usize::from(!is_done || answer.is_err())
            }
            Call::Release { .. } | Call::DropGuard => 1 + usize::from(is_done),
            Call::Receive { .. } | Call::Take { .. } => 1,
            _ => 0,
        };
        let held: usize = under_way.others(number).map(holds).sum();
        !self.spec.is_sealed(0) && own.count() + held >= world.limits.0.handles_per_table as usize
    }

    /// Whether the mailbox's share, or its room for messages, may be used up.
    fn is_share_crowded(
        &self,
        world: &World,
        attached: usize,
        number: Number,
        under_way: &UnderWay<'_, Self>,
    ) -> bool {
        let (mut slots, mut messages) = (self.spec.share_used(0) + attached, self.spec.len(0) + 1);
        for (_, call, is_done) in under_way.others(number) {
            match call {
                Call::Send { attach, answer, .. } if !is_done || answer.is_err() => {
                    slots += attach.len();
                    messages += 1;
                }
                Call::Receive { answer: Ok((_, handles)) } if is_done => {
                    slots += handles.len(); // Of those that were there already.
                    messages += 1;
                }
                Call::Release { .. } if is_done => slots += 1,
                Call::DropGuard if is_done => slots += world.limits.1.handles as usize,
                _ => {}
            }
        }
        let limits = world.limits.1;
        slots > limits.handles as usize || messages > limits.messages as usize
    }
}

/// What the threads share.
struct Shared {
    recorder: Recorder<Call>,
    table: Table,
    group: flue_core::RouteGroup,
    capabilities: Vec<(spec::Capability, Capability)>,
    /// Every handle that was seen by anybody.
    handles: Mutex<Vec<Raw>>,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Insert(usize),
    Demote(usize, u32),
    Retain(usize),
    Release(usize),
    LookUp(usize),
    SameRoute(usize, usize),
    Send(usize, usize),
    Receive,
    Take,
    DropGuard,
    Kill,
}

fn draw(source: &mut Source) -> Act {
    let (one, other) = (source.below(64), source.below(64));
    source.weighted(&[
        (12, Act::Insert(one)),
        (6, Act::Demote(one, other as u32 & spec::ALL)),
        (4, Act::Retain(one)),
        (16, Act::Release(one)),
        (8, Act::LookUp(one)),
        (2, Act::SameRoute(one, other)),
        (6, Act::Send(one, other)),
        (4, Act::Receive),
        (2, Act::Take),
        (2, Act::DropGuard),
        (usize::from(other == 0), Act::Kill),
    ])
}

/// Runs a program that is drawn from `source`, within shuttle. Returns what was seen.
pub fn run(source: &mut Source) -> (World, History<Call>) {
    let limits = Limits { handles_per_table: 2 + source.below(4) as u32, ..Limits::default() };
    let of_mailbox = MailboxLimits {
        messages: 2 + source.below(3) as u32,
        handles: 1 + source.below(4) as u32,
        ..MailboxLimits::default()
    };
    let office = PostOffice::with_limits(translate::limits(limits));
    let mut spec = Spec::new(limits, office.inline_bytes());
    let group = office.create_group().expect("few");
    let table = group.create_table().expect("few");
    spec.create_group().and_then(|group| spec.create_group_table(group)).expect("few");
    let mut mailboxes: Vec<Mailbox> = Vec::new();
    for route in 0..ROUTES {
        let limits =
            if route == 0 { of_mailbox } else { MailboxLimits { handles: 0, ..of_mailbox } };
        let limits_there = translate::mailbox_limits(limits);
        mailboxes.push(group.create_mailbox_with(&table, limits_there).expect("few"));
        // Room for messages is looked at beside the specification, which has one more.
        let limits = MailboxLimits { messages: limits.messages + 1, ..limits };
        spec.create_mailbox(0, 0, limits).expect("few");
    }
    let capabilities = (0..ROUTES).flat_map(|route| PERMISSIONS.map(|bits| (route, bits)));
    let capabilities = capabilities.map(|(route, permissions)| {
        let real = mailboxes[route].capability(Permissions::from_bits_retain(permissions));
        (spec::Capability { route, permissions }, real)
    });
    let capabilities = capabilities.collect();
    let (recorder, handles) = (Recorder::new(), Mutex::default());
    let shared = Arc::new(Shared { recorder, table, group, capabilities, handles });
    let (threads, acts) = if source.below(8) == 0 { (16, 2) } else { (8, 2 + source.below(3)) };
    let mut receiver = Some(mailboxes.remove(0));
    let threads: Vec<_> = (0..threads)
        .map(|number: u8| {
            let mut thread = Thread {
                shared: shared.clone(),
                mailbox: receiver.take(),
                guards: Vec::new(),
                message: number << 3,
            };
            let script: Vec<Act> = (0..acts).map(|_| draw(source)).collect();
            thread::spawn(move || {
                script.into_iter().for_each(|act| thread.act(act));
                thread
            })
        })
        .collect();
    let threads = threads.into_iter().map(|thread| thread.join().expect("it did not panic"));
    let mut threads: Vec<Thread> = threads.collect();
    // Receives all that is left, so that nothing that was lost goes unnoticed.
    while threads[0].receive() {}
    let history = shared.recorder.finish();
    drop((threads, shared, mailboxes));
    assert_eq!((office.stats().tables, office.stats().groups), (0, 0), "left behind");
    let received = history.calls.iter().filter_map(|call| match call {
        Call::Receive { answer: Ok((message, _)) } => Some(*message),
        _ => None,
    });
    let received = received.collect();
    (World { spec, limits: (limits, of_mailbox), received }, history)
}

struct Thread {
    shared: Arc<Shared>,
    /// One of them receives.
    mailbox: Option<Mailbox>,
    guards: Vec<OwnedSignal>,
    message: u8,
}

fn raw(handles: &[Handle]) -> Vec<Raw> {
    handles.iter().copied().map(Handle::to_raw).collect()
}

impl Thread {
    /// A handle that somebody has seen, or else a neighbour of it.
    fn handle(&self, pick: usize) -> Handle {
        let handles = self.shared.handles.lock().expect("nobody panics with it");
        let near = if pick.is_multiple_of(16) { 1 << 32 } else { 0 };
        let seen = handles.get(pick % handles.len().max(1)).copied().unwrap_or(7);
        Handle::from_raw(seen.wrapping_add(near)).expect("not zero")
    }

    fn saw(&self, handles: impl IntoIterator<Item = Handle>) {
        let mut seen = self.shared.handles.lock().expect("nobody panics with it");
        seen.extend(handles.into_iter().map(Handle::to_raw));
    }

    /// What a real capability is.
    fn known(&self, real: &Capability) -> spec::Capability {
        let mut all = self.shared.capabilities.iter();
        let same = all.find(|(_, other)| real.same_route(other)).expect("it was given to somebody");
        spec::Capability { permissions: real.permissions().bits(), ..same.0 }
    }

    fn act(&mut self, act: Act) {
        let Shared { recorder, table, group, capabilities, .. } = &*self.shared;
        match act {
            Act::Insert(pick) => {
                let (what, real) = &capabilities[pick % capabilities.len()];
                let answered = |answer: &Result<Handle, _>| Call::Insert {
                    what: *what,
                    answer: answer.map(Handle::to_raw).translate(),
                };
                self.saw(recorder.call(|| table.insert(real), answered));
            }
            Act::Demote(pick, to) => {
                let handle = self.handle(pick);
                let answered = |answer: &Result<Handle, _>| Call::Demote {
                    handle: handle.to_raw(),
                    to,
                    answer: answer.map(Handle::to_raw).translate(),
                };
                let call = || table.demote(handle, Permissions::from_bits_retain(to));
                self.saw(recorder.call(call, answered));
            }
            Act::Retain(pick) => {
                let handle = self.handle(pick);
                let _ = recorder.call(
                    || table.retain(handle),
                    |answer| Call::Retain { handle: handle.to_raw(), answer: answer.translate() },
                );
            }
            Act::Release(pick) => {
                let handle = self.handle(pick);
                let _ = recorder.call(
                    || table.release(handle),
                    |answer| Call::Release { handle: handle.to_raw(), answer: answer.translate() },
                );
            }
            Act::LookUp(pick) => {
                let handle = self.handle(pick);
                let answered = |answer: &Result<Capability, _>| Call::LookUp {
                    handle: handle.to_raw(),
                    answer: answer
                        .as_ref()
                        .map(|real| self.known(real))
                        .map_err(|e| *e)
                        .translate(),
                };
                drop(recorder.call(|| table.capability(handle), answered));
            }
            Act::SameRoute(a, b) => {
                let (a, b) = (self.handle(a), self.handle(b));
                let _ = recorder.call(
                    || table.same_route(a, b),
                    |answer| Call::SameRoute {
                        a: a.to_raw(),
                        b: b.to_raw(),
                        answer: answer.translate(),
                    },
                );
            }
            Act::Send(pick, count) => {
                self.message += 1;
                let message = self.message;
                let attached = capabilities.iter().cycle().skip(pick).take(count % 3);
                let (attach, real): (Vec<_>, Vec<_>) = attached.map(|(s, r)| (*s, r)).unzip();
                let to = &capabilities[0].1;
                let _ = recorder.call(
                    || to.send(&[message], &real),
                    |answer| Call::Send { message, attach, answer: answer.translate() },
                );
            }
            Act::Receive => drop(self.receive()),
            Act::Take if !self.guards.is_empty() => {
                let OwnedSignal::Message(mut message) = self.guards.remove(0) else { return };
                let call = || message.take_handles().collect::<Vec<_>>();
                let answered = |taken: &Vec<Handle>| Call::Take { answer: raw(taken) };
                self.saw(recorder.call(call, answered));
            }
            Act::DropGuard if !self.guards.is_empty() => {
                let guard = self.guards.remove(0);
                recorder.call(|| drop(guard), |()| Call::DropGuard);
            }
            Act::Kill => recorder.call(|| group.kill(), |()| Call::Kill),
            Act::Take | Act::DropGuard => {}
        }
    }

    /// Whether there was a message.
    fn receive(&mut self) -> bool {
        let Some(mailbox) = &mut self.mailbox else { return false };
        let answered = |answer: &Result<OwnedSignal, flue_core::TryRecvError>| Call::Receive {
            answer: match answer {
                Ok(OwnedSignal::Message(message)) => {
                    Ok((message.data()[0], raw(message.handles())))
                }
                Ok(_) => panic!("only messages come here"),
                Err(refused) => Err(*refused).translate().map(|()| unreachable!()),
            },
        };
        let call = || mailbox.try_recv().map(flue_core::Signal::into_owned);
        let Ok(guard) = self.shared.recorder.call(call, answered) else { return false };
        if let OwnedSignal::Message(message) = &guard {
            self.saw(message.handles().iter().copied());
        }
        self.guards.push(guard);
        true
    }
}

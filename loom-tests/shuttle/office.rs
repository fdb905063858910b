//! What processes see of each other: messages, downs, kills, links. A sequential post office of
//! processes, each a group with a table and one mailbox, by the numbers of the processes.
//!
//! Most calls take effect in one step. The rules promise less for these, and only for these:
//! - A kill decides one death at a time and walks along links; when it returns, all that it
//!   reached is dead and every down is queued (rule K3). A link with a dead group kills likewise.
//! - A close fires its monitors one by one.
//! - What a process may do is decided at some instant of the call, and its effect may come later
//!   in the call (rule O5); that of a send not behind a down of the sender (rule K8).
//! - The down of a monitor that is set while its route ends may say either: that it was over, or
//!   how it ended (rule K5).
//! - `Full` is right if there was no room, counting that of sends under way (rule Q1).

use std::collections::{BTreeSet, VecDeque};

use flue_core::{DownReason, SendError, TableError};

use crate::check::{Event, History, Number, Object, UnderWay};

/// A process, its group, its mailbox.
pub type Process = usize;

/// A call, and what it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Through a process's table, or the host's capability. A message is a number.
    Send {
        by: Option<Process>,
        to: Process,
        message: u32,
        answer: Result<(), SendError>,
    },
    Receive {
        by: Process,
        answer: Received,
    },
    IsReady {
        by: Process,
        answer: bool,
    },
    Close {
        by: Process,
    },
    Monitor {
        by: Process,
        of: Process,
        answer: Result<u64, TableError>,
    },
    Demonitor {
        by: Process,
        number: u64,
        answer: bool,
    },
    Kill {
        by: Option<Process>,
        of: Process,
        answer: Result<(), TableError>,
    },
    Link {
        by: Process,
        with: Process,
        answer: Result<(), TableError>,
    },
    Unlink {
        by: Process,
        with: Process,
        answer: Result<bool, TableError>,
    },
    IsDead {
        of: Process,
        answer: bool,
    },
    IsClosed {
        of: Process,
        answer: bool,
    },
}

impl Call {
    /// The processes that its answer shows to have been alive when it began.
    fn shows_alive(&self) -> [Option<Process>; 2] {
        match *self {
            Self::Send { by, to, ref answer, .. } => match answer {
                Ok(()) => [by, Some(to)],
                Err(SendError::Full | SendError::Closed) => [by, None],
                Err(_) => [None; 2],
            },
            Self::Receive { by, answer } if answer != Received::Dead => [Some(by), None],
            Self::IsReady { by, answer: false } => [Some(by), None],
            Self::IsDead { of, answer: false } | Self::IsClosed { of, answer: false } => {
                [Some(of), None]
            }
            Self::Kill { by, of, answer } => match answer {
                Ok(()) => [by, None],
                Err(TableError::Closed) => [by, Some(of)],
                Err(_) => [None; 2],
            },
            Self::Monitor { by, answer: Ok(_), .. }
            | Self::Link { by, answer: Ok(()), .. }
            | Self::Unlink { by, answer: Ok(_), .. } => [Some(by), None],
            Self::Link { by, with, answer: Err(TableError::Closed) } => [Some(by), Some(with)],
            _ => [None; 2],
        }
    }
}

/// What a receive found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    Message(u32),
    Down(u64, DownReason),
    Empty,
    Dead,
}

/// What the answers tell of the whole history. A step that goes against it could not be answered
/// for later, so it is not tried.
#[derive(Debug)]
pub struct World {
    pub capacity: usize,
    /// What was received from each mailbox, in order.
    received: Vec<Vec<Received>>,
    /// For each process, the last event at which it was alive for certain: the beginning of a
    /// call that could not have been answered so if it had been dead.
    alive_at: Vec<usize>,
}

impl World {
    pub fn new(processes: usize, capacity: usize, history: &History<Call>) -> Self {
        let mut received = vec![Vec::new(); processes];
        let mut alive_at = vec![0; processes];
        for (at, event) in history.events.iter().enumerate() {
            let (Event::Began(number) | Event::Ended(number)) = *event;
            let call = &history.calls[number];
            if matches!(event, Event::Began(_)) {
                call.shows_alive().into_iter().flatten().for_each(|process| alive_at[process] = at);
            } else if let Call::Receive { by, answer } = *call
                && !matches!(answer, Received::Empty | Received::Dead)
            {
                received[by].push(answer);
            }
        }
        Self { capacity, received, alive_at }
    }
}

impl World {
    fn may_die(&self, process: Process, at: usize) -> bool {
        at > self.alive_at[process]
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// With what was so when it began, of the caller's table and the call's target.
    Begun { sealed: bool, over: bool },
    /// It has killed, and what it killed is to be walked.
    Walking,
    /// The route is closed, and its monitors are to be fired.
    Closing { was_alive: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Life {
    Alive,
    Dead,
    /// Dead by a call that is still to fire its monitors and cut its links.
    Walked(Number),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Signal {
    Message(u32),
    Down { number: u64, of: Process, reason: DownReason },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    is_open: bool,
    /// What will be received, in order.
    queue: VecDeque<Signal>,
    /// Messages behind these that never will be, and downs likewise.
    unread: usize,
    unread_downs: BTreeSet<(u64, Process)>,
    /// Monitors of this mailbox: their numbers, and what they watch.
    armed: BTreeSet<(u64, Process)>,
    monitored: u64,
    /// The processes of which it got a down.
    told: BTreeSet<Process>,
    /// How much of what is received in the end has been pushed.
    pushed: usize,
}

/// All processes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Office {
    lives: Vec<Life>,
    places: Vec<Place>,
    links: BTreeSet<(Process, Process)>,
    /// Links that are cut, whose other ends the cutting call is to kill.
    condemned: BTreeSet<(Number, Process)>,
}

impl Office {
    /// So many processes, all alive, no links.
    pub fn new(processes: usize) -> Self {
        let place = Place {
            is_open: true,
            queue: VecDeque::new(),
            unread: 0,
            unread_downs: BTreeSet::new(),
            armed: BTreeSet::new(),
            monitored: 0,
            told: BTreeSet::new(),
            pushed: 0,
        };
        Self {
            lives: vec![Life::Alive; processes],
            places: vec![place; processes],
            links: BTreeSet::new(),
            condemned: BTreeSet::new(),
        }
    }

    fn is_alive(&self, process: Process) -> bool {
        self.lives[process] == Life::Alive
    }

    fn is_sealed(&self, by: Option<Process>) -> bool {
        by.is_some_and(|by| !self.is_alive(by))
    }

    fn is_closed(&self, process: Process) -> bool {
        !self.places[process].is_open || !self.is_alive(process)
    }

    /// Its route is closed though its group lives: the authority ended with the route (rule K1).
    fn is_forsaken(&self, process: Process) -> bool {
        !self.places[process].is_open && self.is_alive(process)
    }

    /// Pushes a message. `false`: not now, if what is received is to come in its order.
    fn push(&mut self, world: &World, to: Process, message: u32) -> bool {
        let (place, received) = (&mut self.places[to], &world.received[to]);
        let signal = Received::Message(message);
        if received.get(place.pushed) == Some(&signal) {
            place.pushed += 1;
            place.queue.push_back(Signal::Message(message));
        } else if place.pushed < received.len() {
            return false;
        } else {
            place.unread += 1;
        }
        true
    }

    /// Pushes a down, if its observer is there; likewise.
    fn push_down(
        &mut self,
        world: &World,
        to: Process,
        (number, of): (u64, Process),
        reasons: &[DownReason],
    ) -> bool {
        let (place, received) = (&mut self.places[to], &world.received[to]);
        if !place.is_open {
            return true;
        }
        place.told.insert(of);
        let is_this = |signal: &&Received| matches!(signal, Received::Down(n, _) if *n == number);
        match (received.get(place.pushed).filter(is_this), received.iter().find(is_this)) {
            (Some(Received::Down(_, reason)), _) if reasons.contains(reason) => {
                place.pushed += 1;
                place.queue.push_back(Signal::Down { number, of, reason: *reason });
                true
            }
            (None, None) => place.unread_downs.insert((number, of)),
            _ => false,
        }
    }

    fn messages(&self, process: Process) -> usize {
        let queue = self.places[process].queue.iter();
        let queued = queue.filter(|signal| matches!(signal, Signal::Message(_))).count();
        queued + self.places[process].unread
    }

    /// The monitors armed on a process's route: the observer, and the monitor.
    fn watchers(&self, of: Process) -> Vec<(Process, (u64, Process))> {
        let all = self.places.iter().enumerate();
        let all = all.flat_map(|(at, place)| place.armed.iter().map(move |one| (at, *one)));
        all.filter(|(_, one)| one.1 == of).collect()
    }

    /// The steps of a call that has killed.
    fn walk(
        &self,
        world: &World,
        number: Number,
        at: usize,
        then: &mut dyn FnMut(Self, Option<Progress>),
    ) {
        let mine = |life: &Life| *life == Life::Walked(number);
        let condemned = self.condemned.iter().filter(|one| one.0 == number);
        for one @ &(_, process) in condemned.clone() {
            let mut next = self.clone();
            next.condemned.remove(one);
            if next.is_alive(process) {
                next.lives[process] = Life::Walked(number);
            }
            if next.lives[process] != Life::Walked(number) || world.may_die(process, at) {
                then(next, Some(Progress::Walking));
            }
        }
        let mut is_done = condemned.count() == 0;
        for process in (0..self.lives.len()).filter(|&process| mine(&self.lives[process])) {
            is_done = false;
            // Those of a route that its owner is closing come first too (rule K8).
            let watchers = self.watchers(process);
            for &(observer, monitor) in &watchers {
                let mut next = self.clone();
                next.places[observer].armed.remove(&monitor);
                if next.push_down(world, observer, monitor, &[DownReason::Killed]) {
                    then(next, Some(Progress::Walking));
                }
            }
            if !watchers.is_empty() {
                continue;
            }
            let links = self.links.iter().filter(|link| link.0 == process || link.1 == process);
            for link in links.clone() {
                let mut next = self.clone();
                next.links.remove(link);
                let other = if link.0 == process { link.1 } else { link.0 };
                next.condemned.insert((number, other));
                then(next, Some(Progress::Walking));
            }
            if links.count() == 0 {
                let mut next = self.clone();
                next.lives[process] = Life::Dead;
                then(next, Some(Progress::Walking));
                return; // Nothing else is changed by this, so it may as well come first.
            }
        }
        if is_done {
            then(self.clone(), None);
        }
    }

    /// A group dies, by a call that walks it then.
    fn with_dead(&self, process: Process, by: Number) -> Self {
        let mut next = self.clone();
        next.lives[process] = Life::Walked(by);
        next
    }
}

const REASONS: [DownReason; 3] = [DownReason::Gone, DownReason::Killed, DownReason::Closed];

fn pair(a: Process, b: Process) -> (Process, Process) {
    (a.min(b), a.max(b))
}

impl Object for Office {
    type Call = Call;
    type Progress = Progress;
    type World = World;

    fn is_pure(call: &Call) -> bool {
        match call {
            Call::Send { answer, .. } => answer.is_err(),
            Call::Receive { answer, .. } => matches!(answer, Received::Empty | Received::Dead),
            Call::Close { .. } => false,
            Call::Monitor { answer, .. } => answer.is_err(),
            Call::Kill { answer, .. } | Call::Link { answer, .. } => answer.is_err(),
            Call::Unlink { answer, .. } => !answer.is_ok_and(|was_linked| was_linked),
            Call::Demonitor { answer, .. } => !answer,
            Call::IsReady { .. } | Call::IsDead { .. } | Call::IsClosed { .. } => true,
        }
    }

    fn begin(&self, _: &World, call: &Call) -> Progress {
        let (by, over) = match *call {
            Call::Send { by, to, .. } => (by, self.is_closed(to)),
            Call::Kill { by, of, .. } => (by, self.is_forsaken(of)),
            Call::Link { by, with, .. } => (Some(by), self.is_forsaken(with)),
            Call::Monitor { by, of, .. } => (Some(by), self.is_closed(of)),
            Call::Unlink { by, .. } => (Some(by), false),
            _ => (None, false),
        };
        Progress::Begun { sealed: self.is_sealed(by), over }
    }

    fn steps(
        &self,
        world: &World,
        number: Number,
        under_way: &UnderWay<'_, Self>,
        then: &mut dyn FnMut(Self, Option<Progress>),
    ) {
        let (call, at) = (under_way.call(number), under_way.at());
        let (sealed, over) = match *under_way.progress(number) {
            Progress::Walking => return self.walk(world, number, at, then),
            Progress::Closing { was_alive } => {
                return self.close_on(world, call, was_alive, then);
            }
            Progress::Begun { sealed, over } => (sealed, over),
        };
        let mut next = self.clone();
        let is_right = match *call {
            Call::Send { by, to, message, answer } => match answer {
                Ok(()) => {
                    let is_over = |by| !self.is_alive(by) && self.places[to].told.contains(&by);
                    !sealed
                        && !by.is_some_and(is_over)
                        && !self.is_closed(to)
                        && self.messages(to) < world.capacity
                        && next.push(world, to, message)
                }
                Err(SendError::Dead) => self.is_sealed(by),
                Err(SendError::Closed) => !sealed && self.is_closed(to),
                Err(SendError::Full) => {
                    !sealed && !over && self.taken(to, number, under_way) >= world.capacity
                }
                Err(_) => false,
            },
            Call::Receive { by, answer } => self.is_received(by, answer, &mut next),
            Call::IsReady { by, answer } => {
                let place = &self.places[by];
                let holds = place.queue.len() + place.unread + place.unread_downs.len();
                answer == (holds > 0 || !self.is_alive(by))
            }
            Call::Close { by } => {
                let was_alive = self.is_alive(by);
                let place = &mut next.places[by];
                place.is_open = false;
                place.queue.clear();
                (place.unread, place.pushed) = (0, 0);
                place.unread_downs.clear();
                place.armed.clear();
                return then(next, Some(Progress::Closing { was_alive }));
            }
            Call::Monitor { by, of, answer } => match answer {
                Ok(seen) => {
                    // Over when the call began: then the down says so (rule K7).
                    let reasons = if over { &REASONS[..1] } else { &REASONS };
                    !sealed && self.is_monitored(world, by, (seen, of), reasons, &mut next)
                }
                Err(error) => error == TableError::Dead && !self.is_alive(by),
            },
            Call::Demonitor { by, number, answer } => {
                let place = &mut next.places[by];
                let is_other = |one: &(u64, Process)| one.0 != number;
                let before = (place.armed.len(), place.unread_downs.len());
                place.armed.retain(is_other);
                place.unread_downs.retain(is_other);
                answer == ((place.armed.len(), place.unread_downs.len()) != before)
            }
            Call::Kill { by, of, answer } => match answer {
                Ok(()) if !self.is_alive(of) => !sealed,
                Ok(()) if !sealed && !over => {
                    let may_die = world.may_die(of, at);
                    return if may_die {
                        then(self.with_dead(of, number), Some(Progress::Walking))
                    };
                }
                Err(TableError::Dead) => self.is_sealed(by),
                Err(TableError::Closed) => !sealed && self.is_forsaken(of),
                _ => false,
            },
            Call::Link { by, with, answer } => match answer {
                Ok(()) if by == with => !sealed,
                Ok(()) if sealed => false,
                Ok(()) => match (self.is_alive(by), self.is_alive(with)) {
                    (true, true) => {
                        next.links.insert(pair(by, with));
                        !over
                    }
                    (false, false) => true,
                    (false, true) if over => false,
                    (by_lives, _) => {
                        let other = if by_lives { by } else { with };
                        let may_die = world.may_die(other, at);
                        let next = self.with_dead(other, number);
                        return if may_die {
                            then(next, Some(Progress::Walking))
                        };
                    }
                },
                Err(TableError::Dead) => !self.is_alive(by),
                Err(TableError::Closed) => !sealed && by != with && self.is_forsaken(with),
                Err(_) => false,
            },
            Call::Unlink { by, with, answer } => match answer {
                Ok(was_linked) => !sealed && next.links.remove(&pair(by, with)) == was_linked,
                Err(error) => error == TableError::Dead && !self.is_alive(by),
            },
            Call::IsDead { of, answer } => answer != self.is_alive(of),
            Call::IsClosed { of, answer } => answer == self.is_closed(of),
        };
        if is_right {
            then(next, None);
        }
    }
}

impl Office {
    /// Messages, and the room that sends and receives under way may hold.
    fn taken(&self, to: Process, number: Number, under_way: &UnderWay<'_, Self>) -> usize {
        let holds = |(_, call, is_done): &(Number, &Call, bool)| match call {
            Call::Send { to: other, answer, .. } => *other == to && (!is_done || answer.is_err()),
            Call::Receive { by, .. } => *by == to && *is_done,
            _ => false,
        };
        self.messages(to) + under_way.others(number).filter(holds).count()
    }

    fn is_received(&self, by: Process, answer: Received, next: &mut Self) -> bool {
        let place = &mut next.places[by];
        let is_empty = place.queue.is_empty() && place.unread == 0 && place.unread_downs.is_empty();
        match answer {
            Received::Dead => !self.is_alive(by),
            Received::Empty => self.is_alive(by) && is_empty,
            Received::Message(number) => {
                self.is_alive(by) && place.queue.pop_front() == Some(Signal::Message(number))
            }
            Received::Down(seen, why) => {
                let front = place.queue.pop_front();
                let is_this = |signal| matches!(signal, Signal::Down { number, reason, .. } if (number, reason) == (seen, why));
                self.is_alive(by) && front.is_some_and(is_this)
            }
        }
    }

    /// Rule K7: the same number while it is armed or its down unreceived.
    fn is_monitored(
        &self,
        world: &World,
        by: Process,
        (seen, of): (u64, Process),
        reasons: &[DownReason],
        next: &mut Self,
    ) -> bool {
        let place = &mut next.places[by];
        let waiting = place.queue.iter().filter_map(|signal| match *signal {
            Signal::Down { number, of, .. } => Some((number, of)),
            Signal::Message(_) => None,
        });
        let mut pending =
            waiting.chain(place.unread_downs.iter().copied()).chain(place.armed.iter().copied());
        if let Some((number, _)) = pending.find(|one| one.1 == of) {
            return number == seen;
        }
        place.monitored += 1;
        if place.monitored != seen {
            return false;
        }
        if self.is_closed(of) {
            return next.push_down(world, by, (seen, of), reasons);
        }
        place.armed.insert((seen, of))
    }

    /// The steps of a close whose route is closed.
    fn close_on(
        &self,
        world: &World,
        call: &Call,
        was_alive: bool,
        then: &mut dyn FnMut(Self, Option<Progress>),
    ) {
        let Call::Close { by } = *call else { unreachable!("nothing else closes") };
        let watchers = self.watchers(by);
        // Whoever walks the group may have fired one, and not pushed it yet.
        if watchers.is_empty() || matches!(self.lives[by], Life::Walked(_)) {
            then(self.clone(), None);
        }
        let reasons = match (was_alive, self.is_alive(by)) {
            (true, true) => &[DownReason::Closed][..],
            (true, false) => &[DownReason::Closed, DownReason::Killed],
            (false, _) => &[DownReason::Killed],
        };
        for (observer, monitor) in watchers {
            let mut next = self.clone();
            next.places[observer].armed.remove(&monitor);
            if next.push_down(world, observer, monitor, reasons) {
                then(next, Some(Progress::Closing { was_alive }));
            }
        }
    }
}

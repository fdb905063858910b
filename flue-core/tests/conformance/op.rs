//! What may happen to a post office, in words that fit any state of it.
//!
//! An operation names objects by [`Pick`]s: numbers that are reduced to one of the objects there
//! are when its turn comes. So every sequence is legal, and so is every part of one, which is
//! what makes failures shrink well.

use flue_spec::{Limits, MailboxLimits};

/// One of the objects of a kind that there are.
#[derive(Clone, Copy, Debug)]
pub struct Pick(pub u16);

impl Pick {
    /// The picked one, if there are any.
    pub fn of<T: Copy>(self, among: &[T]) -> Option<T> {
        among.get(usize::from(self.0) % among.len().max(1)).copied()
    }

    /// The picked one of those that are `good`, if there are any; seven times out of eight.
    pub fn of_good<T: Copy>(self, among: &[T], good: impl Fn(T) -> bool) -> Option<T> {
        let choosy = self.0 < u16::MAX / 8 * 7;
        let good: Vec<T> = among.iter().copied().filter(|&one| choosy && good(one)).collect();
        self.of(&good).or(self.of(among))
    }
}

/// A handle, and how honestly process code came by it.
#[derive(Clone, Copy, Debug)]
pub enum Alleged {
    /// It names something, if anything in the table has a name.
    Live(Pick),
    /// It named something in this table at some time.
    Stale(Pick),
    /// It named something in some table.
    Alien(Pick),
    /// A neighbour of one that was seen: this much is added to the integer.
    Near(Pick, u64),
    /// An invented integer.
    Forged(u64),
}

/// Where the authority of an operation comes from.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    /// A table, and what process code says.
    Table(Pick, Alleged),
    /// A capability of the host's.
    Host(Pick),
}

/// How the bytes of a message are passed.
#[derive(Clone, Copy, Debug)]
pub enum Passing {
    Reference,
    Vec,
    Box,
    Arc,
    Static,
}

#[derive(Clone, Debug)]
pub struct Letter {
    pub to: Via,
    pub length: usize,
    pub passing: Passing,
    pub attach: Vec<(Alleged, Pick)>,
}

/// How a receive is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Asking {
    Try,
    Poll,
    Future,
}

/// What a receiver does with its guard in the end.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    Drop,
    /// At most so many handles are taken.
    Take(usize),
    IntoPayload,
    Forget,
    /// Dropped by a panic.
    Unwind,
    /// Kept as an owned guard, after so many handles were taken.
    Own(usize),
}

/// Uses of objects of two post offices together (rule O1).
#[derive(Clone, Copy, Debug)]
pub enum Mixture {
    Mailbox(Pick),
    Insert(Pick),
    Links(Pick),
    Monitor(Via),
    LinkVia(Via),
    Attach(Via),
}

#[derive(Clone, Debug)]
pub enum Op {
    CreateGroup,
    CreateTable,
    CreateGroupTable(Pick),
    /// On a table of any group, or more often of its own.
    CreateMailbox(Pick, Pick, bool, MailboxLimits),
    CloneGroup(Pick),
    DropGroup(Pick),
    CloneTable(Pick),
    DropTable(Pick),
    /// Dropped, or closed by name.
    CloseMailbox(Pick, bool),
    Export(Pick, u32),
    Capability(Pick, u32),
    Copy(Pick, Alleged),
    DemoteCapability(Pick, u32),
    DropCapability(Pick),
    Insert(Pick, Pick),
    SameRoute(Pick, Alleged, Alleged),
    Demote(Pick, Alleged, u32),
    Retain(Pick, Alleged),
    Release(Pick, Alleged),
    Send(Letter),
    PollSend(Pick, Letter),
    /// Polls again what a wait waits for.
    PollSendAgain(Pick),
    DropWait(Pick),
    PollReady(Pick),
    /// A receive, with other operations while its guard lives.
    Receive(Pick, Asking, Vec<Op>, Ending),
    TakeOwned(Pick, usize),
    DropOwned(Pick),
    Kill(Via),
    KillGroup(Pick),
    Monitor(Via, Pick),
    /// One of the monitors ever set at that mailbox, or another number.
    Demonitor(Pick, Pick),
    Link(Via, Pick),
    LinkGroups(Pick, Pick),
    Unlink(Via, Pick),
    UnlinkGroups(Pick, Pick),
    Mix(Mixture),
    Reclaim,
}

/// What an office is like when the operations begin.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub limits: Limits,
    /// So many processes, each with a group, a table, a mailbox and capabilities to all others.
    pub processes: u16,
    pub mailboxes: MailboxLimits,
    /// All but the last are linked, each with the next, and the last watches them.
    pub chained: bool,
}

/// Limits so small that they are reached.
pub const SMALL: Limits = Limits {
    groups: 6,
    tables: 8,
    messages: 4096,
    routes_per_group: 3,
    tables_per_group: 2,
    monitors_per_group: 3,
    links_per_group: 2,
    handles_per_table: 6,
    handles_per_message: 3,
    bytes_per_message: 120,
};

/// The operations that furnish an office.
pub fn furnish(setup: &Setup) -> Vec<Op> {
    let all = || (0..setup.processes).map(Pick);
    let mut ops = Vec::new();
    for process in all() {
        ops.push(Op::CreateGroup);
        ops.push(Op::CreateGroupTable(process));
        ops.push(Op::CreateMailbox(process, Pick(0), true, setup.mailboxes));
        ops.push(Op::Capability(process, 0b111));
    }
    ops.extend(all().flat_map(|table| all().map(move |of| Op::Insert(table, of))));
    if let Some(Pick(last)) = all().next_back().filter(|_| setup.chained) {
        ops.extend((1..last).map(|next| Op::LinkGroups(Pick(next - 1), Pick(next))));
        ops.extend((0..last).map(|of| Op::Monitor(Via::Host(Pick(of)), Pick(last))));
    }
    ops
}

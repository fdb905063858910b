//! What may happen to a post office, in words that fit any state of it.
//!
//! An operation names objects by [`Pick`]s: numbers that are reduced to one of the objects there
//! are when its turn comes. So every sequence is legal, and so is every part of one, which is
//! what makes failures shrink well.

use flue_spec::{Limits, MailboxLimits};
use proptest::prelude::*;

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
pub fn setup() -> BoxedStrategy<Setup> {
    let base = Limits {
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
    let limits = prop_oneof![
        6 => Just(base),
        3 => Just(Limits { handles_per_table: 4, monitors_per_group: 1, links_per_group: 1, ..base }),
        3 => Just(Limits { handles_per_table: 8, monitors_per_group: 8, links_per_group: 8, ..base }),
        3 => Just(Limits { handles_per_message: 8, bytes_per_message: 1 << 10, ..base }),
        2 => Just(Limits { groups: 3, tables: 3, routes_per_group: 8, tables_per_group: 3, ..base }),
        1 => Just(Limits { handles_per_message: 0, bytes_per_message: 0, handles_per_table: 0, ..base }),
    ];
    (limits, 0..5_u16, mailbox_limits(), prop::bool::weighted(0.3))
        .prop_map(|(limits, processes, mailboxes, chained)| Setup {
            limits,
            processes,
            mailboxes,
            chained,
        })
        .boxed()
}

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

fn pick() -> impl Strategy<Value = Pick> + Clone {
    any::<u16>().prop_map(Pick)
}

fn alleged() -> impl Strategy<Value = Alleged> + Clone {
    prop_oneof![
        24 => pick().prop_map(Alleged::Live),
        3 => pick().prop_map(Alleged::Stale),
        1 => pick().prop_map(Alleged::Alien),
        1 => (pick(), prop::sample::select(vec![1, u64::MAX, 1 << 32, 2 << 32, u64::MAX << 32, 1 << 63]))
            .prop_map(|(near, distance)| Alleged::Near(near, distance)),
        1 => any::<u64>().prop_map(Alleged::Forged),
    ]
}

fn via() -> impl Strategy<Value = Via> + Clone {
    prop_oneof![
        4 => (pick(), alleged()).prop_map(|(table, handle)| Via::Table(table, handle)),
        1 => pick().prop_map(Via::Host),
    ]
}

/// All permissions more often than some, some more often than nonsense.
fn permissions() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![8 => Just(0b111_u32), 6 => 0..0b1000_u32, 1 => any::<u32>()]
}

fn letter() -> impl Strategy<Value = Letter> + Clone {
    let inline = flue_core::INLINE_BYTES;
    let length = prop_oneof![
        8 => 0..8_usize,
        4 => prop::sample::select(vec![inline - 1, inline, inline + 1]),
        1 => prop::sample::select(vec![100, 120, 121, 1000]),
    ];
    let passing = prop_oneof![
        4 => Just(Passing::Reference),
        1 => prop::sample::select(vec![Passing::Vec, Passing::Box, Passing::Arc, Passing::Static]),
    ];
    let count = prop_oneof![8 => Just(0_usize), 8 => Just(1), 4 => 2..4_usize, 1 => 4..10_usize];
    let attach = count.prop_flat_map(|count| prop::collection::vec((alleged(), pick()), count));
    (via(), length, passing, attach).prop_map(|(to, length, passing, attach)| Letter {
        to,
        length,
        passing,
        attach,
    })
}

fn mailbox_limits() -> impl Strategy<Value = MailboxLimits> + Clone {
    let messages = prop_oneof![1 => Just(0_u32), 12 => 1..5_u32];
    let bytes = prop::sample::select(vec![0_u32, 60, 120, 250, 5000]);
    let handles = prop_oneof![1 => Just(0_u32), 8 => 1..5_u32];
    (messages, bytes, handles, 0..4_u32).prop_map(|(messages, bytes, handles, waiters)| {
        MailboxLimits { messages, bytes, handles, waiters }
    })
}

fn mixture() -> impl Strategy<Value = Mixture> + Clone {
    prop_oneof![
        pick().prop_map(Mixture::Mailbox),
        pick().prop_map(Mixture::Insert),
        pick().prop_map(Mixture::Links),
        via().prop_map(Mixture::Monitor),
        via().prop_map(Mixture::LinkVia),
        via().prop_map(Mixture::Attach),
    ]
}

/// Operations on capabilities and signals.
fn signals() -> BoxedStrategy<Op> {
    prop_oneof![
        3 => (pick(), permissions()).prop_map(|(mailbox, to)| Op::Export(mailbox, to)),
        1 => (pick(), permissions()).prop_map(|(mailbox, to)| Op::Capability(mailbox, to)),
        1 => (pick(), alleged()).prop_map(|(table, handle)| Op::Copy(table, handle)),
        1 => (pick(), permissions()).prop_map(|(cap, to)| Op::DemoteCapability(cap, to)),
        1 => pick().prop_map(Op::DropCapability),
        5 => (pick(), pick()).prop_map(|(table, cap)| Op::Insert(table, cap)),
        1 => (pick(), alleged(), alleged()).prop_map(|(t, a, b)| Op::SameRoute(t, a, b)),
        3 => (pick(), alleged(), permissions()).prop_map(|(t, a, to)| Op::Demote(t, a, to)),
        1 => (pick(), alleged()).prop_map(|(table, handle)| Op::Retain(table, handle)),
        6 => (pick(), alleged()).prop_map(|(table, handle)| Op::Release(table, handle)),
        16 => letter().prop_map(Op::Send),
        4 => (pick(), letter()).prop_map(|(wait, letter)| Op::PollSend(wait, letter)),
        2 => pick().prop_map(Op::PollSendAgain),
        1 => pick().prop_map(Op::DropWait),
        2 => pick().prop_map(Op::PollReady),
        1 => (pick(), 0..4_usize).prop_map(|(guard, count)| Op::TakeOwned(guard, count)),
        2 => pick().prop_map(Op::DropOwned),
        6 => (via(), pick()).prop_map(|(via, observer)| Op::Monitor(via, observer)),
        1 => (pick(), pick()).prop_map(|(mailbox, number)| Op::Demonitor(mailbox, number)),
        1 => mixture().prop_map(Op::Mix),
        1 => Just(Op::Reclaim),
    ]
    .boxed()
}

/// Operations by which groups come, go and hang together.
fn lives() -> BoxedStrategy<Op> {
    prop_oneof![
        4 => Just(Op::CreateGroup),
        1 => Just(Op::CreateTable),
        4 => pick().prop_map(Op::CreateGroupTable),
        7 => (pick(), pick(), prop::bool::weighted(0.8), mailbox_limits())
            .prop_map(|(group, table, home, limits)| Op::CreateMailbox(group, table, home, limits)),
        1 => pick().prop_map(Op::CloneGroup),
        3 => pick().prop_map(Op::DropGroup),
        1 => pick().prop_map(Op::CloneTable),
        3 => pick().prop_map(Op::DropTable),
        4 => (pick(), any::<bool>()).prop_map(|(mailbox, close)| Op::CloseMailbox(mailbox, close)),
        1 => via().prop_map(Op::Kill),
        1 => pick().prop_map(Op::KillGroup),
        3 => (via(), pick()).prop_map(|(via, group)| Op::Link(via, group)),
        3 => (pick(), pick()).prop_map(|(a, b)| Op::LinkGroups(a, b)),
        1 => (via(), pick()).prop_map(|(via, group)| Op::Unlink(via, group)),
        1 => (pick(), pick()).prop_map(|(a, b)| Op::UnlinkGroups(a, b)),
    ]
    .boxed()
}

fn receive(meanwhile: BoxedStrategy<Op>) -> BoxedStrategy<Op> {
    let asking =
        prop_oneof![3 => Just(Asking::Try), 1 => Just(Asking::Poll), 1 => Just(Asking::Future)];
    let ending = prop_oneof![
        4 => Just(Ending::Drop),
        4 => prop_oneof![Just(8_usize), 0..4_usize].prop_map(Ending::Take),
        1 => Just(Ending::IntoPayload),
        1 => Just(Ending::Forget),
        1 => Just(Ending::Unwind),
        2 => prop_oneof![4 => Just(0_usize), 1 => 1..4_usize].prop_map(Ending::Own),
    ];
    let count = prop_oneof![3 => Just(0_usize), 1 => 1..4_usize];
    let meanwhile =
        count.prop_flat_map(move |count| prop::collection::vec(meanwhile.clone(), count));
    (pick(), asking, meanwhile, ending)
        .prop_map(|(mailbox, asking, ops, ending)| Op::Receive(mailbox, asking, ops, ending))
        .boxed()
}

/// Any operation.
pub fn op() -> BoxedStrategy<Op> {
    let meanwhile = prop_oneof![3 => signals(), 2 => lives()].boxed();
    prop_oneof![
        8 => signals(),
        2 => lives(),
        3 => receive(meanwhile),
    ]
    .boxed()
}

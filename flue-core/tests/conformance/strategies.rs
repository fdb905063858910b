//! Which operations are drawn, and how often.

use flue_spec::{Limits, MailboxLimits};
use proptest::prelude::*;

use crate::op::{Alleged, Asking, Ending, Letter, Mixture, Op, Passing, Pick, SMALL, Setup, Via};

/// Offices in which all limits are reached.
pub fn setup() -> BoxedStrategy<Setup> {
    let limits = prop_oneof![
        6 => Just(SMALL),
        3 => Just(Limits { handles_per_table: 4, monitors_per_group: 1, links_per_group: 1, ..SMALL }),
        3 => Just(Limits { handles_per_table: 8, monitors_per_group: 8, links_per_group: 8, ..SMALL }),
        3 => Just(Limits { handles_per_message: 8, bytes_per_message: 1 << 10, ..SMALL }),
        2 => Just(Limits { groups: 3, tables: 3, routes_per_group: 8, tables_per_group: 3, ..SMALL }),
        1 => Just(Limits { handles_per_message: 0, bytes_per_message: 0, handles_per_table: 0, ..SMALL }),
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
    let fixed = flue_core::INLINE_BYTES;
    let growing =
        if cfg!(feature = "alloc") { flue_core::PostOffice::new().inline_bytes() } else { fixed };
    let length = prop_oneof![
        8 => 0..8_usize,
        4 => prop::sample::select(vec![fixed - 1, fixed, fixed + 1, growing, growing + 1]),
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

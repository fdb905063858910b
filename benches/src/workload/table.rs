//! The operations of a table beside send, on one thread.

use super::warm_turns;
use crate::measure::{FLUE, Row, Window};
use crate::{ours, theirs};
use flue_core::{Capability, Handle, Mailbox, Permissions, PostOffice, RouteGroup, Table};
use std::hint::black_box;

/// The family's rows.
pub fn rows() -> Vec<Row> {
    let flue_peer = flue_peer_operations();
    FLUE_OPERATIONS
        .iter()
        .zip(flue_peer)
        .map(|((name, operation), theirs)| {
            let row = Row::timed(format!("table/{name}")).turns(FLUE, || flue(*operation));
            match theirs {
                Some(operation) => row.turns(theirs::NAME, move || flue_peer_window(operation)),
                None => row,
            }
        })
        .collect()
}

/// What the operations work on.
#[derive(Debug)]
pub struct Bench {
    /// The table worked on.
    pub table: Table,
    /// A capability to another process's mailbox, with all permissions.
    pub handle: Handle,
    /// The same, of the host.
    pub capability: Capability,
    /// The asking group and its mailbox.
    pub group: RouteGroup,
    /// See `group`.
    pub mailbox: Mailbox,
    other: ours::Process,
}

impl Bench {
    /// Everything the operations work on.
    pub fn new() -> Self {
        let office = PostOffice::new();
        let (own, other) = (ours::Process::new(&office), ours::Process::new(&office));
        let capability = other.mailbox.capability(Permissions::all());
        let handle = own.grant(&capability);
        Self { table: own.table, handle, capability, group: own.group, mailbox: own.mailbox, other }
    }

    /// The group of the process that `handle` leads to.
    pub fn other(&self) -> &RouteGroup {
        &self.other.group
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// One operation of a table (with the one that undoes it).
pub type Operation = fn(&mut Bench);

const OK: &str = "permitted and within the limits";

/// Flue's operations by name. Each leaves everything as it was.
pub const FLUE_OPERATIONS: &[(&str, Operation)] = &[
    ("permissions", |bench| {
        black_box(bench.table.permissions(black_box(bench.handle)).expect(OK));
    }),
    ("permissions, forged handle", |bench| {
        let forged =
            Handle::from_raw(black_box(bench.handle.to_raw() ^ 1 << 40)).expect("not zero");
        black_box(bench.table.permissions(forged).is_err());
    }),
    ("retain + release", |bench| {
        bench.table.retain(black_box(bench.handle)).expect(OK);
        bench.table.release(bench.handle).expect(OK);
    }),
    ("insert + release, known", |bench| {
        let handle = bench.table.insert(&bench.capability).expect(OK);
        bench.table.release(handle).expect(OK);
    }),
    ("demote + release", |bench| {
        let handle = bench.table.demote(black_box(bench.handle), Permissions::SEND).expect(OK);
        bench.table.release(handle).expect(OK);
    }),
    ("export + release", |bench| {
        let handle = bench.mailbox.export(Permissions::SEND).expect(OK);
        bench.table.release(handle).expect(OK);
    }),
    ("monitor + demonitor", |bench| {
        let id = bench.table.monitor(black_box(bench.handle), &bench.mailbox).expect(OK);
        assert!(bench.mailbox.demonitor(id));
    }),
    ("link + unlink", |bench| {
        bench.table.link(black_box(bench.handle), &bench.group).expect(OK);
        assert!(bench.table.unlink(bench.handle, &bench.group).expect(OK));
    }),
];

fn flue(operation: Operation) -> Window {
    let mut bench = Bench::new();
    Box::new(move |turns| warm_turns(turns, || operation(&mut bench)))
}

type PeerOperation = fn(&theirs::Pair, &flue_peer::OwnedCapability);

/// The same, as far as flue 0.2.2 has it.
fn flue_peer_operations() -> [Option<PeerOperation>; 8] {
    use flue_peer::Permissions;
    [
        Some(|pair, _| {
            black_box(pair.sender.table.get_permissions(black_box(pair.to)).expect(OK));
        }),
        Some(|pair, _| {
            let forged = flue_peer::CapabilityHandle(black_box(pair.to.0 ^ 1 << 40));
            black_box(pair.sender.table.get_permissions(forged).is_err());
        }),
        Some(|pair, _| {
            pair.sender.table.inc_ref(black_box(pair.to)).expect(OK);
            pair.sender.table.dec_ref(pair.to).expect(OK);
        }),
        Some(|pair, capability| {
            let handle = pair.sender.table.import_owned(capability.clone()).expect(OK);
            pair.sender.table.dec_ref(handle).expect(OK);
        }),
        Some(|pair, _| {
            let handle = pair.sender.table.demote(black_box(pair.to), Permissions::SEND).expect(OK);
            pair.sender.table.dec_ref(handle).expect(OK);
        }),
        Some(|pair, _| {
            black_box(pair.sender.mailbox.export(Permissions::SEND).expect(OK));
        }),
        None,
        Some(|pair, _| {
            pair.sender.table.link(black_box(pair.to), pair.sender.group).expect(OK);
            pair.sender.table.unlink(pair.to, pair.sender.group).expect(OK);
        }),
    ]
}

fn flue_peer_window(operation: PeerOperation) -> Window {
    let mut pair = theirs::Pair::new();
    let capability = pair.receiver.mailbox.export_owned(flue_peer::Permissions::all());
    pair.to = pair.sender.table.import_owned(capability.clone()).expect(OK);
    Box::new(move |turns| warm_turns(turns, || operation(&pair, &capability)))
}

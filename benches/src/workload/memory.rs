//! What idle and queued things cost, what a message allocates, what is left after a burst.

use super::read_16;
use crate::heap;
use crate::measure::{Against, Effort, FLUE, Row, Target, Unit};
use crate::peers::*;
use crate::{ours, peers, theirs};
use flue_core::{Capability, Mailbox, Permissions, PostOffice};
use std::process::Command;

/// How many there are of what is counted.
const COUNT: usize = 100_000;

/// The family's rows.
pub fn rows(effort: &Effort) -> Vec<Row> {
    let processes = effort.crowd;
    let bytes = |name: &str| Row::new(format!("memory/{name}"), Unit::Bytes);
    let calls = |name: &str| Row::new(format!("memory/{name}"), Unit::Allocations);
    let mailbox =
        bytes("idle mailbox").figure(FLUE, flue_mailbox).figure(theirs::NAME, flue_peer_mailbox);
    let deep = bytes("queued message, in one mailbox")
        .figure(FLUE, flue_deep)
        .figure(theirs::NAME, flue_peer_deep);
    let wide = bytes("queued message, one a mailbox")
        .figure(FLUE, flue_wide)
        .figure(theirs::NAME, flue_peer_wide);
    let small = calls("allocations a message, 16 B")
        .figure(FLUE, || flue_calls(16))
        .figure(theirs::NAME, || flue_peer_calls(16));
    let inline = calls("allocations a message, inline size")
        .figure(FLUE, || flue_calls(flue_core::INLINE_BYTES))
        .figure(theirs::NAME, || flue_peer_calls(flue_core::INLINE_BYTES));
    let left = |name: &str, figure: fn(Left) -> f64, shape: &'static str| {
        bytes(name)
            .figure(FLUE, move || child(shape, FLUE, processes).map_or(f64::NAN, figure))
            .figure(theirs::NAME, move || {
                child(shape, theirs::NAME, processes).map_or(f64::NAN, figure)
            })
    };
    vec![
        at_most(
            peers!(mailbox, figure, [Std, Crossbeam, Flume, Kanal, Tokio], idle_by()),
            192.0,
            Some(96.0),
        ),
        at_most(
            bytes("table entry").figure(FLUE, flue_entry).figure(theirs::NAME, flue_peer_entry),
            48.0,
            Some(32.0),
        ),
        at_most(
            bytes("idle process + capability")
                .figure(FLUE, flue_process)
                .figure(theirs::NAME, flue_peer_process),
            512.0,
            Some(256.0),
        ),
        at_most(
            peers!(deep, figure, [Std, Crossbeam, Flume, Kanal, Tokio], deep_by()),
            72.0,
            Some(64.0),
        ),
        at_most(
            peers!(wide, figure, [Std, Crossbeam, Flume, Kanal, Tokio], wide_by()),
            256.0,
            Some(64.0),
        ),
        at_most(
            peers!(small, figure, [Std, Crossbeam, Flume, Kanal, Tokio], calls_by()),
            0.0,
            Some(0.0),
        ),
        at_most(inline, 0.0, Some(0.0)),
        at_most(left("left of a process after a burst", |left| left.heap, BURST), LEFT, None),
        left("resident, left of a process after a burst", |left| left.resident, BURST),
        at_most(
            left("left of a process after one by one", |left| left.heap, ONE_BY_ONE),
            1.0,
            None,
        ),
    ]
}

/// Rule Q2: a cache line for each route and group, a byte for each other object (a table, an entry).
const LEFT: f64 = 64.0 + 64.0 + 2.0;

fn at_most(row: Row, must: f64, moonshot: Option<f64>) -> Row {
    row.hold(Target { against: Against::Figure, must: Some(must), moonshot })
}

/// What each of `COUNT` things that `make` makes keeps allocated.
fn each<T>(make: impl FnMut(usize) -> T) -> f64 {
    each_of(COUNT, make)
}

/// What each of `count` things that `make` makes keeps allocated.
pub fn each_of<T>(count: usize, mut make: impl FnMut(usize) -> T) -> f64 {
    let mut kept = Vec::with_capacity(count);
    let ((), heap) = heap::of(|| (0..count).for_each(|index| kept.push(make(index))));
    heap.bytes as f64 / count as f64
}

fn flue_many() -> (ours::Process, Vec<Mailbox>) {
    let process = ours::Process::new(&PostOffice::new());
    let mailboxes = process.crowd(COUNT);
    (process, mailboxes)
}

fn flue_mailbox() -> f64 {
    let process = ours::Process::new(&PostOffice::new());
    each(|_| process.open())
}

fn flue_entry() -> f64 {
    let (process, mailboxes) = flue_many();
    let table = process.group.create_table().expect("within the limits");
    let capabilities: Vec<Capability> =
        mailboxes.iter().map(|mailbox| mailbox.capability(Permissions::SEND)).collect();
    each(|index| table.insert(&capabilities[index]).expect("within the limits"))
}

fn flue_process() -> f64 {
    let office = PostOffice::new();
    let parent = ours::Process::new(&office);
    let capability = parent.mailbox.capability(Permissions::SEND);
    each(|_| {
        let process = ours::Process::new(&office);
        process.grant(&capability);
        process
    })
}

fn flue_deep() -> f64 {
    let pair = ours::Pair::new();
    each(|_| pair.send(&[7; 16], &[]))
}

fn flue_wide() -> f64 {
    let (process, mailboxes) = flue_many();
    let export = |mailbox: &Mailbox| mailbox.export(Permissions::SEND).expect("within the limits");
    let handles: Vec<_> = mailboxes.iter().map(export).collect();
    each(|index| process.table.send(handles[index], &[7; 16], &[]).expect("room for one"))
}

/// What one message allocates, once everything is warm.
fn calls(mut turn: impl FnMut()) -> f64 {
    const TURNS: usize = 10_000;
    (0..TURNS).for_each(|_| turn());
    let ((), heap) = heap::of(|| (0..TURNS).for_each(|_| turn()));
    heap.allocations as f64 / TURNS as f64
}

fn flue_calls(size: usize) -> f64 {
    let (mut pair, data) = (ours::Pair::new(), vec![7; size]);
    calls(|| {
        pair.send(&data, &[]);
        assert!(ours::receive(&mut pair.receiver.mailbox, |_| ()));
    })
}

fn flue_peer_mailbox() -> f64 {
    theirs::settle();
    let table = flue_peer::Table::new(flue_peer::PostOffice::new());
    let group = flue_peer::MailboxGroup::new(&table);
    each(|_| group.create_mailbox().expect("the group is alive"))
}

fn flue_peer_entry() -> f64 {
    theirs::settle();
    let office = flue_peer::PostOffice::new();
    let (table, other) = (flue_peer::Table::new(office.clone()), flue_peer::Table::new(office));
    let group = flue_peer::MailboxGroup::new(&table);
    let mailboxes: Vec<_> =
        (0..COUNT).map(|_| group.create_mailbox().expect("the group is alive")).collect();
    let export =
        |mailbox: &flue_peer::Mailbox<'_>| mailbox.export_owned(flue_peer::Permissions::SEND);
    let mut capabilities: Vec<_> = mailboxes.iter().map(|mailbox| Some(export(mailbox))).collect();
    each(|index| capabilities[index].take().map(|capability| other.import_owned(capability)))
}

fn flue_peer_process() -> f64 {
    theirs::settle();
    let office = flue_peer::PostOffice::new();
    let parent = theirs::Process::new(&office);
    let capability = parent.mailbox.export_owned(flue_peer::Permissions::SEND);
    flue_peer_processes(&office, &capability, COUNT) / COUNT as f64
}

/// What `count` processes keep allocated. They borrow each other's parts, so the parts lie apart.
fn flue_peer_processes(
    office: &std::sync::Arc<flue_peer::PostOffice>,
    capability: &flue_peer::OwnedCapability,
    count: usize,
) -> f64 {
    let (mut tables, mut groups, mut mailboxes) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let ((), of_tables) = heap::of(|| {
        for _ in 0..count {
            let table = flue_peer::Table::new(office.clone());
            table.import_owned(capability.clone()).expect("one office");
            tables.push(table);
        }
    });
    let ((), of_groups) =
        heap::of(|| groups.extend(tables.iter().map(flue_peer::MailboxGroup::new)));
    let ((), of_mailboxes) = heap::of(|| {
        mailboxes
            .extend(groups.iter().map(|group| group.create_mailbox().expect("the group is alive")))
    });
    (of_tables.bytes + of_groups.bytes + of_mailboxes.bytes) as f64
}

fn flue_peer_deep() -> f64 {
    theirs::settle();
    let pair = theirs::Pair::new();
    each(|_| pair.sender.send(pair.to, &[7; 16], &[]))
}

fn flue_peer_wide() -> f64 {
    theirs::settle();
    let table = flue_peer::Table::new(flue_peer::PostOffice::new());
    let group = flue_peer::MailboxGroup::new(&table);
    let mailboxes: Vec<_> =
        (0..COUNT).map(|_| group.create_mailbox().expect("the group is alive")).collect();
    let export = |mailbox: &flue_peer::Mailbox<'_>| {
        table.import_owned(mailbox.export_owned(flue_peer::Permissions::SEND)).expect("one office")
    };
    let handles: Vec<_> = mailboxes.iter().map(export).collect();
    each(|index| theirs::now(table.send(handles[index], &[7; 16], &[])).expect("open"))
}

fn flue_peer_calls(size: usize) -> f64 {
    let (pair, data) = (theirs::Pair::new(), vec![7; size]);
    calls(|| {
        pair.sender.send(pair.to, &data, &[]);
        assert!(pair.receiver.receive(|_| ()));
    })
}

fn idle_by<C: Channel>() -> f64 {
    each(|_| C::open::<[u8; 16]>())
}

fn deep_by<C: Channel>() -> f64 {
    let (mut sender, _receiver) = C::open::<[u8; 16]>();
    each(|_| C::send(&mut sender, [7; 16]))
}

fn wide_by<C: Channel>() -> f64 {
    let mut all: Vec<_> = (0..COUNT).map(|_| C::open::<[u8; 16]>()).collect();
    each(|index| C::send(&mut all[index].0, [7; 16]))
}

fn calls_by<C: Channel>() -> f64 {
    let (mut sender, mut receiver) = C::open::<[u8; 16]>();
    calls(|| {
        C::send(&mut sender, [7; 16]);
        read_16(&C::try_recv(&mut receiver).expect("it was just sent"));
    })
}

/// All processes alive at once, then all dropped.
const BURST: &str = "burst";
/// Each process dropped before the next one.
const ONE_BY_ONE: &str = "one-by-one";

/// What is left of a process, in bytes.
#[derive(Clone, Copy, Debug)]
struct Left {
    heap: f64,
    resident: f64,
}

/// Runs this program again for one burst, so that nothing else's memory is counted.
fn child(shape: &str, who: &str, processes: usize) -> Option<Left> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new(program)
        .args(["--burst", shape, who, &processes.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (heap, resident) = text.trim().split_once(' ')?;
    Some(Left { heap: heap.parse().ok()?, resident: resident.parse().ok()? })
}

/// The burst itself, in the program that was run for it: prints what is left.
pub fn burst(shape: &str, who: &str, processes: usize) {
    let before = heap::resident().unwrap_or(0);
    let left = match who {
        FLUE => flue_burst(shape, processes),
        _ => flue_peer_burst(shape, processes),
    };
    let resident = heap::resident().unwrap_or(0) as f64 - before as f64;
    println!("{} {}", left / processes as f64, resident / processes as f64);
}

fn flue_burst(shape: &str, processes: usize) -> f64 {
    let office = PostOffice::new();
    let parent = ours::Process::new(&office);
    let capability = parent.mailbox.capability(Permissions::SEND);
    let create = || {
        let process = ours::Process::new(&office);
        process.grant(&capability);
        process
    };
    let ((), heap) = heap::of(|| {
        match shape {
            BURST => drop((0..processes).map(|_| create()).collect::<Vec<_>>()),
            _ => (0..processes).for_each(|_| {
                create();
            }),
        }
        // Garbage of the last epochs needs a few more of them.
        (0..16).for_each(|_| office.reclaim());
    });
    heap.bytes as f64
}

fn flue_peer_burst(shape: &str, processes: usize) -> f64 {
    let office = flue_peer::PostOffice::new();
    let parent = theirs::Process::new(&office);
    let capability = parent.mailbox.export_owned(flue_peer::Permissions::SEND);
    let ((), heap) = heap::of(|| {
        match shape {
            BURST => {
                flue_peer_processes(&office, &capability, processes);
            }
            _ => (0..processes).for_each(|index| {
                flue_peer_processes(&office, &capability, 1);
                if index % 64 == 0 {
                    theirs::settle();
                }
            }),
        }
        theirs::settle();
    });
    heap.bytes as f64
}

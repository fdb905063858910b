//! How the instructions of each operation grow with what else there is: not at
//! all, or in line with what it takes apart.
//!
//! Counted, not timed, by running an operation one instruction at a time, which takes
//! minutes: `ci/complexity.sh` does, with a million objects. The rules are Q2, for
//! what grows must be given back, and K3, for a kill visits what it ends.
#![cfg(all(feature = "std", target_arch = "x86_64", target_os = "linux"))]

#[path = "../common/mod.rs"]
mod common;
mod linear;
#[path = "../single_step/mod.rs"]
mod single_step;

use common::*;
use flue_core::{
    Capability, Handle, Limits, Mailbox, MailboxLimits, Permissions, PostOffice, RouteGroup,
    SendWait, Signal, Table,
};
use single_step::count;
use std::hint::black_box;
use std::task::{Context, Waker};

/// Objects of each kind, few and many.
const FEW: usize = 1_000;

fn many() -> usize {
    let objects = std::env::var("FLUE_OBJECTS").ok();
    objects.map_or(20_000, |objects| objects.parse().expect("a number"))
}

/// How often each operation is counted: the figure is the mean, growth included.
const ROUNDS: u64 = 8;

/// Senders that wait for room, in both.
const WAITING: usize = 20;

fn boundless(objects: usize) -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    limits.messages = objects as u32 + 1000;
    limits.bytes = u32::MAX;
    limits.handles = 0;
    limits.waiters = objects as u32 + 1000;
    limits
}

/// So many of everything in one office.
struct World {
    office: PostOffice,
    group: RouteGroup,
    /// A table with a handle to each route.
    table: Table,
    handles: Vec<Handle>,
    routes: Vec<(Mailbox, Capability)>,
    /// A mailbox that watches each route.
    observer: Mailbox,
    /// A group that is linked with each of these.
    hub: RouteGroup,
    groups: Vec<RouteGroup>,
    /// A mailbox in which so many messages wait.
    busy: Mailbox,
    to_busy: Handle,
    /// A mailbox for room in which a few senders wait: waking looks at all who do.
    full: Mailbox,
    to_full: Handle,
    waits: Vec<SendWait>,
    /// Tables by themselves.
    tables: Vec<Table>,
}

/// A sender that waits for room.
fn wait(table: &Table, to: Handle) -> SendWait {
    let (mut wait, cx) = (SendWait::new(), &mut Context::from_waker(Waker::noop()));
    assert!(table.poll_send(cx, &mut wait, to, b"", &[]).is_pending());
    wait
}

impl World {
    fn new(objects: usize) -> Self {
        let mut limits = Limits::default();
        limits.handles_per_table = u32::MAX;
        limits.routes_per_group = u32::MAX;
        limits.monitors_per_group = u32::MAX;
        limits.links_per_group = u32::MAX;
        limits.messages = u32::MAX;
        limits.groups = u32::MAX;
        limits.tables = u32::MAX;
        let office = PostOffice::with_limits(limits);
        let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
        let host = office.create_table().unwrap();
        let observer = group.create_mailbox_with(&host, boundless(objects)).unwrap();
        let routes: Vec<_> = (0..objects)
            .map(|_| {
                let mailbox = group.create_mailbox_with(&host, boundless(0)).unwrap();
                let capability = mailbox.capability(Permissions::all());
                capability.monitor(&observer).unwrap();
                (mailbox, capability)
            })
            .collect();
        let handles = routes.iter().map(|(_, route)| table.insert(route).unwrap()).collect();
        let hub = office.create_group().unwrap();
        let groups: Vec<_> = (0..objects).map(|_| office.create_group().unwrap()).collect();
        groups.iter().for_each(|group| hub.link(group).unwrap());
        let busy = group.create_mailbox_with(&host, boundless(objects)).unwrap();
        let to_busy = table.insert(&busy.capability(Permissions::all())).unwrap();
        (0..objects).for_each(|_| table.send(to_busy, b"16 bytes of text", &[]).unwrap());
        let mut one = boundless(objects);
        one.messages = 1;
        let full = group.create_mailbox_with(&host, one).unwrap();
        let to_full = table.insert(&full.capability(Permissions::all())).unwrap();
        table.send(to_full, b"", &[]).unwrap();
        let tables = (0..objects).map(|_| office.create_table().unwrap()).collect();
        let waits = (0..WAITING).map(|_| wait(&table, to_full)).collect();
        Self {
            office,
            group,
            table,
            handles,
            routes,
            observer,
            hub,
            groups,
            busy,
            to_busy,
            full,
            to_full,
            waits,
            tables,
        }
    }

    /// Gives every other object back, here and there: what is left is full of holes.
    fn thin_out(&mut self) {
        let mut odd = false;
        let mut every_other = move || {
            odd = !odd;
            odd
        };
        self.routes.retain(|_| every_other());
        self.groups.retain(|_| every_other());
        self.tables.retain(|_| every_other());
        let (kept, gone): (Vec<_>, Vec<_>) =
            self.handles.iter().partition(|handle| handle.to_raw() & 1 == 0);
        gone.into_iter().for_each(|handle| self.table.release(handle).unwrap());
        self.handles = kept;
        while let Ok(Signal::Down(_)) = self.observer.try_recv() {}
        for _ in 0..self.busy.len() / 2 {
            drop(self.busy.try_recv());
        }
    }
}

/// The mean instructions of operations, by name.
struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    /// Counts `operation`, of what `make` made before, which is not counted.
    fn each<M, R>(
        &mut self,
        name: &'static str,
        mut make: impl FnMut(u64) -> M,
        mut operation: impl FnMut(M) -> R,
    ) {
        let mut sum = 0;

        for round in 0..ROUNDS {
            let mut made = Some(make(round));
            let mut result = None;
            sum += count(&mut || result = made.take().map(&mut operation)).instructions;
            drop(black_box(result));
        }
        self.0.push((name, sum / ROUNDS));
    }
}

/// Counts everything that must not grow.
fn measure(world: &mut World) -> Vec<(&'static str, u64)> {
    let mut counts = Counts(Vec::new());
    let at = |round: u64, all: usize| all / ROUNDS as usize * round as usize;
    let World { office, group, table, handles, routes, observer, hub, groups, .. } = world;
    let host = office.create_table().unwrap();
    let fresh = group.create_mailbox_with(&host, boundless(10)).unwrap();
    let others: Vec<_> =
        (0..ROUNDS).map(|_| group.create_mailbox_with(&host, boundless(0)).unwrap()).collect();
    let capability = |round: u64| others[round as usize].capability(Permissions::all());

    let handle = |round| handles[at(round, handles.len())];
    counts.each("contains", handle, |handle| table.contains(handle));
    counts.each("retain", handle, |handle| table.retain(handle));
    counts.each("release", handle, |handle| table.release(handle));
    counts.each("demote", handle, |handle| table.demote(handle, Permissions::SEND).unwrap());
    let demoted = |round| table.demote(handle(round), Permissions::SEND).unwrap();
    let both = |round| (demoted(round), table.release(demoted(round))).0;
    counts.each("release of the last", both, |handle| table.release(handle).unwrap());
    counts.each("insert", capability, |capability| table.insert(&capability).unwrap());
    let way = |round| &routes[at(round, routes.len())].1;
    counts.each("insert of what is there", way, |way| table.insert(way).unwrap());
    counts.each("capability", handle, |handle| table.capability(handle).unwrap());

    let mut ids = Vec::new();
    let watch: Vec<_> = others.iter().map(|other| other.capability(Permissions::MONITOR)).collect();
    let next = |round| &watch[round as usize];
    counts.each("monitor", next, |watch| ids.push(watch.monitor(observer).unwrap()));
    counts.each("monitor of what is watched", way, |way| way.monitor(observer).unwrap());
    let id = |round: u64| ids[round as usize];
    counts.each("demonitor", id, |id| assert!(observer.demonitor(id)));
    let strangers: Vec<_> = (0..ROUNDS).map(|_| office.create_group().unwrap()).collect();
    let stranger = |round: u64| &strangers[round as usize];
    counts.each("link", stranger, |stranger| hub.link(stranger).unwrap());
    let member = |round| &groups[at(round, groups.len())];
    counts.each("link of what is linked", member, |member| hub.link(member).unwrap());
    counts.each("unlink", stranger, |stranger| assert_eq!(hub.unlink(stranger), Ok(true)));

    counts.each("create a group", |_| (), |()| office.create_group().unwrap());
    counts.each("drop a group", |_| office.create_group().unwrap(), drop);
    counts.each("create a table", |_| (), |()| office.create_table().unwrap());
    counts.each("drop a table", |_| office.create_table().unwrap(), drop);
    let mailbox = || group.create_mailbox_with(&host, boundless(0)).unwrap();
    counts.each("create a mailbox", |_| (), |()| mailbox());
    counts.each("drop a mailbox", |_| mailbox(), drop);
    let watched = |_| {
        let mailbox = mailbox();
        mailbox.capability(Permissions::MONITOR).monitor(observer).unwrap();
        mailbox
    };
    counts.each("close a watched mailbox", watched, Mailbox::close);
    counts.each("receive a down", |_| (), |()| while observer.try_recv().is_err() {});
    let process = |_| {
        let process = process_with(office, limits(4, 100, 2));
        process.mailbox.capability(Permissions::MONITOR).monitor(&fresh).unwrap();
        process.group.link(&strangers[0]).unwrap();
        process.group.unlink(&strangers[0]).unwrap();
        process
    };
    counts.each("kill a group", process, |process| process.group.kill());

    let (busy, to_busy) = (&mut world.busy, world.to_busy);
    counts.each("send", |_| (), |()| table.send(to_busy, b"16 bytes of text", &[]).unwrap());
    drop(busy.try_recv().unwrap()); // It turns round what came since: below, with what is linear.
    counts.each("receive", |_| (), |()| drop(busy.try_recv().unwrap()));
    let small = group.create_mailbox_with(&host, limits(100, 100, 100)).unwrap();
    let to_small = small.capability(Permissions::SEND);
    counts.each("send with a capability", way, |way| to_small.send(b"", &[way]).unwrap());

    counts.each("wait for room", |_| (), |()| world.waits.push(wait(table, world.to_full)));
    let last = |_| world.waits.pop();
    counts.each("give up waiting", last, drop);
    let (full, to_full) = (&mut world.full, world.to_full);
    counts.each(
        "receive and wake",
        |_| _ = table.send(to_full, b"", &[]),
        |()| drop(full.try_recv().unwrap()),
    );
    let _ = table.send(to_full, b"", &[]);
    counts.0
}

/// Prints both columns, and says which rows differ by more than 2.
fn compare(name: &str, few: &[(&'static str, u64)], many: &[(&'static str, u64)]) -> Vec<String> {
    let mut grown = Vec::new();
    for (few, many) in few.iter().zip(many) {
        assert_eq!(few.0, many.0);
        let ratio = many.1 as f64 / few.1 as f64;
        println!("{name:13}  {:28} {:8} {:8}  x {ratio:.2}", few.0, few.1, many.1);
        // A few instructions may be twice a few less.
        if ratio > 2.0 && many.1 > few.1 + 50 {
            grown.push(format!("{name}: {}: {} to {}", few.0, few.1, many.1));
        }
    }
    grown
}

/// Table, monitor, link, send, create and drop take the same among a thousand
/// objects of each kind as among very many.
#[test]
#[ignore = "takes minutes: ci/complexity.sh"]
fn nothing_grows_with_what_else_there_is() {
    let mut few = World::new(FEW);
    let mut crowd = World::new(many());
    println!("instructions among {FEW} of everything, and among {}", many());
    let mut grown = compare("full", &measure(&mut few), &measure(&mut crowd));
    few.thin_out();
    crowd.thin_out();
    grown.extend(compare("full of holes", &measure(&mut few), &measure(&mut crowd)));
    assert!(grown.is_empty(), "{grown:#?}");
}

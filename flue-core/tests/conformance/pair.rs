//! A real post office and the specification, in step: each operation is done to both, and all
//! that can be seen of both is compared.

use core::fmt::Debug;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use flue_core::{
    Capability, Handle, Mailbox, MonitorId, OwnedSignal, Permissions, PostOffice, RouteGroup,
    SendWait, Table,
};
use flue_spec::{self as spec, Limits, Spec, Wake};

use crate::op::{Alleged, Op, Passing, Pick, Via};
use crate::translate::{Translate, mailbox_limits};

/// No model handle has this number.
const FORGED: spec::Handle = usize::MAX;

/// A waker that remembers that it was called.
#[derive(Default)]
pub struct Flag(AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Flag {
    fn was_called(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// What the integers of one table mean, for ever (rule P3).
#[derive(Default)]
pub struct Names {
    of_spec: BTreeMap<spec::Handle, Handle>,
    of_real: BTreeMap<Handle, spec::Handle>,
}

/// The real mailbox that a guard has borrowed.
pub type Lent<'m> = Option<(spec::Mailbox, &'m Mailbox)>;

/// A mailbox, what the specification knows of it, and its receiver's waker.
pub struct Place {
    pub group: spec::Group,
    pub table: spec::Table,
    pub waker: Arc<Flag>,
    pub monitors: BTreeMap<u64, MonitorId>,
    /// `None` while it is lent, or gone.
    pub real: Option<Mailbox>,
}

/// What a send names, found out once.
#[derive(Clone)]
pub struct Addressed {
    pub to: Route,
    pub attach: Vec<Route>,
    pub data: &'static [u8],
    pub passing: Passing,
}

/// A capability as it is named in an operation.
#[derive(Clone)]
pub enum Route {
    Table(spec::Table, Handle, spec::Handle),
    Host(Capability, spec::Capability),
}

pub struct Waiter {
    pub id: spec::Wait,
    pub real: SendWait,
    pub waker: Arc<Flag>,
    pub waits_for: Option<Addressed>,
}

/// Objects of an office that the one under test must have nothing to do with (rule O1).
pub struct Foreign {
    pub group: RouteGroup,
    pub table: Table,
    pub mailbox: Mailbox,
    pub capability: Capability,
}

pub struct Pair {
    pub spec: Spec,
    pub office: PostOffice,
    pub foreign: Foreign,
    pub groups: BTreeMap<spec::Group, Vec<RouteGroup>>,
    pub tables: BTreeMap<spec::Table, Vec<Table>>,
    /// The group that a table was created for.
    pub homes: BTreeMap<spec::Table, Option<spec::Group>>,
    pub names: BTreeMap<spec::Table, Names>,
    pub places: BTreeMap<spec::Mailbox, Place>,
    pub capabilities: Vec<(spec::Capability, Capability)>,
    pub guards: Vec<(spec::Guard, OwnedSignal)>,
    pub waiters: Vec<Waiter>,
    pub sent: usize,
    /// All payloads that were shared with their sender.
    pub payloads: Vec<Weak<[u8]>>,
    pub log: Vec<String>,
}

impl Pair {
    /// `handles`: the entries of each table that there is storage for, if it is fixed.
    pub fn new(
        office: PostOffice,
        foreign: PostOffice,
        limits: Limits,
        handles: Option<usize>,
    ) -> Self {
        let group = foreign.create_group().unwrap();
        let table = foreign.create_table().unwrap();
        let mailbox = group.create_mailbox_with(
            &table,
            mailbox_limits(spec::MailboxLimits { messages: 1, bytes: 0, handles: 1, waiters: 1 }),
        );
        let mailbox = mailbox.unwrap();
        let capability = mailbox.capability(Permissions::all());
        let mut spec = Spec::new(limits, office.inline_bytes());
        if let Some(handles) = handles {
            spec = spec.with_storage(handles);
        }
        let waiter = |_| Waiter {
            id: spec.create_wait(),
            real: SendWait::default(),
            waker: Arc::default(),
            waits_for: None,
        };
        let waiters = (0..5).map(waiter).collect();
        Self {
            spec,
            office,
            foreign: Foreign { group, table, mailbox, capability },
            groups: BTreeMap::new(),
            tables: BTreeMap::new(),
            homes: BTreeMap::new(),
            names: BTreeMap::new(),
            places: BTreeMap::new(),
            capabilities: Vec::new(),
            guards: Vec::new(),
            waiters,
            sent: 0,
            payloads: Vec::new(),
            log: Vec::new(),
        }
    }

    /// One operation on both, and then a look at everything.
    pub fn step(&mut self, op: &Op) {
        self.run(op, None);
        self.check(None);
    }

    /// Drops everything. Nothing may be left in the office then (rules O4 and Q2). Now and then
    /// the office itself is dropped first, and goes with the last of the others.
    pub fn finish(mut self) {
        let office = (!self.sent.is_multiple_of(4)).then(|| self.office.clone());
        let payloads = core::mem::take(&mut self.payloads);
        drop(self);
        let left = office.map_or_else(spec::Stats::default, |office| office.stats().translate());
        assert_eq!(left, spec::Stats::default(), "left behind");
        assert!(payloads.iter().all(|payload| payload.strong_count() == 0), "a payload was kept");
    }
}

/// What there is, and how it is named.
impl Pair {
    /// The groups that the test has a value of, or a mailbox.
    pub fn known_groups(&self, lent: Lent<'_>) -> Vec<spec::Group> {
        let own = self.groups.keys().copied();
        let places = self.known_mailboxes(lent).into_iter();
        let known: BTreeSet<_> = own.chain(places.map(|m| self.places[&m].group)).collect();
        known.into_iter().collect()
    }

    /// The tables that the test has a value of, or a mailbox on.
    pub fn known_tables(&self, lent: Lent<'_>) -> Vec<spec::Table> {
        let own = self.tables.keys().copied();
        let places = self.known_mailboxes(lent).into_iter();
        let known: BTreeSet<_> = own.chain(places.map(|m| self.places[&m].table)).collect();
        known.into_iter().collect()
    }

    /// The mailboxes at hand: with a guard, only the lent one's shared half is.
    pub fn known_mailboxes(&self, lent: Lent<'_>) -> Vec<spec::Mailbox> {
        let lent = lent.map(|(mailbox, _)| mailbox);
        let here = |(mailbox, place): (&spec::Mailbox, &Place)| {
            (place.real.is_some() || lent == Some(*mailbox)).then_some(*mailbox)
        };
        self.places.iter().filter_map(here).collect()
    }

    /// Most picks mean something that lives: what is dead only says so.
    pub fn some_group(&self, pick: Pick, lent: Lent<'_>) -> Option<spec::Group> {
        pick.of_good(&self.known_groups(lent), |group| !self.spec.is_dead(group))
    }

    pub fn some_table(&self, pick: Pick, lent: Lent<'_>) -> Option<spec::Table> {
        pick.of_good(&self.known_tables(lent), |table| !self.spec.is_sealed(table))
    }

    pub fn some_mailbox(&self, pick: Pick, lent: Lent<'_>) -> Option<spec::Mailbox> {
        pick.of_good(&self.known_mailboxes(lent), |mailbox| !self.spec.is_closed(mailbox))
    }

    pub fn mailbox<'a>(&'a self, mailbox: spec::Mailbox, lent: Lent<'a>) -> &'a Mailbox {
        let lent = lent.filter(|lent| lent.0 == mailbox).map(|lent| lent.1);
        lent.or(self.places[&mailbox].real.as_ref()).expect("known")
    }

    pub fn group<'a>(&'a self, group: spec::Group, lent: Lent<'a>) -> &'a RouteGroup {
        let own = self.groups.get(&group).and_then(|values| values.first());
        own.unwrap_or_else(|| {
            let mut mailboxes = self.known_mailboxes(lent).into_iter();
            let mailbox = mailboxes.find(|mailbox| self.places[mailbox].group == group);
            self.mailbox(mailbox.expect("known"), lent).group()
        })
    }

    pub fn table<'a>(&'a self, table: spec::Table, lent: Lent<'a>) -> &'a Table {
        let own = self.tables.get(&table).and_then(|values| values.first());
        own.unwrap_or_else(|| {
            let mut mailboxes = self.known_mailboxes(lent).into_iter();
            let mailbox = mailboxes.find(|mailbox| self.places[mailbox].table == table);
            self.mailbox(mailbox.expect("known"), lent).table()
        })
    }

    pub fn host_capability(&self, pick: Pick) -> Option<(spec::Capability, Capability)> {
        let all: Vec<usize> = (0..self.capabilities.len()).collect();
        pick.of(&all).map(|index| self.capabilities[index].clone())
    }

    /// The integer that process code presents, and what it means to the specification.
    pub fn allege(&self, table: spec::Table, alleged: Alleged) -> (Handle, spec::Handle) {
        let names = &self.names[&table];
        let live = || self.spec.handles(table).iter().map(|handle| names.of_spec[handle]).collect();
        let seen = |names: &Names| names.of_spec.values().copied().collect::<Vec<Handle>>();
        let (pick, from, distance) = match alleged {
            Alleged::Live(pick) => (pick, live(), 0),
            Alleged::Stale(pick) => (pick, seen(names), 0),
            Alleged::Alien(pick) => (pick, self.names.values().flat_map(seen).collect(), 0),
            Alleged::Near(pick, distance) => (pick, seen(names), distance),
            Alleged::Forged(raw) => (Pick(0), vec![], raw),
        };
        let raw = pick.of(&from).map_or(1, Handle::to_raw).wrapping_add(distance);
        let handle = Handle::from_raw(raw.max(1)).expect("not zero");
        (handle, names.of_real.get(&handle).copied().unwrap_or(FORGED))
    }

    /// A handle that both returned is the same on both sides: as it was before, if it was.
    pub fn bind(&mut self, table: spec::Table, handle: spec::Handle, real: Handle) {
        let names = self.names.get_mut(&table).expect("known");
        let (spec_was, real_was) = (names.of_real.get(&real), names.of_spec.get(&handle));
        if (spec_was, real_was) != (Some(&handle), Some(&real)) {
            assert_eq!(spec_was, None, "rule P3: a handle names one capability for ever");
            assert_eq!(real_was, None, "rule P4: equal capabilities have equal handles");
            names.of_real.insert(real, handle);
            names.of_spec.insert(handle, real);
        }
    }

    /// The route of an operation, if the test has such a table or capability.
    pub fn route(&self, via: Via, lent: Lent<'_>) -> Option<Route> {
        match via {
            Via::Table(table, alleged) => {
                let with_handles = |table| !self.spec.handles(table).is_empty();
                let table = table.of_good(&self.known_tables(lent), with_handles)?;
                let (handle, model) = self.allege(table, alleged);
                Some(Route::Table(table, handle, model))
            }
            Via::Host(pick) => {
                self.host_capability(pick).map(|(model, real)| Route::Host(real, model))
            }
        }
    }

    /// What a route is to the specification.
    pub fn permit(&self, route: &Route) -> Result<spec::Capability, spec::TableError> {
        match *route {
            Route::Table(table, _, handle) => self.spec.look_up(table, handle),
            Route::Host(_, capability) => Ok(capability),
        }
    }

    pub fn new_table(&mut self, home: Option<spec::Group>, table: spec::Table, real: Table) {
        self.tables.insert(table, vec![real]);
        self.homes.insert(table, home);
        self.names.insert(table, Names::default());
    }

    /// Equal capabilities of the host's are equal (rule P2: route and permissions, no more).
    pub fn new_capability(&mut self, capability: spec::Capability, real: Capability) {
        assert_eq!(real.permissions().bits(), capability.permissions);
        for (other, real_other) in &self.capabilities {
            assert_eq!(real == *real_other, capability == *other);
            assert_eq!(real.same_route(real_other), capability.route == other.route);
        }
        self.capabilities.push((capability, real));
    }
}

/// Comparison.
impl Pair {
    /// Both answered the same.
    pub fn agree<T: Debug + PartialEq>(&mut self, what: String, real: T, spec: T) {
        self.log.push(format!("{what} -> {spec:?}"));
        assert_eq!(real, spec, "flue-core (left) and the specification (right): {what}");
    }

    /// Both created something, or refused for the same reason.
    pub fn both<R, S, E>(
        &mut self,
        what: String,
        real: Result<R, E>,
        spec: Result<S, E::Spec>,
    ) -> Option<(R, S)>
    where
        E: Translate,
        E::Spec: Debug + PartialEq,
        S: Debug,
    {
        let (real, refused) =
            real.translate().map_or_else(|e| (None, Some(e)), |r| (Some(r), None));
        self.log.push(format!("{what} -> {spec:?}"));
        let (spec, refused_by_spec) = spec.map_or_else(|e| (None, Some(e)), |s| (Some(s), None));
        assert_eq!(refused, refused_by_spec, "flue-core (left), specification (right): {what}");
        real.zip(spec)
    }

    /// Both returned a handle of `table`, or refused for the same reason.
    pub fn handle(
        &mut self,
        what: String,
        table: spec::Table,
        real: Result<Handle, spec::TableError>,
        spec: Result<spec::Handle, spec::TableError>,
    ) {
        self.agree(what, real.map(|_| ()), spec.map(|_| ()));
        if let (Ok(real), Ok(spec)) = (real, spec) {
            self.bind(table, spec, real);
        }
    }

    /// Every waker that had to be called was called. Others may have been (rule R4), but not
    /// before those of senders who came earlier (rule S6), and not by `nothing` having happened:
    /// those who wait would keep each other busy.
    pub fn check_wakes(&mut self, nothing: bool) {
        let wakes = self.spec.take_wakes();
        let nothing = nothing && wakes.is_empty(); // Who leaves a line passes its wake on.
        for wake in wakes {
            let waker = match wake {
                Wake::Receiver(mailbox) => &self.places[&mailbox].waker,
                Wake::Sender(wait) => {
                    &self.waiters.iter().find(|waiter| waiter.id == wait).expect("known").waker
                }
            };
            assert!(waker.was_called(), "{wake:?} was lost");
        }
        let called = self.waiters.iter().filter(|waiter| waiter.waker.was_called());
        let mut called: Vec<spec::Wait> = called.map(|waiter| waiter.id).collect();
        assert!(!nothing || called.is_empty(), "woke {called:?} for nothing");
        while let Some(next) = called.iter().position(|&wait| self.spec.woken_early(wait)) {
            called.remove(next);
        }
        assert_eq!(called, [], "senders woken before others that came first");
        self.waiters.iter().for_each(|waiter| waiter.waker.reset());
        self.places.values().for_each(|place| place.waker.reset());
    }

    /// All that can be seen is the same.
    pub fn check(&self, lent: Lent<'_>) {
        for group in self.known_groups(lent) {
            let real = self.group(group, lent).is_dead();
            assert_eq!(real, self.spec.is_dead(group), "group {group}: is_dead");
        }
        for table in self.known_tables(lent) {
            self.check_table(table, self.table(table, lent));
        }
        for mailbox in self.known_mailboxes(lent) {
            let real = self.mailbox(mailbox, lent);
            assert_eq!(real.len(), self.spec.len(mailbox), "mailbox {mailbox}: len");
            assert_eq!(real.is_ready(), self.spec.is_ready(mailbox), "mailbox {mailbox}: is_ready");
        }
        for (capability, real) in &self.capabilities {
            let is_closed = self.spec.is_closed(capability.route);
            assert_eq!(real.is_closed(), is_closed, "{capability:?}: is_closed");
        }
        let (mut real, spec) = (self.office.stats().translate(), self.spec.stats());
        // A removed down keeps its record until its turn comes in the queue.
        real.monitors = real.monitors.min(spec.monitors);
        assert_eq!(real, spec, "stats");
    }

    /// A table has the handles that it should have, and they name what they should.
    fn check_table(&self, table: spec::Table, real: &Table) {
        let names = &self.names[&table];
        let handles = self.spec.handles(table);
        let live: BTreeSet<Handle> = handles.iter().map(|handle| names.of_spec[handle]).collect();
        let seen: BTreeSet<Handle> = real.handles().collect();
        assert_eq!(seen, live, "table {table}: handles");
        assert_eq!(real.len(), handles.len(), "table {table}: len");
        assert_eq!(real.capacity(), self.spec.table_capacity(table), "table {table}: capacity");
        for (&handle, &model) in &names.of_real {
            let permissions = self.spec.look_up(table, model).map(|found| found.permissions);
            let real_permissions = real.permissions(handle).map(|found| found.bits()).translate();
            assert_eq!(real_permissions, permissions, "table {table}: permissions of {model}");
            assert_eq!(
                real.contains(handle),
                permissions.is_ok(),
                "table {table}: contains {model}"
            );
        }
        for pair in handles.windows(2) {
            let real = real.same_route(names.of_spec[&pair[0]], names.of_spec[&pair[1]]);
            let spec = self.spec.same_route(table, pair[0], pair[1]);
            assert_eq!(real.translate(), spec, "table {table}: same_route{pair:?}");
        }
    }
}

/// A handle for the log.
pub fn name(model: spec::Handle, real: Handle) -> String {
    if model == FORGED { format!("forged {:#x}", real.to_raw()) } else { format!("#{model}") }
}

impl Route {
    pub fn describe(&self) -> String {
        match self {
            Route::Table(table, real, model) => format!("{} of table {table}", name(*model, *real)),
            Route::Host(_, capability) => format!("{capability:?}"),
        }
    }
}

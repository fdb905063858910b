//! A search for authority that nobody gave: random programs of many processes, hostile ones
//! among them, over the whole API. After each step every process must reach exactly the routes,
//! with exactly the permissions, that the specification's authority graph grants it; and each
//! capability that is new to a process must follow from that step by one of the two axioms.
//!
//! - `FLUE_CASES`: how many programs (24), `FLUE_OPS`: how long each is (300).
//! - `FLUE_SEED`: what they are drawn from (1), printed.
#![cfg(feature = "std")]

mod common;
#[path = "conformance/op.rs"]
#[allow(dead_code, reason = "this test uses a part of it")]
mod op;
#[path = "conformance/pair.rs"]
#[allow(dead_code, reason = "this test uses a part of it")]
mod pair;
#[path = "conformance/run.rs"]
mod run;
#[path = "conformance/signals.rs"]
mod signals;
#[path = "conformance/translate.rs"]
mod translate;

use std::collections::{BTreeMap, BTreeSet};

use common::Dice;
use flue_core::{Capability, Handle, Permissions, PostOffice, SendError, TableError};
use flue_spec::{self as spec, Limits, MailboxLimits};

use op::{Alleged, Asking, Ending, Letter, Op, Passing, Pick, Via};
use pair::Pair;

/// What tables hold: routes, with permissions.
type Authority = BTreeMap<spec::Table, BTreeSet<spec::Capability>>;

/// More than a program of this size needs, but of handles and messages.
const LIMITS: Limits = Limits {
    groups: 64,
    tables: 64,
    messages: 1 << 20,
    routes_per_group: 3,
    tables_per_group: 2,
    monitors_per_group: 6,
    links_per_group: 2,
    handles_per_table: 12,
    handles_per_message: 8,
    bytes_per_message: 256,
};

const MAILBOX: MailboxLimits = MailboxLimits { messages: 6, bytes: 512, handles: 8, waiters: 2 };

/// Processes at the beginning.
const PROCESSES: usize = 12;

struct Search {
    dice: Dice,
    pair: Pair,
    /// The host's own capabilities, by which routes are told apart.
    routes: BTreeMap<spec::Mailbox, Capability>,
}

fn from_env(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

/// Rules P2, P3, K5 and O5: no program comes by authority that was not passed to it.
#[test]
fn nobody_gets_what_nobody_gave() {
    let (cases, ops) = (from_env("FLUE_CASES", 24), from_env("FLUE_OPS", 300));
    let seed = from_env("FLUE_SEED", 1);
    let (mut passed, mut forged) = (0, 0);
    for case in seed..seed + cases {
        println!("{ops} steps of {PROCESSES} processes, FLUE_SEED={case}");
        let mut search = Search::new(case);
        for _ in 0..ops {
            passed += search.step();
            forged += search.forge();
        }
        search.pair.finish();
    }
    println!("{passed} capabilities were passed on, {forged} forged handles tried");
    assert!(passed > cases * ops / 50, "too few capabilities were passed on to tell: {passed}");
}

impl Search {
    /// Processes that each know two others, with some permissions.
    fn new(seed: u64) -> Self {
        let office = PostOffice::with_limits(translate::limits(LIMITS));
        let pair = Pair::new(office, PostOffice::new(), LIMITS, None);
        let mut search = Self { dice: Dice::new(seed), pair, routes: BTreeMap::new() };
        (0..PROCESSES).for_each(|_| search.add_process());
        search
    }

    /// One process more, which the host grants a few capabilities.
    fn add_process(&mut self) {
        self.pair.step(&Op::CreateGroup);
        let groups = self.pair.known_groups(None).len(); // The new one is the last.
        self.pair.step(&Op::CreateGroupTable(exactly(groups - 1, groups)));
        let tables = self.pair.known_tables(None).len();
        let (group, table) = (exactly(groups - 1, groups), exactly(tables - 1, tables));
        self.pair.step(&Op::CreateMailbox(group, table, false, MAILBOX));
        self.learn_routes();
        for _ in 0..2 {
            let capability = Op::Capability(self.pick(), self.dice.below(8) as u32);
            self.pair.step(&capability);
            let count = self.pair.capabilities.len();
            self.pair.step(&Op::Insert(table, exactly(count - 1, count)));
            self.pair.step(&Op::DropCapability(exactly(count - 1, count)));
        }
    }

    fn learn_routes(&mut self) {
        for (&mailbox, place) in &self.pair.places {
            if let Some(real) = &place.real {
                let bare = || real.capability(Permissions::empty());
                self.routes.entry(mailbox).or_insert_with(bare);
            }
        }
    }

    /// What a table holds, as Flue says.
    fn holds(&self, table: spec::Table) -> BTreeSet<spec::Capability> {
        let real = self.pair.table(table, None);
        let known = |handle: Handle| {
            let capability = real.capability(handle).expect("it was just there");
            let mut routes = self.routes.iter();
            let (&route, _) = routes
                .find(|(_, route)| route.same_route(&capability))
                .expect("a route that nobody made");
            spec::Capability { route, permissions: capability.permissions().bits() }
        };
        real.handles().map(known).collect()
    }

    fn authority(&self) -> Authority {
        let tables = self.pair.known_tables(None).into_iter();
        tables.map(|table| (table, self.holds(table))).collect()
    }

    /// One operation, and a look at who can reach what. How many capabilities it passed on.
    fn step(&mut self) -> u64 {
        let before = self.authority();
        let queued: Vec<_> = self.queued().collect();
        let op = self.op();
        self.pair.step(&op);
        self.learn_routes();
        let mut passed = 0;
        for (table, holds) in self.authority() {
            assert_eq!(holds, self.pair.spec.authority(table), "table {table} after {op:?}");
            let had = before.get(&table);
            for new in holds.iter().filter(|new| had.is_none_or(|had| !had.contains(new))) {
                assert!(self.follows(&op, table, *new, had, &queued), "{new:?} from {op:?}");
                passed += 1;
            }
        }
        if self.dice.below(12) == 0 && self.pair.known_tables(None).len() < 2 * PROCESSES {
            self.add_process();
        }
        passed
    }

    /// The capabilities on their way, and to which mailbox.
    fn queued(&self) -> impl Iterator<Item = (spec::Mailbox, BTreeSet<spec::Capability>)> {
        let mailboxes = self.pair.known_mailboxes(None).into_iter();
        mailboxes.map(|mailbox| (mailbox, self.pair.spec.authority_queued(mailbox)))
    }

    /// The axioms: a capability comes from the route's own mailbox, by being received, or from
    /// one in the same table with the same or more permissions.
    fn follows(
        &self,
        op: &Op,
        table: spec::Table,
        new: spec::Capability,
        had: Option<&BTreeSet<spec::Capability>>,
        queued: &[(spec::Mailbox, BTreeSet<spec::Capability>)],
    ) -> bool {
        let table_of = |mailbox: &spec::Mailbox| self.pair.places[mailbox].table;
        match op {
            Op::Export(..) => table_of(&new.route) == table,
            Op::Receive(..) => {
                queued.iter().any(|(to, queue)| table_of(to) == table && queue.contains(&new))
            }
            Op::Demote(..) => had.is_some_and(|had| {
                let is_stronger = |one: &spec::Capability| {
                    one.route == new.route && one.permissions & new.permissions == new.permissions
                };
                had.iter().any(is_stronger)
            }),
            _ => false,
        }
    }

    /// What process code may do; and now and then a process goes, or makes a mailbox more.
    fn op(&mut self) -> Op {
        let (one, other) = (self.pick(), self.pick());
        let handle = self.alleged();
        let via = Via::Table(one, handle);
        match self.dice.below(64) {
            0..6 => Op::Export(one, self.permissions()),
            6..14 => Op::Demote(one, handle, self.permissions()),
            14..17 => Op::Retain(one, handle),
            17..22 => Op::Release(one, handle),
            22..24 => Op::SameRoute(one, handle, self.alleged()),
            24..40 => Op::Send(self.letter(via)),
            40..42 => Op::PollSend(other, self.letter(via)),
            42..44 => Op::PollSendAgain(one),
            44..54 => Op::Receive(one, Asking::Try, Vec::new(), self.ending()),
            54 => Op::TakeOwned(one, 8),
            55 => Op::DropOwned(one),
            56..59 => Op::Monitor(via, other),
            59 => Op::Demonitor(one, other),
            60 => Op::Link(via, other),
            61 => Op::Unlink(via, other),
            62 => Op::Kill(via),
            _ => match self.dice.below(4) {
                0 => Op::CreateMailbox(one, other, true, MAILBOX),
                1 => Op::CloseMailbox(one, false),
                2 => Op::DropTable(one),
                _ => Op::DropGroup(one),
            },
        }
    }

    fn letter(&mut self, to: Via) -> Letter {
        let count = self.dice.below(4);
        let attach = (0..count).map(|_| (self.alleged(), self.pick())).collect();
        Letter { to, length: self.dice.below(64), passing: Passing::Reference, attach }
    }

    /// Most take what they are given.
    fn ending(&mut self) -> Ending {
        match self.dice.below(8) {
            0 => Ending::Drop,
            1 => Ending::Forget,
            2 => Ending::Own(self.dice.below(3)),
            3 => Ending::Unwind,
            _ => Ending::Take(8),
        }
    }

    fn alleged(&mut self) -> Alleged {
        let pick = self.pick();
        match self.dice.below(24) {
            0 => Alleged::Stale(pick),
            1 => Alleged::Alien(pick),
            2 => Alleged::Near(pick, STEPS[self.dice.below(STEPS.len())]),
            3 => Alleged::Forged(self.dice.next()),
            _ => Alleged::Live(pick),
        }
    }

    fn pick(&mut self) -> Pick {
        Pick(self.dice.next() as u16)
    }

    fn permissions(&mut self) -> u32 {
        if self.dice.below(8) == 0 { self.dice.next() as u32 } else { self.dice.below(8) as u32 }
    }

    /// A process tries integers that nobody gave it, in every operation. How many.
    fn forge(&mut self) -> u64 {
        let tables = self.pair.known_tables(None);
        let Some(table) = self.pick().of(&tables) else { return 0 };
        let mut tried = 0;
        for _ in 0..4 {
            let pick = self.pick();
            let (handle, _) = match self.dice.below(4) {
                0 => self.pair.allege(table, Alleged::Forged(self.dice.next())),
                1 => self.pair.allege(table, Alleged::Alien(pick)),
                2 => self.pair.allege(table, Alleged::Stale(pick)),
                _ => {
                    let step = STEPS[self.dice.below(STEPS.len())];
                    self.pair.allege(table, Alleged::Near(pick, step))
                }
            };
            let real = self.pair.table(table, None);
            if real.handles().any(|live| live == handle) {
                continue; // Then it is the process's own.
            }
            self.refuses(table, handle);
            tried += 1;
        }
        tried
    }

    /// Every operation refuses `handle`, which names nothing in the table (rule P3).
    fn refuses(&self, table: spec::Table, handle: Handle) {
        let real = self.pair.table(table, None);
        let (refused, send) = if self.pair.spec.is_sealed(table) {
            (TableError::Dead, SendError::Dead)
        } else {
            (TableError::InvalidHandle, SendError::InvalidHandle)
        };
        assert!(!real.contains(handle));
        assert_eq!(real.permissions(handle), Err(refused));
        assert_eq!(real.capability(handle).err(), Some(refused));
        assert_eq!(real.same_route(handle, handle), Err(refused));
        assert_eq!(real.retain(handle), Err(refused));
        assert_eq!(real.release(handle), Err(refused));
        assert_eq!(real.demote(handle, Permissions::empty()), Err(refused));
        assert_eq!(real.send(handle, b"", &[]), Err(send));
        assert_eq!(real.kill(handle), Err(refused));
        if let Some(group) = self.pair.known_groups(None).first() {
            let group = self.pair.group(*group, None);
            assert_eq!(real.link(handle, group), Err(refused));
            assert_eq!(real.unlink(handle, group), Err(refused));
        }
        if let Some(observer) = self.pair.known_mailboxes(None).first() {
            let observer = self.pair.mailbox(*observer, None);
            assert_eq!(real.monitor(handle, observer), Err(refused));
        }
        // Attached to a message to somebody whom the process may send to.
        let may_send = |live: &Handle| {
            real.permissions(*live).is_ok_and(|all| all.contains(Permissions::SEND))
        };
        if let Some(to) = real.handles().find(may_send) {
            let refused = SendError::InvalidAttachment { index: 1 };
            assert_eq!(real.send(to, b"", &[to, handle]), Err(refused));
        }
    }
}

/// The object at this place of so many: a pick that takes any.
fn exactly(place: usize, of: usize) -> Pick {
    let any = usize::from(u16::MAX / 8 * 7);
    Pick(u16::try_from((any / of + 1) * of + place).expect("few objects"))
}

/// From a handle to what might be its neighbour.
const STEPS: [u64; 9] =
    [1, u64::MAX, 1 << 16, 1 << 31, 1 << 32, 2 << 32, u64::MAX << 32, 1 << 63, (1 << 32) | 1];

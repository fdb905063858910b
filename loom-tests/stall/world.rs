//! The post office of the stall tests, and what is shared in it.
//!
//! Two parties are at work: the *first* is stopped or interrupted, the *other*
//! goes on. Both send from one table, which belongs to the host, and to both
//! mailboxes; so they meet in every word that there is to meet in.

use crate::ledger::{Ledger, Mail};
use flue_core::{
    Capability, Handle, Limits, Mailbox, MailboxLimits, Permissions, PostOffice, RouteGroup,
    Signal, Stats, Table, TryRecvError,
};
use std::ops::{Deref, DerefMut};
use std::ptr::null_mut;
use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32,
    Ordering::{Acquire, Release, SeqCst},
};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// Whether the office is one that grows; else it lies in a `static`.
pub const GROWS: bool = cfg!(feature = "alloc");
/// Which build of flue-core this is.
pub const KIND: &str = match (cfg!(feature = "std"), GROWS) {
    (true, _) => "std",
    (false, true) => "alloc",
    (false, false) => "static",
};

/// Who is stopped or interrupted.
pub const FIRST: usize = 0;
/// Who goes on.
pub const OTHER: usize = 1;

/// Messages that each of the two mailboxes holds.
pub const MESSAGES: u32 = 8;
/// Attached capabilities that each of them holds.
pub const SHARE: u32 = 12;
/// Handles of a table's own.
pub const HANDLES: u32 = if GROWS { 64 } else { 16 };
/// Groups that the office may have.
pub const GROUPS: u32 = if GROWS { 160 } else { 16 };
/// Links, monitors, routes and tables that a group may have.
pub const PER_GROUP: u32 = 4;

const fn limits() -> Limits {
    let mut limits = Limits::DEFAULT;
    limits.groups = GROUPS;
    limits.messages = if GROWS { 512 } else { 64 };
    limits.handles_per_table = HANDLES;
    limits.routes_per_group = PER_GROUP;
    limits.tables_per_group = PER_GROUP;
    limits.monitors_per_group = PER_GROUP;
    limits.links_per_group = PER_GROUP;
    limits
}

#[cfg(feature = "alloc")]
fn office() -> PostOffice {
    PostOffice::with_limits(limits())
}

/// Storage of a static office.
pub type Storage = flue_core::StaticPostOffice<{ GROUPS as usize }, 40, 64, 16, 12, 16, 16, 16>;

/// An office in a `static`, whichever build this is.
pub static STORAGE: Storage = Storage::with_limits(limits());

#[cfg(not(feature = "alloc"))]
fn office() -> PostOffice {
    STORAGE.office()
}

/// Limits of a mailbox.
pub fn mailbox_limits(messages: u32, handles: u32) -> MailboxLimits {
    let mut limits = MailboxLimits::DEFAULT;
    limits.messages = messages;
    limits.bytes = 4096;
    limits.handles = handles;
    limits.waiters = 8;
    limits
}

/// Remembers that it was woken.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

static VTABLE: RawWakerVTable =
    RawWakerVTable::new(|flag| RawWaker::new(flag, &VTABLE), raise, raise, |_| {});

fn raise(flag: *const ()) {
    // SAFETY: `Flag::waker` alone makes wakers with this vtable, of a `&'static Flag`.
    unsafe { &*flag.cast::<Flag>() }.0.store(true, SeqCst);
}

impl Flag {
    /// A waker that raises this flag.
    pub fn waker(&'static self) -> Waker {
        // SAFETY: the vtable's functions take the pointer for what it is; a flag is `Sync`.
        unsafe { Waker::from_raw(RawWaker::new((&raw const *self).cast(), &VTABLE)) }
    }

    /// Lowers it, and says whether it was up.
    pub fn take(&self) -> bool {
        self.0.swap(false, SeqCst)
    }

    /// Whether it is up.
    pub fn is_up(&self) -> bool {
        self.0.load(SeqCst)
    }
}

/// One of the two who are at work.
pub struct Party {
    pub group: RouteGroup,
    /// Null while somebody has it.
    mailbox: AtomicPtr<Mailbox>,
    /// Its mailbox with all permissions, in the shared table.
    pub to: Handle,
    pub capability: Capability,
    pub flags: [Flag; 2],
}

impl Party {
    fn new(office: &PostOffice, table: &Table) -> Self {
        let group = office.create_group().expect("a group");
        let limits = mailbox_limits(MESSAGES, SHARE);
        let mailbox = group.create_mailbox_with(table, limits).expect("a mailbox");
        let to = mailbox.export(Permissions::all()).expect("a handle");
        let capability = mailbox.capability(Permissions::all());
        let mailbox = AtomicPtr::new(Box::into_raw(Box::new(mailbox)));
        Self { group, mailbox, to, capability, flags: Default::default() }
    }

    /// Lends the mailbox, unless somebody has it.
    pub fn mailbox(&self) -> Option<Lease<'_>> {
        let mailbox = self.mailbox.swap(null_mut(), Acquire);
        // SAFETY: a leaked box, whoever swaps it out being its only user.
        unsafe { mailbox.as_mut() }.map(|mailbox| Lease { party: self, mailbox })
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        let mailbox = self.mailbox.swap(null_mut(), Acquire);
        if !mailbox.is_null() {
            // SAFETY: leaked by `new`, and nobody has it lent.
            drop(unsafe { Box::from_raw(mailbox) });
        }
    }
}

/// A mailbox on loan.
pub struct Lease<'p> {
    party: &'p Party,
    mailbox: &'p mut Mailbox,
}

impl Deref for Lease<'_> {
    type Target = Mailbox;

    fn deref(&self) -> &Mailbox {
        self.mailbox
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Mailbox {
        self.mailbox
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.party.mailbox.store(self.mailbox, Release); // Partner: the swap in `mailbox`.
    }
}

/// What an operation of the first party is about, for the other to meddle with.
pub struct Subject {
    pub group: RouteGroup,
    pub capability: Capability,
    pub to: Handle,
    /// Messages that it accepted from the other.
    pub accepted: AtomicU32,
}

/// What the other has done to the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Untouched,
    Killed,
    /// The handle in the shared table was released.
    Released,
}

/// All of it.
pub struct World {
    pub office: PostOffice,
    pub table: Table,
    pub parties: [Party; 2],
    pub ledger: Ledger,
    subject: AtomicPtr<Subject>,
    fate: AtomicU32,
    /// Whether the other's mailbox sleeps, and its first flag is to be raised by the next message.
    pub is_asleep: AtomicBool,
    /// Whether the first party holds so much that others may be refused.
    pub is_scarce: AtomicBool,
    /// What there is while nothing goes on.
    rest: (Stats, usize),
}

impl World {
    /// A world at rest.
    pub fn new() -> Box<World> {
        let office = office();
        office.prepare_thread();
        let table = office.create_table().expect("a table");
        let parties = [(); 2].map(|()| Party::new(&office, &table));
        let mut world = Box::new(World {
            office,
            table,
            parties,
            ledger: Ledger::default(),
            subject: AtomicPtr::new(null_mut()),
            fate: AtomicU32::new(0),
            is_asleep: AtomicBool::new(false),
            is_scarce: AtomicBool::new(false),
            rest: (Stats::default(), 0),
        });
        world.rest = world.holdings();
        world
    }

    /// What there is now. Buffers are left out: some stay at hand.
    pub fn holdings(&self) -> (Stats, usize) {
        let mut stats = self.office.stats();
        (stats.buffers, stats.blocks) = (0, 0);
        (stats, self.table.len())
    }

    /// Lets the other know what the first party's operation is about.
    pub fn publish(&self, subject: Subject) {
        self.subject.store(Box::into_raw(Box::new(subject)), Release);
    }

    /// What was published.
    pub fn subject(&self) -> Option<&Subject> {
        // SAFETY: null, or leaked by `publish` and taken back only by `end`.
        unsafe { self.subject.load(Acquire).as_ref() }
    }

    pub fn set_fate(&self, fate: Fate) {
        self.fate.store(fate as u32, SeqCst);
    }

    pub fn fate(&self) -> Fate {
        match self.fate.load(SeqCst) {
            1 => Fate::Killed,
            2 => Fate::Released,
            _ => Fate::Untouched,
        }
    }

    /// Receives all that waits at party `at`, if its mailbox can be had.
    pub fn drain(&self, at: usize) {
        if let Some(mut mailbox) = self.parties[at].mailbox() {
            self.drain_lent(at, &mut mailbox);
        }
    }

    /// Receives all that waits; no downs are expected.
    pub fn drain_lent(&self, at: usize, mailbox: &mut Mailbox) {
        loop {
            match mailbox.try_recv() {
                Ok(Signal::Message(message)) => self.ledger.received(at, message.data()),
                Ok(_) => panic!("a down that nobody expected"),
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The next message from one party to another.
    pub fn mail(&self, from: usize, to: usize) -> Mail {
        self.ledger.next(from, to)
    }

    /// Checks that all is as it was in the beginning, that what may be had can be
    /// had to the last, and that nothing is left when it is all dropped.
    pub fn end(self: Box<Self>) {
        for at in [FIRST, OTHER] {
            self.drain(at);
        }
        self.ledger.is_settled();
        let subject = self.subject.swap(null_mut(), Acquire);
        if !subject.is_null() {
            // SAFETY: leaked by `publish`, taken back once, and nobody else is at work any more.
            drop(unsafe { Box::from_raw(subject) });
        }
        assert_eq!(self.holdings(), self.rest, "not as it was in the beginning");
        self.has_all_its_capacity();
        let office = self.office.clone();
        drop(self);
        assert_eq!(office.stats(), Stats::default(), "something is left");
    }

    /// Everything that has a limit can be had up to that limit, and no further.
    fn has_all_its_capacity(&self) {
        for (at, party) in self.parties.iter().enumerate() {
            let mut mailbox = party.mailbox().expect("nobody has it");
            for _ in 0..MESSAGES {
                let mail = self.mail(FIRST, at);
                self.table.send(party.to, &mail, &[]).expect("room");
                self.ledger.sent(FIRST, at);
            }
            assert!(self.table.send(party.to, b"", &[]).is_err(), "more than its capacity");
            assert_eq!(mailbox.len(), MESSAGES as usize);
            self.drain_lent(at, &mut mailbox);
            for _ in 0..SHARE / 4 {
                let mail = self.mail(FIRST, at);
                self.table.send(party.to, &mail, &[party.to; 4]).expect("a share");
                self.ledger.sent(FIRST, at);
            }
            let over = self.table.send(party.to, b"", &[party.to]);
            assert!(over.is_err(), "more than its share");
            self.drain_lent(at, &mut mailbox);
        }
        let groups: Vec<_> = std::iter::from_fn(|| self.office.create_group().ok()).collect();
        assert_eq!(groups.len() + self.parties.len(), GROUPS as usize, "groups are lost");
        drop(groups);
        // As many different capabilities as there are handles, and one more.
        let limits = mailbox_limits(0, 0);
        let (mut mailboxes, mut handles) = (Vec::new(), 0);
        'all: loop {
            let group = self.office.create_group().expect("a group");
            let mailbox = group.create_mailbox_with(&self.table, limits).expect("a mailbox");
            for bits in 0..=Permissions::all().bits() {
                let permissions = Permissions::from_bits_truncate(bits);
                if self.table.insert(&mailbox.capability(permissions)).is_err() {
                    break 'all;
                }
                handles += 1;
            }
            mailboxes.push(mailbox);
        }
        assert_eq!(handles + self.parties.len(), HANDLES as usize, "handles are lost");
    }
}

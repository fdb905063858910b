//! What an operation's case is given: who it is, and where the one step is that
//! counts.

use crate::machine;
use crate::world::{FIRST, Fate, Flag, Lease, OTHER, Party, Subject, World, mailbox_limits};
use flue_core::{
    CreateError, Handle, Mailbox, Permissions, RouteGroup, SendError, Table, TableError,
};
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// One playing of a case.
pub struct Scene {
    pub world: &'static World,
    /// Which party plays it.
    pub me: usize,
    /// Whether the act is the one that is stepped through.
    is_stepped: bool,
    /// Whether nobody else is in the middle of something.
    is_alone: bool,
    /// Whether the act is over: there is one.
    has_acted: Cell<bool>,
}

/// Variants of a visit: one for each fate.
pub const FATES: [Fate; 3] = [Fate::Untouched, Fate::Killed, Fate::Released];

impl Scene {
    /// The playing whose act is stepped through.
    pub fn stepped(world: &'static World) -> Self {
        let has_acted = Cell::new(false);
        Self { world, me: FIRST, is_stepped: true, is_alone: true, has_acted }
    }

    /// A playing by `me` while nobody else does anything.
    pub fn alone(world: &'static World, me: usize) -> Self {
        let has_acted = Cell::new(false);
        Self { world, me, is_stepped: false, is_alone: true, has_acted }
    }

    /// A playing by the other, while the first is in the middle of its act.
    pub fn meanwhile(world: &'static World) -> Self {
        Self { is_alone: false, ..Self::alone(world, OTHER) }
    }

    /// The step of the case that counts.
    pub fn act<R>(&self, operation: impl FnOnce() -> R) -> R {
        if !self.is_stepped {
            return operation();
        }
        assert!(!self.has_acted.replace(true), "a case has one act");
        let (mut operation, mut result) = (Some(operation), None);
        machine::stepped(&mut || result = operation.take().map(|operation| operation()));
        result.expect("it was run")
    }

    /// Whether checks may be exact: nobody else is in the middle of something.
    pub fn is_exact(&self) -> bool {
        self.is_alone
    }

    /// What the other did to the subject meanwhile.
    pub fn fate(&self) -> Fate {
        if self.is_stepped { self.world.fate() } else { Fate::Untouched }
    }

    /// Whether this is the one playing that nobody else is to repeat.
    pub fn is_first(&self) -> bool {
        self.is_stepped
    }

    pub fn table(&self) -> &'static Table {
        &self.world.table
    }

    /// My own party.
    pub fn party(&self) -> &'static Party {
        &self.world.parties[self.me]
    }

    /// My own mailbox, all that waited being received.
    pub fn mailbox(&self) -> Lease<'static> {
        let mut mailbox = self.party().mailbox().expect("my own");
        self.world.drain_lent(self.me, &mut mailbox);
        mailbox
    }

    /// The party that all messages go to: the one that can be relied on to receive.
    pub fn common(&self) -> &'static Party {
        &self.world.parties[OTHER]
    }

    pub fn flag(&self, number: usize) -> &'static Flag {
        &self.party().flags[number]
    }

    /// Notes what came of sending the next mail to party `to`.
    pub fn sent(&self, to: usize, result: Result<(), SendError>) {
        match result {
            Ok(()) => self.world.ledger.sent(self.me, to),
            Err(SendError::Full) if !self.is_alone && self.may_be_refused(to) => {}
            Err(error) => panic!("to party {to}: {error}"),
        }
    }

    /// Whether somebody else holds what is needed: room in a mailbox that nobody
    /// receives from now, or nearly everything there is.
    fn may_be_refused(&self, to: usize) -> bool {
        to != self.me || self.is_scarce()
    }

    pub fn is_scarce(&self) -> bool {
        !self.is_alone && self.world.is_scarce.load(Relaxed)
    }

    /// A result that must be `Ok`, or what the subject's fate excuses.
    pub fn expect<T>(&self, result: Result<T, TableError>) -> Option<T> {
        let excuses: &[TableError] = match self.fate() {
            Fate::Untouched => &[],
            Fate::Killed => &[TableError::Closed, TableError::Dead],
            Fate::Released => &[TableError::InvalidHandle],
        };
        match result {
            Ok(value) => Some(value),
            Err(error) if excuses.contains(&error) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The same for a send; whether it was accepted.
    pub fn expect_sent(&self, result: Result<(), SendError>) -> bool {
        let excuses: &[SendError] = match self.fate() {
            Fate::Untouched => &[],
            Fate::Killed => &[SendError::Closed, SendError::Dead],
            Fate::Released => {
                &[SendError::InvalidHandle, SendError::InvalidAttachment { index: 0 }]
            }
        };
        match result {
            Ok(()) => true,
            Err(error) if excuses.contains(&error) => false,
            Err(SendError::Full) if self.is_scarce() => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Requires an error, or what the subject's fate makes of it.
    pub fn expect_error<T>(&self, result: Result<T, TableError>, error: TableError) {
        let Err(found) = result else { panic!("was not refused") };
        if found != error {
            assert!(self.expect::<T>(Err(found)).is_none());
        }
    }

    /// What there must be room for, unless the first party holds nearly everything.
    pub fn room<T, E: Lack>(&self, result: Result<T, E>) -> Result<T, Scarce> {
        match result {
            Ok(value) => Ok(value),
            Err(error) if error.is_lack() && self.is_scarce() => Err(Scarce),
            Err(error) => panic!("{error}"),
        }
    }

    /// A process for this playing alone.
    pub fn process(&self, messages: u32) -> Result<Process, Scarce> {
        let (world, limits) = (self.world, mailbox_limits(messages, 4));
        let group = self.room(world.office.create_group())?;
        let table = self.room(group.create_table())?;
        let mailbox = self.room(group.create_mailbox_with(&table, limits))?;
        let to = self.room(world.table.insert(&mailbox.capability(Permissions::all())))?;
        Ok(Process { world, group, table, mailbox: Some(mailbox), to, is_settled: false })
    }

    /// A group for this playing alone.
    pub fn group(&self) -> Result<RouteGroup, Scarce> {
        self.room(self.world.office.create_group())
    }

    /// A process that the operation is about: the other may meddle with it.
    pub fn subject(&self, messages: u32) -> Result<Process, Scarce> {
        let process = self.process(messages)?;
        self.publish(&process);
        Ok(process)
    }

    /// Lets the other meddle with a process.
    pub fn publish(&self, process: &Process) {
        if !self.is_stepped {
            return;
        }
        machine::set_variants(FATES.len() as u32);
        self.world.publish(Subject {
            group: process.group.clone(),
            capability: process.open().capability(Permissions::all()),
            to: process.to,
            accepted: AtomicU32::new(0),
        });
    }

    /// Messages that the subject has got from the other.
    pub fn meddled(&self) -> u32 {
        let subject = self.world.subject().filter(|_| self.is_stepped);
        subject.map_or(0, |subject| subject.accepted.load(Relaxed))
    }

    /// The end of a process: its handle is given back.
    pub fn done(&self, mut process: Process) {
        process.is_settled = true;
        let released = self.table().release(process.to);
        if self.fate() == Fate::Released {
            assert_eq!(released, Err(TableError::InvalidHandle), "released twice");
        } else {
            released.expect("the handle was there");
        }
    }
}

/// The first party holds what a case needs: it was refused, and that is all.
#[derive(Clone, Copy, Debug)]
pub struct Scarce;

/// What came of playing a case.
pub type Played = Result<(), Scarce>;

/// An error that may be for lack of something.
pub trait Lack: std::error::Error {
    fn is_lack(&self) -> bool;
}

impl Lack for TableError {
    fn is_lack(&self) -> bool {
        matches!(self, Self::Full | Self::LimitReached)
    }
}

impl Lack for CreateError {
    fn is_lack(&self) -> bool {
        *self == Self::LimitReached
    }
}

impl Lack for SendError {
    fn is_lack(&self) -> bool {
        *self == Self::Full
    }
}

/// A group, a table that dies with it, a mailbox, and its handle in the shared table.
pub struct Process {
    world: &'static World,
    pub group: RouteGroup,
    pub table: Table,
    pub mailbox: Option<Mailbox>,
    pub to: Handle,
    /// Whether the handle was given back.
    is_settled: bool,
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_settled {
            let _ = self.world.table.release(self.to); // Unless the case has.
        }
    }
}

impl Process {
    /// Its mailbox, which was not closed yet.
    pub fn open(&self) -> &Mailbox {
        self.mailbox.as_ref().expect("not closed yet")
    }

    /// As `open`, to receive.
    pub fn open_mut(&mut self) -> &mut Mailbox {
        self.mailbox.as_mut().expect("not closed yet")
    }
}

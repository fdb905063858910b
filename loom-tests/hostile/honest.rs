//! The honest processes: each sends to the next, receives what came, and serves
//! the hostile process within a budget.

use crate::bound;
use flue_core::{
    CreateError, Handle, Mailbox, Permissions, PostOffice, RouteGroup, SendError, Signal, Table,
    TryRecvError,
};

/// Messages to the next process in a turn.
const BURST: u64 = 16;
/// Messages of the hostile process that are served in a turn.
const SERVED: usize = 1;
/// Turns between two looks after the hostile process's mailbox: a service makes no
/// more of them than that, however fast they are killed.
const CARE: u64 = 16;

/// What the honest processes have done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub turns: u64,
    pub sent: u64,
    pub received: u64,
    pub served: u64,
    /// Sandboxes made, and those seen dead.
    pub sandboxes: u64,
    pub downs: u64,
}

/// The mailbox for the hostile process, and what it lives in.
struct Guest {
    mailbox: Mailbox,
    /// Its own group and table, if it may be killed.
    sandbox: Option<(RouteGroup, Table)>,
}

pub struct Service {
    number: usize,
    office: PostOffice,
    pub group: RouteGroup,
    pub table: Table,
    main: Mailbox,
    /// The way to the next process, and to the hostile one.
    next: Option<Handle>,
    hostile: Handle,
    guest: Option<Guest>,
    /// What the hostile process is still to be given.
    grant: Option<Handle>,
    expected: u64,
}

/// What the hostile process may do at a service: each combination at some.
pub fn permissions(number: usize) -> Permissions {
    Permissions::from_bits(number as u32 % 8).expect("three bits")
}

impl Service {
    pub fn new(number: usize, office: &PostOffice, hostile: &Mailbox) -> Self {
        let group = office.create_group().expect("a group");
        let table = group.create_table().expect("a table");
        let main = group.create_mailbox_with(&table, bound::main_mailbox()).expect("a mailbox");
        let to_hostile = hostile.capability(Permissions::SEND);
        let hostile = table.insert(&to_hostile).expect("room for it");
        let office = office.clone();
        Self {
            number,
            office,
            group,
            table,
            main,
            next: None,
            hostile,
            guest: None,
            grant: None,
            expected: 0,
        }
    }

    /// Makes each one the next one's client.
    pub fn introduce(services: &mut [Self]) {
        for at in 0..services.len() {
            let next = services[(at + 1) % services.len()].main.capability(Permissions::SEND);
            let one = &mut services[at];
            one.next = Some(one.table.insert(&next).expect("room for it"));
        }
    }

    pub fn turn(&mut self, counts: &mut Counts) {
        let next = self.next.expect("introduced");
        for number in 0..BURST {
            let mut data = [0; 16];
            data[..8].copy_from_slice(&(counts.turns * BURST + number).to_le_bytes());
            self.table.send(next, &data, &[]).expect("whatever others do, there is room");
        }
        counts.sent += BURST;
        self.receive(counts);
        self.serve(counts);
        if (counts.turns / bound::HONEST as u64 + self.number as u64).is_multiple_of(CARE) {
            self.care(counts);
        }
        counts.turns += 1;
    }

    pub fn receive(&mut self, counts: &mut Counts) {
        loop {
            match self.main.try_recv() {
                Ok(Signal::Message(message)) => {
                    let number = u64::from_le_bytes(message.data()[..8].try_into().expect("16"));
                    assert!(number >= self.expected, "in order");
                    self.expected = number + 1;
                    counts.received += 1;
                }
                Ok(Signal::Down(_)) => counts.downs += 1,
                Ok(_) => panic!("an unknown signal"),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Dead) => panic!("nobody may kill this"),
            }
        }
    }

    fn serve(&mut self, counts: &mut Counts) {
        let Some(guest) = &mut self.guest else { return };
        for _ in 0..SERVED {
            match guest.mailbox.try_recv() {
                Ok(Signal::Message(message)) => {
                    assert!(message.data().len() <= 4096 && message.handles().len() <= 4);
                    assert!(permissions(self.number).contains(Permissions::SEND));
                    counts.served += 1;
                }
                Ok(_) => panic!("it watches nobody"),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Dead) => {
                    assert!(permissions(self.number).contains(Permissions::KILL));
                    return;
                }
            }
        }
    }

    /// Makes the mailbox for the hostile process, again if it is dead, and gives it
    /// the capability. At a limit, or with no room at the other end: another time.
    fn care(&mut self, counts: &mut Counts) {
        if let Some(guest) = &self.guest {
            assert!(guest.mailbox.len() <= guest.mailbox.capacity(), "over its limit");
            let sandbox = guest.sandbox.as_ref();
            if sandbox.is_some_and(|(group, _)| group.is_dead()) {
                self.guest = None;
                self.take_back();
            }
        }
        assert!(self.table.len() <= self.table.capacity());
        if self.guest.is_none() {
            match self.make() {
                Ok(guest) => {
                    let route = guest.mailbox.capability(permissions(self.number));
                    if guest.sandbox.is_some() {
                        counts.sandboxes += 1;
                        let watched = guest.mailbox.capability(Permissions::MONITOR);
                        watched.monitor(&self.main).expect("room for it");
                    }
                    self.grant = Some(self.table.insert(&route).expect("room for it"));
                    self.guest = Some(guest);
                }
                Err(CreateError::LimitReached) => {}
                Err(error) => panic!("{error}"),
            }
        }
        if let Some(grant) = self.grant {
            match self.table.send(self.hostile, &[self.number as u8], &[grant]) {
                Ok(()) => self.take_back(),
                Err(SendError::Full) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn take_back(&mut self) {
        if let Some(grant) = self.grant.take() {
            self.table.release(grant).expect("its own");
        }
    }

    fn make(&self) -> Result<Guest, CreateError> {
        let limits = bound::guest_mailbox();
        if !permissions(self.number).contains(Permissions::KILL) {
            let mailbox = self.group.create_mailbox_with(&self.table, limits)?;
            return Ok(Guest { mailbox, sandbox: None });
        }
        let group = self.office.create_group()?;
        let table = group.create_table()?;
        let mailbox = group.create_mailbox_with(&table, limits)?;
        Ok(Guest { mailbox, sandbox: Some((group, table)) })
    }

    /// Ends the mailbox for the hostile process. Its down comes before the end.
    pub fn part(&mut self) {
        self.guest = None;
        self.take_back();
    }
}

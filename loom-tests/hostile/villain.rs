//! The hostile process: whatever it tries, it gets exactly the answer that its
//! permissions and the limits give.

use crate::bound::{self, HONEST};
use crate::dice::Dice;
use crate::honest::permissions;
use flue_core::{
    Handle, Mailbox, MonitorId, Payload, Permissions, PostOffice, RouteGroup, SendError, SendWait,
    Signal, Table, TableError, TryRecvError,
};
use std::collections::HashSet;
use std::task::{Context, Poll, Waker};

/// Places in lines that it keeps.
const WAITS: usize = 256;

/// What the hostile process has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deeds {
    pub accepted: u64,
    pub full: u64,
    pub refused: u64,
    pub forged: u64,
    pub kills: u64,
    pub monitors: u64,
    pub links: u64,
    pub made: u64,
    /// Inserts that a table had no slot for.
    pub tables_full: u64,
    /// Sends that are waiting, or waited, for room.
    pub waits: u64,
}

pub struct Villain {
    pub office: PostOffice,
    pub group: RouteGroup,
    pub table: Table,
    pub inbox: Mailbox,
    /// What it holds at each service, once it was given that.
    pub grants: [Option<Handle>; HONEST],
    pub armed: HashSet<MonitorId>,
    waits: Vec<SendWait>,
    /// A mailbox of another post office.
    pub stranger: Mailbox,
    /// Handles of the honest processes.
    pub stolen: Vec<Handle>,
    pub dice: Dice,
    pub deeds: Deeds,
}

impl Villain {
    pub fn new(office: &PostOffice, dice: Dice) -> Self {
        let group = office.create_group().expect("a group");
        let table = group.create_table().expect("a table");
        let inbox = group.create_mailbox_with(&table, bound::hostile_mailbox());
        let inbox = inbox.expect("a mailbox");
        let elsewhere = PostOffice::new();
        let strangers = elsewhere.create_group().expect("a group");
        let its_table = strangers.create_table().expect("a table");
        let stranger = strangers.create_mailbox(&its_table).expect("a mailbox");
        let office = office.clone();
        Self {
            office,
            group,
            table,
            inbox,
            grants: [None; HONEST],
            armed: HashSet::new(),
            waits: Vec::new(),
            stranger,
            stolen: Vec::new(),
            dice,
            deeds: Deeds::default(),
        }
    }

    /// One thing out of all that it does.
    pub fn act(&mut self) {
        match self.dice.roll(12) {
            0..=2 => self.flood(),
            3 => self.demand(),
            4 => self.storm(),
            5 => self.watch(),
            6 => self.tie(),
            7 => self.demote(),
            8 => self.flood_itself(),
            9 => self.forge(),
            10 => self.exhaust(),
            _ => self.hoard(),
        }
        self.receive();
    }

    /// What it was granted, with what may be done there.
    pub fn granted(&self) -> impl Iterator<Item = (Handle, Permissions)> + use<> {
        let grants = self.grants;
        (0..HONEST).filter_map(move |at| grants[at].map(|handle| (handle, permissions(at))))
    }

    /// Receives everything, grants among it.
    pub fn receive(&mut self) {
        loop {
            match self.inbox.try_recv() {
                Ok(Signal::Message(mut message)) => {
                    if let ([number], [_]) = (message.data(), message.handles()) {
                        let number = usize::from(*number);
                        let handle = message.take_handles().next().expect("one");
                        let granted = self.table.permissions(handle);
                        assert_eq!(granted, Ok(permissions(number)), "no more, no less");
                        if let Some(old) = self.grants[number].replace(handle) {
                            self.table.release(old).expect("its own");
                        }
                    }
                }
                Ok(Signal::Down(down)) => assert!(self.armed.remove(&down.monitor()), "no such"),
                Ok(_) => panic!("an unknown signal"),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Dead) => panic!("nobody kills this"),
            }
        }
    }

    /// Whether a send was accepted; refused it must be for a reason.
    fn sent(&mut self, may: Permissions, sent: Result<(), SendError>) -> bool {
        match (may.contains(Permissions::SEND), sent) {
            (true, Ok(())) => self.deeds.accepted += 1,
            (true, Err(SendError::Full)) => self.deeds.full += 1,
            (true, Err(SendError::Closed)) => {
                assert!(may.contains(Permissions::KILL), "others live as long as their services");
            }
            (false, Err(SendError::PermissionDenied)) => self.deeds.refused += 1,
            strange => panic!("{strange:?}"),
        }
        sent.is_ok()
    }

    /// Sends to everybody until nobody has room.
    fn flood(&mut self) {
        let most = bound::guest_mailbox().messages * 2;
        for (to, may) in self.granted() {
            for _ in 0..most {
                let sent = match self.dice.roll(8) {
                    0 => self.table.send(to, &[7; 200], &[to]),
                    1 => self.table.send(to, &[7; 16], &[to, to, to, to]),
                    2 | 3 => {
                        let payload = Payload::from(vec![7; 1000]);
                        let sent = self.table.send_payload(to, payload, &[]);
                        sent.map_err(|rejected| {
                            assert_eq!(rejected.payload.len(), 1000, "handed back");
                            rejected.error
                        })
                    }
                    _ => self.table.send(to, &[7; 16], &[]),
                };
                if !self.sent(may, sent) {
                    break;
                }
            }
            self.wait(to, may);
        }
    }

    /// Waits for room, and mostly does not come for it when it is there.
    fn wait(&mut self, to: Handle, may: Permissions) {
        if self.waits.len() == WAITS {
            let at = self.dice.roll(WAITS as u64) as usize;
            drop(self.waits.swap_remove(at));
        }
        let mut wait = SendWait::new();
        let mut context = Context::from_waker(Waker::noop());
        match self.table.poll_send(&mut context, &mut wait, to, &[7; 16], &[]) {
            Poll::Ready(sent) => drop(self.sent(may, sent)),
            Poll::Pending => {
                assert!(may.contains(Permissions::SEND));
                self.deeds.waits += 1;
                self.waits.push(wait);
            }
        }
    }

    /// Tries everything everywhere.
    fn demand(&mut self) {
        let denied = Err(TableError::PermissionDenied);
        let own = self.office.create_group().ok();
        for (handle, may) in self.granted() {
            let sent = self.table.send(handle, &[1; 16], &[]);
            self.sent(may, sent);
            if !may.contains(Permissions::MONITOR) {
                assert_eq!(self.table.monitor(handle, &self.inbox).map(drop), denied);
            }
            if !may.contains(Permissions::KILL) {
                assert_eq!(self.table.kill(handle), denied);
            }
            if !may.contains(Permissions::LINK)
                && let Some(own) = &own
            {
                assert_eq!(self.table.link(handle, own), denied);
                assert_eq!(self.table.unlink(handle, own).map(drop), denied);
            }
            for bits in 0..16 {
                let wanted = Permissions::from_bits_retain(bits);
                if !may.contains(wanted) {
                    assert_eq!(self.table.demote(handle, wanted).map(drop), denied);
                    self.deeds.refused += 1;
                }
            }
            let mismatch = Err(TableError::PostOfficeMismatch);
            assert_eq!(self.table.monitor(handle, &self.stranger).map(drop), mismatch);
            assert_eq!(self.table.link(handle, self.stranger.group()), mismatch);
            let many = self.table.send(handle, &[], &[handle; 5]);
            assert_eq!(many, Err(SendError::TooManyHandles));
            let large = self.table.send(handle, &[0; 4097], &[]);
            assert_eq!(large, Err(SendError::TooLarge));
        }
    }

    /// Kills whatever it may, all at once.
    fn storm(&mut self) {
        for (handle, may) in self.granted() {
            let killed = self.table.kill(handle);
            if may.contains(Permissions::KILL) {
                assert_eq!(killed, Ok(()));
                self.deeds.kills += 1;
                let late = self.table.send(handle, b"late", &[]);
                let may_send = may.contains(Permissions::SEND);
                let refused =
                    if may_send { SendError::Closed } else { SendError::PermissionDenied };
                assert_eq!(late, Err(refused));
            } else {
                assert_eq!(killed, Err(TableError::PermissionDenied));
                self.deeds.refused += 1;
            }
        }
    }

    /// Watches whomever it may, to the limit, and then nobody.
    fn watch(&mut self) {
        self.receive();
        let limit = bound::office().monitors_per_group as usize;
        for (handle, may) in self.granted() {
            match self.table.monitor(handle, &self.inbox) {
                Ok(id) => {
                    assert!(may.contains(Permissions::MONITOR));
                    self.armed.insert(id);
                    self.deeds.monitors += 1;
                    assert!(self.armed.len() <= limit, "over the limit");
                }
                Err(TableError::PermissionDenied) => {
                    assert!(!may.contains(Permissions::MONITOR));
                    self.deeds.refused += 1;
                }
                Err(TableError::LimitReached) => assert_eq!(self.armed.len(), limit, "exactly"),
                Err(error) => panic!("{error}"),
            }
        }
        if self.dice.hits(2) {
            for id in std::mem::take(&mut self.armed) {
                assert!(self.inbox.demonitor(id), "not received yet");
            }
        }
    }

    /// Ties groups of its own to whatever it may, then kills them or lets them go.
    fn tie(&mut self) {
        let (Ok(own), Ok(other)) = (self.office.create_group(), self.office.create_group()) else {
            return;
        };
        let limit = bound::office().links_per_group;
        let mut links = 0;
        for (handle, may) in self.granted() {
            match self.table.link(handle, &own) {
                Ok(()) => {
                    assert!(may.contains(Permissions::LINK));
                    links += 1;
                    self.deeds.links += 1;
                }
                Err(TableError::PermissionDenied) => assert!(!may.contains(Permissions::LINK)),
                Err(TableError::LimitReached) => assert_eq!(links, limit, "exactly"),
                Err(error) => panic!("{error}"),
            }
            if own.is_dead() {
                break; // That one was dead already.
            }
            assert!(links <= limit, "over the limit");
            if self.dice.hits(2) && may.contains(Permissions::LINK) {
                // `false`: it has died, and `own` with it.
                if self.table.unlink(handle, &own) == Ok(true) {
                    links -= 1;
                }
            }
        }
        other.link(&own).expect("within the limit");
        if self.dice.hits(2) {
            own.kill();
            assert!(other.is_dead());
        }
    }

    fn demote(&mut self) {
        for (handle, may) in self.granted() {
            let bits = self.dice.roll(8) as u32;
            let wanted = Permissions::from_bits(bits).expect("three bits");
            match self.table.demote(handle, wanted) {
                Ok(weaker) => {
                    assert!(may.contains(wanted));
                    assert_eq!(self.table.permissions(weaker), Ok(wanted));
                    assert_eq!(self.table.same_route(weaker, handle), Ok(true));
                    self.table.retain(weaker).expect("far from the most");
                    (0..2).for_each(|_| self.table.release(weaker).expect("its own"));
                    assert_eq!(self.table.contains(weaker), wanted == may, "given back");
                }
                Err(error) => {
                    assert_eq!(error, TableError::PermissionDenied);
                    assert!(!may.contains(wanted));
                    self.deeds.refused += 1;
                }
            }
        }
        assert!(!self.group.is_dead());
    }
}

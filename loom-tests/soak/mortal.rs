//! What does not last: objects made and dropped, links, and groups that are killed.

use crate::totals::Totals;
use crate::worker::{MORTAL, Worker, letter, room};
use flue_core::{
    Capability, Handle, Mailbox, Permissions, PostOffice, RouteGroup, SendError, Table,
    TryRecvError,
};

/// A group, a table and a mailbox.
type Process = (RouteGroup, Table, Mailbox);

fn process(office: &PostOffice) -> Process {
    let group = office.create_group().expect("a group");
    let table = group.create_table().expect("a table");
    let mailbox = group.create_mailbox_with(&table, room(8)).expect("a mailbox");
    (group, table, mailbox)
}

impl Totals {
    fn churned(&mut self, count: u64) {
        self.made += count;
        self.dropped += count;
    }
}

impl Worker {
    /// Puts a capability into the table, for a while.
    fn take(&mut self, capability: &Capability) -> Handle {
        let handle = self.table.insert(capability).expect("room for it");
        self.totals.taken += 1;
        handle
    }

    fn release(&mut self, handle: Handle) {
        self.table.release(handle).expect("its own");
        self.totals.released += 1;
    }

    /// Makes and drops a hundred objects, less the few that are watched or killed.
    pub fn churn(&mut self) {
        for _ in 0..15 {
            let (group, table, mut mailbox) = process(&self.office);
            let to = self.take(&mailbox.capability(Permissions::SEND));
            self.table.send(to, &letter(0, 0), &[]).expect("there is room");
            self.totals.sent += 1;
            if self.dice.hits(2) {
                drop(mailbox.try_recv().expect("just sent"));
                self.totals.received += 1;
            } else {
                self.totals.destroyed += 1;
            }
            // In any order (rule O4).
            if self.dice.hits(2) {
                drop((group, table, mailbox));
            } else {
                drop((mailbox, table, group));
            }
            let late = self.table.send(to, &letter(1, 0), &[]);
            assert_eq!(late, Err(SendError::Closed));
            self.release(to);
        }
        for _ in 0..13 {
            let table = self.group.create_table().expect("a table");
            let mailbox = self.group.create_mailbox_with(&table, room(8)).expect("a mailbox");
            drop((table, mailbox));
            drop(self.office.create_group().expect("a group"));
        }
        self.totals.churned(15 * 3 + 13 * 3);
    }

    /// Makes a mailbox that both threads watch, and drops it.
    pub fn churn_watched(&mut self) {
        let (group, table, mailbox) = process(&self.office);
        let watched = self.take(&mailbox.capability(Permissions::MONITOR));
        let id = self.table.monitor(watched, &self.inbox).expect("room for it");
        self.totals.monitors += 1;
        self.send_across(MORTAL, &[watched]);
        if self.dice.hits(4) {
            assert!(self.inbox.demonitor(id), "nothing has ended it");
            self.totals.demonitored += 1;
        }
        drop((mailbox, table, group));
        self.release(watched);
        self.totals.churned(3);
    }

    /// Links and unlinks: groups of its own, and those that the peer links too.
    pub fn link(&mut self, shared: &[RouteGroup]) {
        let pool: Vec<RouteGroup> =
            (0..4).map(|_| self.office.create_group().expect("a group")).collect();
        for at in 0..7 {
            let (one, two) = (&pool[at % 4], &pool[(at + 1) % 4]);
            one.link(two).expect("room for it");
            assert_eq!(two.link(one), Ok(()), "no other one");
            assert_eq!(two.unlink(one), Ok(true));
            assert_eq!(one.unlink(two), Ok(false), "there is none");
        }
        for _ in 0..3 {
            let at = self.dice.roll(shared.len() as u64) as usize;
            let (one, two) = (&shared[at], &shared[(at + 1) % shared.len()]);
            one.link(two).expect("room for it");
            // The peer may have been first.
            two.unlink(one).expect("the same office");
        }
        assert!(pool.iter().chain(shared).all(|group| !group.is_dead()));
        self.totals.link_pairs += 10;
        self.totals.churned(4);
    }

    /// Makes a group with routes, messages, monitors both ways and links, and kills it.
    pub fn kill(&mut self) {
        let (victim, its_table, mut first) = process(&self.office);
        let second = victim.create_mailbox_with(&its_table, room(8)).expect("a mailbox");
        let third = victim.create_mailbox_with(&self.hosts_table(), room(8)).expect("a mailbox");
        let (next, _next_table, last) = process(&self.office);
        let spared = self.office.create_group().expect("a group");
        self.totals.churned(10);

        victim.link(&next).expect("room for it");
        spared.link(&victim).expect("room for it");
        assert_eq!(victim.unlink(&spared), Ok(true));
        self.totals.link_pairs += 1;

        // Who watches it.
        let may_peer_kill = self.dice.hits(2);
        let shared = if may_peer_kill { Permissions::LINK } else { Permissions::MONITOR };
        let handle = self.take(&first.capability(shared));
        let killing = self.take(&second.capability(Permissions::KILL));
        self.table.monitor(handle, &self.inbox).expect("room for it");
        for watched in [&second, &last] {
            watched.capability(Permissions::MONITOR).monitor(&self.inbox).expect("room for it");
        }
        let third_route = third.capability(Permissions::MONITOR);
        let id = third_route.monitor(&self.inbox).expect("room for it");
        assert!(self.inbox.demonitor(id), "nothing has ended it");
        // Whom it watches: that ends with it, and nothing comes.
        let me = self.inbox.capability(Permissions::MONITOR);
        me.monitor(&second).expect("room for it");
        self.totals.monitors += 4;
        self.totals.demonitored += 1;

        // What waits in it goes with it.
        let to = first.capability(Permissions::SEND);
        for number in 0..4 {
            to.send(&letter(number, 0), &[]).expect("there is room");
        }
        let to_second = second.export(Permissions::SEND).expect("a handle");
        its_table.send(to_second, &letter(0, 0), &[]).expect("there is room");
        self.totals.sent += 5;
        self.totals.destroyed += (first.len() + second.len() + third.len()) as u64;

        self.send_across(MORTAL, &[handle]);
        if self.dice.hits(2) {
            victim.kill();
        } else {
            self.table.kill(killing).expect("permitted");
        }
        self.totals.kills += 1;
        assert!(victim.is_dead() && !spared.is_dead());
        assert!(may_peer_kill || next.is_dead(), "the link has killed it when this kill returns");
        assert_eq!(first.try_recv().err(), Some(TryRecvError::Dead));
        assert_eq!(to.send(b"late", &[]), Err(SendError::Closed));
        assert_eq!(its_table.send(to_second, b"late", &[]), Err(SendError::Dead));
        assert_eq!((its_table.len(), first.len()), (0, 0));
        self.release(handle);
        self.release(killing);
    }

    fn hosts_table(&self) -> Table {
        self.office.create_table().expect("a table")
    }
}

//! Those who live in the office all the while, and whom nothing may disturb.

use crate::worker::{letter, read, room};
use flue_core::{Capability, Mailbox, Permissions, PostOffice, Signal, TryRecvError};

const RESIDENTS: u64 = 1024;
const WAITING: u64 = 4;

/// Processes that are linked in a ring and watched by the next one, with messages
/// that wait.
pub struct Residents(Vec<Mailbox>);

impl Residents {
    pub fn new(office: &PostOffice) -> Self {
        let resident = |_| {
            let group = office.create_group().expect("a group");
            let table = group.create_table().expect("a table");
            group.create_mailbox_with(&table, room(8)).expect("a mailbox")
        };
        let all: Vec<Mailbox> = (0..RESIDENTS).map(resident).collect();
        for (at, mailbox) in all.iter().enumerate() {
            let next = &all[(at + 1) % all.len()];
            mailbox.group().link(next.group()).expect("room for it");
            let watched = next.capability(Permissions::MONITOR);
            watched.monitor(mailbox).expect("room for it");
            let to = mailbox.capability(Permissions::SEND);
            for number in 0..WAITING {
                to.send(&letter(number, at as u64), &[&watched]).expect("there is room");
            }
        }
        Self(all)
    }

    /// They are all alive, and what waited for them is there.
    pub fn check(mut self) {
        let watched: Vec<Capability> =
            self.0.iter().map(|mailbox| mailbox.capability(Permissions::MONITOR)).collect();
        for (at, mailbox) in self.0.iter_mut().enumerate() {
            for number in 0..WAITING {
                let Ok(Signal::Message(message)) = mailbox.try_recv() else { panic!("lost") };
                assert_eq!(read(message.data()), (number, at as u64));
                let next = &watched[(at + 1) % watched.len()];
                let attached = message.mailbox().table().capability(message.handles()[0]);
                assert_eq!(attached.as_ref(), Ok(next));
            }
            assert_eq!(mailbox.try_recv().err(), Some(TryRecvError::Empty), "nobody has died");
        }
    }
}

//! What operations are tried on, and what can be seen of it.

use super::common::{Process, limits as mailbox_limits, process_with};
use flue_core::{
    Capability, Handle, Limits, Mailbox, MailboxLimits, MonitorId, Permissions, PostOffice,
    RouteGroup, SendWait, Signal, Stats, Table,
};

/// What operations are tried on.
pub struct World {
    pub office: PostOffice,
    /// In whose mailbox a message, a down, and a message with capabilities wait.
    pub me: Process,
    pub other: Process,
    /// Handles of my table: everything on the other one, on my own mailbox, and
    /// SEND on a mailbox that is full.
    pub to_other: Handle,
    pub to_me: Handle,
    pub to_full: Handle,
    /// Everything on the other one, the host's.
    pub capability: Capability,
    /// My monitor of the other one.
    pub armed: MonitorId,
    pub full: Mailbox,
    /// One to be closed, with a message in it, and watched by me.
    pub spare: Option<Mailbox>,
    pub crowd: Vec<Process>,
    /// What operations leave.
    pub kept: Vec<Kept>,
}

/// What an operation made, kept until the world goes.
pub enum Kept {
    Group { _group: RouteGroup },
    Table { _table: Table },
    Mailbox { _mailbox: Box<Mailbox> },
    Capability { _capability: Capability },
    Office { _office: PostOffice },
    Wait { _wait: SendWait },
}

pub fn small() -> MailboxLimits {
    mailbox_limits(64, 4096, 16)
}

impl World {
    /// With so many others, which are linked, watched and written to.
    pub fn new(crowd: usize) -> Self {
        // Room for one more of each, in the office and in the other's group: what a
        // failure keeps would be missed.
        let mut limits = Limits::default();
        limits.groups = crowd as u32 + 3;
        limits.tables = crowd as u32 + 3;
        limits.routes_per_group = 4;
        limits.tables_per_group = 2;
        limits.monitors_per_group = u32::max(crowd as u32 + 1, 4);
        limits.links_per_group = crowd as u32 + 1;
        let office = PostOffice::with_limits(limits);
        // For the context that is here, and one more that is inside a waker.
        office.prepare_thread();
        let me = process_with(&office, small());
        let other = process_with(&office, small());
        let full =
            other.group.create_mailbox_with(&other.table, mailbox_limits(1, 1000, 4)).unwrap();
        let spare = other.group.create_mailbox_with(&other.table, small()).unwrap();
        let capability = other.mailbox.capability(Permissions::all());
        let to_other = me.table.insert(&capability).unwrap();
        let to_me = me.mailbox.export(Permissions::all()).unwrap();
        let to_full = me.table.insert(&full.capability(Permissions::SEND)).unwrap();
        me.table.send(to_full, b"", &[]).unwrap();
        spare.capability(Permissions::SEND).send(&[3; 70], &[&capability]).unwrap();
        spare.capability(Permissions::MONITOR).monitor(&me.mailbox).unwrap();
        me.table.send(to_me, b"first", &[]).unwrap();
        let victim = process_with(&office, small());
        victim.mailbox.capability(Permissions::all()).monitor(&me.mailbox).unwrap();
        drop(victim);
        me.table.send(to_me, &[7; 100], &[to_other, to_me]).unwrap();
        let armed = capability.monitor(&me.mailbox).unwrap();
        let mut others = Vec::with_capacity(crowd);
        for _ in 0..crowd {
            let one = process_with(&office, mailbox_limits(4, 256, 2));
            let way = one.mailbox.capability(Permissions::all());
            let handle = me.table.insert(&way).unwrap();
            way.link(&other.group).unwrap();
            way.monitor(&other.mailbox).unwrap();
            me.table.send(handle, &[1; 60], &[]).unwrap();
            others.push(one);
        }
        let (kept, spare) = (Vec::with_capacity(4), Some(spare));
        let crowd = others;
        Self {
            office,
            me,
            other,
            to_other,
            to_me,
            to_full,
            capability,
            armed,
            full,
            spare,
            crowd,
            kept,
        }
    }

    pub fn keep(&mut self, kept: Kept) {
        self.kept.push(kept);
    }

    pub fn picture(&self) -> Picture {
        let mut stats = self.office.stats();
        (stats.buffers, stats.blocks) = (0, 0); // Those that a table keeps at hand are not in use.
        let table = |table: &Table| {
            let named = table.handles().map(|handle| (handle, table.permissions(handle).unwrap()));
            (table.len(), table.capacity(), named.collect::<Vec<_>>())
        };
        let waiting = |process: &Process| (process.mailbox.len(), process.mailbox.is_ready());
        Picture {
            stats,
            tables: [table(&self.me.table), table(&self.other.table)],
            waiting: [waiting(&self.me), waiting(&self.other)],
            room: self.full.capacity() - self.full.len(),
            dead: [self.me.group.is_dead(), self.other.group.is_dead()],
        }
    }

    /// What is received of all that waits, in order.
    pub fn received(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        for mailbox in [&mut self.me.mailbox, &mut self.other.mailbox, &mut self.full] {
            while let Ok(signal) = mailbox.try_recv() {
                all.push(match signal {
                    Signal::Message(message) => {
                        let permissions =
                            |handle: &Handle| message.mailbox().table().permissions(*handle);
                        let attached: Vec<_> = message.handles().iter().map(permissions).collect();
                        format!("{:?} {attached:?}", message.data())
                    }
                    Signal::Down(down) => {
                        format!("{:?} {:?}", down.monitor().number(), down.reason())
                    }
                    _ => unreachable!(),
                });
            }
        }
        all
    }
}

/// Length and capacity of a table, and what it holds.
type Held = (usize, usize, Vec<(Handle, Permissions)>);

/// What can be seen of a world.
#[derive(Debug, PartialEq)]
pub struct Picture {
    pub stats: Stats,
    tables: [Held; 2],
    waiting: [(usize, bool); 2],
    room: usize,
    dead: [bool; 2],
}

//! Flue's side of the workloads: the few objects nearly all of them start with.

use flue_core::{
    Capability, Handle, Mailbox, MailboxLimits, Permissions, PostOffice, RouteGroup, Signal, Table,
};

/// The attached capabilities that a mailbox among very many may have waiting.
const SHARE: u32 = 8;

/// A group, its table, and one mailbox.
#[derive(Debug)]
pub struct Process {
    /// What dies with it.
    pub group: RouteGroup,
    /// What it may do.
    pub table: Table,
    /// Where it is written to.
    pub mailbox: Mailbox,
}

impl Process {
    /// A new process of `office`.
    pub fn new(office: &PostOffice) -> Self {
        let group = office.create_group().expect("within the office's limits");
        let table = group.create_table().expect("the group is alive");
        // No workload waits for room, so nobody is let wait: receiving is then one step cheaper.
        let mut limits = MailboxLimits::default();
        limits.waiters = 0;
        let mailbox = group.create_mailbox_with(&table, limits).expect("the group is alive");
        Self { group, table, mailbox }
    }

    /// One more mailbox of this process.
    pub fn open(&self) -> Mailbox {
        // A small share of capabilities: the default one, a million times, is more than a table holds.
        let mut limits = MailboxLimits::default();
        limits.handles = SHARE;
        self.group.create_mailbox_with(&self.table, limits).expect("within the limits")
    }

    /// Very many mailboxes of this process.
    pub fn crowd(&self, mailboxes: usize) -> Vec<Mailbox> {
        (0..mailboxes).map(|_| self.open()).collect()
    }

    /// Lets this process do `permissions` to `other`.
    pub fn granted(&self, other: &Mailbox, permissions: Permissions) -> Handle {
        self.grant(&other.capability(permissions))
    }

    /// Gives this process a capability.
    pub fn grant(&self, capability: &Capability) -> Handle {
        self.table.insert(capability).expect("the table has room")
    }
}

/// A process that may send, and the one it may send to.
#[derive(Debug)]
pub struct Pair {
    /// Kept so that its group lives.
    pub sender: Process,
    /// Names the receiver's mailbox in the sender's table.
    pub to: Handle,
    /// The other process.
    pub receiver: Process,
}

impl Pair {
    /// Two processes of a new office.
    pub fn new() -> Self {
        Self::within(&PostOffice::new())
    }

    /// Two processes of `office`.
    pub fn within(office: &PostOffice) -> Self {
        let (sender, receiver) = (Process::new(office), Process::new(office));
        let to = sender.granted(&receiver.mailbox, Permissions::SEND);
        Self { sender, to, receiver }
    }

    /// Sends `data`.
    #[inline]
    pub fn send(&self, data: &[u8], attach: &[Handle]) {
        self.sender.table.send(self.to, data, attach).expect("the mailbox is open and has room");
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

/// Receives a message, if one is there, and shows it its bytes.
#[inline]
pub fn receive(mailbox: &mut Mailbox, look: impl FnOnce(&[u8])) -> bool {
    match mailbox.try_recv() {
        Ok(Signal::Message(message)) => {
            look(message.data());
            true
        }
        _ => false,
    }
}

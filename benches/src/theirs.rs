//! The side of flue 0.2.2, written against its documentation: tables borrow nothing, mailboxes borrow
//! their table, messages are looked at in place. What must outlive a closure is leaked, once.

use flue_peer::{
    CapabilityHandle, Mailbox, MailboxGroup, Permissions, PostOffice, Table, TableSignal,
};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use tokio::runtime::{Builder, Runtime};

/// How reports call it.
pub const NAME: &str = "flue 0.2.2";

/// What its mailboxes leave work to when they are closed. Every program that uses it enters it once.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| Builder::new_current_thread().build().expect("a thread can have a runtime"))
}

/// Runs what is left to be done, so that no later window pays for it.
pub fn settle() {
    runtime().block_on(settled());
}

/// The same from within the runtime.
pub async fn settled() {
    let metrics = runtime().metrics();
    let (mut alive, mut patience) = (usize::MAX, 1_000);
    while metrics.num_alive_tasks() > 0 && patience > 0 {
        tokio::task::yield_now().await;
        let now = metrics.num_alive_tasks();
        patience = if now < alive { 1_000 } else { patience - 1 };
        alive = now;
    }
}

/// A table, a group, a mailbox.
pub struct Process {
    /// What it may do.
    pub table: &'static Table,
    /// What dies with it.
    pub group: &'static MailboxGroup<'static>,
    /// Where it is written to.
    pub mailbox: Mailbox<'static>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

impl Process {
    /// A new process of `office`.
    pub fn new(office: &Arc<PostOffice>) -> Self {
        let table: &'static Table = Box::leak(Box::new(Table::new(office.clone())));
        let group: &'static MailboxGroup<'static> = Box::leak(Box::new(MailboxGroup::new(table)));
        let mailbox = group.create_mailbox().expect("the group is alive");
        Self { table, group, mailbox }
    }

    /// Lets this process do `permissions` to `other`.
    pub fn granted(&self, other: &Mailbox<'_>, permissions: Permissions) -> CapabilityHandle {
        self.table.import_owned(other.export_owned(permissions)).expect("one office")
    }

    /// Sends without waiting.
    #[inline]
    pub fn send(&self, to: CapabilityHandle, data: &[u8], attach: &[CapabilityHandle]) {
        now(self.table.send(to, data, attach)).expect("the mailbox is open");
    }

    /// Receives a message, if one is there, shows its bytes and gives back what was attached.
    #[inline]
    pub fn receive(&self, look: impl Fn(&[u8])) -> bool {
        receive(self.table, &self.mailbox, look)
    }
}

/// Receives a message, if one is there, shows its bytes and gives back what was attached.
#[inline]
pub fn receive(table: &Table, mailbox: &Mailbox<'_>, look: impl Fn(&[u8])) -> bool {
    let got = mailbox.try_recv(|signal| show(table, signal, &look));
    got.flatten().is_some()
}

/// Shows the bytes of `signal` and gives back what was attached.
#[inline]
pub fn show(table: &Table, signal: TableSignal<'_>, look: impl Fn(&[u8])) {
    match signal {
        TableSignal::Message { data, caps } => {
            look(data);
            for handle in caps {
                table.dec_ref(handle).expect("this message's own reference");
            }
        }
        TableSignal::Down { handle } => table.dec_ref(handle).expect("this down's own reference"),
    }
}

/// A process that may send, and the one it may send to.
#[derive(Debug)]
pub struct Pair {
    /// The one that sends.
    pub sender: Process,
    /// Names the receiver's mailbox in the sender's table.
    pub to: CapabilityHandle,
    /// The other process.
    pub receiver: Process,
}

impl Pair {
    /// Two processes of a new office.
    pub fn new() -> Self {
        let office = PostOffice::new();
        let (sender, receiver) = (Process::new(&office), Process::new(&office));
        let to = sender.granted(&receiver.mailbox, Permissions::SEND);
        Self { sender, to, receiver }
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

/// Polls a future until it is ready; a send normally is at once.
#[inline]
pub fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => core::hint::spin_loop(),
        }
    }
}

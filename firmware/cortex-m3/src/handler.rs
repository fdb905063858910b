//! What the interrupt handler does, and what it remembers for the checks.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use common::process::Process;
use flue_core::{Handle, Permissions, SendError, Signal, Table, TableError, TryRecvError};

/// What the handler does when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sends a message to each mailbox it knows.
    Send,
    /// The same, with capabilities attached.
    SendCapability,
    /// Receives all there is.
    Receive,
    /// Retains, looks up, demotes and releases in the very table that was interrupted.
    Handles,
    /// Kills the target.
    Kill,
}

impl Action {
    pub const ALL: [Action; 5] =
        [Action::Send, Action::SendCapability, Action::Receive, Action::Handles, Action::Kill];
}

/// The interrupt handler's process.
pub struct Handler {
    pub process: Process,
    pub to_main: Handle,
    pub to_self: Handle,
    /// The process that lives for one shot, if the case has one.
    pub target: Option<Handle>,
    /// The interrupted program's table, and the handle in it that is being used.
    pub table: Table,
    pub subject: Handle,
    pub action: Action,
    /// Messages accepted: by the main program's mailbox, by the handler's own.
    pub sent_to_main: u32,
    pub sent_to_self: u32,
    /// Messages the target accepted in this shot.
    pub sent_to_target: u32,
    /// Numbers expected next in the handler's mailbox: from the main program, from the handler.
    pub next: [u32; 2],
}

/// Who sent a message.
pub const FROM_MAIN: u8 = 0;
pub const FROM_HANDLER: u8 = 1;

/// A message: who sent it, and the sender's number for it.
pub fn encode(from: u8, number: u32) -> [u8; 5] {
    let mut bytes = [from, 0, 0, 0, 0];
    bytes[1..].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// Checks that a message is its sender's next.
pub fn check(next: &mut [u32; 2], data: &[u8]) {
    let number = u32::from_le_bytes(data[1..5].try_into().unwrap());
    let expected = &mut next[usize::from(data[0])];
    assert_eq!(number, *expected, "from {}: lost, doubled or reordered", data[0]);
    *expected += 1;
}

impl Handler {
    fn act(&mut self) {
        match self.action {
            Action::Send => self.send(&[]),
            Action::SendCapability => self.send(&[self.to_self, self.to_main]),
            Action::Receive => self.receive(),
            Action::Handles => self.handles(),
            Action::Kill => {
                if let Some(target) = self.target {
                    assert!(matches!(
                        self.process.table.kill(target),
                        Ok(()) | Err(TableError::Closed)
                    ));
                }
            }
        }
    }

    fn send(&mut self, attach: &[Handle]) {
        let table = &self.process.table;
        self.sent_to_main +=
            accepted(table.send(self.to_main, &encode(FROM_HANDLER, self.sent_to_main), attach));
        self.sent_to_self +=
            accepted(table.send(self.to_self, &encode(FROM_HANDLER, self.sent_to_self), attach));
        if let Some(target) = self.target {
            self.sent_to_target += accepted(table.send(target, b"target", attach));
        }
    }

    /// Receives all messages. It watches nobody, so there are no downs.
    pub fn receive(&mut self) {
        loop {
            match self.process.mailbox.try_recv() {
                Ok(Signal::Message(message)) => check(&mut self.next, message.data()),
                Ok(_) => unreachable!(),
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("handler's receive: {error}"),
            }
        }
    }

    /// The subject may be gone, or going: then each operation says so, and none half happens.
    fn handles(&mut self) {
        if self.table.retain(self.subject).is_ok() {
            assert!(self.table.contains(self.subject));
            let permissions = self.table.permissions(self.subject).unwrap();
            let capability = self.table.capability(self.subject).unwrap();
            assert_eq!(capability.permissions(), permissions);
            let demoted = self.table.demote(self.subject, Permissions::empty()).unwrap();
            assert_eq!(self.table.same_route(demoted, self.subject), Ok(true));
            self.table.release(demoted).unwrap();
            self.table.release(self.subject).unwrap();
        }
    }
}

/// 1 if a message was accepted. A handler takes no for an answer: the mailbox may be full, the target dead.
fn accepted(result: Result<(), SendError>) -> u32 {
    match result {
        Ok(()) => 1,
        Err(SendError::Full | SendError::Closed) => 0,
        Err(error) => panic!("handler's send: {error}"),
    }
}

/// The handler's state, which the handler has during a shot and the checks have between shots.
struct Turns {
    handler: UnsafeCell<Option<Handler>>,
    taken: AtomicBool,
}

// SAFETY: `with` lets one of the two in at a time, and says so if both want in.
unsafe impl Sync for Turns {}

static HANDLER: Turns = Turns { handler: UnsafeCell::new(None), taken: AtomicBool::new(false) };

/// Installs the handler's process.
pub fn install(handler: Handler) {
    turn(|place| *place = Some(handler));
}

/// Looks at the handler's state. Between shots only.
pub fn with<R>(look: impl FnOnce(&mut Handler) -> R) -> R {
    turn(|place| look(place.as_mut().unwrap()))
}

/// Called by the interrupt.
pub fn run() {
    with(Handler::act);
}

fn turn<R>(look: impl FnOnce(&mut Option<Handler>) -> R) -> R {
    assert!(!HANDLER.taken.load(Ordering::Relaxed), "looked at during a shot");
    HANDLER.taken.store(true, Ordering::Relaxed);
    // SAFETY: sole access: one CPU, `taken` was down, and an interrupt that came here before it is lowered would panic.
    let result = look(unsafe { &mut *HANDLER.handler.get() });
    HANDLER.taken.store(false, Ordering::Relaxed);
    result
}

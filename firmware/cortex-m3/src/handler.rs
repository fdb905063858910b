//! What the interrupt handler does, and what it remembers for the checks.

mod actions;

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use common::process::Process;
use flue_core::{Capability, Handle, Mailbox, Permissions, PostOffice, Table};

/// What the handler does when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sends a message to each mailbox it knows.
    Send,
    /// The same, with capabilities attached.
    SendCapability,
    /// The same, waiting for room, and to receive; then it does not wait any more.
    Wait,
    /// Receives all there is.
    Receive,
    /// Retains, looks up, demotes and releases in the very table that was interrupted.
    Handles,
    /// Monitors and links, and undoes both.
    Watch,
    /// Makes a process, uses it, and drops it.
    Create,
    /// Kills the target.
    Kill,
    /// Closes the target's mailbox.
    Close,
    /// Releases the handle of the target in the very table that was interrupted.
    Release,
}

impl Action {
    pub const ALL: [Action; 10] = [
        Action::Send,
        Action::SendCapability,
        Action::Wait,
        Action::Receive,
        Action::Handles,
        Action::Watch,
        Action::Create,
        Action::Kill,
        Action::Close,
        Action::Release,
    ];
}

/// What the handler did to the target in this shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Untouched,
    Killed,
    Closed,
    Released,
}

/// The process that lives for one shot, if the case has one.
pub struct Known {
    /// Its handle in the handler's table, and in the interrupted program's.
    pub own: Handle,
    pub theirs: Handle,
    /// Its mailbox, unless the case has it.
    pub mailbox: Option<Mailbox>,
    /// Messages it has accepted, whoever sent them, and received.
    pub sent: u32,
    pub received: u32,
}

/// The interrupt handler's process.
pub struct Handler {
    office: PostOffice,
    pub process: Process,
    to_main: Handle,
    to_self: Handle,
    /// What it watches where there is no target: the main program's mailbox.
    watched: Handle,
    pub target: Option<Known>,
    /// The interrupted program's table, and the handle in it that is being used.
    table: Table,
    pub subject: Handle,
    pub action: Action,
    pub fate: Fate,
    /// Whether the case holds nearly all there is of something.
    pub is_scarce: bool,
    /// Messages accepted: by the main program's mailbox, by the handler's own.
    pub sent_to_main: u32,
    pub sent_to_self: u32,
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
    /// The handler as `process`, which knows the interrupted program's, `main`.
    pub fn new(office: &PostOffice, process: Process, main: &Process, subject: Handle) -> Handler {
        Handler {
            office: office.clone(),
            to_main: process.meet(main, Permissions::SEND),
            watched: process.meet(main, Permissions::LINK),
            to_self: process.mailbox.export(Permissions::SEND).unwrap(),
            target: None,
            table: main.table.clone(),
            subject,
            action: Action::Send,
            fate: Fate::Untouched,
            is_scarce: false,
            sent_to_main: 0,
            sent_to_self: 0,
            next: [0; 2],
            process,
        }
    }

    /// Makes the handler know a target, whose handle in the main program's table is `theirs`.
    pub fn meet(&mut self, mailbox: Mailbox, capability: &Capability, theirs: Handle) {
        let own = self.process.table.insert(capability).unwrap();
        self.target = Some(Known { own, theirs, mailbox: Some(mailbox), sent: 0, received: 0 });
        self.subject = theirs;
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
    turn(|place| {
        if let Some(handler) = place {
            handler.act();
        }
    });
}

fn turn<R>(look: impl FnOnce(&mut Option<Handler>) -> R) -> R {
    assert!(!HANDLER.taken.load(Ordering::Relaxed), "looked at during a shot");
    HANDLER.taken.store(true, Ordering::Relaxed);
    // SAFETY: sole access: one CPU, `taken` was down, and an interrupt that came here before it is lowered would panic.
    let result = look(unsafe { &mut *HANDLER.handler.get() });
    HANDLER.taken.store(false, Ordering::Relaxed);
    result
}

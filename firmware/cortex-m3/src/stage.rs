//! What a case is given: the main program's process, and a target that the handler may meddle with.

use common::process::{EVERYTHING, Process};
use flue_core::{
    Capability, DownReason, Handle, Mailbox, MonitorId, Permissions, PostOffice, RouteGroup,
    SendError, Signal, Table, TableError, TryRecvError,
};

use crate::handler::{self, Action, FROM_HANDLER, FROM_MAIN, Fate, Handler, check, encode};
use crate::rig::Rig;

/// The main program's side: its process, and what it knows of the handler's.
pub struct Stage {
    rig: Rig,
    pub office: PostOffice,
    pub process: Process,
    pub to_handler: Handle,
    pub to_self: Handle,
    pub sent_to_handler: u32,
    sent_to_self: u32,
    /// Numbers expected next in the main program's mailbox.
    pub next: [u32; 2],
    /// Entries of the two tables when nothing goes on.
    entries: (usize, usize),
}

/// A process that lives for one shot. The handler has its mailbox.
pub struct Target {
    pub group: RouteGroup,
    pub table: Table,
    /// Its handle in the main program's table.
    pub to: Handle,
    pub capability: Capability,
}

/// Messages that each of the two mailboxes holds.
pub const MESSAGES: u32 = 4;
/// Messages that a target's mailbox holds.
pub const TARGET_MESSAGES: u32 = 2;
/// Capabilities attached to what waits in one mailbox.
const HANDLES: u32 = 8;

impl Stage {
    pub fn new(rig: Rig, office: &PostOffice) -> Stage {
        let process = Process::new(office, MESSAGES, HANDLES).unwrap();
        let other = Process::new(office, MESSAGES, HANDLES).unwrap();
        let to_handler = process.meet(&other, EVERYTHING);
        let to_self = process.mailbox.export(Permissions::SEND).unwrap();
        let entries = (process.table.len(), 3);
        handler::install(Handler::new(office, other, &process, to_handler));
        Stage {
            rig,
            office: office.clone(),
            process,
            to_handler,
            to_self,
            sent_to_handler: 0,
            sent_to_self: 0,
            next: [0; 2],
            entries,
        }
    }

    /// Chooses what the handler does when it comes.
    pub fn choose(&mut self, action: Action) {
        handler::with(|handler| handler.action = action);
    }

    /// Runs the operation that a case is about, interrupted `delay` instructions after its start. Where that was, and what came
    /// of the operation.
    pub fn act<R>(
        &mut self,
        delay: u32,
        operation: impl FnOnce(&mut Process) -> R,
    ) -> (Option<u32>, R) {
        let (mut operation, mut result) = (Some(operation), None);
        let Stage { rig, process, .. } = self;
        let fired = rig.shot(delay, &mut || {
            result = operation.take().map(|operation| operation(process));
        });
        (fired, result.unwrap())
    }

    /// Empties both mailboxes and checks that nothing was lost, doubled, reordered or left behind.
    pub fn settle(&mut self) {
        assert!(self.next_down().is_none(), "a down that nobody expected");
        let (sent_to_main, sent_to_handler) = handler::with(|handler| {
            handler.receive();
            assert_eq!(handler.next, [self.sent_to_handler, handler.sent_to_self]);
            assert_eq!(handler.process.table.len(), self.entries.1);
            assert!(handler.target.is_none(), "a target that was not forgotten");
            handler.subject = self.to_handler;
            handler.fate = Fate::Untouched;
            handler.is_scarce = false;
            (handler.sent_to_main, handler.next[usize::from(FROM_MAIN)])
        });
        assert_eq!(sent_to_handler, self.sent_to_handler);
        assert_eq!(self.next[usize::from(FROM_HANDLER)], sent_to_main);
        assert_eq!(self.next[usize::from(FROM_MAIN)], self.sent_to_self);
        assert_eq!(self.process.table.len(), self.entries.0);
        let stats = self.office.stats();
        assert_eq!((stats.groups, stats.routes, stats.tables), (2, 2, 2));
        assert_eq!((stats.monitors, stats.links, stats.messages), (0, 0, 0));
    }

    /// Checks that both mailboxes still have all their room.
    pub fn fill(&mut self) {
        for _ in 0..MESSAGES {
            self.send_to_self(&[]);
            self.send_to_handler();
        }
        let full = self.process.table.send(self.to_handler, b"", &[]);
        assert_eq!(full, Err(SendError::Full));
        self.settle();
    }

    /// The next down in the main program's mailbox; the messages before it are received.
    pub fn next_down(&mut self) -> Option<(MonitorId, DownReason)> {
        loop {
            match self.process.mailbox.try_recv() {
                Ok(Signal::Message(message)) => check(&mut self.next, message.data()),
                Ok(Signal::Down(down)) => return Some((down.monitor(), down.reason())),
                Ok(_) => unreachable!(),
                Err(TryRecvError::Empty) => return None,
                Err(error) => panic!("receive: {error}"),
            }
        }
    }

    pub fn send_to_self(&mut self, attach: &[Handle]) {
        let data = encode(FROM_MAIN, self.sent_to_self);
        self.process.table.send(self.to_self, &data, attach).unwrap();
        self.sent_to_self += 1;
    }

    pub fn send_to_handler(&mut self) {
        let data = self.next_to_handler();
        self.process.table.send(self.to_handler, &data, &[]).unwrap();
        self.sent_to_handler += 1;
    }

    /// The next message to the handler, to be counted by whoever sends it.
    pub fn next_to_handler(&self) -> [u8; 5] {
        encode(FROM_MAIN, self.sent_to_handler)
    }

    /// A process that lives for this shot; the handler knows it too.
    pub fn target(&mut self) -> Target {
        let process = Process::new(&self.office, TARGET_MESSAGES, HANDLES).unwrap();
        let to = self.process.meet(&process, EVERYTHING);
        let Process { group, table, mailbox } = process;
        let capability = mailbox.capability(EVERYTHING);
        handler::with(|handler| handler.meet(mailbox, &capability, to));
        Target { group, table, to, capability }
    }

    /// Takes the target's mailbox: then the handler does not close it, nor receive from it.
    pub fn take_mailbox(&mut self) -> Mailbox {
        handler::with(|handler| handler.target.as_mut().and_then(|t| t.mailbox.take()).unwrap())
    }

    /// Gives it back, to be emptied and counted.
    pub fn give_mailbox(&mut self, mailbox: Mailbox) {
        handler::with(|handler| handler.target.as_mut().unwrap().mailbox = Some(mailbox));
    }

    /// The end of a target: what it got is counted, and both handles are given back.
    pub fn forget(&mut self, target: Target) {
        handler::with(|handler| {
            handler.receive();
            let known = handler.target.as_ref().unwrap();
            if known.mailbox.is_some() && !target.group.is_dead() {
                assert_eq!(known.received, known.sent, "lost or doubled");
            }
        });
        self.release(target.to);
    }

    /// Gives both handles of a target back.
    pub fn release(&mut self, to: Handle) {
        let released = self.process.table.release(to);
        assert_eq!(released.is_err(), self.fate() == Fate::Released, "released once");
        handler::with(|handler| {
            let known = handler.target.take().unwrap();
            handler.process.table.release(known.own).unwrap();
        });
    }

    /// What the handler, if it came, did to the target.
    pub fn fate(&self) -> Fate {
        handler::with(|handler| handler.fate)
    }

    /// A result that must be `Ok`, or what the target's fate excuses.
    pub fn expect<T>(&self, result: Result<T, TableError>) -> Option<T> {
        match (result, self.fate()) {
            (Ok(value), _) => Some(value),
            (Err(TableError::Closed), Fate::Closed) => None,
            (Err(TableError::InvalidHandle), Fate::Released) => None,
            (Err(error), fate) => panic!("{error}; {fate:?}"),
        }
    }

    /// Counts what was sent to the target: it must be accepted, or refused as the target's fate excuses.
    pub fn expect_sent(&mut self, result: Result<(), SendError>) {
        match (result, self.fate()) {
            (Ok(()), _) => handler::with(|handler| handler.target.as_mut().unwrap().sent += 1),
            (Err(SendError::Closed), Fate::Killed | Fate::Closed) => {}
            (
                Err(SendError::InvalidHandle | SendError::InvalidAttachment { .. }),
                Fate::Released,
            ) => {}
            (Err(error), fate) => panic!("{error}; {fate:?}"),
        }
    }

    /// Fills the target's mailbox.
    pub fn fill_target(&mut self, target: &Target) {
        for _ in 0..TARGET_MESSAGES {
            let sent = self.process.table.send(target.to, b"takes the room", &[target.to]);
            self.expect_sent(sent);
        }
    }
}

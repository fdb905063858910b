//! Every operation, set up, interrupted once, and checked.
//!
//! A case runs its operation in one shot of the rig and says where the interrupt came. It leaves the office as it
//! found it; `Stage::settle` checks that, and that every accepted message arrived once and in order.

mod deaths;
mod handles;
mod messages;

use common::process::{EVERYTHING, Process};
use flue_core::{DownReason, Handle, MonitorId, Permissions, PostOffice, Signal, TryRecvError};

use crate::handler::{self, Action, FROM_HANDLER, FROM_MAIN, Handler, check, encode};
use crate::rig::Rig;

/// One operation: its name, and the case.
pub struct Case(pub &'static str, pub fn(&mut Stage, u32) -> Option<u32>);

pub const CASES: &[Case] = &[
    Case("send", messages::send),
    Case("send capabilities", messages::send_capabilities),
    Case("send a payload", messages::send_payload),
    Case("receive", messages::receive),
    Case("receive and take", messages::receive_and_take),
    Case("receive a down", messages::receive_down),
    Case("wait to receive", messages::wait_to_receive),
    Case("wait to send", messages::wait_to_send),
    Case("stop waiting", messages::stop_waiting),
    Case("look up", handles::look_up),
    Case("retain, release", handles::retain_and_release),
    Case("release the last", handles::release_last),
    Case("demote", handles::demote),
    Case("export", handles::export),
    Case("insert", handles::insert),
    Case("monitor", deaths::monitor),
    Case("demonitor", deaths::demonitor),
    Case("link", deaths::link),
    Case("unlink", deaths::unlink),
    Case("kill", deaths::kill),
    Case("close", deaths::close),
    Case("create, drop", deaths::create_and_drop),
];

/// The main program's side: its process, and what it knows of the handler's.
pub struct Stage {
    rig: Rig,
    office: PostOffice,
    process: Process,
    to_handler: Handle,
    sent_to_handler: u32,
    /// Numbers expected next in the main program's mailbox.
    next: [u32; 2],
    sent_to_self: u32,
    to_self: Handle,
    /// Entries of the two tables when nothing goes on.
    entries: (usize, usize),
}

/// Messages that each of the two mailboxes holds.
const MESSAGES: u32 = 4;
const HANDLES: u32 = 8;

impl Stage {
    pub fn new(rig: Rig, office: &PostOffice) -> Stage {
        let process = Process::new(office, MESSAGES, HANDLES).unwrap();
        let other = Process::new(office, MESSAGES, HANDLES).unwrap();
        let to_handler = process.meet(&other, EVERYTHING);
        let to_self = process.mailbox.export(Permissions::SEND).unwrap();
        let entries = (process.table.len(), 2);
        handler::install(Handler {
            to_main: other.meet(&process, Permissions::SEND),
            to_self: other.mailbox.export(Permissions::SEND).unwrap(),
            target: None,
            table: process.table.clone(),
            subject: to_handler,
            action: Action::Send,
            sent_to_main: 0,
            sent_to_self: 0,
            sent_to_target: 0,
            next: [0; 2],
            process: other,
        });
        Stage {
            rig,
            office: office.clone(),
            process,
            to_handler,
            sent_to_handler: 0,
            next: [0; 2],
            sent_to_self: 0,
            to_self,
            entries,
        }
    }

    /// Chooses what the handler does when it comes.
    pub fn choose(&mut self, action: Action) {
        handler::with(|handler| handler.action = action);
    }

    /// Empties both mailboxes and checks that nothing was lost, doubled, reordered or left behind.
    pub fn settle(&mut self) {
        self.drain();
        let (sent_to_main, sent_to_handler) = handler::with(|handler| {
            handler.receive();
            assert_eq!(handler.next, [self.sent_to_handler, handler.sent_to_self]);
            assert_eq!(handler.process.table.len(), self.entries.1);
            handler.subject = self.to_handler;
            handler.target = None;
            handler.sent_to_target = 0;
            (handler.sent_to_main, handler.next[usize::from(FROM_MAIN)])
        });
        assert_eq!(sent_to_handler, self.sent_to_handler);
        assert_eq!(self.next[usize::from(FROM_HANDLER)], sent_to_main);
        assert_eq!(self.next[usize::from(FROM_MAIN)], self.sent_to_self);
        assert_eq!(self.process.table.len(), self.entries.0);
        let stats = self.office.stats();
        assert_eq!((stats.groups, stats.routes, stats.tables), (2, 2, 2));
    }

    /// Receives what waits in the main program's mailbox; no downs are expected.
    fn drain(&mut self) {
        loop {
            match self.process.mailbox.try_recv() {
                Ok(Signal::Message(message)) => check(&mut self.next, message.data()),
                Ok(_) => panic!("a down that nobody expected"),
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("receive: {error}"),
            }
        }
    }

    /// The next signal that is not a message of the handler's.
    fn next_down(&mut self) -> Option<(MonitorId, DownReason)> {
        loop {
            match self.process.mailbox.try_recv() {
                Ok(Signal::Message(message)) => check(&mut self.next, message.data()),
                Ok(Signal::Down(down)) => return Some((down.monitor(), down.reason())),
                Ok(_) => unreachable!(),
                Err(_) => return None,
            }
        }
    }

    fn send_to_self(&mut self, attach: &[Handle]) {
        self.process
            .table
            .send(self.to_self, &encode(FROM_MAIN, self.sent_to_self), attach)
            .unwrap();
        self.sent_to_self += 1;
    }

    /// A process that lives for this shot; the handler knows it too.
    fn target(&mut self) -> (Process, Handle) {
        let target = Process::new(&self.office, 2, HANDLES).unwrap();
        let handle = self.process.meet(&target, EVERYTHING);
        handler::with(|handler| {
            handler.target = Some(handler.process.meet(&target, EVERYTHING));
            handler.subject = handle;
        });
        (target, handle)
    }

    /// The end of a target: gives back both handles. Whether the handler killed it.
    fn forget(&mut self, target: Process, handle: Handle) -> bool {
        let dead = target.group.is_dead();
        if !dead {
            let Process { mut mailbox, .. } = target;
            let mut received = 0;
            while mailbox.try_recv().is_ok() {
                received += 1;
            }
            assert_eq!(received, handler::with(|handler| handler.sent_to_target));
        }
        self.process.table.release(handle).unwrap();
        handler::with(|handler| {
            handler.process.table.release(handler.target.take().unwrap()).unwrap()
        });
        dead
    }

    /// Whether the handler, if it came, has killed.
    fn killed(&self, fired: Option<u32>) -> bool {
        fired.is_some() && handler::with(|handler| handler.action == Action::Kill)
    }
}

//! What the handler does.

use core::task::{Context, Poll};

use common::process::Process;
use common::wake::Flag;
use flue_core::{
    Handle, Permissions, SendError, SendWait, Signal, Table, TableError, TryRecvError,
};

use super::{Action, FROM_HANDLER, Fate, Handler, Known, check, encode};

impl Handler {
    pub(super) fn act(&mut self) {
        match self.action {
            Action::Send => self.send(&[]),
            Action::SendCapability => self.send(&[self.to_self, self.to_main]),
            Action::Wait => self.wait(),
            Action::Receive => self.receive(),
            Action::Handles => self.handles(),
            Action::Watch => self.watch(),
            Action::Create => self.create(),
            Action::Kill | Action::Close | Action::Release => self.meddle(),
        }
    }

    fn send(&mut self, attach: &[Handle]) {
        self.send_to_all(|table, to, data| table.send(to, data, attach));
    }

    fn wait(&mut self) {
        static IGNORED: Flag = Flag::new();
        let waker = IGNORED.waker();
        let mut context = Context::from_waker(&waker);
        self.send_to_all(|table, to, data| {
            let polled = table.poll_send(&mut context, &mut SendWait::new(), to, data, &[]);
            if let Poll::Ready(result) = polled { result } else { Err(SendError::Full) }
        });
        let _ = self.process.mailbox.poll_ready(&mut context);
    }

    fn send_to_all(
        &mut self,
        mut send: impl FnMut(&Table, Handle, &[u8]) -> Result<(), SendError>,
    ) {
        let table = &self.process.table;
        let data = encode(FROM_HANDLER, self.sent_to_main);
        self.sent_to_main += accepted(send(table, self.to_main, &data));
        let data = encode(FROM_HANDLER, self.sent_to_self);
        self.sent_to_self += accepted(send(table, self.to_self, &data));
        if let Some(target) = &mut self.target {
            target.sent += accepted(send(table, target.own, b"target"));
        }
    }

    /// Receives all messages, the target's too. They watch nobody, so there are no downs.
    pub fn receive(&mut self) {
        loop {
            match self.process.mailbox.try_recv() {
                Ok(Signal::Message(message)) => check(&mut self.next, message.data()),
                Ok(_) => unreachable!(),
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("handler's receive: {error}"),
            }
        }
        if let Some(Known { mailbox: Some(mailbox), received, .. }) = &mut self.target {
            while let Ok(Signal::Message(_)) = mailbox.try_recv() {
                *received += 1;
            }
        }
    }

    /// A watch ends by its removal, and a link too, unless it has passed on a death before.
    fn watch(&mut self) {
        let Process { table, mailbox, .. } = &mut self.process;
        let watched = self.target.as_ref().map_or(self.watched, |target| target.own);
        let id = table.monitor(watched, mailbox).unwrap();
        if let Ok(group) = self.office.create_group() {
            match table.link(watched, &group) {
                Ok(()) => assert_eq!(table.unlink(watched, &group), Ok(!group.is_dead())),
                Err(error) => assert_eq!(error, TableError::Closed),
            }
        } else {
            assert!(self.is_scarce);
        }
        assert!(mailbox.demonitor(id));
    }

    fn create(&mut self) {
        let Ok(process) = Process::new(&self.office, 1, 1) else {
            assert!(self.is_scarce);
            return;
        };
        let to = process.mailbox.export(Permissions::SEND).unwrap();
        let sent = accepted(process.table.send(to, b"dropped with the queue", &[to]));
        assert!(sent == 1 || self.is_scarce);
        let stats = self.office.stats();
        assert!(stats.groups >= 3 && self.table.handles().count() <= self.table.capacity());
    }

    /// Decides the target's fate.
    fn meddle(&mut self) {
        let Some(target) = &mut self.target else { return };
        self.fate = match self.action {
            Action::Kill => match self.process.table.kill(target.own) {
                Ok(()) => Fate::Killed,
                Err(error) => {
                    assert_eq!(error, TableError::Closed);
                    return;
                }
            },
            Action::Close => {
                let Some(mailbox) = target.mailbox.take() else { return };
                mailbox.close();
                Fate::Closed
            }
            _ => {
                let Ok(()) = self.table.release(target.theirs) else { return };
                Fate::Released
            }
        };
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

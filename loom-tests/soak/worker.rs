//! One of the two threads of a round: a process that sends, receives, makes and
//! drops, and knows how many of each.

use crate::dice::Dice;
use crate::totals::Totals;
use flue_core::{
    Handle, Mailbox, MailboxLimits, Permissions, PostOffice, RouteGroup, SendError, SendWait,
    Signal, Table, TryRecvError,
};
use std::task::{Context, Poll, Waker};

/// What a message is about: its second word.
const PLAIN: u64 = 0;
const OWN: u64 = 1;
pub const MORTAL: u64 = 2;
const LAST: u64 = 3;

/// Messages that an inbox has room for, and a mailbox in which senders wait.
const INBOX: u32 = 1 << 12;
const TINY: u32 = 4;

/// A message: its number, and what it is about.
pub fn letter(number: u64, about: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..].copy_from_slice(&about.to_le_bytes());
    bytes
}

/// What a letter says.
pub fn read(data: &[u8]) -> (u64, u64) {
    let word = |at: usize| u64::from_le_bytes(data[at..at + 8].try_into().expect("eight bytes"));
    assert_eq!(data.len(), 16);
    (word(0), word(8))
}

/// Limits of a mailbox for so many messages, and as many capabilities.
pub fn room(messages: u32) -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    (limits.messages, limits.handles) = (messages, messages);
    limits
}

/// A process: what it has of its own, the way to its peer, and its counts.
pub struct Worker {
    pub office: PostOffice,
    pub group: RouteGroup,
    pub table: Table,
    pub inbox: Mailbox,
    local: Mailbox,
    tiny: Mailbox,
    peer: Option<Handle>,
    /// Its own three mailboxes.
    own: [Handle; 3],
    /// Numbers of the next message to the peer and of the next one from it.
    next: (u64, u64),
    peer_is_done: bool,
    pub dice: Dice,
    pub totals: Totals,
}

impl Worker {
    pub fn new(office: &PostOffice, dice: Dice) -> Self {
        let group = office.create_group().expect("a group");
        let table = group.create_table().expect("a table");
        let mailbox =
            |messages| group.create_mailbox_with(&table, room(messages)).expect("a mailbox");
        let (inbox, local, tiny) = (mailbox(INBOX), mailbox(64), mailbox(TINY));
        let export = |mailbox: &Mailbox| mailbox.export(Permissions::all()).expect("a handle");
        let own = [&inbox, &local, &tiny].map(export);
        Self {
            office: office.clone(),
            peer: None,
            next: (0, 0),
            peer_is_done: false,
            totals: Totals::default(),
            own,
            group,
            table,
            inbox,
            local,
            tiny,
            dice,
        }
    }

    /// Makes two workers each other's peers.
    pub fn introduce(one: &mut Self, two: &mut Self) {
        let to = |of: &Self| of.inbox.capability(Permissions::SEND);
        one.peer = Some(one.table.insert(&to(two)).expect("room for it"));
        two.peer = Some(two.table.insert(&to(one)).expect("room for it"));
    }

    /// Sends to the peer until its mailbox is full, which is at its limit exactly.
    pub fn fill(&mut self) {
        let to = self.peer.expect("introduced");
        for _ in 0..INBOX {
            self.send_across(PLAIN, &[]);
        }
        let refused = self.table.send(to, &letter(self.next.0, PLAIN), &[]);
        assert_eq!(refused, Err(SendError::Full));
    }

    /// A round of so many steps: of about a thousand messages, a hundred slots, ten
    /// links and one kill each.
    pub fn work(&mut self, steps: u64, shared: &[RouteGroup]) {
        for _ in 0..steps {
            for _ in 0..15 {
                self.send_along(50);
                self.send_across_many(16);
                self.receive();
            }
            self.wait_for_room();
            self.churn();
            for _ in 0..2 {
                self.churn_watched();
            }
            self.link(shared);
            self.kill();
            self.receive();
        }
        self.send_across(LAST, &[]);
        while !self.peer_is_done {
            self.receive();
            std::thread::yield_now();
        }
    }

    /// Sends to itself and receives it all, in order.
    fn send_along(&mut self, count: u64) {
        let [_, to, _] = self.own;
        for number in 0..count {
            let attach: &[Handle] = if number % 10 == 0 { &self.own[..2] } else { &[] };
            self.table.send(to, &letter(number, PLAIN), attach).expect("there is room");
            self.totals.attached += attach.len() as u64;
        }
        for number in 0..count {
            let Ok(Signal::Message(message)) = self.local.try_recv() else { panic!("lost") };
            assert_eq!(read(message.data()), (number, PLAIN));
            let expected: &[Handle] = if number % 10 == 0 { &self.own[..2] } else { &[] };
            assert_eq!(message.handles(), expected, "equal capabilities are equal handles");
            self.totals.imported += expected.len() as u64;
        }
        self.totals.sent += count;
        self.totals.received += count;
    }

    fn send_across_many(&mut self, count: u64) {
        let [inbox, ..] = self.own;
        for _ in 1..count {
            self.send_across(PLAIN, &[]);
        }
        self.send_across(OWN, &[inbox, inbox]);
    }

    /// Sends to the peer, when there is room.
    pub fn send_across(&mut self, about: u64, attach: &[Handle]) {
        let to = self.peer.expect("introduced");
        let data = letter(self.next.0, about);
        let mut wait = SendWait::new();
        let mut context = Context::from_waker(Waker::noop());
        let mut has_waited = false;
        loop {
            match self.table.poll_send(&mut context, &mut wait, to, &data, attach) {
                Poll::Ready(sent) => break sent.expect("the peer is alive"),
                Poll::Pending => {
                    has_waited = true;
                    // The peer may be waiting for room here.
                    self.receive();
                    std::thread::yield_now();
                }
            }
        }
        self.next.0 += 1;
        self.totals.sent += 1;
        self.totals.attached += attach.len() as u64;
        self.totals.waits += u64::from(has_waited);
    }

    /// Receives everything that is there.
    pub fn receive(&mut self) {
        let Self { inbox, table, totals, dice, next, peer_is_done, .. } = self;
        loop {
            let mut message = match inbox.try_recv() {
                Ok(Signal::Message(message)) => message,
                Ok(Signal::Down(_)) => {
                    totals.downs += 1;
                    continue;
                }
                Ok(_) => panic!("an unknown signal"),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Dead) => panic!("nobody kills this"),
            };
            let (number, about) = read(message.data());
            assert_eq!(number, next.1, "in order");
            next.1 += 1;
            totals.received += 1;
            totals.imported += message.handles().len() as u64;
            match (about, message.handles()) {
                (PLAIN, []) => {}
                (OWN, [one, two]) => {
                    assert_eq!(one, two);
                    if dice.hits(2) {
                        for handle in message.take_handles() {
                            totals.taken += 1;
                            table.release(handle).expect("taken");
                            totals.released += 1;
                        }
                    }
                }
                (MORTAL, &[handle]) => {
                    // It may be over already: then the down comes at once.
                    table.monitor(handle, message.mailbox()).expect("room for it");
                    totals.monitors += 1;
                    if table.permissions(handle).expect("held").contains(Permissions::KILL) {
                        table.kill(handle).expect("permitted");
                    }
                }
                (LAST, []) => *peer_is_done = true,
                strange => panic!("{strange:?}"),
            }
        }
    }

    /// Fills a mailbox and waits for room in it.
    fn wait_for_room(&mut self) {
        let [.., to] = self.own;
        let mut context = Context::from_waker(Waker::noop());
        let mut wait = SendWait::new();
        let mut send = |number: u64| {
            let data = letter(number, PLAIN);
            self.table.poll_send(&mut context, &mut wait, to, &data, &[])
        };
        let room = u64::from(TINY);
        (0..room).for_each(|number| assert_eq!(send(number), Poll::Ready(Ok(()))));
        assert!(send(room).is_pending(), "it is full");
        for number in 0..=room {
            let Ok(Signal::Message(message)) = self.tiny.try_recv() else { panic!("lost") };
            assert_eq!(read(message.data()), (number, PLAIN));
            drop(message);
            if number == 0 {
                assert_eq!(send(room), Poll::Ready(Ok(())));
            }
        }
        self.totals.sent += room + 1;
        self.totals.received += room + 1;
        self.totals.waits += 1;
    }

    /// After a round: receives what is left, and has nothing left.
    pub fn finish(mut self) -> Totals {
        self.receive();
        assert_eq!((self.inbox.len(), self.local.len(), self.tiny.len()), (0, 0, 0));
        for handle in self.own.into_iter().chain(self.peer) {
            self.table.release(handle).expect("its own, once");
        }
        assert_eq!(self.table.len(), 0, "each handle was released as often as it was taken");
        self.totals
    }
}

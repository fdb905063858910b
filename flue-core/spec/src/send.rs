//! Send (rules S1 to S6).

use crate::*;

impl Spec {
    /// A message as a process sends it, through handles of its table.
    pub fn outgoing(&self, from: Table, to: Handle, data: &[u8], attach: &[Handle]) -> Outgoing {
        Outgoing {
            to: self.look_up(from, to),
            attach: attach.iter().map(|&handle| self.look_up(from, handle)).collect(),
            data: data.to_vec(),
            owned: false,
        }
    }

    /// `send` and `send_payload`
    pub fn send(&mut self, message: &Outgoing) -> Result<(), SendError> {
        let (to, accepted) = self.check(message)?;
        self.push(to, accepted);
        Ok(())
    }

    /// `SendWait::default`: in no line yet.
    pub fn create_wait(&mut self) -> Wait {
        self.number()
    }

    /// `poll_send` and `poll_send_payload`
    pub fn poll_send(&mut self, wait: Wait, message: &Outgoing) -> Poll<Result<(), SendError>> {
        let (result, to) = (self.send(message), message.to.map(|to| to.route));
        let waits_at = to
            .ok()
            .filter(|&to| result == Err(SendError::Full) && self.may_wait(wait, to, message));
        let charge = self.charge(message);
        // Room for bytes may do for several: what is left is the next one's.
        let is_left = charge > 0 && to.is_ok_and(|to| self.has_room(to, 1, 0));
        let sent_to = to.ok().filter(|_| result.is_ok() && !is_left);
        self.leave_lines(wait, waits_at, sent_to);
        let Some(mailbox) = waits_at else { return Poll::Ready(result) };
        let place = Place { wait, woken: false, charge, attaches: message.attach.len() };
        let wants_more = place.attaches > 0 || charge > 0;
        let line = &mut self.mailboxes[mailbox].line;
        match line.iter().position(|other| other.wait == wait) {
            Some(at) => {
                // In front of all who were not woken; but they may want less.
                let was_woken = mem::replace(&mut line[at], place).woken;
                if was_woken && wants_more {
                    let behind = self.first_with_room(mailbox, at + 1);
                    behind.into_iter().for_each(|place| self.wake_place(mailbox, place));
                }
            }
            None => line.push(place),
        }
        Poll::Pending
    }

    /// A sender was woken though it need not have been. `false`: another came before it, and
    /// there is room for that one, or for none of them.
    pub fn woken_early(&mut self, wait: Wait) -> bool {
        let is_it = |place: &Place| place.wait == wait && !place.woken;
        let lines = self.mailboxes.iter().map(|mailbox| mailbox.line.iter().position(is_it));
        let Some((mailbox, at)) = lines.enumerate().find_map(|(m, at)| Some((m, at?))) else {
            return true;
        };
        let first = self.mailboxes[mailbox].line.iter().position(|place| !place.woken);
        let is_first = first == Some(at) || self.first_with_room(mailbox, 0) == Some(at);
        self.mailboxes[mailbox].line[at].woken |= is_first;
        is_first
    }

    /// Drop of a `SendWait`.
    pub fn drop_wait(&mut self, wait: Wait) {
        self.leave_lines(wait, None, None);
    }

    /// Rule S1: the checks in their order. What they let pass is accepted (rule S2).
    pub(crate) fn check(&self, message: &Outgoing) -> Result<(Mailbox, Queued), SendError> {
        let Outgoing { to, attach, data, owned } = message;
        if *to == Err(TableError::Dead) {
            return Err(SendError::Dead);
        }
        if attach.len() > self.limits.handles_per_message as usize {
            return Err(SendError::TooManyHandles);
        }
        let has_place = self.storage.is_none() || *owned || data.len() <= self.inline_bytes;
        if data.len() > self.limits.bytes_per_message as usize || !has_place {
            return Err(SendError::TooLarge); // A static office has no memory for copies.
        }
        let to = to.map_err(|_| SendError::InvalidHandle)?;
        let Capability { route, .. } = to.with(SEND).map_err(|_| SendError::PermissionDenied)?;
        if let Some(index) = attach.iter().position(Result::is_err) {
            return Err(SendError::InvalidAttachment { index });
        }
        if self.is_closed(route) {
            return Err(SendError::Closed);
        }
        let charge = self.charge(message);
        let is_exhausted = self.stats().messages >= self.limits.messages as usize;
        if is_exhausted || !self.has_room(route, charge, attach.len()) {
            return Err(SendError::Full);
        }
        let attached = attach.iter().flatten().copied().collect();
        Ok((route, Queued::Message { data: data.clone(), charge, attached }))
    }

    /// Whether room may come up for a message that was refused, and the line has a place.
    pub(crate) fn may_wait(&self, wait: Wait, to: Mailbox, message: &Outgoing) -> bool {
        let MailboxState { limits, line, .. } = &self.mailboxes[to];
        let has_place = line.iter().any(|place| place.wait == wait);
        limits.messages > 0
            && self.charge(message) <= limits.bytes as usize
            && message.attach.len() <= limits.handles as usize
            && self.stats().messages < self.limits.messages as usize
            && (has_place || line.len() < limits.waiters as usize)
    }

    /// Whether there is room for a message that is charged so much, with so many capabilities.
    fn has_room(&self, mailbox: Mailbox, charge: usize, attaches: usize) -> bool {
        let limits = self.mailboxes[mailbox].limits;
        self.messages(mailbox) < limits.messages as usize
            && self.bytes_queued(mailbox) + charge <= limits.bytes as usize
            && self.share_used(mailbox) + attaches <= limits.handles as usize
    }

    /// Bytes that a message is charged: those that are not inline (rule S3).
    pub(crate) fn charge(&self, message: &Outgoing) -> usize {
        let is_inline = !message.owned && message.data.len() <= self.inline_bytes;
        if is_inline { 0 } else { message.data.len() }
    }

    pub(crate) fn push(&mut self, to: Mailbox, signal: Queued) {
        self.mailboxes[to].queue.push_back(signal); // Rule R1
        if mem::take(&mut self.mailboxes[to].asleep) {
            self.wakes.push(Wake::Receiver(to));
        }
    }

    /// Room came up: the first in line that was not woken yet is (rule S6).
    pub(crate) fn wake_one_sender(&mut self, mailbox: Mailbox) {
        let first = self.mailboxes[mailbox].line.iter().position(|place| !place.woken);
        first.into_iter().for_each(|place| self.wake_place(mailbox, place));
        if self.mailboxes[mailbox].asleep {
            self.wake_senders_of_sleeper(mailbox);
        }
    }

    /// Nobody receives: who was woken before may never run again, so all are for whom there is
    /// room.
    pub(crate) fn wake_senders_of_sleeper(&mut self, mailbox: Mailbox) {
        while let Some(place) = self.first_with_room(mailbox, 0) {
            self.wake_place(mailbox, place);
        }
    }

    /// All in the line are woken who were not.
    pub(crate) fn wake_senders(&mut self, mailbox: Mailbox) {
        for place in 0..self.mailboxes[mailbox].line.len() {
            self.wake_place(mailbox, place);
        }
    }

    /// From some place of the line on: the first that was not woken, and for whom there is room.
    fn first_with_room(&self, mailbox: Mailbox, from: usize) -> Option<usize> {
        let mut line = self.mailboxes[mailbox].line.iter().enumerate().skip(from);
        let has_room = |place: &Place| self.has_room(mailbox, place.charge, place.attaches);
        line.find(|(_, place)| !place.woken && has_room(place)).map(|(at, _)| at)
    }

    fn wake_place(&mut self, mailbox: Mailbox, place: usize) {
        let place = &mut self.mailboxes[mailbox].line[place];
        if !mem::replace(&mut place.woken, true) {
            self.wakes.push(Wake::Sender(place.wait));
        }
    }

    /// Out of all lines but one; who was woken and did not send there passes that on (rule S6).
    pub(crate) fn leave_lines(
        &mut self,
        wait: Wait,
        but: Option<Mailbox>,
        sent_to: Option<Mailbox>,
    ) {
        for mailbox in (0..self.mailboxes.len()).filter(|&mailbox| Some(mailbox) != but) {
            let line = &mut self.mailboxes[mailbox].line;
            let place = line.iter().position(|place| place.wait == wait);
            if place.is_some_and(|place| line.remove(place).woken) && Some(mailbox) != sent_to {
                self.wake_one_sender(mailbox);
            }
        }
    }
}

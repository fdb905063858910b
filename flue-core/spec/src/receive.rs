//! Receive (rules R1 to R4).

use crate::*;

impl Spec {
    /// `Mailbox::try_recv`. See [`received`](Spec::received) for what the guard holds.
    pub fn try_recv(&mut self, mailbox: Mailbox) -> Result<Guard, TryRecvError> {
        self.release_forgotten(mailbox);
        let MailboxState { group, table, .. } = self.mailboxes[mailbox];
        if !self.is_alive(group) {
            return Err(TryRecvError::Dead); // Rule R3
        }
        let next = self.mailboxes[mailbox].queue.pop_front();
        let (signal, attached, payer) = match next.ok_or(TryRecvError::Empty)? {
            Queued::Message { data, attached, .. } => {
                self.wake_one_sender(mailbox);
                (Signal::Message(data), attached, Some(mailbox))
            }
            Queued::Down { monitor, reason, .. } => {
                let bare = self.capability(monitor.route, 0); // Rule K5
                (Signal::Down(monitor.number, reason), vec![bare], None)
            }
        };
        let mut handles = Vec::new();
        for capability in attached {
            let handle = self.import(table, capability, payer);
            self.entry(table, handle).held += 1;
            handles.push(handle);
        }
        let guard = self.number();
        self.guards.insert(guard, Received { mailbox, signal, handles });
        Ok(guard)
    }

    /// `Message::data`, `Message::handles`, and a down's parts.
    pub fn received(&self, guard: Guard) -> &Received {
        &self.guards[&guard]
    }

    /// One step of `Message::take_handles`, or `Down::take_handle`: the first handle that was
    /// not taken; its held reference becomes an own one (rule P5).
    pub fn take_handle(&mut self, guard: Guard) -> Option<Handle> {
        let Received { mailbox, handles, .. } = self.guards.get_mut(&guard)?;
        let (table, handle) = (self.mailboxes[*mailbox].table, *handles.first()?);
        handles.remove(0);
        let entry = self.entry(table, handle);
        (entry.own, entry.held) = (entry.own + 1, entry.held - 1);
        Some(handle)
    }

    /// Drop of a guard, borrowed or owned: what was not taken is released (rule R2).
    pub fn drop_guard(&mut self, guard: Guard) {
        let Some(Received { mailbox, handles, .. }) = self.guards.remove(&guard) else { return };
        let table = self.mailboxes[mailbox].table;
        for handle in handles {
            self.entry(table, handle).held -= 1;
            self.free_if_unreferenced(table, handle);
        }
        self.end_ownerless_groups();
    }

    /// `mem::forget` of a borrowed guard: released by the next receive (rule R2).
    pub fn forget_guard(&mut self, guard: Guard) {
        self.mailboxes[self.guards[&guard].mailbox].forgotten = Some(guard);
    }

    /// `Mailbox::is_ready`
    pub fn is_ready(&self, mailbox: Mailbox) -> bool {
        let state = &self.mailboxes[mailbox];
        !state.queue.is_empty() || !self.is_alive(state.group)
    }

    /// `Mailbox::poll_ready`: ready, or a waker is left that is called when it is.
    pub fn poll_ready(&mut self, mailbox: Mailbox) -> Poll<()> {
        self.release_forgotten(mailbox);
        let is_ready = self.is_ready(mailbox);
        if !is_ready {
            self.wake_senders_of_sleeper(mailbox); // Rule S6
        }
        self.mailboxes[mailbox].asleep |= !is_ready;
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    }

    /// `Mailbox::len`: the messages to be received. Its `capacity` is `MailboxLimits::messages`.
    #[allow(clippy::len_without_is_empty, reason = "it is not the specification's own length")]
    pub fn len(&self, mailbox: Mailbox) -> usize {
        if self.is_closed(mailbox) { 0 } else { self.messages(mailbox) }
    }

    /// This monitor's down is to be the next signal, if the rules allow it: the downs of one
    /// kill stand in the queue together, in an order that rule K8 alone restricts.
    pub fn prefer_down(&mut self, mailbox: Mailbox, number: u64) -> bool {
        let of_kill = |signal: &Queued| match *signal {
            Queued::Down { monitor, cascade, .. } => {
                Some((monitor.number, self.mailboxes[monitor.route].group, cascade))
            }
            Queued::Message { .. } => None,
        };
        let downs: Vec<_> = self.mailboxes[mailbox].queue.iter().map_while(of_kill).collect();
        let Some(place) = downs.iter().position(|down| down.0 == number) else { return false };
        if place > 0 {
            let (Some(kill), true) = (downs[0].2, downs[0].2 == downs[place].2) else {
                return false;
            };
            // From the group killed first, a way along links to this one, through groups of
            // which no down waits here.
            let (root, links) = &self.cascades[kill];
            let (mut reached, mut step) = (vec![*root], 0);
            while let Some(&group) = reached.get(step) {
                step += 1;
                if !downs.iter().any(|down| (down.1, down.2) == (group, Some(kill))) {
                    reached.extend(neighbours(links, group, &reached));
                }
            }
            if !reached.contains(&downs[place].1) {
                return false;
            }
        }
        self.mailboxes[mailbox].queue.make_contiguous()[..=place].rotate_right(1);
        true
    }

    pub(crate) fn release_forgotten(&mut self, mailbox: Mailbox) {
        let forgotten = self.mailboxes[mailbox].forgotten.take();
        forgotten.into_iter().for_each(|guard| self.drop_guard(guard));
    }
}

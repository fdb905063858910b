//! What tests may want to see.

use crate::*;

impl Spec {
    /// What a table may do now (rules P2 and O5).
    pub fn authority(&self, table: Table) -> BTreeSet<Capability> {
        let handles = self.handles(table).into_iter();
        handles.filter_map(|handle| self.look_up(table, handle).ok()).collect()
    }

    /// What waits in a mailbox to become its table's.
    pub fn authority_queued(&self, mailbox: Mailbox) -> BTreeSet<Capability> {
        let MailboxState { group, queue, .. } = &self.mailboxes[mailbox];
        let signals = queue.iter().filter(|_| self.is_alive(*group)); // Rule R3
        let capabilities = signals.flat_map(|signal| match signal {
            Queued::Message { attached, .. } => attached.clone(),
            Queued::Down { monitor, .. } => vec![self.capability(monitor.route, 0)],
        });
        capabilities.collect()
    }

    /// The wakers that had to be called since this was last asked.
    pub fn take_wakes(&mut self) -> Vec<Wake> {
        mem::take(&mut self.wakes)
    }

    /// `PostOffice::stats`
    pub fn stats(&self) -> Stats {
        Stats {
            groups: self.groups().count(),
            tables: self.tables().count(),
            routes: self.mailboxes().count(),
            messages: self.mailboxes().map(|mailbox| self.messages(mailbox)).sum(),
            monitors: self.mailboxes().map(|mailbox| self.monitors(mailbox).count()).sum(),
            links: self.links.len(),
            bytes: self.mailboxes().map(|mailbox| self.bytes_queued(mailbox)).sum(),
        }
    }

    /// The groups that have an owner, dead or alive (rule O4).
    pub fn groups(&self) -> impl Iterator<Item = Group> {
        (0..self.groups.len()).filter(|&group| {
            self.groups[group].owned
                || self.mailboxes_of(group).next().is_some()
                || self.tables().any(|table| self.tables[table].group == Some(group))
        })
    }

    /// The tables of which a value, a mailbox or a guard is left.
    pub fn tables(&self) -> impl Iterator<Item = Table> {
        (0..self.tables.len()).filter(|&table| {
            self.tables[table].owned
                || self.mailboxes_on(table).next().is_some()
                || self.guards.values().any(|guard| self.mailboxes[guard.mailbox].table == table)
        })
    }

    /// The mailboxes that were not dropped.
    pub fn mailboxes(&self) -> impl Iterator<Item = Mailbox> {
        (0..self.mailboxes.len()).filter(|&mailbox| self.mailboxes[mailbox].owned)
    }

    /// References to an entry, own and held (rule P5), and the mailbox whose share its slot is
    /// out of (rule S2), if not the table's own.
    pub fn references(
        &self,
        table: Table,
        handle: Handle,
    ) -> Option<(usize, usize, Option<Mailbox>)> {
        let entry = self.tables[table].entries.get(&handle)?;
        Some((entry.own, entry.held, entry.payer))
    }

    /// Whether the table's group is over (rule O5).
    pub fn is_sealed(&self, table: Table) -> bool {
        self.tables[table].group.is_some_and(|group| !self.is_alive(group))
    }

    /// Bytes charged to a mailbox.
    pub fn bytes_queued(&self, mailbox: Mailbox) -> usize {
        let charge = |s: &Queued| if let Queued::Message { charge, .. } = s { *charge } else { 0 };
        self.mailboxes[mailbox].queue.iter().map(charge).sum()
    }

    /// Slots used of a mailbox's share: by queued capabilities and by entries (rule S2).
    pub fn share_used(&self, mailbox: Mailbox) -> usize {
        let MailboxState { table, queue, .. } = &self.mailboxes[mailbox];
        let attached = queue.iter().map(|signal| match signal {
            Queued::Message { attached, .. } => attached.len(),
            Queued::Down { .. } => 0,
        });
        let entries = self.tables[*table].entries.values();
        attached.sum::<usize>() + entries.filter(|entry| entry.payer == Some(mailbox)).count()
    }

    pub(crate) fn messages(&self, mailbox: Mailbox) -> usize {
        let queue = self.mailboxes[mailbox].queue.iter();
        queue.filter(|signal| matches!(signal, Queued::Message { .. })).count()
    }

    pub(crate) fn monitors(&self, mailbox: Mailbox) -> impl Iterator<Item = Monitor> {
        let queued = self.mailboxes[mailbox].queue.iter().filter_map(|signal| match signal {
            Queued::Down { monitor, .. } => Some(*monitor),
            Queued::Message { .. } => None,
        });
        self.mailboxes[mailbox].armed.iter().copied().chain(queued)
    }

    pub(crate) fn mailboxes_of(&self, group: Group) -> impl Iterator<Item = Mailbox> {
        self.mailboxes().filter(move |&mailbox| self.mailboxes[mailbox].group == group)
    }

    pub(crate) fn mailboxes_on(&self, table: Table) -> impl Iterator<Item = Mailbox> {
        self.mailboxes().filter(move |&mailbox| self.mailboxes[mailbox].table == table)
    }

    pub(crate) fn is_alive(&self, group: Group) -> bool {
        self.groups[group].life == Life::Alive
    }

    pub(crate) fn number(&mut self) -> usize {
        self.handles_guards_and_waits += 1;
        self.handles_guards_and_waits - 1
    }
}

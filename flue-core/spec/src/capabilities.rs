//! Capabilities and tables (rules P1 to P6).

use crate::*;

impl Spec {
    /// `Mailbox::capability`: unknown bits are dropped.
    pub fn capability(&self, mailbox: Mailbox, to: Permissions) -> Capability {
        Capability { route: mailbox, permissions: to & ALL }
    }

    /// `Mailbox::export`
    pub fn export(&mut self, mailbox: Mailbox, to: Permissions) -> Result<Handle, TableError> {
        if !self.is_alive(self.mailboxes[mailbox].group) {
            return Err(TableError::Dead);
        }
        let capability = self.capability(mailbox, ALL).demote(to)?;
        self.insert(self.mailboxes[mailbox].table, capability)
    }

    /// `Table::insert`
    pub fn insert(&mut self, table: Table, capability: Capability) -> Result<Handle, TableError> {
        if self.is_sealed(table) {
            return Err(TableError::Dead);
        }
        if self.find(table, capability).is_none() {
            self.own_slot(table)?;
        }
        let handle = self.import(table, capability, None);
        self.entry(table, handle).own += 1;
        Ok(handle)
    }

    /// `Table::capability`: what a handle names.
    pub fn look_up(&self, table: Table, handle: Handle) -> Result<Capability, TableError> {
        if self.is_sealed(table) {
            return Err(TableError::Dead); // Rule O5
        }
        let entry = self.tables[table].entries.get(&handle);
        Ok(entry.ok_or(TableError::InvalidHandle)?.capability) // Rule P3
    }

    /// `Table::same_route`
    pub fn same_route(&self, table: Table, a: Handle, b: Handle) -> Result<bool, TableError> {
        Ok(self.look_up(table, a)?.route == self.look_up(table, b)?.route)
    }

    /// `Table::demote`
    pub fn demote(
        &mut self,
        table: Table,
        handle: Handle,
        to: Permissions,
    ) -> Result<Handle, TableError> {
        let weaker = self.look_up(table, handle)?.demote(to)?;
        self.insert(table, weaker)
    }

    /// `Table::retain`
    pub fn retain(&mut self, table: Table, handle: Handle) -> Result<(), TableError> {
        self.look_up(table, handle)?;
        self.entry(table, handle).own += 1;
        Ok(())
    }

    /// `Table::release`: an own reference only (rule P5).
    pub fn release(&mut self, table: Table, handle: Handle) -> Result<(), TableError> {
        self.look_up(table, handle)?;
        let own = &mut self.entry(table, handle).own;
        *own = own.checked_sub(1).ok_or(TableError::InvalidHandle)?;
        self.free_if_unreferenced(table, handle);
        Ok(())
    }

    /// `Table::handles`
    pub fn handles(&self, table: Table) -> Vec<Handle> {
        let entries = self.tables[table].entries.keys();
        if self.is_sealed(table) { Vec::new() } else { entries.copied().collect() }
    }

    /// `Table::capacity`: its own slots and its mailboxes' shares (rule S2).
    pub fn table_capacity(&self, table: Table) -> usize {
        let shares = self.mailboxes_on(table).map(|m| self.mailboxes[m].limits.handles as usize);
        self.limits.handles_per_table as usize + shares.sum::<usize>()
    }

    pub(crate) fn find(&self, table: Table, capability: Capability) -> Option<Handle> {
        let mut entries = self.tables[table].entries.iter();
        entries.find(|(_, entry)| entry.capability == capability).map(|(&handle, _)| handle)
    }

    /// The handle of an equal capability (rule P4), or else a new one. Cannot fail (rule S2).
    pub(crate) fn import(
        &mut self,
        table: Table,
        capability: Capability,
        payer: Option<Mailbox>,
    ) -> Handle {
        self.find(table, capability).unwrap_or_else(|| {
            let (handle, entry) = (self.number(), Entry { capability, own: 0, held: 0, payer });
            self.tables[table].entries.insert(handle, entry);
            handle
        })
    }

    /// Whether the table has a slot of its own left. In use are those of entries, also of ones
    /// whose mailbox is gone with its share, and one for each monitor's down (rule K6).
    pub(crate) fn own_slot(&self, table: Table) -> Result<(), TableError> {
        let used = self.own_used(table);
        if used < self.limits.handles_per_table as usize { Ok(()) } else { Err(TableError::Full) }
    }

    pub(crate) fn own_used(&self, table: Table) -> usize {
        let is_own = |e: &&Entry| e.payer.is_none_or(|payer| !self.mailboxes[payer].owned);
        let entries = self.tables[table].entries.values().filter(is_own).count();
        let monitors = self.mailboxes_on(table).map(|mailbox| self.monitors(mailbox).count());
        entries + monitors.sum::<usize>()
    }

    pub(crate) fn free_if_unreferenced(&mut self, table: Table, handle: Handle) {
        let Entry { own, held, payer, .. } = *self.entry(table, handle);
        if own + held == 0 {
            self.tables[table].entries.remove(&handle);
            let awaited = |payer: &Mailbox| {
                self.mailboxes[*payer].line.iter().any(|p| p.attaches > 0 && !p.woken)
            };
            payer.filter(awaited).into_iter().for_each(|payer| self.wake_one_sender(payer));
        }
    }

    pub(crate) fn entry(&mut self, table: Table, handle: Handle) -> &mut Entry {
        self.tables[table].entries.get_mut(&handle).expect("what is referenced stays")
    }
}

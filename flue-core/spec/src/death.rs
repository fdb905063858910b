//! Kill, monitors and links (rules K1 to K8, L1 to L4).

use crate::*;

impl Spec {
    /// `Capability::kill`
    pub fn kill(&mut self, capability: Capability) -> Result<(), TableError> {
        let Capability { route, .. } = capability.with(KILL)?;
        let group = self.mailboxes[route].group;
        if self.is_alive(group) && self.is_closed(route) {
            return Err(TableError::Closed); // Rule K1
        }
        self.kill_group(group);
        Ok(())
    }

    /// `RouteGroup::kill`
    pub fn kill_group(&mut self, root: Group) {
        if !self.is_alive(root) {
            return; // Rule K1
        }
        let (mut dying, mut step) = (vec![root], 0);
        while let Some(&group) = dying.get(step) {
            step += 1;
            dying.extend(neighbours(&self.links, group, &dying));
        }
        let (fired, kept) = self.links.iter().partition(|(asker, _)| dying.contains(asker));
        self.links = kept;
        self.cascades.push((root, fired));
        dying.iter().for_each(|&group| self.groups[group].life = Life::Dead);
        let is_dying = |&mailbox: &Mailbox| dying.contains(&self.mailboxes[mailbox].group);
        let routes: Vec<Mailbox> = self.mailboxes().filter(is_dying).collect();
        routes.iter().for_each(|&route| self.wake_all(route));
        let cascade = Some(self.cascades.len() - 1);
        routes.iter().for_each(|&route| self.fire(route, DownReason::Killed, cascade));
    }

    /// `RouteGroup::is_dead`
    pub fn is_dead(&self, group: Group) -> bool {
        self.groups[group].life == Life::Dead
    }

    /// `Capability::is_closed`
    pub fn is_closed(&self, route: Mailbox) -> bool {
        !self.mailboxes[route].owned || !self.is_alive(self.mailboxes[route].group)
    }

    /// `Capability::monitor`: the monitor's number.
    pub fn monitor(&mut self, watched: Capability, observer: Mailbox) -> Result<u64, TableError> {
        let Capability { route, .. } = watched.with(MONITOR)?;
        let MailboxState { group, table, .. } = self.mailboxes[observer];
        if !self.is_alive(group) {
            return Err(TableError::Dead);
        }
        if let Some(monitor) = self.monitors(observer).find(|monitor| monitor.route == route) {
            return Ok(monitor.number); // Rule K7
        }
        let of_group = self.mailboxes_of(group).map(|mailbox| self.monitors(mailbox).count());
        if of_group.sum::<usize>() >= self.limits.monitors_per_group as usize {
            return Err(TableError::LimitReached);
        }
        self.own_slot(table)?; // Rule K6: reserved for the down
        let state = &mut self.mailboxes[observer];
        state.monitored += 1;
        let number = state.monitored;
        state.armed.push(Monitor { number, route });
        if self.is_closed(route) {
            self.fire(route, DownReason::Gone, None); // Rule K7
        }
        Ok(number)
    }

    /// `Mailbox::demonitor`: no down of it is received any more (rule K7).
    pub fn demonitor(&mut self, mailbox: Mailbox, number: u64) -> bool {
        let before = self.monitors(mailbox).count();
        let MailboxState { armed, queue, .. } = &mut self.mailboxes[mailbox];
        armed.retain(|monitor| monitor.number != number);
        queue.retain(|s| !matches!(s, Queued::Down { monitor, .. } if monitor.number == number));
        self.monitors(mailbox).count() < before
    }

    /// `Capability::link`
    pub fn link(&mut self, capability: Capability, group: Group) -> Result<(), TableError> {
        let Capability { route, .. } = capability.with(LINK)?;
        let target = self.mailboxes[route].group;
        if target != group && self.is_alive(target) && self.is_closed(route) {
            return Err(TableError::Closed); // Rule L2
        }
        self.link_groups(group, target)
    }

    /// `RouteGroup::link`
    pub fn link_groups(&mut self, asker: Group, other: Group) -> Result<(), TableError> {
        if !self.is_alive(asker) || !self.is_alive(other) {
            self.kill_group(asker);
            self.kill_group(other);
            return Ok(()); // Rule L2
        }
        if asker == other || neighbours(&self.links, asker, &[]).contains(&other) {
            return Ok(()); // Rule L1
        }
        let asked = self.links.iter().filter(|link| link.0 == asker).count();
        if asked >= self.limits.links_per_group as usize {
            return Err(TableError::LimitReached);
        }
        self.links.push((asker, other));
        Ok(())
    }

    /// `Capability::unlink`: through any route of the group, open or closed (rule L3).
    pub fn unlink(&mut self, capability: Capability, group: Group) -> Result<bool, TableError> {
        let Capability { route, .. } = capability.with(LINK)?;
        Ok(self.unlink_groups(group, self.mailboxes[route].group))
    }

    /// `RouteGroup::unlink`
    pub fn unlink_groups(&mut self, a: Group, b: Group) -> bool {
        let before = self.links.len();
        self.links.retain(|&link| other_end(link, a) != Some(b));
        self.links.len() < before
    }

    /// Wakes all who wait at a mailbox: its receiver and senders (rules R4 and S6).
    pub(crate) fn wake_all(&mut self, mailbox: Mailbox) {
        if mem::take(&mut self.mailboxes[mailbox].asleep) {
            self.wakes.push(Wake::Receiver(mailbox));
        }
        self.wake_senders(mailbox);
    }

    /// Queues the down of every armed monitor of a route.
    pub(crate) fn fire(&mut self, route: Mailbox, reason: DownReason, cascade: Option<usize>) {
        for observer in 0..self.mailboxes.len() {
            let armed = &mut self.mailboxes[observer].armed;
            if let Some(place) = armed.iter().position(|monitor| monitor.route == route) {
                let monitor = armed.remove(place);
                self.push(observer, Queued::Down { monitor, reason, cascade });
            }
        }
    }
}

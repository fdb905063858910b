//! What a handle can do about deaths: kill, monitor, link and unlink.

use super::handle::Handle;
use super::table::Table;
use crate::error::TableError;
use crate::group::RouteGroup;
use crate::mailbox::Mailbox;
use crate::monitor::MonitorId;

impl Table {
    /// Kills the group of the capability's route (rule K1). That it is dead already
    /// is no error.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, TableError};
    /// # let office = PostOffice::new();
    /// # let group = office.create_group()?;
    /// # let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// # let table = office.create_table()?;
    /// let harmless = table.insert(&mailbox.capability(Permissions::SEND))?;
    /// let deadly = table.insert(&mailbox.capability(Permissions::KILL))?;
    /// assert_eq!(table.kill(harmless), Err(TableError::PermissionDenied));
    /// table.kill(deadly)?;
    /// assert!(group.is_dead());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Dead`, `InvalidHandle`; `PermissionDenied` without `KILL`; `Closed` if the
    /// route is closed while its group lives.
    ///
    /// # Cost
    /// [A look-up](crate#what-operations-cost), and what
    /// [`RouteGroup::kill`] costs.
    pub fn kill(&self, handle: Handle) -> Result<(), TableError> {
        let view = self.view();
        view.office().kill_through(view.grant(handle)?)
    }

    /// Has `observer` told, by a down, when the capability's route is over
    /// (rules K5 to K7).
    ///
    /// Monitoring the same route again before its down was received changes
    /// nothing and returns the same id.
    ///
    /// ```
    /// use flue_core::{DownReason, Permissions, PostOffice, Signal};
    ///
    /// let office = PostOffice::new();
    /// let group = office.create_group()?;
    /// let table = group.create_table()?;
    /// let mut observer = group.create_mailbox(&table)?;
    /// let watched = group.create_mailbox(&table)?;
    ///
    /// let handle = watched.export(Permissions::MONITOR)?;
    /// let id = table.monitor(handle, &observer)?;
    /// watched.close();
    /// let Signal::Down(down) = observer.try_recv()? else { unreachable!() };
    /// assert_eq!((down.monitor(), down.reason()), (id, DownReason::Closed));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `PostOfficeMismatch`: the observer is of another office; `Dead` if the table is
    /// sealed or the observer's group dead; `InvalidHandle`; `PermissionDenied` without
    /// `MONITOR`; `LimitReached`: the observer's group, or the office, has as many
    /// monitors as it may; `Full`: the observer's table has no slot left for what the
    /// down brings; `OutOfMemory`.
    ///
    /// # Cost
    /// [A look-up and a search](crate#what-operations-cost) of the office's monitors;
    /// for a new one, a slot, one of the observer's table, and a place on the roster of
    /// those who watch the route. The down needs nothing more.
    pub fn monitor(&self, handle: Handle, observer: &Mailbox) -> Result<MonitorId, TableError> {
        if *observer.post_office() != *self.post_office() {
            return Err(TableError::PostOfficeMismatch);
        }
        observer.monitor(self.view().grant(handle)?)
    }

    /// Ties the fate of `group` to that of the capability's group: when one
    /// dies, the other is killed (rules L1 to L4).
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// # let office = PostOffice::new();
    /// # let (worker, supervisor) = (office.create_group()?, office.create_group()?);
    /// # let mailbox = worker.create_mailbox(&worker.create_table()?)?;
    /// # let table = office.create_table()?;
    /// let handle = table.insert(&mailbox.capability(Permissions::LINK))?;
    /// table.link(handle, &supervisor)?;
    /// worker.kill();
    /// assert!(supervisor.is_dead());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `PostOfficeMismatch`: `group` is of another office; `Dead`: the table is sealed;
    /// `InvalidHandle`; `PermissionDenied` without `LINK`; `Closed` if the route is
    /// closed while its group lives; `LimitReached`: `group` has asked for as many
    /// links as it may, or the office has no more; `OutOfMemory`.
    ///
    /// # Cost
    /// [A look-up](crate#what-operations-cost), and what [`RouteGroup::link`] costs.
    pub fn link(&self, handle: Handle, group: &RouteGroup) -> Result<(), TableError> {
        if *group.post_office() != *self.post_office() {
            return Err(TableError::PostOfficeMismatch);
        }
        let view = self.view();
        view.office().link_through(view.grant(handle)?, group.address())
    }

    /// Removes the link between `group` and the capability's group. `true`: there
    /// was one, and it never kills anyone any more (rule L3).
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// # let office = PostOffice::new();
    /// # let (worker, supervisor) = (office.create_group()?, office.create_group()?);
    /// # let mailbox = worker.create_mailbox(&worker.create_table()?)?;
    /// # let table = office.create_table()?;
    /// # let handle = table.insert(&mailbox.capability(Permissions::LINK))?;
    /// table.link(handle, &supervisor)?;
    /// assert!(table.unlink(handle, &supervisor)?);
    /// worker.kill();
    /// assert!(!supervisor.is_dead());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `PostOfficeMismatch`: `group` is of another office; `Dead`: the table is sealed;
    /// `InvalidHandle`; `PermissionDenied` without `LINK`.
    ///
    /// # Cost
    /// [A look-up and a search](crate#what-operations-cost) of the office's links; no
    /// memory.
    pub fn unlink(&self, handle: Handle, group: &RouteGroup) -> Result<bool, TableError> {
        if *group.post_office() != *self.post_office() {
            return Err(TableError::PostOfficeMismatch);
        }
        let view = self.view();
        Ok(view.office().unlink_through(view.grant(handle)?, group.address()))
    }
}

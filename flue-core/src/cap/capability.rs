//! The host's own references to routes.

use super::Reference;
use super::granted::{Granted, Right};
use super::permissions::Permissions;
use crate::error::TableError;
use crate::group::RouteGroup;
use crate::mailbox::Mailbox;
use crate::monitor::MonitorId;
use crate::office::PostOffice;
use core::fmt;
use core::hash::{Hash, Hasher};

/// A route and what may be done to it, outside any table: the host's.
///
/// Whoever holds one is trusted with it. Processes get capabilities into their
/// tables ([`Table::insert`](crate::Table::insert)) and name them by handles.
///
/// ```
/// use flue_core::{Permissions, PostOffice, TableError};
///
/// let group = PostOffice::new().create_group()?;
/// let mailbox = group.create_mailbox(&group.create_table()?)?;
/// let all = mailbox.capability(Permissions::all());
/// let send = all.demote(Permissions::SEND)?;
/// send.send(b"hello", &[&all])?;
/// assert!(send.same_route(&all) && send != all);
/// assert_eq!(send.permissions(), Permissions::SEND);
/// assert_eq!(send.kill(), Err(TableError::PermissionDenied));
///
/// mailbox.close();
/// assert!(send.is_closed());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Cost
/// One step to make or clone one: it keeps the office. Accessors are reads. Nothing is
/// looked up; the operations cost what those of [`Table`](crate::Table) do after the look-up.
#[derive(Clone)]
pub struct Capability {
    office: PostOffice,
    reference: Reference,
}

impl Capability {
    pub(crate) fn new(office: &PostOffice, reference: Reference) -> Self {
        Self { office: office.clone(), reference }
    }

    pub(crate) fn post_office(&self) -> &PostOffice {
        &self.office
    }

    pub(crate) fn reference(&self) -> Reference {
        self.reference
    }

    fn grant<R: Right>(&self) -> Result<Granted<R>, TableError> {
        Granted::check(self.reference).ok_or(TableError::PermissionDenied)
    }

    /// What it permits. See [`Capability`] for an example.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.reference.permissions
    }

    /// Whether both are to the same route. See [`Capability`] for an example.
    #[must_use]
    pub fn same_route(&self, other: &Self) -> bool {
        self.office == other.office && self.reference.route == other.reference.route
    }

    /// A capability to the same route with only `permissions`, all of which
    /// this one must have (rule P2). See [`Capability`] for an example.
    ///
    /// # Errors
    /// `PermissionDenied` for a permission that it has not, or an unknown bit.
    ///
    /// # Cost
    /// One step; no memory.
    pub fn demote(&self, permissions: Permissions) -> Result<Self, TableError> {
        let reference = self.reference.demoted(permissions).ok_or(TableError::PermissionDenied)?;
        Ok(Self::new(&self.office, reference))
    }

    /// Kills the route's group; see [`Table::kill`](crate::Table::kill).
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// # let group = PostOffice::new().create_group()?;
    /// # let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// mailbox.capability(Permissions::KILL).kill()?;
    /// assert!(group.is_dead());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `PermissionDenied` without `KILL`; `Closed` if the route is closed while its
    /// group lives.
    ///
    /// # Cost
    /// What [`RouteGroup::kill`] costs.
    pub fn kill(&self) -> Result<(), TableError> {
        self.office.kill_through(self.grant()?)
    }

    /// Has `observer` told when the route is over; see
    /// [`Table::monitor`](crate::Table::monitor).
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, Signal};
    /// # let office = PostOffice::new();
    /// # let (group, other) = (office.create_group()?, office.create_group()?);
    /// # let mut observer = group.create_mailbox(&group.create_table()?)?;
    /// # let watched = other.create_mailbox(&other.create_table()?)?;
    /// let id = watched.capability(Permissions::MONITOR).monitor(&observer)?;
    /// other.kill();
    /// assert!(matches!(observer.try_recv()?, Signal::Down(down) if down.monitor() == id));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, but for handles; `Dead` only for the observer's group.
    ///
    /// # Cost
    /// As there, without the look-up.
    pub fn monitor(&self, observer: &Mailbox) -> Result<MonitorId, TableError> {
        if *observer.post_office() != self.office {
            return Err(TableError::PostOfficeMismatch);
        }
        observer.monitor(self.grant()?)
    }

    /// Ties the fate of `group` to that of the route's group; see
    /// [`Table::link`](crate::Table::link).
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// # let office = PostOffice::new();
    /// # let (group, other) = (office.create_group()?, office.create_group()?);
    /// # let mailbox = group.create_mailbox(&group.create_table()?)?;
    /// let capability = mailbox.capability(Permissions::LINK);
    /// capability.link(&other)?;
    /// assert!(capability.unlink(&other)?);
    /// assert!(!capability.unlink(&other)?);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As there, but for handles, and never `Dead`.
    ///
    /// # Cost
    /// What [`RouteGroup::link`] costs.
    pub fn link(&self, group: &RouteGroup) -> Result<(), TableError> {
        if *group.post_office() != self.office {
            return Err(TableError::PostOfficeMismatch);
        }
        self.office.link_through(self.grant()?, group.address())
    }

    /// Removes the link between `group` and the route's group; see
    /// [`Table::unlink`](crate::Table::unlink), and [`link`](Self::link) for an example.
    ///
    /// # Errors
    /// As there, but for handles, and never `Dead`.
    ///
    /// # Cost
    /// What [`RouteGroup::unlink`] costs.
    pub fn unlink(&self, group: &RouteGroup) -> Result<bool, TableError> {
        if *group.post_office() != self.office {
            return Err(TableError::PostOfficeMismatch);
        }
        Ok(self.office.unlink_through(self.grant()?, group.address()))
    }

    /// Whether the route is closed or its group dead: for good. See [`Capability`] for
    /// an example.
    ///
    /// # Cost
    /// Reads alone; wait-free.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.office.is_open(self.reference.route, self.reference.group)
    }
}

impl PartialEq for Capability {
    /// Whether both are to the same route with the same permissions.
    fn eq(&self, other: &Self) -> bool {
        self.office == other.office && self.reference == other.reference
    }
}

impl Eq for Capability {}

impl Hash for Capability {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.reference.hash(state);
    }
}

/// Says what it permits, and nothing that helps to forge or to count.
impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Capability");
        f.field("permissions", &self.reference.permissions).finish_non_exhaustive()
    }
}

//! Capabilities: what they are, the tables they sit in, and the handles that
//! name them there.

pub(crate) mod capability;
mod death;
pub(crate) mod entry;
pub(crate) mod granted;
pub(crate) mod handle;
pub(crate) mod permissions;
pub(crate) mod send;
pub(crate) mod slot;
pub(crate) mod table;
pub(crate) mod view;

use crate::life::Address;
use permissions::Permissions;

/// What a capability is: a route, its group, and what may be done to it. Only
/// this crate makes one, and only from one with the same or more permissions,
/// from the mailbox itself, or without any for a down (rule P2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    pub(crate) route: Address,
    pub(crate) group: Address,
    pub(crate) permissions: Permissions,
}

impl Reference {
    /// The same route with only `permissions`, if it has them all.
    pub(crate) fn demoted(self, permissions: Permissions) -> Option<Self> {
        let narrower = self.permissions.contains(permissions) && !permissions.has_unknown();
        narrower.then_some(Self { permissions, ..self })
    }
}

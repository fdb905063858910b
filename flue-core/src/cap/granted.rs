//! Proofs that a permission was checked.
//!
//! What an operation needs is in its type: there is no way to send, monitor,
//! kill or link but through a [`Granted`] of that right, and no way to a
//! `Granted` but through the check of a capability's permissions.

use super::Reference;
use super::permissions::Permissions;
use crate::group::Group;
use crate::office::Office;
use crate::route::Route;
use core::marker::PhantomData;

/// Permissions as types.
pub(crate) trait Right {
    const NEEDED: Permissions;
}

macro_rules! rights {
    ($($name:ident = $needed:ident;)*) => {$(
        /// Stands for the permission of the same name.
        #[derive(Debug)]
        pub(crate) enum $name {}
        impl Right for $name {
            const NEEDED: Permissions = Permissions::$needed;
        }
    )*};
}

rights! {
    Send = SEND;
    Monitor = MONITOR;
    Kill = KILL;
    Link = LINK;
}

/// Proof that a capability carries the right `R`.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Granted<R> {
    reference: Reference,
    right: PhantomData<R>,
}

impl<R: Right> Granted<R> {
    /// The check.
    #[inline(always)]
    pub(crate) fn check(reference: Reference) -> Option<Self> {
        let granted = reference.permissions.contains(R::NEEDED);
        granted.then_some(Self { reference, right: PhantomData })
    }

    /// What the right is to.
    #[inline(always)]
    pub(crate) fn reference(&self) -> Reference {
        self.reference
    }

    /// The slots that its route and its group are in, or were.
    #[inline(always)]
    pub(crate) fn slots<'o>(&self, office: &'o Office) -> (&'o Route, &'o Group) {
        let Reference { route, group, .. } = self.reference;
        debug_assert!(!route.is_nowhere() && !group.is_nowhere());
        // SAFETY: a capability is to a route that was opened, in a group that
        // was made (rule P2), so both slots were claimed once; the arenas of
        // routes and groups never retire.
        unsafe { (office.routes.slot(route.index), office.groups.slot(group.index)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::Address;

    /// Rules P1 and P2, all cases: a right is granted exactly to those who have
    /// it, and demotion never adds one.
    #[test]
    fn rights_are_what_was_given() {
        for held in (0..8).map(Permissions::from_bits_retain) {
            let reference =
                Reference { route: Address::NOWHERE, group: Address::NOWHERE, permissions: held };
            assert_eq!(
                Granted::<Send>::check(reference).is_some(),
                held.contains(Permissions::SEND)
            );
            let link = held.contains(Permissions::MONITOR) && held.contains(Permissions::KILL);
            assert_eq!(Granted::<Link>::check(reference).is_some(), link);
            for kept in (0..16).map(Permissions::from_bits_retain) {
                match reference.demoted(kept) {
                    Some(demoted) => {
                        assert!(held.contains(kept) && demoted.permissions == kept);
                    }
                    None => assert!(!held.contains(kept)),
                }
            }
        }
    }
}

//! Rosters: who is to be walked at a death.
//!
//! A group's roster lists its routes, another its links; a mailbox's lists the
//! monitors that watch it. A member is a record's index, put there by whoever
//! made the record and taken out in O(1) by whoever ends it, at the position
//! that adding it returned. A walk shows members that were there throughout,
//! and perhaps some that came or went; each is validated by its own record.
//!
//! An office with fixed storage has no rosters: it walks all of its records,
//! which are few, and lets each say whom it belongs to.
//!
//! # Progress
//! Adding and removing are lock-free; a walk is bounded by the slots there are.

/// Where a member was put.
pub(crate) type Position = u32;

#[cfg(not(feature = "alloc"))]
pub(crate) use none::Roster;
#[cfg(feature = "alloc")]
pub(crate) use some::Roster;

#[cfg(not(feature = "alloc"))]
mod none {
    //! Storage is fixed: there are no rosters.

    use super::Position;
    use crate::arena::Exhausted;
    use crate::reclaim::Pin;

    /// Stands for a roster that is never asked.
    pub(crate) struct Roster(());

    impl Roster {
        pub(crate) const fn new() -> Self {
            Self(())
        }

        pub(crate) fn add(&self, _index: u32) -> Result<Position, Exhausted> {
            Ok(0)
        }

        pub(crate) fn remove(&self, _position: Position) {}

        pub(crate) fn is_idle(&self) -> bool {
            true
        }

        pub(crate) fn visit(&self, _pin: &Pin, _visit: impl FnMut(u32)) {}

        pub(crate) fn clear(&self, _pin: &Pin) {}
    }
}

#[cfg(feature = "alloc")]
mod some {
    use super::Position;
    use crate::arena::small::Small;
    use crate::arena::{Exhausted, Slot, memory};
    use crate::reclaim::Pin;
    use crate::sync::atomic::{
        AtomicPtr, AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    };
    use crate::sync::const_fn;
    use core::ptr;

    const FIRST: usize = if crate::sync::MODEL { 2 } else { 8 };

    /// A place in a roster: 0, or a record's index + 1.
    struct Member(AtomicU32);

    impl Slot for Member {
        fn vacant() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    type Members = Small<Member, FIRST>;

    /// A roster, made when it gets its first member.
    pub(crate) struct Roster(AtomicPtr<Members>);

    impl Roster {
        const_fn! {
            pub(crate) const fn new() -> Self {
                Self(AtomicPtr::new(ptr::null_mut()))
            }
        }

        fn members(&self) -> Option<&Members> {
            // SAFETY: set once to memory that stays while the roster's owner does,
            // or until `clear`, after which only those pinned still look.
            unsafe { self.0.load(Acquire).as_ref() }
        }

        fn made(&self) -> Result<&Members, Exhausted> {
            let make = || Members::new(core::array::from_fn(|_| Member::vacant()));
            let made = memory::publish(&self.0, 1, make); // Partner: `members`.
            made.ok().and_then(|()| self.members()).ok_or(Exhausted::Memory)
        }

        /// Adds the record at `index`.
        pub(crate) fn add(&self, index: u32) -> Result<Position, Exhausted> {
            let members = self.made()?;
            let position = members.claim()?;
            // SAFETY: claimed just now.
            unsafe { members.slot(position) }.0.store(index + 1, Release); // Partner: `walk`.
            Ok(position)
        }

        /// Removes the member at `position`, which the caller's `add` returned.
        pub(crate) fn remove(&self, position: Position) {
            if let Some(members) = self.members() {
                // SAFETY: claimed by the `add` that returned it.
                // Release: a walk that passes it over sees what was done for it. Partner: `walk`.
                unsafe { members.slot(position) }.0.store(0, Release);
                members.give_back(position);
            }
        }

        /// Whether nobody is a member: mostly there never was one, or none is left.
        #[inline]
        pub(crate) fn is_idle(&self) -> bool {
            self.members().is_none_or(Members::is_idle)
        }

        /// Visits the members, for those who validate what they see.
        #[inline]
        pub(crate) fn visit<'p>(&'p self, pin: &'p Pin, visit: impl FnMut(u32)) {
            if let Some(members) = self.members().filter(|members| !members.is_idle()) {
                Self::walk(members, pin, visit);
            }
        }

        fn walk<'p>(members: &'p Members, pin: &'p Pin, mut visit: impl FnMut(u32)) {
            members.visit(pin, |member| {
                if let Some(index) = member.0.load(Acquire).checked_sub(1) {
                    visit(index);
                }
            });
        }

        /// Gives back memory that no member uses. For a living owner.
        pub(crate) fn reclaim(&self, pin: &Pin) {
            if let Some(members) = self.members() {
                members.reclaim(pin);
            }
        }

        /// Gives back all memory, if there is no member. For a vacant owner.
        pub(crate) fn clear(&self, pin: &Pin) {
            if !crate::reclaim::RECLAIMS || !self.members().is_some_and(Members::seal) {
                return;
            }
            let members = self.0.swap(ptr::null_mut(), Relaxed); // Acquired to seal them.
            // SAFETY: sealed, so nobody is a member or can become one there: only
            // those pinned before still look. Made by `allocate` with this count.
            unsafe { crate::reclaim::retire(pin, members, 1) };
        }
    }

    impl Drop for Roster {
        fn drop(&mut self) {
            let members = self.0.load(Relaxed); // `&mut self`.
            if !members.is_null() {
                // SAFETY: `&mut self`; made by `allocate` with this count.
                unsafe { memory::free(members, 1) };
            }
        }
    }
}

//! Twins: one step of an algorithm weakened, so that a model is seen to fail.
//!
//! A model proves something only if it would notice the fault that it is there
//! for. So each essential ordering and re-check has a name here, and a model
//! build can leave that one out of the very code that ships (`loom-tests`
//! requires that the model then fails). In every other build both functions are
//! constants, and nothing of this is left.

use crate::sync::atomic::Ordering;

macro_rules! twins {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a model build can leave out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        #[allow(missing_docs, reason = "each says so where it has an effect")]
        #[allow(dead_code, reason = "those of what a build leaves out")]
        pub enum Twin { $($(#[$doc])* $name,)* }
    };
}

twins! {
    // head, commit rule
    DownKeepsVersion,
    CloseKeepsVersion,
    ChecksBeforeLook,
    GroupUnchecked,
    PushUnreleased,
    PushInTwoSteps,
    LookUnacquired,
    SleepBlind,
    RouseUnfenced,
    RousedUntold,
    FiredUncounted,
    // recv
    MarkerFreed,
    BlockKeptEarly,
    BlockLeft,
    // credit
    CreditInTwoSteps,
    CreditUnversioned,
    FullOfNothing,
    ShareUnversioned,
    // life, group
    EndInTwoSteps,
    HeldBeforeBorn,
    HoldsOwn,
    LinkUnfenced,
    LinkUnchecked,
    LinkUnconfirmed,
    ListedFirst,
    KillUnfenced,
    // monitor
    MonitorUnfenced,
    MonitorUnchecked,
    DownUnconfirmed,
    KilledRouteUnchecked,
    CloserKeepsHold,
    FiredOnce,
    LateFiredOnce,
    ClosedPassedOver,
    DelistedEarly,
    HoldLeftFirst,
    DecidedTwice,
    CloseUnfenced,
    // wake
    BusyDespiteCallers,
    CallUnstepped,
    LeaveIgnoresRegistration,
    // index, entry
    IndexUnvalidated,
    InsertBlind,
    LinkUntagged,
    MarkOverlooked,
    EntryUnvalidated,
    PublishBlind,
    RaiseInTwoSteps,
    StagedRemembered,
    StagedFoundOnce,
    // arena, magazine
    ClaimUnacquired,
    GiveBackUnreleased,
    ClaimInTwoSteps,
    InstallInTwoSteps,
    TakeInTwoSteps,
    FillBlind,
    RetireUncounted,
    Unpinned,
    // tables
    ShareUnasked,
    ShareLeftCharged,
    BelowZeroIsMuch,
    // waiters
    WaitUnsaid,
    WakeKept,
    LateWakeUsed,
    WakeForAnother,
    CallLeftToOne,
    SilencedByAnother,
    RoomLeft,
    IdleWakesOne,
    SleeperUnasked,
    RoomUnfenced,
    IdleLooksFirst,
    DozeUnfenced,
}

#[cfg(not(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle"))))]
mod set {
    use super::{Ordering, Twin};

    #[inline(always)]
    pub(crate) const fn is(_twin: Twin) -> bool {
        false
    }

    #[inline(always)]
    pub(crate) const fn unless(_twin: Twin, ordering: Ordering) -> Ordering {
        ordering
    }
}

#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
mod set {
    use super::{Ordering, Twin};
    use crate::sync::unmodelled;

    /// The twin this process runs, + 1.
    static SET: unmodelled::AtomicU32 = unmodelled::AtomicU32::new(0);

    /// Runs `twin` in this process from now on.
    pub fn set(twin: Twin) {
        SET.store(twin as u32 + 1, unmodelled::Ordering::SeqCst);
    }

    pub(crate) fn is(twin: Twin) -> bool {
        SET.load(unmodelled::Ordering::Relaxed) == twin as u32 + 1
    }

    pub(crate) fn unless(twin: Twin, ordering: Ordering) -> Ordering {
        if is(twin) { Ordering::Relaxed } else { ordering }
    }
}

/// Whether a step is left out.
pub(crate) use set::is;
#[cfg(any(all(loom, feature = "loom"), all(shuttle, feature = "shuttle")))]
pub use set::set;
/// An ordering, unless it is left out.
pub(crate) use set::unless;

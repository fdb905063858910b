//! The waker of one waiting task, called by anybody, replaced by its owner.
//!
//! # The word
//! ```text
//!  most significant                            least significant
//! ┌─────────────┬─────────┬────────┬──────┬──────────┬─────────┐
//! │ registration│ callers │ closed │ busy │ notified │ present │
//! └─────────────┴─────────┴────────┴──────┴──────────┴─────────┘
//! ```
//!
//! # States
//! | state    | present | busy | may read the waker | may write the waker      |
//! |----------|---------|------|--------------------|--------------------------|
//! | Empty    | 0       | 0    | nobody             | nobody                   |
//! | Busy     | 0       | 1    | nobody             | the owner                |
//! | Present  | 1       | 0    | owner and callers  | nobody                   |
//! | Closed   | 0       | -    | callers, until the last has left; who is last takes it out | |
//!
//! `notified`: a call that began after the last registration has ended, so the
//! owner will look; or one came while there was no waker to call. It is set
//! *after* the call, so that a caller stopped half way never keeps another from
//! waking the owner (rules S4 and R4), and only if the registration is still the
//! one the call began with (a version, rule O6): else the owner might have
//! looked between the call and its end.
//!
//! # Transitions
//! | step          | from              | to                   | owes              |
//! |---------------|-------------------|----------------------|-------------------|
//! | register, same waker | Present    | Present, not notified | a look afterwards |
//! | register      | no callers        | Busy                 | write, then:      |
//! | ready         | Busy              | Present, not notified | if it was notified: wake |
//! | call          | Present, not notified | one caller more  | call, then leave  |
//! | leave         | one caller or more | one fewer, notified if the registration is the same | if Closed and last: vacate |
//! | call          | Empty or Busy     | notified             |                   |
//! | close         | Empty or Present  | Closed               | if no callers: vacate |
//!
//! # Ordering
//! 1. Every step acquires and releases. So of a registration and a call one is
//!    first: either the call finds the new waker, or who registered sees what
//!    the caller did before and must look for it.
//!
//! # Progress
//! Lock-free. An owner that wants to replace the waker while somebody is inside
//! a call to the old one wakes itself instead and tries again.

use crate::bits::Field;
use crate::panics::Panics;
use crate::sync::UnsafeCell;
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire},
};
use crate::sync::const_fn;
use crate::twin::{self, Twin};
use core::mem::MaybeUninit;
use core::task::Waker;

const PRESENT: Field = Field::lowest(1);
const NOTIFIED: Field = Field::above(PRESENT, 1);
const BUSY: Field = Field::above(NOTIFIED, 1);
const CLOSED: Field = Field::above(BUSY, 1);
const CALLERS: Field = Field::above(CLOSED, 13);
const REGISTRATION: Field = Field::above(CALLERS, 15);

const _: () = assert!(REGISTRATION.max() << 17 <= u32::MAX as usize, "fits a 32-bit word");

/// One observed value of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(usize);

impl Word {
    fn has(self, flag: Field) -> bool {
        flag.get(self.0) == 1
    }

    fn with(self, flag: Field) -> Self {
        Self(flag.set(self.0, 1))
    }

    fn without(self, flag: Field) -> Self {
        Self(flag.set(self.0, 0))
    }

    fn callers(self) -> usize {
        CALLERS.get(self.0)
    }

    fn registered(self) -> Self {
        Self(REGISTRATION.advance(self.without(NOTIFIED).0))
    }
}

/// What is left to do for whoever closed the slot or left it last.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// The slot is closed and nobody is inside: what it lies in may be reused.
    Vacant,
}

/// A place for one waker.
pub(crate) struct WakeSlot {
    word: AtomicU32,
    waker: UnsafeCell<MaybeUninit<Waker>>,
}

// SAFETY: the word's states say who may touch the waker: callers read it while
// it is Present or they are counted, the owner writes it while Busy, and who
// leaves a Closed slot last takes it out. `Waker` is Send and Sync.
unsafe impl Sync for WakeSlot {}
// SAFETY: as above; nothing here belongs to a thread.
unsafe impl Send for WakeSlot {}

impl WakeSlot {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { word: AtomicU32::new(0), waker: UnsafeCell::new(MaybeUninit::uninit()) }
        }
    }

    /// Takes one step, retrying until it lands or there is none to take.
    fn step(&self, step: impl Fn(Word) -> Option<Word>) -> Result<Word, Word> {
        let mut seen = self.load();
        loop {
            let Some(next) = step(seen) else { return Err(seen) };
            match self.word.compare_exchange_weak(seen.0 as u32, next.0 as u32, AcqRel, Acquire) {
                Ok(_) => return Ok(seen),
                Err(now) => seen = Word(now as usize),
            }
        }
    }

    fn load(&self) -> Word {
        Word(self.word.load(Acquire) as usize)
    }

    /// Opens the slot for a new owner, who holds the claim on what it lies in.
    pub(crate) fn open(&self) {
        let _ = self.step(|_| Some(Word(0)));
    }

    /// Makes `waker` the one to call. Only the owner calls this, and looks
    /// afterwards for what might have come before.
    pub(crate) fn register(&self, waker: &Waker) {
        let seen = self.load();
        if seen.has(PRESENT) {
            // SAFETY: Present, and only the owner, who is here, ends that.
            let same = self.waker.with(|w| unsafe { (*w).assume_init_ref() }.will_wake(waker));
            if same {
                let _ = self.step(|word| Some(word.registered()));
                return;
            }
        }
        let fresh = waker.clone(); // User code: nothing is held.
        let busy = |word: Word| {
            let is_free = word.callers() == 0 || twin::is(Twin::BusyDespiteCallers);
            is_free.then(|| word.without(PRESENT).without(NOTIFIED).with(BUSY))
        };
        let Ok(before) = self.step(busy) else {
            waker.wake_by_ref(); // Somebody is inside the old one: come again.
            return;
        };
        let old = self.waker.with_mut(|w| {
            // SAFETY: Busy, so only the owner touches the cell; it holds a
            // waker if it was Present.
            unsafe {
                let old = before.has(PRESENT).then(|| (*w).assume_init_read());
                (*w).write(fresh);
                old
            }
        });
        let ready = self.step(|word| Some(word.without(BUSY).registered().with(PRESENT)));
        if ready.is_ok_and(|word| word.has(NOTIFIED)) {
            waker.wake_by_ref(); // Called while Busy.
        }
        drop(old); // User code: the state is whole.
    }

    /// Calls the waker, unless a call since the last registration has ended.
    #[cold]
    pub(crate) fn wake(&self, panics: &mut Panics) -> Left {
        let call = |word: Word| {
            if word.has(CLOSED) || (word.has(NOTIFIED) && twin::is(Twin::CallUnstepped)) {
                None
            } else if word.has(PRESENT) && !word.has(NOTIFIED) && word.callers() < CALLERS.max() {
                Some(Word(CALLERS.advance(word.0)))
            } else {
                Some(word.with(NOTIFIED)) // A step even if it changes nothing: Ordering 1.
            }
        };
        let Ok(before) = self.step(call) else { return Left::Nothing };
        if !before.has(PRESENT) || before.has(NOTIFIED) || before.callers() == CALLERS.max() {
            return Left::Nothing; // No call was entered.
        }
        let leave = Leave { slot: self, entered: before };
        // SAFETY: counted as a caller, so the waker stays until we leave.
        panics.run(|| self.waker.with(|w| unsafe { (*w).assume_init_ref() }.wake_by_ref()));
        core::mem::forget(leave);
        self.leave(before, panics)
    }

    /// Whether there is a waker to call. Only for who has stepped and fenced before, in
    /// a way that who registers after this look sees.
    #[inline]
    pub(crate) fn is_present(&self) -> bool {
        self.load().has(PRESENT)
    }

    /// Whether a call since the last registration has ended: then the owner
    /// will look without another. Only for who knows by another word that the
    /// registration is the latest.
    #[inline]
    pub(crate) fn is_notified(&self) -> bool {
        self.load().has(NOTIFIED)
    }

    /// Ends the call that began when the word was `entered`.
    fn leave(&self, entered: Word, panics: &mut Panics) -> Left {
        let leave = |word: Word| {
            let fewer = Word(CALLERS.set(word.0, word.callers() - 1));
            let same = REGISTRATION.get(word.0) == REGISTRATION.get(entered.0)
                || twin::is(Twin::LeaveIgnoresRegistration);
            Some(if same && !word.has(BUSY) { fewer.with(NOTIFIED) } else { fewer })
        };
        match self.step(leave) {
            Ok(before) if before.has(CLOSED) && before.callers() == 1 => {
                self.vacate(before, panics)
            }
            _ => Left::Nothing,
        }
    }

    /// Ends the slot's use. Only the owner calls this.
    pub(crate) fn close(&self, panics: &mut Panics) -> Left {
        match self.step(|word| Some(word.with(CLOSED))) {
            Ok(before) if before.callers() == 0 => self.vacate(before, panics),
            _ => Left::Nothing,
        }
    }

    /// Takes the waker out of a closed slot that nobody is inside of.
    fn vacate(&self, before: Word, panics: &mut Panics) -> Left {
        if before.has(PRESENT) {
            // SAFETY: Closed without callers, which one thread's step made, and
            // none enters a closed slot: it is ours, and there, being Present.
            let waker = self.waker.with_mut(|w| unsafe { (*w).assume_init_read() });
            let _ = self.step(|word| Some(word.without(PRESENT)));
            panics.run(|| drop(waker)); // User code: the state is whole.
        }
        Left::Vacant
    }
}

/// Leaves even if the waker panics and nothing catches it. What lies around a
/// slot that is closed meanwhile is then kept, not reused.
struct Leave<'s> {
    slot: &'s WakeSlot,
    entered: Word,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut panics = Panics::new();
        let _ = self.slot.leave(self.entered, &mut panics);
        panics.resume();
    }
}

impl Drop for WakeSlot {
    fn drop(&mut self) {
        // `&mut self`: there are no callers.
        let mut panics = Panics::new();
        let _ = self.close(&mut panics);
        panics.resume();
    }
}

#[cfg(all(test, not(loom), feature = "std"))]
mod tests {
    use super::*;
    use crate::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use alloc::sync::Arc;
    use alloc::task::Wake;

    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicU32::new(0)));
        (count.clone(), count.into())
    }

    fn wake(slot: &WakeSlot) -> Left {
        let mut panics = Panics::new();
        slot.wake(&mut panics)
    }

    /// A slot that goes takes its waker with it.
    #[test]
    fn a_waker_goes_with_its_slot() {
        let (count, waker) = counter();
        let slot = WakeSlot::new();
        slot.register(&waker);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 2);
        assert!(slot.is_present() && !slot.is_notified());
        let _ = wake(&slot);
        assert!(slot.is_notified());
        drop(slot);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn one_registration_is_one_call() {
        let (count, waker) = counter();
        let slot = WakeSlot::new();
        slot.register(&waker);
        assert_eq!((wake(&slot), wake(&slot)), (Left::Nothing, Left::Nothing));
        assert_eq!(count.0.load(SeqCst), 1);
        slot.register(&waker);
        let _ = wake(&slot);
        assert_eq!(count.0.load(SeqCst), 2);
    }

    #[test]
    fn the_latest_waker_is_called() {
        let ((first, one), (second, two)) = (counter(), counter());
        let slot = WakeSlot::new();
        slot.register(&one);
        slot.register(&two);
        let _ = wake(&slot);
        assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
        assert_eq!(Arc::strong_count(&first), 2, "the old waker was dropped");
    }

    #[test]
    fn closing_drops_the_waker() {
        let (count, waker) = counter();
        let slot = WakeSlot::new();
        slot.register(&waker);
        drop(waker);
        assert_eq!(slot.close(&mut Panics::new()), Left::Vacant);
        assert_eq!(Arc::strong_count(&count), 1);
        assert_eq!(wake(&slot), Left::Nothing);
        slot.open();
        assert_eq!(slot.close(&mut Panics::new()), Left::Vacant);
    }
}

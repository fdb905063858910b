//! Models of reclamation: memory is not given back under who looks at it. Only
//! where loom sees the collector's own steps.
#![cfg(all(loom, crossbeam_loom))]

use flue_core::internals::Slots;
use loom_tests::{model, thread};
use std::sync::Arc;

/// Gives memory back, and lets the collector advance until it is freed.
fn reclaim(slots: &Slots) {
    for _ in 0..3 {
        slots.reclaim();
    }
}

model! {
    /// A segment is retired while somebody looks at a slot of it: who looks is pinned.
    fn retire_races_peek() {
        let slots = Arc::new(Slots::new(4));
        let index = slots.claim().unwrap();
        slots.give_back(index);
        let other = thread::spawn({
            let slots = slots.clone();
            move || reclaim(&slots)
        });
        let stayed = slots.peek(index, thread::yield_now);
        assert_ne!(stayed, Some(false), "freed under who looks at it");
        other.join().unwrap();
    }
    twin fails_unpinned: Unpinned says "freed under who looks at it";
}

model! {
    /// A segment is retired while somebody claims in it: one of the two is first.
    /// Who retires has claimed every slot; that they were all free before is not enough.
    fn retire_races_claim() {
        let slots = Arc::new(Slots::new(4));
        let index = slots.claim().unwrap();
        slots.give_back(index);
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.reclaim()
        });
        let index = slots.claim().expect("there is room");
        let is_there = || slots.peek(index, || {}) == Some(true);
        assert!(is_there(), "retired under its claimant");
        other.join().unwrap();
        assert!(is_there(), "retired under its claimant");
        assert_eq!(slots.touch(index), 1);
    }
    twin fails_uncounted: RetireUncounted says "retired under its claimant";
}

model! {
    /// Rule O2: a segment that takes a retired one's place counts on from it. What a
    /// claimant did to the count it released by giving the slot back, and who
    /// retires it acquired by claiming it.
    fn install_races_retire() {
        let slots = Arc::new(Slots::new(4));
        let index = slots.claim().unwrap();
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.reclaim()
        });
        slots.next_generation(index);
        let before = slots.next_generation(index);
        slots.give_back(index);
        let again = slots.claim().unwrap();
        if again == index {
            assert!(slots.next_generation(again) > before, "a generation twice");
        }
        other.join().unwrap();
    }
    twin fails_unreleased: GiveBackUnreleased says "a generation twice";
    twin fails_unacquired: ClaimUnacquired says "a generation twice";
}

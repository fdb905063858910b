//! Models of reclamation: memory is not given back under who looks at it. Only
//! where loom sees the collector's own steps.
#![cfg(all(loom, crossbeam_loom))]

use flue_core::internals::Slots;
use loom::thread;
use loom_tests::model;
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
    fn retire_races_claim() {
        let slots = Arc::new(Slots::new(4));
        let index = slots.claim().unwrap();
        slots.give_back(index);
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.reclaim()
        });
        let index = slots.claim().expect("there is room");
        slots.touch(index);
        other.join().unwrap();
        assert_eq!(slots.touch(index), 2, "retired under its claimant");
    }
}

model! {
    /// Rule O2: a segment that takes a retired one's place counts on from it.
    fn install_races_retire() {
        let slots = Arc::new(Slots::new(4));
        let index = slots.claim().unwrap();
        let before = slots.next_generation(index);
        slots.give_back(index);
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.reclaim()
        });
        let again = slots.claim().unwrap();
        if again == index {
            assert!(slots.next_generation(again) > before, "a generation twice");
        }
        other.join().unwrap();
    }
}

//! Models of arenas: segments, claims, giving back, and magazines of nodes.
#![cfg(loom)]

use flue_core::internals::{Life, Magazine, Roster, Slots, SmallSlots};
use loom_tests::{model, thread};
use std::sync::Arc;

model! {
    /// Two claims in one segment: one slot each.
    fn claim_races_claim() {
        let slots = Arc::new(Slots::new(4));
        let first = slots.claim().unwrap(); // So that the segment is there.
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.claim().unwrap()
        });
        let mine = slots.claim().unwrap();
        let theirs = other.join().unwrap();
        assert!(mine != theirs && mine != first && theirs != first, "one slot, two claims");
    }
    /// A claim that reads the free bits and then writes them.
    twin fails_in_two_steps: ClaimInTwoSteps says "one slot, two claims";
}

model! {
    /// A slot that is given back is seen by its next claimant as it was left.
    fn claim_races_give_back() {
        let slots = Arc::new(Slots::new(8));
        let mine: Vec<u32> = (0..4).map(|_| slots.claim().unwrap()).collect();
        let (given, kept) = (mine[0], mine[1]);
        let other = thread::spawn({
            let slots = slots.clone();
            move || {
                if let Some(index) = slots.claim() {
                    let touched = slots.touch(index);
                    assert_eq!(touched == 2, index == given, "not as it was left");
                }
            }
        });
        slots.touch(given);
        slots.give_back(given);
        slots.touch(kept);
        other.join().unwrap();
    }
    twin fails_unreleased: GiveBackUnreleased says "Causality violation";
    twin fails_unacquired: ClaimUnacquired says "Causality violation";
}

model! {
    /// The limit is exact: two claims at the last slot, while none is given back.
    fn claims_race_for_the_limit() {
        let slots = Arc::new(Slots::new(2));
        let _first = slots.claim().unwrap();
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.claim().is_some()
        });
        let mine = slots.claim().is_some();
        assert!(mine ^ other.join().unwrap(), "the limit is not exact");
        assert_eq!(slots.live(), 2);
    }
}

model! {
    /// The limit is never told spuriously: with a slot given back before, a
    /// claim succeeds, whatever the other does.
    fn claim_races_claim_and_give_back() {
        let slots = Arc::new(Slots::new(2));
        let first = slots.claim().unwrap();
        let other = thread::spawn({
            let slots = slots.clone();
            move || {
                slots.give_back(first);
                let index = slots.claim().expect("there are two");
                slots.touch(index);
            }
        });
        let index = slots.claim().expect("there are two");
        slots.touch(index);
        other.join().unwrap();
        assert_eq!(slots.live(), 2);
    }
}

model! {
    /// Two first claims install one segment, and find their slots made.
    fn install_races_install() {
        let slots = Arc::new(Slots::new(4));
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.claim().unwrap()
        });
        let mine = slots.claim().unwrap();
        slots.touch(mine);
        let theirs = other.join().unwrap();
        assert_ne!(mine, theirs, "one slot, two claims");
        assert_eq!((slots.touch(mine), slots.touch(theirs), slots.live()), (2, 1, 2));
    }
    /// An installation that looks and then writes: one finds the other's slots.
    twin fails_in_two_steps: InstallInTwoSteps says "Causality violation";
}

model! {
    /// A batch is claimed in one step, beside another one: together they have
    /// what there is, and no slot twice.
    fn batch_races_batch() {
        let slots = Arc::new(Slots::new(8));
        let first = slots.claim().unwrap();
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.claim_some(2)
        });
        let mut all = slots.claim_some(2);
        all.extend(other.join().unwrap());
        all.push(first);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(count, all.len(), "one slot, two claims");
        assert_eq!(slots.live(), count);
    }
    twin fails_in_two_steps: ClaimInTwoSteps says "one slot, two claims";
}

model! {
    /// A batch is given back while another thread claims: nothing is lost, and
    /// what it left in the slots is seen.
    fn batch_give_back_races_claim() {
        let slots = Arc::new(Slots::new(8));
        let batch = slots.claim_some(4);
        let other = thread::spawn({
            let slots = slots.clone();
            move || {
                let index = slots.claim().expect("there is room");
                slots.touch(index);
            }
        });
        for index in &batch {
            slots.touch(*index);
        }
        slots.give_back_all(batch);
        other.join().unwrap();
        assert_eq!(slots.live(), 1);
        assert_eq!((0..7).filter(|_| slots.claim().is_some()).count(), 7, "a lost slot");
        assert!(slots.claim().is_none());
    }
    twin fails_unreleased: GiveBackUnreleased says "Causality violation";
}

model! {
    /// A walk beside a claim that adds a segment: it ends, and sees what was there.
    fn walk_races_install() {
        let slots = Arc::new(Slots::new(8));
        assert_eq!(slots.claim_some(4).len(), 4);
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.claim().unwrap()
        });
        let seen = slots.each();
        assert!((4..=8).contains(&seen), "{seen}");
        other.join().unwrap();
    }
}

model! {
    /// Who looks without a claim at a slot that is being made finds it made, or none:
    /// setting a segment's slots releases, looking acquires.
    fn peek_races_install() {
        let slots = Arc::new(Slots::new(4));
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.claim().unwrap()
        });
        assert_ne!(slots.peek(0, || {}), Some(false));
        assert_eq!(other.join().unwrap(), 0);
    }
}

model! {
    /// The first slot of a small arena, and those beyond: two claims, two slots.
    fn small_claim_races_claim() {
        let slots = Arc::new(SmallSlots::new());
        let other = thread::spawn({
            let slots = slots.clone();
            move || {
                let index = slots.claim().unwrap();
                slots.touch(index);
                index
            }
        });
        let mine = slots.claim().unwrap();
        slots.touch(mine);
        assert_ne!(mine, other.join().unwrap());
    }
}

model! {
    /// The first slot of a small arena that is given back is seen by its next claimant
    /// as it was left.
    fn small_claim_races_give_back() {
        let slots = Arc::new(SmallSlots::new());
        let first = slots.claim().unwrap();
        let other = thread::spawn({
            let slots = slots.clone();
            move || {
                let index = slots.claim().unwrap();
                assert_eq!(slots.touch(index) == 2, index == first, "not as it was left");
            }
        });
        slots.touch(first);
        slots.give_back(first);
        other.join().unwrap();
    }
}

model! {
    /// A look-up of what is beyond a small arena's first slots, by a name that was
    /// guessed, while the rest is made: it is found made, or not at all.
    fn small_look_up_races_growth() {
        let slots = Arc::new(SmallSlots::new());
        assert_eq!(slots.claim(), Some(0));
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.claim().unwrap()
        });
        let _ = slots.is_settled(1);
        assert_eq!(other.join().unwrap(), 1);
        assert!(slots.is_settled(1));
    }
}

model! {
    /// A small arena is sealed only if nobody has a slot, and then nobody gets one.
    fn small_claim_races_seal() {
        let slots = Arc::new(SmallSlots::new());
        let other = thread::spawn({
            let slots = slots.clone();
            move || slots.claim().map(|index| slots.touch(index)).is_some()
        });
        let is_sealed = slots.seal();
        let is_claimed = other.join().unwrap();
        // The first slot is sealed; slots beyond it were never made.
        assert!(!is_sealed || !is_claimed || slots.claim() != Some(0), "claimed and sealed");
    }
}

model! {
    /// A place that was refilled is not taken for what it was: the word has a version.
    fn take_races_refill() {
        let magazine = Arc::new(Magazine::new());
        assert!(magazine.fill(&[1]).is_empty());
        let other = thread::spawn({
            let magazine = magazine.clone();
            move || magazine.take()
        });
        let mut all: Vec<u32> = magazine.take().into_iter().collect();
        let left = magazine.fill(&[2]);
        all.extend(other.join().unwrap());
        all.extend(left);
        all.extend(magazine.take());
        all.sort_unstable();
        assert_eq!(all, [1, 2], "a node twice, or lost");
    }
    twin fails_in_two_steps: TakeInTwoSteps says "a node twice, or lost";
}

model! {
    /// Of two that fill one magazine one does, and the other keeps its nodes.
    fn fill_races_fill() {
        let magazine = Arc::new(Magazine::new());
        let other = thread::spawn({
            let magazine = magazine.clone();
            move || magazine.fill(&[0, 1])
        });
        let mut all = magazine.fill(&[4, 5]);
        all.extend(other.join().unwrap());
        while let Some(node) = magazine.take() {
            all.push(node);
        }
        all.sort_unstable();
        assert_eq!(all, [0, 1, 4, 5], "a node twice, or lost");
    }
    twin fails_blind: FillBlind says "a node twice, or lost";
}

model! {
    /// Two take the last node: one gets it.
    fn take_races_take() {
        let magazine = Arc::new(Magazine::new());
        assert!(magazine.fill(&[1]).is_empty());
        let other = thread::spawn({
            let magazine = magazine.clone();
            move || magazine.take()
        });
        let mine = magazine.take();
        assert!(mine.is_some() ^ other.join().unwrap().is_some());
    }
}

model! {
    /// One life, two ends: one of them ended it.
    fn end_races_end() {
        let life = Arc::new(Life::vacant(0));
        let generation = life.begin();
        let other = thread::spawn({
            let life = life.clone();
            move || life.end(generation)
        });
        let mine = life.end(generation);
        assert!(mine ^ other.join().unwrap(), "ended twice, or never");
    }
    /// An end that looks and then writes.
    twin fails_in_two_steps: EndInTwoSteps says "ended twice, or never";
}

model! {
    /// Rule O2: a late end of one life does not end the next.
    fn end_races_next_life() {
        let life = Arc::new(Life::vacant(0));
        let generation = life.begin();
        let late = thread::spawn({
            let life = life.clone();
            move || life.end(generation)
        });
        let mine = life.end(generation);
        if mine {
            let next = life.begin();
            assert!(life.is(next), "the next life was ended");
        }
        assert!(mine ^ late.join().unwrap());
    }
}

model! {
    /// A walk of a roster shows who was there throughout, while others come and go.
    fn walk_races_roster_changes() {
        let roster = Arc::new(Roster::new());
        let (_, second) = (roster.add(7).unwrap(), roster.add(8).unwrap());
        let other = thread::spawn({
            let roster = roster.clone();
            move || {
                roster.remove(second);
                roster.add(9).unwrap();
            }
        });
        let seen = roster.members();
        assert!(seen.contains(&7), "missed");
        assert!(seen.iter().all(|member| [7, 8, 9].contains(member)), "{seen:?}");
        other.join().unwrap();
        let mut after = roster.members();
        after.sort_unstable();
        assert_eq!(after, [7, 9]);
    }
}

model! {
    /// Two join a roster that has no memory yet: both are in it.
    fn first_add_races_first_add() {
        let roster = Arc::new(Roster::new());
        let other = thread::spawn({
            let roster = roster.clone();
            move || roster.add(1).unwrap()
        });
        roster.add(2).unwrap();
        other.join().unwrap();
        let mut members = roster.members();
        members.sort_unstable();
        assert_eq!(members, [1, 2], "lost");
    }
}

//! What an arena promises to one thread; its races are models.

use super::small::Small;
use super::*;
use crate::reclaim::Participants;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

/// A slot.
struct Plain(#[expect(dead_code, reason = "slots have a size")] u32);

impl Slot for Plain {
    fn vacant() -> Self {
        Self(0)
    }
}

fn arena(limit: usize) -> Arena<Plain> {
    Arena::new(limit)
}

#[test]
fn all_slots_up_to_the_limit_are_claimed_once() {
    let arena = arena(1000);
    let mut all = BTreeSet::new();
    for count in 1..=1000 {
        assert!(all.insert(arena.claim().unwrap()));
        assert_eq!(arena.live(), count);
        assert_eq!(arena.is_scarce(), count > 500);
    }
    assert_eq!(arena.claim(), Err(Exhausted::Limit));
    assert!(matches!(arena.claim_some(3), Err(Exhausted::Limit)));
    assert_eq!(arena.live(), 1000);
    // As close together as they can be: indices are small.
    let span = arena.span();
    assert_eq!(span, 1000_usize.next_multiple_of(SLOTS));
    // From both ends in turn, so that the segments' runs are broken.
    let scattered: Vec<_> = all.iter().zip(all.iter().rev()).take(500).collect();
    arena.give_back_all(scattered.into_iter().flat_map(|(a, b)| [*a, *b]));
    assert_eq!(arena.live(), 0);
    let mut claimed = BTreeSet::new();
    while let Ok(claim) = arena.claim_some(7) {
        assert!((1..=7).contains(&claim.mask().count_ones()));
        claim.for_each(|index| assert!(claimed.insert(index)));
        assert_eq!(arena.live(), claimed.len());
    }
    assert_eq!((claimed.len(), arena.span()), (1000, span));
}

/// However slots come and go, those claimed are counted, and no more segments are made
/// than twice as many as ever were needed (rule Q2).
#[test]
fn a_long_walk_keeps_count_and_stays_small() {
    let (arena, mut dice) = (arena(1 << 16), 0x5eed_u32);
    let mut roll = move |below: usize| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (dice >> 8) as usize % below
    };
    let (mut held, mut most) = (Vec::new(), 0);
    for step in 0..20_000 {
        match roll(if step % 4000 < 2000 { 4 } else { 6 }) {
            0 | 1 => held.push(arena.claim().unwrap()),
            2 => held.extend(arena.claim_some(1 + roll(20)).unwrap()),
            3 if !held.is_empty() => arena.give_back(held.swap_remove(roll(held.len()))),
            4 => {
                let from = roll(held.len() + 1).max(held.len().saturating_sub(30));
                arena.give_back_all(held.drain(from..));
            }
            5 => {
                let mut claim = Claim::none();
                held.retain(|index| roll(3) > 0 || !claim.try_add(*index));
                if claim.mask() != 0 {
                    arena.give_back_claim(claim);
                }
            }
            _ => {}
        }
        most = most.max(held.len());
        assert_eq!(arena.live(), held.len());
    }
    assert_eq!(held.iter().collect::<BTreeSet<_>>().len(), held.len());
    assert!(most > 1000 && arena.span() <= 2 * most + PATIENCE * SLOTS, "{most} {}", arena.span());
}

/// Rule Q2: what is full where a claim looks first is no reason to grow while most is free
/// elsewhere; while most is in use, growing is quicker than a long search.
#[test]
fn only_what_is_in_use_grows() {
    let segments = 4 * PATIENCE;
    for (full, grows) in [(PATIENCE, false), (segments - 1, true)] {
        let arena = arena(2 * segments * SLOTS);
        let claimed: Vec<_> = (0..segments * SLOTS).map(|_| arena.claim().unwrap()).collect();
        let span = arena.span();
        assert_eq!(span, segments * SLOTS);
        let is_free = |index: &u32| *index as usize >= full * SLOTS;
        arena.give_back_all(claimed.into_iter().filter(is_free));
        let index = arena.claim().unwrap();
        assert!(is_free(&index) && (arena.span() > span) == grows, "{index} {}", arena.span());
    }
}

#[test]
fn a_sealed_arena_is_full() {
    let arena = arena(100);
    let one = arena.claim().unwrap();
    assert!(!arena.seal());
    arena.give_back(one);
    assert!(arena.seal() && !arena.seal());
    assert_eq!(arena.claim(), Err(Exhausted::Limit));
    arena.unseal();
    assert_eq!(arena.live(), 0);
    assert!(arena.claim().is_ok());
}

/// Rule Q2: what is all free is given back but for the first segments, and made again.
#[test]
fn segments_that_are_all_free_are_given_back() {
    let (arena, participants) = (arena(640), Participants::new());
    let claimed: Vec<_> = (0..640).map(|_| arena.claim().unwrap()).collect();
    let kept = claimed.iter().copied().max().unwrap();
    arena.give_back_all(claimed.iter().copied().filter(|index| *index != kept));
    {
        let pin = participants.pin();
        arena.reclaim(&pin, 2);
        let there = |number: usize| arena.peek(&pin, (number * SLOTS) as u32).is_some();
        let numbers: Vec<_> = (0..arena.span() / SLOTS).filter(|number| there(*number)).collect();
        assert_eq!(numbers, [0, 1, kept as usize / SLOTS]);
    }
    assert_eq!(arena.live(), 1);
    let again: BTreeSet<_> = (1..640).map(|_| arena.claim().unwrap()).collect();
    assert_eq!((again.len(), arena.claim()), (639, Err(Exhausted::Limit)));
    assert!(!again.contains(&kept));
    assert_eq!(arena.span(), 640);
}

/// Rule Q2: a fixed arena has so many slots, and none beside them is looked at.
#[test]
fn a_fixed_arena_ends_where_its_slots_do() {
    let (count, participants) = (SLOTS + 8, Participants::new());
    let mut slots: Vec<_> = (0..2 * SLOTS).map(|_| Plain::vacant()).collect();
    let mut headers = [const { MaybeUninit::<Segment<Plain>>::uninit() }; 2]; // Never dropped.
    let arena = arena(1000);
    // SAFETY: both are this arena's alone and outlive it, in this thread.
    unsafe { arena.wire(headers.as_mut_ptr().cast(), slots.as_mut_ptr(), count) };
    let claimed: Vec<_> = (0..count).map(|_| arena.claim().unwrap()).collect();
    assert_eq!(arena.claim(), Err(Exhausted::Limit));
    let visited = || {
        let mut seen = BTreeSet::new();
        arena.visit(&participants.pin(), |index, _| assert!(seen.insert(index)));
        seen
    };
    assert_eq!(visited(), (0..count as u32).collect());
    arena.give_back(claimed[3]);
    let rest = claimed.iter().copied().filter(|index| *index != claimed[3]).collect();
    assert!(visited() == rest && arena.live() == count - 1);
    arena.give_back_all(rest);
    assert!(arena.is_idle() && visited().is_empty());
}

/// The first slots and the first segment of the rest are looked up without a pin, no others.
#[test]
fn a_small_arena_is_one_word_and_then_an_arena() {
    const FIRST: usize = 3;
    let participants = Participants::new();
    let small = Small::<Plain, FIRST>::new(core::array::from_fn(|_| Plain::vacant()));
    let visited = || {
        let mut count = 0;
        small.visit(&participants.pin(), |_| count += 1);
        count
    };
    assert!(small.is_idle() && small.live() == 0 && visited() == 0);
    assert!(small.settled(2).is_some() && small.settled(3).is_none());
    let first: BTreeSet<_> = (0..FIRST).map(|_| small.claim().unwrap()).collect();
    assert!(first.iter().eq(&[0, 1, 2]) && small.span() == 3);
    assert!(!small.is_idle() && small.live() == 3 && visited() == 3);
    small.give_back(1);
    assert!(!small.is_idle() && visited() == 2 && !small.seal());
    assert_eq!(small.claim(), Ok(1));
    let rest: Vec<_> = (0..2 * SLOTS).map(|_| small.claim().unwrap()).collect();
    let unique: BTreeSet<_> = rest.iter().copied().collect();
    assert!(unique.len() == 2 * SLOTS && unique.first() == Some(&3));
    assert!(small.live() == FIRST + 2 * SLOTS && visited() == small.live());
    for index in 0..(FIRST + 2 * SLOTS) as u32 {
        assert_eq!(small.settled(index).is_some(), (index as usize) < FIRST + SLOTS);
        assert!(small.peek(&participants.pin(), index).is_some());
    }
    (0..3).for_each(|index| small.give_back(index));
    assert!(!small.is_idle() && !small.seal(), "there are others");
    small.clear(&participants.pin());
    assert_eq!((small.live(), visited()), (2 * SLOTS, 2 * SLOTS), "what is claimed stays");
    rest.into_iter().for_each(|index| small.give_back(index));
    assert!(small.is_idle() && small.span() > 3);
    small.clear(&participants.pin());
    assert!(small.is_idle() && small.span() == 3 && small.settled(3).is_none());
    let one = small.claim().unwrap();
    assert!(!small.seal());
    small.give_back(one);
    assert!(small.seal() && !small.seal());
}

/// Claims go round, so that what was just given back is not taken again at once.
#[test]
fn a_small_arena_reuses_in_rotation() {
    let small = Small::<Plain, 4>::new(core::array::from_fn(|_| Plain::vacant()));
    let claimed: Vec<_> = (0..6)
        .map(|_| {
            let index = small.claim().unwrap();
            small.give_back(index);
            index
        })
        .collect();
    assert_eq!(claimed, [0, 1, 2, 3, 0, 1]);
}

#[test]
fn a_claim_is_of_one_segment() {
    let (mut claim, slots) = (Claim::none(), SLOTS as u32);
    assert!(!claim.try_extend(slots));
    assert!(claim.try_add(slots + 3) && claim.try_add(slots) && claim.try_extend(2 * slots - 1));
    assert!(!claim.try_add(0) && !claim.try_add(2 * slots) && !claim.try_extend(3));
    assert_eq!(claim.segment(), 1);
    assert!(claim.eq([slots, slots + 3, 2 * slots - 1]));
}

/// Rule O2: what has lives goes on counting them where its memory was given back.
#[test]
fn lives_go_on_from_the_floor() {
    fn of<T: Slot>() {
        let slot = T::vacant();
        let fresh = slot.floor();
        slot.raise(fresh + 101);
        assert!(slot.floor() >= fresh + 100);
    }
    of::<crate::cap::entry::Entry>();
    of::<crate::link::Link>();
    of::<crate::mailbox::channel::Channel>();
}

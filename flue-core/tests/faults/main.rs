//! Rules Q3, Q4 and S1: the first, the second, ... allocation of every operation
//! fails. It says so, nothing has happened, nothing is lost, and it works when
//! there is memory again; or it needs no memory.
//!
//! Each try has a world of its own, filled up to where one more object needs a
//! new segment, page or bucket; two worlds that were treated alike are alike.
//! What only the collector allocates is `PostOffice::prepare_thread`'s, and of
//! `PostOffice::reclaim`, which is the host's: neither is tried.
#![cfg(feature = "alloc")]

#[path = "../common/mod.rs"]
mod common;

mod allocator;
mod operations;
mod world;

use allocator::{ALL, FAILS, LIVE};
use operations::{Done, OPERATIONS, Operation, Refused};
use std::ops::RangeInclusive;
use world::{Picture, World};

/// A world, and what `operation` made of it with its `n`-th allocation failing.
fn try_with(crowd: usize, operation: Operation, n: usize) -> (World, Picture, Done, bool) {
    let mut world = World::new(crowd);
    let before = world.picture();
    FAILS.set(n);
    let done = operation(&mut world);
    let has_failed = FAILS.replace(0) == 0 && n > 0;
    (world, before, done, has_failed)
}

/// Sizes of crowds among which the arenas, indices and rosters have to grow: so many
/// that each operation meets each of its allocations.
const CROWDS: RangeInclusive<usize> = 0..=140;

/// Rules Q3, Q4 and S1: of each operation each allocation fails once.
#[test]
fn every_allocation_of_every_operation_may_fail() {
    drop(World::new(200).received()); // Whatever is made once for a thread.
    let mut failures = vec![0; OPERATIONS.len()];
    for crowd in CROWDS {
        for (at, (name, operation)) in OPERATIONS.iter().enumerate() {
            let live = LIVE.get();
            let (mut reference, _, done, _) = try_with(crowd, *operation, 0);
            assert_eq!(done, Ok(()), "{name} among {crowd}");
            let (picture, received) = (reference.picture(), reference.received());
            drop(reference);
            for n in 1.. {
                assert!(n < 100, "{name} among {crowd} never ends");
                let (mut world, before, done, has_failed) = try_with(crowd, *operation, n);
                if has_failed && done == Err(Refused::OutOfMemory) {
                    assert_eq!(
                        world.picture(),
                        before,
                        "{name} among {crowd}, {n}: without effect"
                    );
                    failures[at] += 1;
                    // There is memory again.
                    assert_eq!(operation(&mut world), Ok(()), "{name} among {crowd}, {n}: again");
                } else {
                    assert_eq!(done, Ok(()), "{name} among {crowd}, {n}");
                }
                let same = world.picture() == picture;
                assert!(same, "{name} among {crowd}, {n}: {:?}, not {picture:?}", world.picture());
                assert_eq!(world.received(), received, "{name} among {crowd}, {n}");
                if !has_failed {
                    break;
                }
            }
            drop((picture, received));
            assert_eq!(LIVE.get(), live, "{name} among {crowd}: bytes are lost");
        }
    }
    let needs_memory = |name: &str| {
        let none = ["is there", "the dead", "is watched", "a full mailbox"];
        let some = [
            "try_new",
            "try_with",
            "create_",
            "export",
            "insert",
            "Table::demote",
            "monitor",
            "::link",
            "Table::send",
            "poll_send",
            "Capability::send",
        ];
        some.iter().any(|part| name.contains(part))
            && !none.iter().any(|part| name.contains(part))
            && !name.contains("demonitor")
    };
    for ((name, _), count) in OPERATIONS.iter().zip(&failures) {
        println!("{count:6} failures  {name}");
        assert_eq!(*count > 0, needs_memory(name), "{name}: {count} of its allocations failed");
    }
    println!("{} operations, {} failures", OPERATIONS.len(), failures.iter().sum::<usize>());
}

/// Rule Q3: where there is no memory to grow, what is free is found however far it is.
#[test]
fn who_is_refused_memory_takes_what_is_free() {
    let office = flue_core::PostOffice::new();
    let mut groups: Vec<_> = (0..10_000).map(|_| office.create_group().unwrap()).collect();
    groups.reserve(10_000);
    let without_memory = || {
        FAILS.set(ALL);
        let group = office.create_group();
        FAILS.set(0);
        group
    };
    while let Ok(group) = without_memory() {
        groups.push(group); // What was made besides.
    }
    for far in [2_000, 5_000, 8_000] {
        drop(groups.swap_remove(far));
        groups.push(without_memory().expect("one is free"));
    }
    assert!(without_memory().is_err());
}

//! Rules L: links.
#![cfg(feature = "std")]

mod common;

use common::*;
use flue_core::{Limits, Permissions, PostOffice, RouteGroup, TableError};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

fn two(office: &PostOffice) -> (RouteGroup, RouteGroup) {
    (office.create_group().unwrap(), office.create_group().unwrap())
}

/// Rule L1: a link is symmetric, whoever asked for it, and through whatever.
#[test]
fn a_link_kills_both_ways() {
    let office = PostOffice::new();
    for way in 0..3 {
        for first_dies in [false, true] {
            let (one, other) = (process(&office), process(&office));
            let capability = other.mailbox.capability(Permissions::LINK);
            match way {
                0 => one.group.link(&other.group),
                1 => capability.link(&one.group),
                _ => one.table.link(one.table.insert(&capability).unwrap(), &one.group),
            }
            .unwrap();
            assert_eq!(office.stats().links, 1);
            if first_dies {
                one.group.kill()
            } else {
                other.group.kill()
            }
            assert!(one.group.is_dead() && other.group.is_dead());
            assert_eq!(office.stats().links, 0);
        }
    }
    let (alone, other) = two(&office);
    alone.kill();
    assert!(!other.is_dead(), "no link, no death");
}

/// Rule L1: linking a thousand times, from both ends, is one link, and costs one.
#[test]
fn linking_again_is_no_other_link() {
    let mut few = Limits::default();
    few.links_per_group = 1;
    let office = PostOffice::with_limits(few);
    let (one, other) = (process(&office), process(&office));
    let through = other.mailbox.capability(Permissions::LINK);
    for _ in 0..1_000 {
        one.group.link(&other.group).unwrap();
        other.group.link(&one.group).unwrap();
        through.link(&one.group).unwrap();
    }
    assert_eq!(office.stats().links, 1);
    assert_eq!(other.group.unlink(&one.group), Ok(true), "one unlink undoes them all");
    assert_eq!(one.group.unlink(&other.group), Ok(false));
    one.group.kill();
    assert!(!other.group.is_dead());
}

/// Rule L1: linking a group to itself does nothing, and unlinking finds none.
#[test]
fn a_group_is_not_linked_to_itself() {
    let office = PostOffice::new();
    let Process { group, table, mailbox } = process(&office);
    let own = mailbox.export(Permissions::all()).unwrap();
    assert_eq!((group.link(&group), table.link(own, &group)), (Ok(()), Ok(())));
    assert_eq!((office.stats().links, group.is_dead()), (0, false));
    assert_eq!((group.unlink(&group), table.unlink(own, &group)), (Ok(false), Ok(false)));
    mailbox.close();
    assert_eq!(table.link(own, &group), Ok(()), "even through a closed route");
}

/// Rule L1: it acts on the group of the capability's route, and needs LINK.
#[test]
fn a_link_acts_on_the_route_s_group() {
    let office = PostOffice::new();
    let (user, other) = (process(&office), process(&office));
    let second = other.group.create_mailbox(&other.table).unwrap();
    let handle = user.table.insert(&second.capability(Permissions::LINK)).unwrap();
    let weak = user.table.demote(handle, Permissions::MONITOR).unwrap();
    assert_eq!(user.table.link(weak, &user.group), Err(TableError::PermissionDenied));
    user.table.link(handle, &user.group).unwrap();
    user.group.kill();
    assert!(other.group.is_dead());
}

/// Rule L2: a link with the dead is death, before it returns; both dead: nothing.
#[test]
fn linking_with_the_dead_kills() {
    let office = PostOffice::new();
    let (dead, asker) = two(&office);
    dead.kill();
    assert_eq!(asker.link(&dead), Ok(()));
    assert!(asker.is_dead());
    let other = office.create_group().unwrap();
    assert_eq!(dead.link(&other), Ok(()), "the asker is dead: the other dies");
    assert!(other.is_dead());
    assert_eq!(dead.link(&other), Ok(()));
    assert_eq!(office.stats().links, 0);

    // Through capabilities: killed, and ended with its slot reused.
    let (user, killed, ended) = (process(&office), process(&office), process(&office));
    let to_killed = user.table.insert(&killed.mailbox.capability(Permissions::LINK)).unwrap();
    let to_ended = ended.mailbox.capability(Permissions::LINK);
    killed.group.kill();
    drop(ended);
    let reused: Vec<_> = (0..4).map(|_| process(&office)).collect();
    let victim = office.create_group().unwrap();
    assert_eq!(user.table.link(to_killed, &victim), Ok(()));
    assert!(victim.is_dead());
    let victim = office.create_group().unwrap();
    assert_eq!(to_ended.link(&victim), Ok(()));
    assert!(victim.is_dead());
    assert!(reused.iter().all(|p| !p.group.is_dead()) && !user.group.is_dead());
    // The dying pass it on.
    let (third, victim) = two(&office);
    third.link(&victim).unwrap();
    victim.link(&dead).unwrap();
    assert!(third.is_dead());
}

/// Rule L2: through the closed route of a living group nothing is linked; a
/// sealed table's `link` kills nobody.
#[test]
fn no_authority_no_link() {
    let office = PostOffice::new();
    let (user, other) = (process(&office), process(&office));
    let Process { group, table, mailbox } = other;
    let through = mailbox.capability(Permissions::LINK);
    let handle = user.table.insert(&through).unwrap();
    mailbox.close();
    assert_eq!(through.link(&user.group), Err(TableError::Closed));
    assert_eq!(user.table.link(handle, &user.group), Err(TableError::Closed));
    assert_eq!(office.stats().links, 0);
    group.kill();
    assert!(!user.group.is_dead());
    drop(table);

    let (dead, bystander) = (process(&office), process(&office));
    let handle = dead.table.insert(&user.mailbox.capability(Permissions::LINK)).unwrap();
    dead.group.kill();
    assert_eq!(dead.table.link(handle, &bystander.group), Err(TableError::Dead));
    assert_eq!(dead.table.link(handle, &dead.group), Err(TableError::Dead));
    assert_eq!(dead.table.unlink(handle, &bystander.group), Err(TableError::Dead));
    assert!(!user.group.is_dead() && !bystander.group.is_dead());
}

/// Rule L3: a link outlives its route, and is undone through any capability to
/// any route of that group, open or closed, or between the groups.
#[test]
fn unlink_after_the_route_closed() {
    let office = PostOffice::new();
    for way in 0..4 {
        let user = process(&office);
        let Process { group, table, mailbox } = process(&office);
        let sibling = group.create_mailbox(&table).unwrap();
        let (used, unused) =
            (mailbox.capability(Permissions::LINK), sibling.capability(Permissions::LINK));
        let handle = user.table.insert(&used).unwrap();
        user.table.link(handle, &user.group).unwrap();
        mailbox.close();
        assert_eq!(office.stats().links, 1, "the link is there still");
        let removed = match way {
            0 => user.table.unlink(handle, &user.group),
            1 => unused.unlink(&user.group),
            2 => {
                sibling.close();
                unused.unlink(&user.group)
            }
            _ => group.unlink(&user.group),
        };
        assert_eq!(removed, Ok(true));
        assert_eq!(used.unlink(&user.group), Ok(false));
        group.kill();
        assert!(!user.group.is_dead(), "what was unlinked kills nobody");
        user.group.kill();
    }
    // Not undone, it kills after the route is long gone.
    let user = process(&office);
    let Process { group, table: _table, mailbox } = process(&office);
    mailbox.capability(Permissions::LINK).link(&user.group).unwrap();
    drop(mailbox);
    group.kill();
    assert!(user.group.is_dead());
}

/// Rule L3: after `unlink` returned `true` the link never kills; `false` is
/// returned only if there was none.
#[test]
fn unlink_races_kill() {
    let office = PostOffice::new();
    let clock = Clock::start();
    let (mut removed, mut fired) = (0, 0);
    while clock.is_running() {
        for _ in 0..100 {
            let (one, other) = two(&office);
            one.link(&other).unwrap();
            let barrier = Barrier::new(2);
            let was = std::thread::scope(|scope| {
                let killer = scope.spawn(|| {
                    barrier.wait();
                    one.kill();
                });
                barrier.wait();
                let was = other.unlink(&one).unwrap();
                killer.join().unwrap();
                was
            });
            assert_eq!(was, !other.is_dead(), "one or the other");
            if was { removed += 1 } else { fired += 1 }
        }
    }
    assert!(removed + fired > 0);
    assert_eq!(office.stats().links, 0);
}

/// Rule L4: link(a, b), link(b, a) and unlink from three threads, in every
/// argument order: no deadlock, no lost link, and both sides agree.
#[test]
fn links_race_in_every_order() {
    let office = PostOffice::new();
    let (a, b) = (process(&office), process(&office));
    let (to_a, to_b) =
        (a.mailbox.capability(Permissions::LINK), b.mailbox.capability(Permissions::LINK));
    let (done, has_removed) = (AtomicBool::new(false), AtomicBool::new(false));
    let (one, other) = (&a.group, &b.group);
    let removed: usize = std::thread::scope(|scope| {
        let (done, office, to_a, to_b) = (&done, &office, &to_a, &to_b);
        let has_removed = &has_removed;
        let linkers = [
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    one.link(other).unwrap()
                }
            }),
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    to_a.link(other).unwrap()
                }
            }),
        ];
        let unlinkers = [
            scope.spawn(move || {
                let mut removed = 0;
                while !done.load(SeqCst) {
                    removed += usize::from(to_b.unlink(one).unwrap());
                    if removed == 1 {
                        has_removed.store(true, SeqCst);
                    }
                }
                removed
            }),
            scope.spawn(move || {
                let mut removed = 0;
                while !done.load(SeqCst) {
                    removed += usize::from(other.unlink(one).unwrap());
                    if removed == 1 {
                        has_removed.store(true, SeqCst);
                    }
                    // Of each of the three others, who may be stopped anywhere: the one that
                    // it made or has cut, and one that it takes off the list for another.
                    assert!(office.stats().links <= 3 * 2, "what was cut stays");
                }
                removed
            }),
        ];
        let clock = Clock::start();
        let mut looks = 0;
        // On a busy machine it may take them longer to begin.
        while clock.is_running() || (!has_removed.load(SeqCst) && looks < 6_000) {
            std::thread::sleep(std::time::Duration::from_millis(10));
            looks += 1;
        }
        done.store(true, SeqCst);
        linkers.into_iter().for_each(|thread| thread.join().unwrap());
        unlinkers.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(removed > 0);
    assert!(!one.is_dead() && !other.is_dead());
    // Both sides agree on whether there is one; no second one hides behind it.
    let there_was = one.unlink(other).unwrap();
    assert_eq!(
        (other.unlink(one), office.stats().links),
        (Ok(false), 0),
        "there was one: {there_was}"
    );
    one.link(other).unwrap();
    assert_eq!(other.unlink(one), Ok(true));
    one.kill();
    assert!(!other.is_dead());
}

/// Rule L4: links in both directions race a kill: everybody linked is dead
/// when both calls returned, or there was no link (rule L2).
#[test]
fn link_races_kill() {
    let office = PostOffice::new();
    let clock = Clock::start();
    while clock.is_running() {
        const BATCH: usize = 200;
        let pairs: Vec<_> = (0..BATCH).map(|_| two(&office)).collect();
        let barrier = Barrier::new(3);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                pairs.iter().for_each(|(a, b)| a.link(b).unwrap());
            });
            scope.spawn(|| {
                barrier.wait();
                pairs.iter().for_each(|(a, b)| b.link(a).unwrap());
            });
            barrier.wait();
            pairs.iter().for_each(|(a, _)| a.kill());
        });
        // Each was linked, before or after: its other end is dead.
        assert!(pairs.iter().all(|(a, b)| a.is_dead() && b.is_dead()));
        assert_eq!(office.stats().links, 0);
    }
}

/// Rule L4: rings that are linked and killed at random, by several threads,
/// always die as wholes.
#[test]
fn graphs_die_whole() {
    let office = PostOffice::new();
    let clock = Clock::start();
    let mut seed = 1;
    while clock.is_running() {
        seed += 1;
        let groups: Vec<_> = (0..16).map(|_| office.create_group().unwrap()).collect();
        let barrier = Barrier::new(3);
        std::thread::scope(|scope| {
            for half in 0..2 {
                let (groups, barrier) = (&groups, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for at in (half..16).step_by(2) {
                        groups[at].link(&groups[(at + 1) % 16]).unwrap();
                    }
                });
            }
            barrier.wait();
            groups[Dice::new(seed).below(16)].kill();
        });
        assert!(groups.iter().all(RouteGroup::is_dead), "the ring was closed, and one of it dead");
        assert_eq!(office.stats().links, 0);
    }
}

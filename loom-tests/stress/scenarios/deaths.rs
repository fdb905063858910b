//! Kills, monitors and links that race.

use super::{Run, Scenario, scenario};
use crate::office::Process;
use crate::threads::{self, give_way};
use flue_core::{DownReason, Permissions, RouteGroup, Signal, TableError};
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

pub const SCENARIOS: &[Scenario] = &[
    scenario("monitors, kills and closes", monitors),
    scenario("links both ways", links),
    scenario("a chain killed from both ends", chain),
    scenario("a group ends while it is linked", ends),
    scenario("observers come and go", observers),
];

/// Each monitor ends once: by one down, or by its removal.
fn monitors(run: &Run) -> u64 {
    const OBSERVERS: usize = 2;
    let rounds = 60 * run.scale;
    let ended = AtomicU64::new(0);
    for round in 0..rounds {
        let watched: Vec<_> = (0..3).map(|_| Process::new(&run.office, 1)).collect();
        let observers: Vec<_> = (0..OBSERVERS)
            .map(|_| {
                let observer = Process::new(&run.office, 4);
                let handles: Vec<_> = watched
                    .iter()
                    .map(|process| process.in_table(&observer.table, Permissions::MONITOR))
                    .collect();
                Mutex::new((observer, handles))
            })
            .collect();
        let groups: Vec<_> = watched.iter().map(|process| process.group.clone()).collect();
        let watched = Mutex::new(watched);
        threads::run(OBSERVERS + 2, &|thread| match thread {
            0 => {
                let dying = groups.iter().skip(usize::from(round % 2 == 0));
                dying.for_each(RouteGroup::kill);
            }
            1 => {
                let mut watched = watched.lock().expect("one owner");
                while let Some(process) = watched.pop() {
                    process.mailbox.close();
                }
            }
            _ => {
                let mut own = observers[thread - 2].lock().expect("one observer");
                let (observer, handles) = &mut *own;
                observe(observer, handles, &mut run.dice(thread), &ended);
            }
        });
    }
    assert_eq!(ended.load(Relaxed), rounds * OBSERVERS as u64 * 3);
    rounds
}

fn observe(
    observer: &mut Process,
    handles: &[flue_core::Handle],
    dice: &mut crate::dice::Dice,
    ended: &AtomicU64,
) {
    let mut armed = Vec::new();
    for handle in handles {
        let id = observer.table.monitor(*handle, &observer.mailbox).expect("there is room");
        armed.push(id);
        let again = observer.table.monitor(*handle, &observer.mailbox).expect("there is room");
        assert_eq!(id, again, "its down was not received yet");
    }
    if dice.hits(2) {
        let id = armed.remove(dice.roll(armed.len() as u64) as usize);
        assert!(observer.mailbox.demonitor(id), "its down was not received");
        assert!(!observer.mailbox.demonitor(id));
        ended.fetch_add(1, Relaxed);
    }
    while !armed.is_empty() {
        match observer.mailbox.try_recv() {
            Ok(Signal::Down(down)) => {
                let at = armed.iter().position(|id| *id == down.monitor());
                armed.remove(at.expect("armed, and its first down"));
                assert!(matches!(
                    down.reason(),
                    DownReason::Closed | DownReason::Killed | DownReason::Gone
                ));
                ended.fetch_add(1, Relaxed);
            }
            Ok(_) => panic!("nobody sends"),
            Err(_) => give_way(),
        }
    }
    assert!(observer.mailbox.try_recv().is_err(), "one too many");
}

/// Rules L2 and L4: whatever races, both sides agree in the end.
fn links(run: &Run) -> u64 {
    let rounds = 150 * run.scale;
    for round in 0..rounds {
        let one = Process::new(&run.office, 1);
        let two = Process::new(&run.office, 1);
        let to_two = two.in_table(&one.table, Permissions::LINK);
        let (table, is_killed) = (one.table.clone(), AtomicBool::new(false));
        let groups = [one.group.clone(), two.group.clone()];
        let [one_group, two_group] = &groups;
        threads::run(4, &|thread| match thread {
            0 => one_group.link(two_group).expect("there is room"),
            1 => match table.link(to_two, one_group) {
                Ok(()) | Err(TableError::Dead) => {}
                Err(error) => panic!("{error}"),
            },
            2 => drop(two_group.unlink(one_group).expect("one office")),
            _ => {
                if round % 2 == 0 {
                    groups[(round / 2 % 2) as usize].kill();
                    is_killed.store(true, Release);
                }
            }
        });
        let dead = groups.iter().filter(|group| group.is_dead()).count();
        let is_linked = one_group.unlink(two_group).expect("one office");
        match dead {
            0 => assert!(!is_killed.load(Acquire)),
            // It was not linked any more, or not yet, when it died; then a link kills.
            1 => assert!(!is_linked, "linked to the dead"),
            _ => assert!(!is_linked && is_killed.load(Acquire), "nobody killed"),
        }
    }
    rounds
}

/// Both ends of a chain are killed, and the middle is cut at the same time.
fn chain(run: &Run) -> u64 {
    const LENGTH: usize = 12;
    let rounds = 60 * run.scale;
    for _ in 0..rounds {
        let groups: Vec<_> =
            (0..LENGTH).map(|_| run.office.create_group().expect("there is room")).collect();
        for pair in groups.windows(2) {
            pair[0].link(&pair[1]).expect("there is room");
        }
        let was_cut = AtomicBool::new(false);
        threads::run(3, &|thread| match thread {
            0 => groups[0].kill(),
            1 => groups[LENGTH - 1].kill(),
            _ => {
                let (left, right) = (&groups[LENGTH / 2 - 1], &groups[LENGTH / 2]);
                was_cut.store(left.unlink(right).expect("one office"), Relaxed);
            }
        });
        // From each end the death goes as far as the cut, if there was one.
        assert!(groups.iter().all(RouteGroup::is_dead), "a link did not pass the death on");
    }
    rounds
}

/// A group that ends does not kill, one that dies does; a link sees which.
fn ends(run: &Run) -> u64 {
    let rounds = 150 * run.scale;
    for _ in 0..rounds {
        let one = run.office.create_group().expect("there is room");
        let two = Process::new(&run.office, 1);
        let capability = two.mailbox.capability(Permissions::LINK);
        let two = Mutex::new(Some(two));
        threads::run(2, &|thread| match thread {
            0 => match capability.link(&one) {
                // If the route was closed first, or the group ended.
                Ok(()) | Err(TableError::Closed) => {}
                Err(error) => panic!("{error}"),
            },
            _ => drop(two.lock().expect("alone").take()),
        });
        assert!(capability.is_closed());
    }
    rounds
}

/// Short-lived observers of a route that is about to die.
fn observers(run: &Run) -> u64 {
    const OBSERVERS: usize = 3;
    let rounds = 40 * run.scale;
    let told = AtomicU64::new(0);
    for _ in 0..rounds {
        let watched = Process::new(&run.office, 1);
        let capability = watched.mailbox.capability(Permissions::MONITOR);
        let group = watched.group.clone();
        let watched = Mutex::new(Some(watched));
        threads::run(1 + OBSERVERS, &|thread| {
            if thread == 0 {
                (0..run.dice(0).roll(4)).for_each(|_| give_way());
                group.kill();
                drop(watched.lock().expect("alone").take());
                return;
            }
            loop {
                let mut observer = Process::new(&run.office, 1);
                capability.monitor(&observer.mailbox).expect("there is room");
                if let Ok(Signal::Down(down)) = observer.mailbox.try_recv() {
                    assert!(matches!(down.reason(), DownReason::Killed | DownReason::Gone));
                    told.fetch_add(1, Relaxed);
                    return;
                }
                give_way();
            }
        });
    }
    assert_eq!(told.into_inner(), rounds * OBSERVERS as u64);
    rounds
}

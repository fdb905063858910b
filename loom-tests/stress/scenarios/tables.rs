//! One table, used by several threads at once.

use super::{Run, Scenario, scenario};
use crate::office::{Process, limits};
use crate::threads::{self, give_way, until};
use flue_core::{Handle, OwnedSignal, Permissions, SendError, Signal, TableError};
use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

pub const SCENARIOS: &[Scenario] = &[
    scenario("import against release", imports),
    scenario("equal capabilities, inserted at once", equals),
    scenario("retain, demote and release one handle", one_handle),
    scenario("handles looked up while they go", look_ups),
    scenario("owned signals end elsewhere", owned_elsewhere),
    scenario("the table goes while mail is coming", table_goes),
    scenario("the host's capabilities everywhere", host),
];

/// A mailbox imports the very capability that others insert and release in its table.
fn imports(run: &Run) -> u64 {
    let total = 300 * run.scale;
    let process = Process::new(&run.office, 4);
    let target = Process::new(&run.office, 1);
    let sender = run.office.create_table().expect("there is room");
    let to = process.in_table(&sender, Permissions::SEND);
    let attached = target.in_table(&sender, Permissions::SEND);
    let capability = target.mailbox.capability(Permissions::SEND);
    let (table, process, is_over) =
        (process.table.clone(), Mutex::new(process), AtomicBool::new(false));
    threads::run(4, &|thread| match thread {
        0 => {
            let (mut process, mut dice) = (process.lock().expect("one receiver"), run.dice(0));
            let mut received = 0;
            while received < total {
                let Ok(Signal::Message(mut message)) = process.mailbox.try_recv() else {
                    give_way();
                    continue;
                };
                received += 1;
                let [a, b] = message.handles() else { panic!("two were attached") };
                assert_eq!(a, b, "equal capabilities are equal handles");
                if dice.hits(2) {
                    let taken = message.take_handles().next().expect("two are there");
                    assert_eq!(table.permissions(taken), Ok(Permissions::SEND));
                    drop(message);
                    table.release(taken).expect("it was taken");
                }
            }
            is_over.store(true, Release);
        }
        1 => {
            for _ in 0..total {
                while let Err(error) = sender.send(to, b"two", &[attached, attached]) {
                    assert_eq!(error, SendError::Full);
                    give_way();
                }
            }
        }
        _ => {
            let mut dice = run.dice(thread);
            while !is_over.load(Acquire) {
                let handle = table.insert(&capability).expect("there is room");
                assert_eq!(table.permissions(handle), Ok(Permissions::SEND));
                if dice.hits(16) {
                    give_way();
                }
                table.release(handle).expect("it was inserted");
            }
        }
    });
    assert_eq!(table.len(), 0, "an entry is left");
    total
}

/// Rule P4 under contention: there is never more than one entry for a capability.
fn equals(run: &Run) -> u64 {
    const THREADS: usize = 3;
    let rounds = 300 * run.scale;
    let process = Process::new(&run.office, 1);
    let send = process.mailbox.capability(Permissions::SEND);
    let table = run.office.create_table().expect("there is room");
    let last = [const { AtomicU64::new(0) }; THREADS];
    threads::run(THREADS, &|thread| {
        let mut dice = run.dice(thread);
        for _ in 0..rounds {
            let handle = table.insert(&send).expect("there is room");
            last[thread].store(handle.to_raw(), Release);
            assert_eq!(table.insert(&send), Ok(handle), "equal capabilities are equal handles");
            // While this one is there, no other that anybody ever had is.
            for other in last.iter().filter_map(|last| Handle::from_raw(last.load(Acquire))) {
                assert!(other == handle || !table.contains(other), "two for one capability");
            }
            if dice.hits(4) {
                give_way();
            }
            table.release(handle).expect("it was inserted");
            table.release(handle).expect("twice");
        }
    });
    assert_eq!(table.len(), 0, "an entry is left");
    rounds * THREADS as u64
}

/// Own references are counted exactly, whoever changes them.
fn one_handle(run: &Run) -> u64 {
    const THREADS: usize = 3;
    let rounds = 600 * run.scale;
    let target = Process::new(&run.office, 1);
    let table = run.office.create_table().expect("there is room");
    let handle = target.in_table(&table, Permissions::all());
    threads::run(THREADS, &|_| {
        for _ in 0..rounds {
            table.retain(handle).expect("it is there");
            let send = table.demote(handle, Permissions::SEND).expect("there is room");
            assert_eq!(table.same_route(send, handle), Ok(true));
            table.release(send).expect("it was demoted");
            table.release(handle).expect("it was retained");
        }
    });
    assert_eq!(table.len(), 1);
    table.release(handle).expect("the first reference");
    assert_eq!(table.release(handle), Err(TableError::InvalidHandle));
    rounds * THREADS as u64
}

/// Rule P6: a look-up finds the whole capability or nothing, and never a later one.
fn look_ups(run: &Run) -> u64 {
    let rounds = 600 * run.scale;
    let processes = [(); 2].map(|()| Process::new(&run.office, 1));
    let table = run.office.create_table().expect("there is room");
    let known = [0, 1].map(|which: usize| processes[which].in_table(&table, Permissions::KILL));
    // Each target has permissions of its own: the pair must always fit.
    let permissions = [Permissions::SEND, Permissions::MONITOR];
    let targets = [0, 1].map(|which| processes[which].mailbox.capability(permissions[which]));
    // The handle that comes and goes, and the target it is to.
    let (current, is_over) = ([const { AtomicU64::new(0) }; 2], AtomicBool::new(false));
    let found = AtomicU64::new(0);
    threads::run(4, &|thread| {
        if thread < 2 {
            let mut count = 0;
            while count < rounds || found.load(Relaxed) == 0 {
                let handle = table.insert(&targets[thread]).expect("there is room");
                current[thread].store(handle.to_raw(), Release);
                if count % 4 == 0 {
                    give_way();
                }
                table.release(handle).expect("it is there");
                count += 1;
            }
            return is_over.store(true, Release);
        }
        while !is_over.load(Acquire) {
            for (which, permissions) in permissions.iter().enumerate() {
                let Some(handle) = Handle::from_raw(current[which].load(Acquire)) else { continue };
                match table.permissions(handle) {
                    Ok(seen) => assert_eq!(seen, *permissions, "another capability"),
                    Err(error) => assert_eq!(error, TableError::InvalidHandle),
                }
                match table.same_route(handle, known[which]) {
                    Ok(same) => {
                        assert!(same, "another route");
                        found.fetch_add(1, Relaxed);
                    }
                    Err(error) => assert_eq!(error, TableError::InvalidHandle),
                }
            }
            // One that comes and goes may be met in several slots, by several names.
            let seen: Vec<Handle> = table.handles().collect();
            let names: HashSet<Handle> = seen.iter().copied().collect();
            assert_eq!(names.len(), seen.len(), "a handle twice");
            assert!(known.iter().all(|known| names.contains(known)), "one that stays is missing");
            give_way();
        }
    });
    assert!(found.load(Relaxed) > 0, "nothing was ever found");
    assert_eq!(table.len(), 2);
    rounds * 2
}

/// Signals that one thread passes on to another, which takes them in that order. Without a
/// lock of `std`: who waits for one synchronises where the thread sanitizer does not see it.
struct PassedOn {
    signals: Vec<Cell<Option<OwnedSignal>>>,
    count: AtomicU64,
}

// SAFETY: a cell is the passing thread's until `count` is beyond it (release), then the
// taking one's (acquire).
unsafe impl Sync for PassedOn {}

/// Received signals are made independent, and dropped by another thread.
fn owned_elsewhere(run: &Run) -> u64 {
    let total = 300 * run.scale;
    let process = Process::new(&run.office, 4);
    let to = process.mailbox.export(Permissions::SEND).expect("there is room");
    let (table, process) = (process.table.clone(), Mutex::new(process));
    let signals = (0..total).map(|_| Cell::new(None)).collect();
    let passed_on = &PassedOn { signals, count: AtomicU64::new(0) };
    threads::run(3, &|thread| match thread {
        0 => {
            for number in 0..total {
                while table.send(to, &number.to_le_bytes(), &[to]).is_err() {
                    give_way();
                }
            }
        }
        1 => {
            let mut process = process.lock().expect("one receiver");
            for (place, number) in passed_on.signals.iter().zip(1..) {
                let signal = loop {
                    match process.mailbox.try_recv() {
                        Ok(signal) => break signal.into_owned(),
                        Err(_) => give_way(),
                    }
                };
                place.set(Some(signal));
                passed_on.count.store(number, Release);
            }
        }
        _ => {
            for (place, number) in passed_on.signals.iter().zip(0..) {
                until(|| passed_on.count.load(Acquire) > number);
                let Some(OwnedSignal::Message(mut message)) = place.take() else {
                    panic!("no monitors")
                };
                assert_eq!(message.data(), number.to_le_bytes());
                if number.is_multiple_of(3) {
                    let taken = message.take_handles().next().expect("one was attached");
                    table.release(taken).expect("it was taken");
                }
            }
        }
    });
    assert_eq!(table.len(), 1, "an entry is left");
    total
}

/// The receiver's table and its mailboxes are dropped while capabilities are being sent to it.
fn table_goes(run: &Run) -> u64 {
    let rounds = 120 * run.scale;
    let sender = run.office.create_table().expect("there is room");
    let group = run.office.create_group().expect("there is room");
    for _ in 0..rounds {
        let table = run.office.create_table().expect("there is room");
        let mailbox = group.create_mailbox_with(&table, limits(4)).expect("there is room");
        let to = sender.insert(&mailbox.capability(Permissions::SEND)).expect("there is room");
        let owner = Mutex::new(Some((table, mailbox)));
        threads::run(3, &|thread| match thread {
            0 => {
                (0..run.dice(0).roll(4)).for_each(|_| give_way());
                drop(owner.lock().expect("alone").take());
            }
            _ => loop {
                match sender.send(to, b"three", &[to, to, to]) {
                    Ok(()) => {}
                    Err(SendError::Full) => give_way(),
                    Err(SendError::Closed) => break,
                    Err(error) => panic!("{error}"),
                }
            },
        });
        sender.release(to).expect("it is there");
    }
    assert_eq!(sender.len(), 0);
    rounds
}

/// Capabilities are cloned, demoted, sent through and dropped on all threads.
fn host(run: &Run) -> u64 {
    const THREADS: usize = 3;
    let rounds = 300 * run.scale;
    let process = Process::new(&run.office, 64);
    let capability = process.mailbox.capability(Permissions::all());
    let (process, accepted) = (Mutex::new(process), AtomicU64::new(0));
    threads::run(1 + THREADS, &|thread| {
        if thread == 0 {
            let mut process = process.lock().expect("one receiver");
            for _ in 0..rounds * THREADS as u64 {
                while process.mailbox.try_recv().is_err() {
                    give_way();
                }
            }
            return;
        }
        for _ in 0..rounds {
            let own = capability.clone();
            let send = own.demote(Permissions::SEND).expect("a subset");
            assert!(send.same_route(&capability) && send != own && !send.is_closed());
            while let Err(error) = send.send(b"from the host", &[&own]) {
                assert_eq!(error, SendError::Full);
                give_way();
            }
            accepted.fetch_add(1, Relaxed);
        }
    });
    assert_eq!(accepted.load(Relaxed), rounds * THREADS as u64);
    rounds * THREADS as u64
}

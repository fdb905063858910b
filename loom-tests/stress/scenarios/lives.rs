//! Routes that are closed and opened again, and senders that do not know.

use super::{Run, Scenario, scenario};
use crate::mail::{Fifo, Mail};
use crate::office::{Process, limits};
use crate::threads::{self, give_way, until};
use flue_core::{Handle, Permissions, SendError, Signal, TryRecvError};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};

pub const SCENARIOS: &[Scenario] = &[
    scenario("close, reopen, stale senders, capacity 1", |run| stale(run, 1)),
    scenario("close, reopen, stale senders, capacity 2", |run| stale(run, 2)),
    scenario("close, reopen, stale senders, capacity 8", |run| stale(run, 8)),
    scenario("kill against send", kill_against_send),
    scenario("processes come and go", churn),
    scenario("last words before the down", last_words),
];

/// Lives of the route in one run.
const LIVES: u64 = 120;

/// What a sender knows of a life of the route.
struct Life {
    /// The handle in the senders' table, or 0 while there is none.
    handle: AtomicU64,
    /// By sender: messages that were accepted.
    accepted: [AtomicU64; SENDERS],
    /// By sender: messages that were received.
    received: [AtomicU64; SENDERS],
}

const SENDERS: usize = 4;

/// One slot of the office is a route again and again. Nothing that was sent to
/// one life of it arrives in another.
fn stale(run: &Run, capacity: u32) -> u64 {
    let lives = LIVES * run.scale;
    let life = || Life {
        handle: AtomicU64::new(0),
        accepted: [const { AtomicU64::new(0) }; SENDERS],
        received: [const { AtomicU64::new(0) }; SENDERS],
    };
    let lives: Vec<Life> = (0..lives).map(|_| life()).collect();
    let (current, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let table = run.office.create_table().expect("there is room");
    let group = run.office.create_group().expect("there is room");
    let own = group.create_table().expect("there is room");
    threads::run(1 + SENDERS, &|thread| {
        let mut dice = run.dice(thread);
        let Some(from) = thread.checked_sub(1) else {
            for (number, life) in lives.iter().enumerate() {
                let mailbox = group.create_mailbox_with(&own, limits(capacity));
                let mut mailbox = mailbox.expect("there is room for one");
                let to = table.insert(&mailbox.capability(Permissions::SEND)).expect("room");
                life.handle.store(to.to_raw(), Release);
                current.store(number as u64, Release);
                if number == 0 {
                    // Somebody is at work, before the lives pass.
                    until(|| life.accepted.iter().any(|count| count.load(Relaxed) > 0));
                }
                let mut fifo = Fifo::new(SENDERS);
                for _ in 0..dice.roll(24) {
                    match mailbox.try_recv() {
                        Ok(Signal::Message(message)) => {
                            let mail = Mail::read(message.data());
                            assert_eq!(mail.life, number as u64, "sent to another life");
                            fifo.came(mail);
                        }
                        Ok(_) => panic!("a down that nobody asked for"),
                        Err(error) => {
                            assert_eq!(error, TryRecvError::Empty);
                            give_way();
                        }
                    }
                }
                for (count, received) in fifo.counts().iter().zip(&life.received) {
                    received.store(*count, Relaxed);
                }
                // Sometimes the handle goes first, sometimes the route.
                if dice.hits(2) {
                    table.release(to).expect("it is there");
                    mailbox.close();
                } else {
                    mailbox.close();
                    assert_eq!(table.send(to, b"late", &[]), Err(SendError::Closed));
                    table.release(to).expect("it is there");
                }
            }
            is_over.store(true, Release);
            return;
        };
        let mut numbers = vec![0; lives.len()];
        while !is_over.load(Acquire) {
            // The life that is, or one of some time ago.
            let now = current.load(Acquire);
            let number = now.saturating_sub(if dice.hits(3) { dice.roll(4) } else { 0 });
            let life = &lives[number as usize];
            let Some(to) = Handle::from_raw(life.handle.load(Acquire)) else { continue };
            let mail = Mail { from: from as u64, number: numbers[number as usize], life: number };
            match table.send(to, &mail.bytes(dice.roll(48) as usize), &[]) {
                Ok(()) => {
                    numbers[number as usize] += 1;
                    life.accepted[from].fetch_add(1, Relaxed);
                }
                Err(SendError::Full) => give_way(),
                Err(SendError::Closed | SendError::InvalidHandle) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let mut total = 0;
    for life in &lives {
        let mut waiting = 0;
        for (accepted, received) in life.accepted.iter().zip(&life.received) {
            let (accepted, received) = (accepted.load(Relaxed), received.load(Relaxed));
            assert!(received <= accepted, "received what was not accepted");
            waiting += accepted - received;
            total += accepted;
        }
        assert!(waiting <= u64::from(capacity), "more than the capacity was destroyed");
    }
    total
}

/// Rule K2: a send that starts after the kill returned is refused.
fn kill_against_send(run: &Run) -> u64 {
    let rounds = 80 * run.scale;
    let refused = AtomicU64::new(0);
    for _ in 0..rounds {
        let mut process = Process::new(&run.office, 4);
        let table = run.office.create_table().expect("there is room");
        let to = process.in_table(&table, Permissions::all());
        let own = process.table.insert(&process.mailbox.capability(Permissions::SEND));
        let (group, own_table) = (process.group.clone(), process.table.clone());
        let (own, is_dead) = (own.expect("there is room"), AtomicBool::new(false));
        let mailbox = std::sync::Mutex::new(&mut process.mailbox);
        threads::run(5, &|thread| match thread {
            0 => {
                (0..run.dice(0).roll(6)).for_each(|_| give_way());
                if run.seed.is_multiple_of(2) {
                    group.kill();
                } else {
                    table.kill(to).expect("permitted");
                }
                is_dead.store(true, SeqCst);
            }
            1 => {
                let mut mailbox = mailbox.lock().expect("one receiver");
                loop {
                    let was_dead = is_dead.load(SeqCst);
                    match mailbox.try_recv() {
                        Ok(_) => assert!(!was_dead, "received after the death"),
                        Err(TryRecvError::Empty) => {
                            assert!(!was_dead, "empty is not dead");
                            give_way();
                        }
                        Err(_) => break,
                    }
                }
                assert!(group.is_dead());
            }
            _ => {
                // Two send from the host's table, one from the victim's own.
                let (table, to) = if thread == 4 { (&own_table, own) } else { (&table, to) };
                loop {
                    let was_dead = is_dead.load(SeqCst);
                    match table.send(to, b"to the death", &[]) {
                        Ok(()) => assert!(!was_dead, "accepted after the death"),
                        Err(SendError::Full) => assert!(!was_dead, "full is not closed"),
                        Err(SendError::Closed) => break,
                        Err(SendError::Dead) => break assert_eq!(thread, 4),
                        Err(error) => panic!("{error}"),
                    }
                    give_way();
                }
                refused.fetch_add(1, Relaxed);
            }
        });
    }
    assert_eq!(refused.load(Relaxed), 3 * rounds);
    rounds
}

/// Slots of all kinds are used again and again, by several threads.
fn churn(run: &Run) -> u64 {
    const THREADS: usize = 3;
    let rounds = 400 * run.scale;
    threads::run(THREADS, &|thread| {
        let mut dice = run.dice(thread);
        for _ in 0..rounds {
            let mut process = Process::new(&run.office, 2);
            let to = process.mailbox.export(Permissions::all()).expect("there is room");
            process.table.send(to, b"hello", &[to]).expect("room");
            match process.mailbox.try_recv() {
                Ok(Signal::Message(message)) => {
                    assert_eq!((message.data(), message.handles()), (&b"hello"[..], &[to][..]));
                }
                _ => panic!("it was sent"),
            }
            let Process { group, table, mailbox } = process;
            match dice.roll(4) {
                0 => group.kill(),
                1 => mailbox.close(),
                2 => drop((table, group)),
                _ => drop((mailbox, table)),
            }
        }
    });
    rounds * THREADS as u64
}

/// Rule K8: what was accepted from a process's table before its death comes
/// before its down; nothing accepted from that table comes after.
fn last_words(run: &Run) -> u64 {
    let rounds = 80 * run.scale;
    let mut said = 0;
    for _ in 0..rounds {
        let observer = Process::new(&run.office, 64);
        let speaker = Process::new(&run.office, 1);
        let to = observer.in_table(&speaker.table, Permissions::SEND);
        let watched = speaker.in_table(&observer.table, Permissions::MONITOR);
        let Process { group, table, mailbox: _mailbox } = speaker;
        let accepted = AtomicU64::new(0);
        let observer = std::sync::Mutex::new(observer);
        let received = AtomicU64::new(0);
        {
            let own = observer.lock().expect("alone");
            own.table.monitor(watched, &own.mailbox).expect("there is room");
        }
        threads::run(4, &|thread| match thread {
            0 => {
                let mut own = observer.lock().expect("one observer");
                let mut is_down = false;
                while !is_down {
                    match own.mailbox.try_recv() {
                        Ok(Signal::Message(_)) => drop(received.fetch_add(1, Relaxed)),
                        Ok(_) => is_down = true,
                        Err(_) => give_way(),
                    }
                }
            }
            1 => {
                (0..run.dice(1).roll(8)).for_each(|_| give_way());
                group.kill();
            }
            _ => loop {
                match table.send(to, b"last words", &[]) {
                    Ok(()) => drop(accepted.fetch_add(1, Relaxed)),
                    Err(SendError::Full) => give_way(),
                    Err(SendError::Dead) => break,
                    Err(error) => panic!("{error}"),
                }
            },
        });
        assert_eq!(received.load(Relaxed), accepted.load(Relaxed), "lost, or after the down");
        let mut own = observer.into_inner().expect("alone");
        assert_eq!(own.mailbox.try_recv().map(drop), Err(TryRecvError::Empty));
        said += accepted.into_inner();
    }
    assert!(rounds <= said + rounds);
    rounds
}

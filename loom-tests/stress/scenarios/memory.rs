//! Memory that grows and is given back while it is in use.

use super::{Run, Scenario, scenario};
use crate::office::{GROWS, Process, unused_limits};
use crate::threads::{self, give_way};
use flue_core::{Permissions, Signal};
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Release},
};

pub const SCENARIOS: &[Scenario] = &[
    scenario("reclaim under load", reclaim),
    scenario("all grow at once", grow),
    scenario("statistics of everything", statistics),
];

/// Somebody gives memory back all the time; two make it garbage, one sends.
fn reclaim(run: &Run) -> u64 {
    let rounds = 60 * run.scale;
    let office = &run.office;
    let is_over = AtomicBool::new(false);
    let process = Mutex::new(Process::new(office, 8));
    let sender = office.create_table().expect("there is room");
    let to = process.lock().expect("alone").in_table(&sender, Permissions::SEND);
    let received = AtomicU64::new(0);
    threads::run(5, &|thread| match thread {
        0 => {
            while !is_over.load(Acquire) {
                office.reclaim();
                give_way();
            }
        }
        1 | 2 => {
            for _ in 0..rounds {
                // More entries than stay with a table, more monitors than stay with a mailbox.
                let observer = Process::new(office, 8);
                let watched: Vec<_> = (0..4)
                    .map(|_| observer.group.create_mailbox_with(&observer.table, unused_limits()))
                    .map(|mailbox| mailbox.expect("there is room"))
                    .collect();
                let mut handles = Vec::new();
                for mailbox in &watched {
                    for bits in 0..=Permissions::all().bits() {
                        let permissions = Permissions::from_bits_truncate(bits);
                        handles.push(mailbox.export(permissions).expect("there is room"));
                    }
                    let all = mailbox.capability(Permissions::all());
                    all.monitor(&observer.mailbox).expect("there is room");
                }
                for handle in &handles {
                    assert!(observer.table.contains(*handle));
                    observer.table.release(*handle).expect("it is there");
                }
                drop(watched);
            }
            if thread == 1 {
                is_over.store(true, Release);
            }
        }
        3 => {
            let mut number = 0;
            while !is_over.load(Acquire) {
                if sender.send(to, &u64::to_le_bytes(number), &[to]).is_ok() {
                    number += 1;
                } else {
                    give_way();
                }
            }
            while sender.send(to, &u64::MAX.to_le_bytes(), &[]).is_err() {
                give_way();
            }
        }
        _ => {
            let mut process = process.lock().expect("one receiver");
            let mut expected = 0;
            loop {
                let Ok(Signal::Message(message)) = process.mailbox.try_recv() else {
                    give_way();
                    continue;
                };
                let number = u64::from_le_bytes(message.data().try_into().expect("eight bytes"));
                if number == u64::MAX {
                    break;
                }
                assert_eq!(number, expected, "lost, doubled or reordered");
                expected += 1;
            }
            received.store(expected, Release);
        }
    });
    received.into_inner() + 2 * rounds
}

/// Several threads find nothing free, and each adds memory.
fn grow(run: &Run) -> u64 {
    const THREADS: usize = 3;
    let (rounds, each) = (4 * run.scale, if GROWS { 100 } else { 8 });
    for _ in 0..rounds {
        let kept = [(); THREADS].map(|()| Mutex::new(Vec::new()));
        threads::run(THREADS, &|thread| {
            let mut kept = kept[thread].lock().expect("alone");
            for _ in 0..each {
                kept.push(run.office.create_group().expect("there is room"));
            }
            for pair in kept.windows(2) {
                pair[0].link(&pair[1]).expect("there is room");
            }
        });
        assert_eq!(run.office.stats().groups, THREADS * each);
        for kept in &kept {
            let kept = kept.lock().expect("alone");
            kept[0].kill();
            assert!(kept.iter().all(flue_core::RouteGroup::is_dead));
        }
        drop(kept);
        run.office.reclaim();
    }
    rounds * (THREADS * each) as u64
}

/// Whoever looks at everything sees no more than there can be.
fn statistics(run: &Run) -> u64 {
    const CHURNERS: usize = 2;
    let rounds = 200 * run.scale;
    let over = AtomicU64::new(0);
    let looks = AtomicU64::new(0);
    // Processes begun.
    let begun = AtomicU64::new(0);
    threads::run(1 + CHURNERS, &|thread| {
        if thread > 0 {
            for _ in 0..rounds {
                begun.fetch_add(1, Release); // Partner: the look before.
                let process = Process::new(&run.office, 4);
                let to = process.mailbox.export(Permissions::SEND).expect("there is room");
                process.table.send(to, b"waits", &[]).expect("room");
            }
            over.fetch_add(1, Release);
            return;
        }
        loop {
            let is_over = over.load(Acquire) == CHURNERS as u64;
            let before = begun.load(Acquire);
            let stats = run.office.stats();
            assert!(stats.groups <= CHURNERS && stats.tables <= CHURNERS);
            // Routes are looked at one after the other: those that came meanwhile count, too.
            let most = CHURNERS + (begun.load(Acquire) - before) as usize;
            assert!(stats.routes <= most && stats.messages <= 4 * most);
            looks.fetch_add(1, Release);
            if is_over {
                break;
            }
            give_way();
        }
    });
    assert!(looks.into_inner() > 0);
    rounds * CHURNERS as u64
}

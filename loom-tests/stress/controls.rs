//! Data races that the thread sanitizer must report, and what looks like one and
//! is none.

use crate::office::{self, Process};
use crate::threads::{self, give_way, until};
use flue_core::{Permissions, Signal};
use std::cell::UnsafeCell;
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Relaxed, Release},
};

/// A control: its name, whether it is a race, and what runs it.
pub struct Control {
    pub name: &'static str,
    pub is_race: bool,
    pub run: fn(),
}

pub const CONTROLS: [Control; 5] = [
    Control { name: "two-writers", is_race: true, run: two_writers },
    Control { name: "relaxed-flag", is_race: true, run: relaxed_flag },
    Control { name: "written-after-send", is_race: true, run: written_after_send },
    Control { name: "one-mailbox-two-receivers", is_race: true, run: two_receivers },
    Control { name: "handed-over", is_race: false, run: handed_over },
];

/// A cell that is as unsafe as its users are.
struct Shared<T>(UnsafeCell<T>);

// SAFETY: none. That is what the sanitizer is to report.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn pointer(&self) -> *mut T {
        self.0.get()
    }
}

impl Shared<u64> {
    fn add(&self) {
        // SAFETY: as above: the controls race here on purpose.
        unsafe { *self.0.get() += 1 };
    }

    fn get(&self) -> u64 {
        // SAFETY: as above.
        unsafe { *self.0.get() }
    }
}

fn two_writers() {
    let cell = Shared(UnsafeCell::new(0));
    threads::run(2, &|_| (0..1000).for_each(|_| cell.add()));
    println!("counted {}", cell.get());
}

fn relaxed_flag() {
    let (cell, flag) = (Shared(UnsafeCell::new(0)), AtomicBool::new(false));
    threads::run(2, &|thread| {
        if thread == 0 {
            cell.add();
            flag.store(true, Relaxed);
        } else {
            until(|| flag.load(Relaxed));
            println!("counted {}", cell.get());
        }
    });
}

/// What is written before a send is seen by the receiver; what is written after
/// it is a race. The first must not hide the second.
fn written_after_send() {
    through_a_mailbox(1);
}

fn handed_over() {
    through_a_mailbox(0);
}

fn through_a_mailbox(late: u32) {
    let office = office::empty();
    let process = Process::new(&office, 4);
    let table = office.create_table().expect("there is room");
    let to = process.in_table(&table, Permissions::SEND);
    let (cell, process) = (Shared(UnsafeCell::new(0)), Mutex::new(process));
    threads::run(2, &|thread| {
        if thread == 0 {
            cell.add();
            table.send(to, b"look", &[]).expect("room");
            (0..late * 1000).for_each(|_| cell.add());
        } else {
            let mut process = process.lock().expect("one receiver");
            while !matches!(process.mailbox.try_recv(), Ok(Signal::Message(_))) {
                give_way();
            }
            assert!(cell.get() > 0);
        }
    });
}

/// Two threads receive from one mailbox, which safe code cannot: the race is in
/// flue-core's own memory.
fn two_receivers() {
    let office = office::empty();
    let process = Process::new(&office, 64);
    let to = process.mailbox.export(Permissions::SEND).expect("there is room");
    for _ in 0..32 {
        process.table.send(to, b"whose?", &[]).expect("room");
    }
    let (shared, started) = (Shared(UnsafeCell::new(process)), AtomicBool::new(false));
    threads::run(2, &|thread| {
        if thread == 0 {
            started.store(true, Release);
        } else {
            until(|| started.load(Relaxed));
        }
        // SAFETY: none, on purpose.
        let process = unsafe { &mut *shared.pointer() };
        let _ = process.mailbox.is_ready();
        if thread == 0 {
            drop(process.mailbox.try_recv());
        } else {
            println!("{} wait", process.mailbox.len());
            let _ = process.mailbox.is_ready();
        }
    });
}

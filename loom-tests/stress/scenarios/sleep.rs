//! Falling asleep and being woken, on both sides of a queue. A wake-up that is
//! lost is a run that does not end, which the watchdog sees.

use super::{Run, Scenario, scenario};
use crate::mail::{Fifo, Mail};
use crate::office::Process;
use crate::threads::{self, Bed, give_way};
use flue_core::{Mailbox, Permissions, SendError, SendWait, Signal};
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::task::{Context, Poll, Waker};

pub const SCENARIOS: &[Scenario] = &[
    scenario("sleeping receiver, 1 sender", |run| sleeper(run, 1, 1, true)),
    scenario("sleeping receiver, 2 senders", |run| sleeper(run, 2, 4, true)),
    scenario("sleeping receiver, 5 senders", |run| sleeper(run, 5, 8, true)),
    scenario("sleeping senders, 1", |run| sleeper(run, 1, 1, false)),
    scenario("sleeping senders, 5", |run| sleeper(run, 5, 2, false)),
    scenario("all asleep, 2 senders", all_asleep),
    scenario("wakers are replaced", replaced),
    scenario("senders give up waiting", give_up),
    scenario("close and kill wake", ends_wake),
];

const MESSAGES: u64 = 300;

/// Receives the next message, asleep while there is none.
fn receive_asleep(mailbox: &mut Mailbox, bed: &Bed, waker: &Waker) -> Option<Mail> {
    loop {
        let calls = bed.calls();
        match mailbox.poll_recv(&mut Context::from_waker(waker)) {
            Poll::Ready(Ok(Signal::Message(message))) => return Some(Mail::read(message.data())),
            Poll::Ready(Ok(_)) => panic!("a down that nobody asked for"),
            Poll::Ready(Err(_)) => return None,
            Poll::Pending => bed.sleep(calls),
        }
    }
}

fn receive_awake(mailbox: &mut Mailbox) -> Mail {
    loop {
        match mailbox.try_recv() {
            Ok(Signal::Message(message)) => return Mail::read(message.data()),
            Ok(_) => panic!("a down that nobody asked for"),
            Err(_) => give_way(),
        }
    }
}

/// Sends, asleep while there is no room. `false`: the route is closed.
fn send_asleep(process: &Sender, mail: Mail, bed: &Bed, waker: &Waker) -> bool {
    let (bytes, mut wait) = (mail.bytes(0), SendWait::new());
    loop {
        let calls = bed.calls();
        let mut cx = Context::from_waker(waker);
        match process.table.poll_send(&mut cx, &mut wait, process.to, &bytes, &[]) {
            Poll::Ready(Ok(())) => return true,
            Poll::Ready(Err(SendError::Closed)) => return false,
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => bed.sleep(calls),
        }
    }
}

/// A sender's table, and its handle to the receiver.
struct Sender {
    table: flue_core::Table,
    to: flue_core::Handle,
}

impl Sender {
    fn new(run: &Run, receiver: &Process) -> Self {
        let table = run.office.create_table().expect("there is room");
        let to = receiver.in_table(&table, Permissions::SEND);
        Self { table, to }
    }
}

/// One side sleeps whenever it can do nothing, the other tries on.
fn sleeper(run: &Run, senders: usize, capacity: u32, receiver_sleeps: bool) -> u64 {
    let (each, mut done) = (MESSAGES * run.scale, 0);
    let process = Mutex::new(Process::new(&run.office, capacity));
    let sources: Vec<_> =
        (0..senders).map(|_| Sender::new(run, &process.lock().expect("alone"))).collect();
    let counted = AtomicU64::new(0);
    let beds: Vec<Bed> = (0..=senders).map(|_| Bed::default()).collect();
    threads::run(1 + senders, &|thread| {
        let mut dice = run.dice(thread);
        let bed = &beds[thread];
        // SAFETY: the beds stay until the process and the senders are dropped, below.
        let waker = unsafe { bed.waker() };
        let Some(from) = thread.checked_sub(1) else {
            let mut process = process.lock().expect("one receiver");
            let mut fifo = Fifo::new(senders);
            for _ in 0..each * senders as u64 {
                let mail = if receiver_sleeps {
                    receive_asleep(&mut process.mailbox, bed, &waker).expect("nobody kills it")
                } else {
                    receive_awake(&mut process.mailbox)
                };
                fifo.came(mail);
                if dice.hits(8) {
                    give_way();
                }
            }
            counted.store(fifo.counts().iter().sum(), Relaxed);
            return;
        };
        for number in 0..each {
            let mail = Mail { from: from as u64, number, life: 0 };
            if receiver_sleeps {
                while sources[from].table.send(sources[from].to, &mail.bytes(0), &[]).is_err() {
                    give_way();
                }
            } else {
                assert!(send_asleep(&sources[from], mail, bed, &waker), "closed");
            }
            if dice.hits(4) {
                give_way(); // The receiver gets the time to fall asleep.
            }
        }
    });
    drop((process, sources));
    done += counted.into_inner();
    assert_eq!(done, each * senders as u64);
    done
}

fn all_asleep(run: &Run) -> u64 {
    const SENDERS: usize = 2;
    let each = MESSAGES * run.scale;
    let process = Mutex::new(Process::new(&run.office, 1));
    let sources: Vec<_> =
        (0..SENDERS).map(|_| Sender::new(run, &process.lock().expect("alone"))).collect();
    let beds: Vec<Bed> = (0..=SENDERS).map(|_| Bed::default()).collect();
    threads::run(1 + SENDERS, &|thread| {
        let bed = &beds[thread];
        // SAFETY: the beds stay until the process and the senders are dropped, below.
        let waker = unsafe { bed.waker() };
        match thread.checked_sub(1) {
            None => {
                let mut process = process.lock().expect("one receiver");
                let mut fifo = Fifo::new(SENDERS);
                for _ in 0..each * SENDERS as u64 {
                    let mail = receive_asleep(&mut process.mailbox, bed, &waker);
                    fifo.came(mail.expect("nobody kills it"));
                }
            }
            Some(from) => {
                for number in 0..each {
                    let mail = Mail { from: from as u64, number, life: 0 };
                    assert!(send_asleep(&sources[from], mail, bed, &waker), "closed");
                }
            }
        }
    });
    drop((process, sources));
    each * SENDERS as u64
}

/// The receiver waits with another waker each time, while it is being woken.
fn replaced(run: &Run) -> u64 {
    const SENDERS: usize = 2;
    let each = MESSAGES * run.scale;
    let process = Mutex::new(Process::new(&run.office, 4));
    let sources: Vec<_> =
        (0..SENDERS).map(|_| Sender::new(run, &process.lock().expect("alone"))).collect();
    let beds: [Bed; 2] = Default::default();
    threads::run(1 + SENDERS, &|thread| match thread.checked_sub(1) {
        None => {
            let mut process = process.lock().expect("one receiver");
            let mut fifo = Fifo::new(SENDERS);
            // SAFETY: the beds stay until the process is dropped, below.
            let wakers = [unsafe { beds[0].waker() }, unsafe { beds[1].waker() }];
            for count in 0..each * SENDERS as u64 {
                let which = (count % 2) as usize;
                // Registered with the one, then waited for with the other.
                let _ = process.mailbox.poll_ready(&mut Context::from_waker(&wakers[1 - which]));
                let mail = receive_asleep(&mut process.mailbox, &beds[which], &wakers[which]);
                fifo.came(mail.expect("nobody kills it"));
            }
        }
        Some(from) => {
            for number in 0..each {
                let bytes = Mail { from: from as u64, number, life: 0 }.bytes(0);
                while sources[from].table.send(sources[from].to, &bytes, &[]).is_err() {
                    give_way();
                }
            }
        }
    });
    drop((process, sources));
    each * SENDERS as u64
}

/// Senders wait, and some go away before they were woken, or after.
fn give_up(run: &Run) -> u64 {
    const SENDERS: usize = 3;
    let each = MESSAGES * run.scale;
    let process = Mutex::new(Process::new(&run.office, 1));
    let sources: Vec<_> =
        (0..SENDERS).map(|_| Sender::new(run, &process.lock().expect("alone"))).collect();
    let beds: Vec<Bed> = (0..SENDERS).map(|_| Bed::default()).collect();
    threads::run(1 + SENDERS, &|thread| match thread.checked_sub(1) {
        None => {
            let mut process = process.lock().expect("one receiver");
            let mut fifo = Fifo::new(SENDERS);
            for _ in 0..each * SENDERS as u64 {
                fifo.came(receive_awake(&mut process.mailbox));
            }
        }
        Some(from) => {
            let (mut dice, bed) = (run.dice(thread), &beds[from]);
            // SAFETY: the beds stay until the senders are dropped, below.
            let waker = unsafe { bed.waker() };
            let source = &sources[from];
            for number in 0..each {
                let mail = Mail { from: from as u64, number, life: 0 };
                let mut is_sent = false;
                if dice.hits(2) {
                    let (bytes, mut wait) = (mail.bytes(0), SendWait::new());
                    let mut cx = Context::from_waker(&waker);
                    let polled = source.table.poll_send(&mut cx, &mut wait, source.to, &bytes, &[]);
                    is_sent = matches!(polled, Poll::Ready(Ok(())));
                    if dice.hits(2) {
                        give_way();
                    }
                    drop(wait); // Its wake goes to the next in the line.
                }
                assert!(is_sent || send_asleep(source, mail, bed, &waker), "closed");
            }
        }
    });
    drop((process, sources));
    each * SENDERS as u64
}

/// Whoever sleeps when the route or the group ends is told.
fn ends_wake(run: &Run) -> u64 {
    let rounds = 60 * run.scale;
    let refused = AtomicU64::new(0);
    for round in 0..rounds {
        let process = Process::new(&run.office, 1);
        let source = Sender::new(run, &process);
        let fill = Mail { from: 0, number: 0, life: 0 };
        let (group, is_kill) = (process.group.clone(), round % 2 == 0);
        let mut kept = None;
        source.table.send(source.to, &fill.bytes(0), &[]).expect("room");
        let process = Mutex::new(Some(process));
        let beds: [Bed; 2] = Default::default();
        let place = Mutex::new(&mut kept);
        threads::run(3, &|thread| match thread {
            // SAFETY: the beds stay until the process and the sender are dropped, below.
            0 => match unsafe { beds[0].waker() } {
                waker if is_kill => {
                    let mut own = process.lock().expect("alone");
                    let mailbox = &mut own.as_mut().expect("not closed").mailbox;
                    while receive_asleep(mailbox, &beds[0], &waker).is_some() {}
                }
                _ => {
                    give_way();
                    drop(process.lock().expect("alone").take()); // Closes it.
                }
            },
            1 => {
                // SAFETY: as above.
                let waker = unsafe { beds[1].waker() };
                let mut number = 1;
                let mail = |number| Mail { from: 0, number, life: 0 };
                while send_asleep(&source, mail(number), &beds[1], &waker) {
                    number += 1;
                }
                refused.fetch_add(1, SeqCst);
            }
            _ if is_kill => {
                give_way();
                group.kill();
                **place.lock().expect("alone") = Some(());
            }
            _ => {}
        });
        assert!(kept.is_some() == is_kill);
        drop((process, source));
    }
    assert_eq!(refused.into_inner(), rounds);
    rounds
}

//! Queues of the least capacities, with one and more senders.

use super::{Run, Scenario, scenario};
use crate::mail::{Fifo, MOST, Mail, Times};
use crate::office::Process;
use crate::threads::{self, give_way, until};
use flue_core::{Mailbox, Payload, Permissions, SendError, Signal, TryRecvError};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};

pub const SCENARIOS: &[Scenario] = &[
    scenario("1 sender, capacity 1", |run| fan_in(run, 1, 1)),
    scenario("1 sender, capacity 8", |run| fan_in(run, 1, 8)),
    scenario("2 senders, capacity 1", |run| fan_in(run, 2, 1)),
    scenario("2 senders, capacity 2", |run| fan_in(run, 2, 2)),
    scenario("2 senders, capacity 4", |run| fan_in(run, 2, 4)),
    scenario("5 senders, capacity 2", |run| fan_in(run, 5, 2)),
    scenario("5 senders, capacity 8", |run| fan_in(run, 5, 8)),
    scenario("5 senders, one table, capacity 4", fan_in_one_table),
    scenario("owned payloads, both ways", payloads),
    scenario("the mailbox goes round", handed_over),
];

/// What the senders of one round share with the receiver.
struct Round {
    times: Times,
    accepted: AtomicU64,
    /// Odd while the receiver takes nothing.
    phase: AtomicU64,
    /// For each sender the last phase in which it found no room, + 1.
    refused: Vec<AtomicU64>,
}

impl Round {
    fn new(senders: usize, messages: u64) -> Self {
        Self {
            times: Times::new(senders, messages),
            accepted: AtomicU64::new(0),
            phase: AtomicU64::new(0),
            refused: (0..senders).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Sends all messages of one sender, by `attempt`.
    fn send_all(
        &self,
        from: usize,
        messages: u64,
        lengths: &mut impl FnMut() -> usize,
        attempt: impl Fn(&[u8]) -> Result<(), SendError>,
    ) {
        for number in 0..messages {
            let mail = Mail { from: from as u64, number, life: 0 };
            let bytes = mail.bytes(lengths());
            loop {
                let phase = self.phase.load(SeqCst);
                self.times.begins(mail);
                match attempt(&bytes) {
                    Ok(()) => break,
                    Err(SendError::Full) => {
                        self.refused[from].store(phase + 1, SeqCst);
                        give_way();
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            self.times.ended(mail);
            self.accepted.fetch_add(1, SeqCst);
        }
        self.refused[from].store(u64::MAX, SeqCst); // It asks no more.
    }

    /// Receives everything, and now and then nothing until all senders find no room.
    fn receive_all(&self, mailbox: &mut Mailbox, total: u64, pause_every: u64) -> Vec<Mail> {
        let capacity = mailbox.capacity() as u64;
        let mut received = Vec::with_capacity(total as usize);
        let mut fifo = Fifo::new(self.refused.len());
        while (received.len() as u64) < total {
            let accepted = self.accepted.load(SeqCst);
            let so_far = received.len() as u64;
            assert!(accepted <= so_far + capacity, "{accepted} accepted, {so_far} received");
            assert!(mailbox.len() as u64 <= capacity);
            match mailbox.try_recv() {
                Ok(Signal::Message(message)) => {
                    let mail = Mail::read(message.data());
                    fifo.came(mail);
                    received.push(mail);
                }
                Ok(_) => panic!("a down that nobody asked for"),
                Err(TryRecvError::Empty) => give_way(),
                Err(error) => panic!("{error}"),
            }
            if (received.len() as u64).is_multiple_of(pause_every) && !received.is_empty() {
                self.pause(received.len() as u64, total, capacity);
            }
        }
        assert_eq!(mailbox.try_recv().map(drop), Err(TryRecvError::Empty), "one too many");
        received
    }

    /// Rule S3: while nothing is received, exactly the capacity is accepted.
    fn pause(&self, received: u64, total: u64, capacity: u64) {
        let phase = self.phase.fetch_add(1, SeqCst) + 1;
        until(|| self.refused.iter().all(|refused| refused.load(SeqCst) > phase));
        let accepted = self.accepted.load(SeqCst);
        assert_eq!(accepted, (received + capacity).min(total), "not the capacity");
        self.phase.fetch_add(1, SeqCst);
    }
}

/// Messages of each sender in a round.
const MESSAGES: u64 = 300;

fn fan_in(run: &Run, senders: usize, capacity: u32) -> u64 {
    let mut done = 0;
    for _ in 0..run.scale {
        let mut process = Process::new(&run.office, capacity);
        let tables: Vec<_> = (0..senders)
            .map(|_| {
                let table = run.office.create_table().expect("there is room");
                let to = process.in_table(&table, Permissions::SEND);
                (table, to)
            })
            .collect();
        done += play(run, &mut process, senders, |from, bytes| {
            let (table, to) = &tables[from];
            table.send(*to, bytes, &[])
        });
    }
    assert_eq!(done, run.scale * senders as u64 * MESSAGES);
    done
}

fn fan_in_one_table(run: &Run) -> u64 {
    const SENDERS: usize = 5;
    let mut done = 0;
    for _ in 0..run.scale {
        let mut process = Process::new(&run.office, 4);
        let table = run.office.create_table().expect("there is room");
        let to = process.in_table(&table, Permissions::SEND);
        done += play(run, &mut process, SENDERS, |_, bytes| table.send(to, bytes, &[to]));
    }
    assert_eq!(done, run.scale * SENDERS as u64 * MESSAGES);
    done
}

/// One round: thread 0 receives, the others send.
fn play(
    run: &Run,
    process: &mut Process,
    senders: usize,
    send: impl Fn(usize, &[u8]) -> Result<(), SendError> + Sync,
) -> u64 {
    let round = Round::new(senders, MESSAGES);
    let total = senders as u64 * MESSAGES;
    let received = Mutex::new((&mut process.mailbox, Vec::new()));
    threads::run(1 + senders, &|thread| match thread.checked_sub(1) {
        None => {
            let mut own = received.lock().expect("one receiver");
            let (mailbox, mails) = &mut *own;
            *mails = round.receive_all(mailbox, total, 64);
        }
        Some(from) => {
            let mut dice = run.dice(from);
            let mut lengths = || dice.roll(MOST as u64) as usize;
            round.send_all(from, MESSAGES, &mut lengths, |bytes| send(from, bytes));
        }
    });
    let (_, mails) = received.into_inner().expect("one receiver");
    round.times.check(&mails);
    mails.len() as u64
}

/// Two processes send each other's buffers back and forth: the very same bytes.
fn payloads(run: &Run) -> u64 {
    let rounds = 200 * run.scale;
    let (one, two) = (Process::new(&run.office, 2), Process::new(&run.office, 2));
    let to_two = two.in_table(&one.table, Permissions::SEND);
    let to_one = one.in_table(&two.table, Permissions::SEND);
    let places = [Mutex::new((one, to_two)), Mutex::new((two, to_one))];
    let done = AtomicU64::new(0);
    threads::run(2, &|me| {
        let mut own = places[me].lock().expect("its own");
        let (process, to) = &mut *own;
        let mut buffer = (me == 0).then(|| owned(0));
        for number in 0..rounds {
            if let Some(payload) = buffer.take() {
                send_payload(process, *to, payload);
            }
            let payload = receive_payload(&mut process.mailbox);
            assert_eq!(read_number(&payload), number, "another buffer");
            buffer = Some(if me == 1 { payload } else { owned(number + 1) });
            done.fetch_add(1, Relaxed);
        }
        if me == 1 {
            send_payload(process, *to, buffer.take().expect("the last one"));
        }
    });
    assert_eq!(done.load(Relaxed), 2 * rounds);
    2 * rounds
}

/// Bytes that are written by who makes them, without any synchronisation of their own.
fn owned(number: u64) -> Payload {
    let bytes: Vec<u8> = std::iter::repeat_n(number.to_le_bytes(), 16).flatten().collect();
    #[cfg(feature = "alloc")]
    return Payload::from(bytes);
    #[cfg(not(feature = "alloc"))]
    Payload::from(&*Vec::leak(bytes))
}

fn read_number(payload: &Payload) -> u64 {
    let numbers: Vec<[u8; 8]> = payload.chunks(8).map(|c| c.try_into().expect("eight")).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] == pair[1]), "torn");
    u64::from_le_bytes(numbers[0])
}

fn send_payload(process: &Process, to: flue_core::Handle, payload: Payload) {
    let mut payload = Some(payload);
    while let Some(next) = payload.take() {
        if let Err(rejected) = process.table.send_payload(to, next, &[]) {
            assert_eq!(rejected.error, SendError::Full);
            payload = Some(rejected.payload);
            give_way();
        }
    }
}

fn receive_payload(mailbox: &mut Mailbox) -> Payload {
    loop {
        match mailbox.try_recv() {
            Ok(Signal::Message(message)) => return message.into_payload(),
            Ok(_) => panic!("a down that nobody asked for"),
            Err(_) => give_way(),
        }
    }
}

/// One mailbox, received from by three threads in turn; one more sends.
fn handed_over(run: &Run) -> u64 {
    const RECEIVERS: usize = 3;
    let total = 600 * run.scale;
    let process = Process::new(&run.office, 4);
    let table = run.office.create_table().expect("there is room");
    let to = process.in_table(&table, Permissions::SEND);
    let Process { group, table: own, mailbox } = process;
    /// The mailbox, and who may have it.
    struct Turn {
        mailbox: Cell<Option<Mailbox>>,
        whose: AtomicU64,
    }
    // SAFETY: only the thread whose turn it is touches the cell, and the turn is
    // passed on by release and acquire.
    unsafe impl Sync for Turn {}
    let turn = Turn { mailbox: Cell::new(Some(mailbox)), whose: AtomicU64::new(0) };
    let (turn, count) = (&turn, AtomicU64::new(0));
    threads::run(1 + RECEIVERS, &|thread| {
        let Some(me) = thread.checked_sub(1) else {
            for number in 0..total {
                let bytes = Mail { from: 0, number, life: 0 }.bytes(40);
                while table.send(to, &bytes, &[]).is_err() {
                    give_way();
                }
            }
            return;
        };
        while count.load(Acquire) < total {
            if turn.whose.load(Acquire) % RECEIVERS as u64 != me as u64 {
                give_way();
                continue;
            }
            let mut mailbox = turn.mailbox.take().expect("whose turn it is has it");
            let received = match mailbox.try_recv() {
                Ok(Signal::Message(message)) => Some(Mail::read(message.data()).number),
                _ => None,
            };
            if let Some(number) = received {
                assert_eq!(number, count.fetch_add(1, Release), "lost, doubled or reordered");
            }
            turn.mailbox.set(Some(mailbox));
            turn.whose.fetch_add(1, Release);
        }
    });
    drop((turn.mailbox.take(), own, group));
    count.into_inner()
}

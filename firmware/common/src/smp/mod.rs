//! The work of the kernel images: one process for each CPU, all in one office.
//!
//! 1. *Exchange*: every CPU sends to every other; each message must come once and in order. Now and then one carries a
//!    capability, through which the receiver answers.
//! 2. *Rounds*: two CPUs play ping-pong, once through bare memory (are the CPUs truly parallel?) and once through Flue.
//! 3. *Deaths*: every CPU makes a victim process, watches and links its neighbour's, and all of them race to kill,
//!    unlink, close and send. Each monitor ends once, each death spreads as far as the links reach, nothing stays behind.
//! 4. *Waiting*: three CPUs send more than a small mailbox has room for and sleep until there is room; the receiver
//!    sleeps until there is something to receive. A lost wake-up would hang the machine.

mod deaths;

use core::future::poll_fn;
use core::sync::atomic::{AtomicUsize, Ordering};

use flue_core::{
    Capability, Handle, Permissions, PostOffice, SendError, SendWait, Signal, TryRecvError,
};

#[cfg(not(feature = "heap"))]
use crate::process::own_handles;
use crate::process::{Process, limits};
use crate::sync::{Barrier, Lock, relax};
use crate::wake::{Flag, block_on};
use crate::{println, tour};

/// CPUs that take part.
pub const CPUS: usize = 4;
/// Messages from each CPU to each other one.
const EXCHANGED: u64 = 90_000;
/// Messages that a CPU's mailbox holds: enough for what comes while the host lets its CPU wait.
const MESSAGES: u32 = 2048;
/// Every so many messages, one asks for an answer.
const ASK_EVERY: u64 = 64;
/// Rounds of ping-pong, and the most through bare memory.
const ROUNDS: u64 = 2_000;
const BARE_ROUNDS: u64 = 200_000;
/// Nanoseconds: a faster round than this needs two CPUs at once.
const PARALLEL: u64 = 1_000;
const WAITED: u64 = 2_000;
/// Signals the run must move at least.
const WANTED: u64 = 1_000_000;

#[cfg(not(feature = "heap"))]
static STORAGE: flue_core::StaticPostOffice<12, 64, 8448> =
    flue_core::StaticPostOffice::with_limits(own_handles(40));

/// What is shared before the CPUs have capabilities of each other.
static OFFICE: Lock<Option<PostOffice>> = Lock::new(None);
static MEMBERS: Directory = Directory::new();
static VICTIMS: Directory = Directory::new();
static BARRIER: Barrier = Barrier::new();
/// Signals received, by all CPUs.
static SIGNALS: AtomicUsize = AtomicUsize::new(0);
/// Bare memory for the ping-pong of phase 2, and its value when the game is over.
const OVER: usize = usize::MAX;
static BALL: AtomicUsize = AtomicUsize::new(0);
/// Victims found dead, by all CPUs.
static DEAD: AtomicUsize = AtomicUsize::new(0);

/// One capability for each CPU, put there by its owner.
struct Directory(Lock<[Option<Capability>; CPUS]>);

impl Directory {
    const fn new() -> Directory {
        Directory(Lock::new([const { None }; CPUS]))
    }

    fn publish(&self, cpu: usize, capability: Capability) {
        self.0.with(|entries| entries[cpu] = Some(capability));
    }

    fn look_up(&self, cpu: usize) -> Capability {
        self.0.with(|entries| entries[cpu].clone()).unwrap()
    }

    fn clear(&self, cpu: usize) {
        let entry = self.0.with(|entries| entries[cpu].take());
        drop(entry);
    }
}

/// What each CPU runs. Returns on all of them when everything was checked; a failure panics.
///
/// `nanoseconds` is a clock that all CPUs share.
pub fn run(cpu: usize, nanoseconds: fn() -> u64) {
    if cpu == 0 {
        let office = office();
        tour::run(&office);
        OFFICE.with(|shared| *shared = Some(office));
    }
    meet();
    let office = OFFICE.with(|shared| shared.clone()).unwrap();
    let mut member = Member::new(cpu, &office);
    meet();
    member.find_peers();

    let start = nanoseconds();
    member.exchange();
    meet();
    if cpu == 0 {
        let signals = SIGNALS.load(Ordering::Relaxed) as u64;
        let elapsed = nanoseconds() - start;
        println!(
            "exchange: {signals} signals in {} ms, {} ns a signal",
            elapsed / 1_000_000,
            elapsed / signals
        );
    }

    member.play(nanoseconds);
    meet();
    member.die_often(&office);
    meet();
    member.wait_often();
    meet();

    MEMBERS.clear(cpu);
    drop(member);
    meet();
    if cpu == 0 {
        OFFICE.with(|shared| *shared = None);
        let stats = office.stats();
        assert_eq!((stats.groups, stats.routes, stats.tables), (0, 0, 0));
        let (signals, deaths) = (SIGNALS.load(Ordering::Relaxed) as u64, DEAD.load(Ordering::Relaxed));
        assert!(signals >= WANTED);
        println!(
            "{CPUS} cpus: {signals} signals received, {deaths} groups killed, nothing left behind"
        );
    }
    drop(office);
    meet();
}

#[cfg(feature = "heap")]
fn office() -> PostOffice {
    PostOffice::new()
}

#[cfg(not(feature = "heap"))]
fn office() -> PostOffice {
    STORAGE.office()
}

/// Plays ping-pong through bare memory; the best round's nanoseconds. On a busy host two CPUs may for long share one
/// of the host's, so this goes on until they were seen to be parallel, within reason.
fn volley(side: u64, nanoseconds: fn() -> u64) -> u64 {
    let mut best = u64::MAX;
    for round in 0..BARE_ROUNDS {
        let start = nanoseconds();
        loop {
            match BALL.load(Ordering::Acquire) {
                OVER => return best,
                ball if ball == (2 * round + side) as usize => break,
                _ => relax(),
            }
        }
        if side == 0 && round > ROUNDS && best < PARALLEL {
            BALL.store(OVER, Ordering::Release);
            return best;
        }
        BALL.store((2 * round + side + 1) as usize, Ordering::Release);
        if round > 0 {
            best = best.min(nanoseconds() - start);
        }
    }
    best
}

/// All CPUs but one.
fn others(cpu: usize) -> impl Iterator<Item = usize> {
    (0..CPUS).filter(move |other| *other != cpu)
}

fn meet() {
    BARRIER.wait(CPUS);
}

/// A CPU's process, and the others as it sees them.
struct Member {
    cpu: usize,
    process: Process,
    peers: [Peer; CPUS],
}

/// Another CPU.
#[derive(Clone, Copy, Default)]
struct Peer {
    handle: Option<Handle>,
    sent: u64,
    received: u64,
    /// Answers I asked for and have not got.
    awaited: u64,
    /// Where this peer wants its answer.
    owed: Option<Handle>,
}

/// What a message says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Ask,
    Answer,
}

const MESSAGE_BYTES: usize = 16;

fn encode(kind: Kind, cpu: usize, number: u64) -> [u8; MESSAGE_BYTES] {
    let mut bytes = [0; MESSAGE_BYTES];
    bytes[0] = kind as u8;
    bytes[1] = cpu as u8;
    bytes[8..].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> (Kind, usize, u64) {
    assert_eq!(bytes.len(), MESSAGE_BYTES);
    let kind = match bytes[0] {
        0 => Kind::Data,
        1 => Kind::Ask,
        2 => Kind::Answer,
        _ => unreachable!(),
    };
    (kind, usize::from(bytes[1]), number(bytes))
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[MESSAGE_BYTES - 8..].try_into().unwrap())
}

impl Member {
    fn new(cpu: usize, office: &PostOffice) -> Member {
        let process = Process::new(office, MESSAGES, 8).unwrap();
        MEMBERS.publish(cpu, process.mailbox.capability(Permissions::SEND | Permissions::MONITOR));
        Member { cpu, process, peers: [Peer::default(); CPUS] }
    }

    fn find_peers(&mut self) {
        for cpu in others(self.cpu) {
            self.peers[cpu].handle =
                Some(self.process.table.insert(&MEMBERS.look_up(cpu)).unwrap());
        }
    }

    fn exchange(&mut self) {
        let me = self.process.mailbox.export(Permissions::SEND).unwrap();
        loop {
            let mut busy = self.receive();
            for cpu in others(self.cpu) {
                busy |= self.send_next(cpu, me);
            }
            let done = |peer: &Peer| {
                peer.handle.is_none()
                    || (peer.sent == EXCHANGED
                        && peer.received == EXCHANGED
                        && peer.awaited == 0
                        && peer.owed.is_none())
            };
            if self.peers.iter().all(done) {
                break;
            }
            if !busy {
                relax();
            }
        }
        self.process.table.release(me).unwrap();
        assert_eq!(self.process.table.len(), CPUS - 1);
    }

    /// Sends what is due to another CPU; whether there was room.
    fn send_next(&mut self, cpu: usize, me: Handle) -> bool {
        let Member { process, peers, cpu: from } = self;
        let peer = &mut peers[cpu];
        if let Some(answer_to) = peer.owed {
            match process.table.send(answer_to, &encode(Kind::Answer, *from, 0), &[]) {
                Ok(()) => {
                    process.table.release(answer_to).unwrap();
                    peer.owed = None;
                }
                Err(SendError::Full) => return false,
                Err(error) => panic!("answer: {error}"),
            }
        }
        if peer.sent == EXCHANGED {
            return false;
        }
        let ask = peer.sent % ASK_EVERY == 0 && peer.awaited == 0;
        let (kind, attach) = if ask { (Kind::Ask, &[me][..]) } else { (Kind::Data, &[][..]) };
        match process.table.send(peer.handle.unwrap(), &encode(kind, *from, peer.sent), attach) {
            Ok(()) => {
                peer.sent += 1;
                peer.awaited += u64::from(ask);
                true
            }
            Err(SendError::Full) => false,
            Err(error) => panic!("send: {error}"),
        }
    }

    /// Receives all there is; whether there was anything.
    fn receive(&mut self) -> bool {
        let Member { process, peers, .. } = self;
        let mut signals = 0;
        loop {
            match process.mailbox.try_recv() {
                Ok(Signal::Message(mut message)) => {
                    signals += 1;
                    let (kind, from, number) = decode(message.data());
                    let peer = &mut peers[from];
                    if kind == Kind::Answer {
                        assert_eq!(peer.awaited, 1);
                        peer.awaited = 0;
                        continue;
                    }
                    assert_eq!(number, peer.received, "from {from}: lost, doubled or reordered");
                    peer.received += 1;
                    if kind == Kind::Ask {
                        assert!(peer.owed.is_none());
                        peer.owed = message.take_handles().next();
                        assert!(peer.owed.is_some());
                    }
                }
                Ok(_) => unreachable!(),
                Err(TryRecvError::Empty) => break,
                Err(error) => panic!("receive: {error}"),
            }
        }
        // Relaxed: a total, read after a barrier.
        SIGNALS.fetch_add(signals as usize, Ordering::Relaxed);
        signals > 0
    }

    fn play(&mut self, nanoseconds: fn() -> u64) {
        if self.cpu > 1 {
            return;
        }
        let best = volley(self.cpu as u64, nanoseconds);
        let mut best_mailed = u64::MAX;
        let other = self.peers[1 - self.cpu].handle.unwrap();
        for round in 0..ROUNDS {
            let start = nanoseconds();
            if self.cpu == 0 {
                self.process.table.send(other, &encode(Kind::Data, 0, round), &[]).unwrap();
            }
            assert_eq!(self.next_number(), round);
            if self.cpu == 1 {
                self.process.table.send(other, &encode(Kind::Data, 1, round), &[]).unwrap();
            }
            best_mailed = best_mailed.min(nanoseconds() - start);
        }
        if self.cpu == 0 {
            println!(
                "ping-pong: best round {best} ns through memory, {best_mailed} ns through mailboxes"
            );
            assert!(best < PARALLEL, "the CPUs are not parallel");
        }
    }

    /// Spins until a message comes; what it says.
    fn next_number(&mut self) -> u64 {
        loop {
            match self.process.mailbox.try_recv() {
                Ok(Signal::Message(message)) => {
                    SIGNALS.fetch_add(1, Ordering::Relaxed);
                    return number(message.data());
                }
                Ok(_) => unreachable!(),
                Err(TryRecvError::Empty) => relax(),
                Err(error) => panic!("receive: {error}"),
            }
        }
    }

    fn wait_often(&mut self) {
        static FLAGS: [Flag; CPUS] = [const { Flag::new() }; CPUS];
        let flag = &FLAGS[self.cpu];
        if self.cpu == 0 {
            let mut small =
                self.process.group.create_mailbox_with(&self.process.table, limits(3, 1)).unwrap();
            VICTIMS.publish(0, small.capability(Permissions::SEND));
            meet();
            let mut next = [0; CPUS];
            for _ in 0..WAITED * (CPUS as u64 - 1) {
                match block_on(flag, small.recv_async()) {
                    Ok(Signal::Message(message)) => {
                        let (_, from, number) = decode(message.data());
                        assert_eq!(number, next[from]);
                        next[from] += 1;
                    }
                    _ => unreachable!(),
                }
            }
            SIGNALS.fetch_add(WAITED as usize * (CPUS - 1), Ordering::Relaxed);
            VICTIMS.clear(0);
        } else {
            meet();
            let Process { table, .. } = &self.process;
            let small = table.insert(&VICTIMS.look_up(0)).unwrap();
            for number in 0..WAITED {
                let data = encode(Kind::Data, self.cpu, number);
                let mut wait = SendWait::default();
                block_on(
                    flag,
                    poll_fn(|context| table.poll_send(context, &mut wait, small, &data, &[])),
                )
                .unwrap();
            }
            table.release(small).unwrap();
        }
    }
}

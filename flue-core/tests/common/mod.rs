//! What the tests of the rules share.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use flue_core::{
    DownReason, Mailbox, MailboxLimits, MonitorId, OwnedSignal, PostOffice, RouteGroup, Signal,
    Table, TryRecvError,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// A group, a table of it, a mailbox: what a process has.
pub struct Process {
    pub group: RouteGroup,
    pub table: Table,
    pub mailbox: Mailbox,
}

/// A process with small limits, so that thousands of them cost little.
pub fn process(office: &PostOffice) -> Process {
    process_with(office, MailboxLimits::default())
}

pub fn process_with(office: &PostOffice, limits: MailboxLimits) -> Process {
    let group = office.create_group().unwrap();
    let table = group.create_table().unwrap();
    let mailbox = group.create_mailbox_with(&table, limits).unwrap();
    Process { group, table, mailbox }
}

/// Limits of a mailbox: messages, bytes, handles; waiters as by default.
pub fn limits(messages: u32, bytes: u32, handles: u32) -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    limits.messages = messages;
    limits.bytes = bytes;
    limits.handles = handles;
    limits
}

/// The bytes of the next signal, which is a message.
#[track_caller]
pub fn data(mailbox: &mut Mailbox) -> Vec<u8> {
    match mailbox.try_recv() {
        Ok(Signal::Message(message)) => message.data().to_vec(),
        other => panic!("a message was expected, not {other:?}"),
    }
}

/// Id and reason of the next signal, which is a down.
#[track_caller]
pub fn down(mailbox: &mut Mailbox) -> (MonitorId, DownReason) {
    match mailbox.try_recv() {
        Ok(Signal::Down(down)) => (down.monitor(), down.reason()),
        other => panic!("a down was expected, not {other:?}"),
    }
}

/// The next signal, which is a message, as a value of its own.
#[track_caller]
pub fn owned(mailbox: &mut Mailbox) -> flue_core::OwnedMessage {
    match mailbox.try_recv().map(Signal::into_owned) {
        Ok(OwnedSignal::Message(message)) => message,
        other => panic!("a message was expected, not {other:?}"),
    }
}

#[track_caller]
pub fn assert_empty(mailbox: &mut Mailbox) {
    assert_eq!(mailbox.try_recv().map(drop), Err(TryRecvError::Empty));
}

#[track_caller]
pub fn assert_dead(mailbox: &mut Mailbox) {
    assert_eq!(mailbox.try_recv().map(drop), Err(TryRecvError::Dead));
}

/// Whether the long forms were asked for: `FLUE_LONG=1`.
pub fn is_long() -> bool {
    std::env::var_os("FLUE_LONG").is_some_and(|value| value != "0")
}

/// How often: the usual number, or that of the long form.
pub fn times(usual: usize, long: usize) -> usize {
    if is_long() { long } else { usual }
}

/// A second, or ten in the long form; whoever asks first is told that it runs,
/// however long that took.
pub struct Clock {
    end: Instant,
    was_asked: AtomicBool,
}

impl Clock {
    pub fn start() -> Self {
        let span = if is_long() { 10 } else { 1 };
        Self { end: Instant::now() + Duration::from_secs(span), was_asked: AtomicBool::new(false) }
    }

    pub fn is_running(&self) -> bool {
        !self.was_asked.swap(true, SeqCst) || Instant::now() < self.end
    }
}

/// Counts how often it is called.
#[derive(Default)]
pub struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Count {
    pub fn calls(&self) -> usize {
        self.0.load(SeqCst)
    }
}

pub fn counting() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (count.clone(), count.into())
}

/// A waker that runs a closure.
pub fn calling(code: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Call<F>(F);
    impl<F: Fn() + Send + Sync + 'static> Wake for Call<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
        fn wake_by_ref(self: &Arc<Self>) {
            (self.0)();
        }
    }
    Arc::new(Call(code)).into()
}

/// A waker that unparks the calling thread.
pub fn unparking() -> Waker {
    let thread = std::thread::current();
    calling(move || thread.unpark())
}

/// Runs `code` with its panics kept off the test's output, and says whether it panicked.
pub fn panics(code: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(code)).is_err()
}

/// Numbers that look random, the same in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Runs `code` on a thread whose stack is 64 KiB.
pub fn on_small_stack<T: Send + 'static>(code: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(64 << 10).spawn(code).unwrap().join().unwrap()
}

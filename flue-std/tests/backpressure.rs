//! Sends that wait for room (rule S6).

mod common;

use core::future::Future;
use core::mem;
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use common::{FOREVER, Wakes, message, process, take};
use flue_std::{
    Capability, CapabilityExt, Handle, MailboxExt, MailboxLimits, Payload, Permissions, PostOffice,
    Process, SendError, SendExt, SendPayloadTimeoutError, SendTimeoutError, Table,
};

const SHORT: Duration = Duration::from_millis(20);

/// A process whose mailbox is full, and a table with a handle to send to it.
fn full(messages: u32) -> (Process, Table, Handle) {
    let office = PostOffice::new();
    let receiver = process(&office, messages);
    let table = office.create_table().unwrap();
    let to = table.insert(&receiver.capability(Permissions::SEND)).unwrap();
    for _ in 0..messages {
        table.send(to, b"first", &[]).unwrap();
    }
    (receiver, table, to)
}

/// A send that waits.
struct Waiting<'a> {
    send: Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>>,
    wakes: Arc<Wakes>,
}

impl<'a> Waiting<'a> {
    fn begin(table: &'a Table, to: Handle, data: &'a [u8]) -> Self {
        let mut waiting =
            Self { send: Box::pin(table.send_async(to, data, &[])), wakes: Wakes::new() };
        assert_eq!(waiting.poll(), Poll::Pending);
        assert_eq!(waiting.wakes.take(), 0);
        waiting
    }

    fn poll(&mut self) -> Poll<Result<(), SendError>> {
        self.wakes.poll(self.send.as_mut())
    }

    fn is_woken(&self) -> bool {
        self.wakes.take() > 0
    }
}

const NUMBERS: [[u8; 1]; 5] = [[0], [1], [2], [3], [4]];

/// Rule S6: first come, first woken.
#[test]
fn waiting_senders_take_turns() {
    let (mut receiver, table, to) = full(1);
    let mut line: Vec<_> =
        NUMBERS.iter().map(|number| Waiting::begin(&table, to, number)).collect();
    take(receiver.mailbox());
    for (turn, number) in NUMBERS.iter().enumerate() {
        let woken: Vec<_> = line.iter().map(Waiting::is_woken).collect();
        let expected: Vec<_> = (0..line.len()).map(|sender| sender == turn).collect();
        assert_eq!(woken, expected, "only the first in the line is woken");
        assert_eq!(line[turn].poll(), Poll::Ready(Ok(())));
        assert_eq!(take(receiver.mailbox()).data(), number);
    }
}

/// Rule S6: room is nobody's until it is used, and who finds it gone waits at
/// the front.
#[test]
fn who_finds_the_room_gone_waits_at_the_front() {
    let (mut receiver, table, to) = full(1);
    let mut first = Waiting::begin(&table, to, b"1");
    let second = Waiting::begin(&table, to, b"2");
    for _ in 0..3 {
        take(receiver.mailbox());
        assert!(first.is_woken());
        table.send(to, b"quick", &[]).unwrap();
        assert_eq!(first.poll(), Poll::Pending);
    }
    take(receiver.mailbox());
    assert!(first.is_woken());
    assert!(!second.is_woken());
    assert_eq!(first.poll(), Poll::Ready(Ok(())));
}

/// Rule S6: a wait that is dropped passes its wake on, and nobody else's place
/// is lost.
#[test]
fn a_dropped_wait_passes_its_wake_on() {
    let (mut receiver, table, to) = full(1);
    let [first, second, mut third] =
        [b"1", b"2", b"3"].map(|data| Waiting::begin(&table, to, data));
    drop(second);
    take(receiver.mailbox());
    assert!(first.is_woken());
    assert!(!third.is_woken());
    drop(first);
    assert!(third.is_woken());
    assert_eq!(third.poll(), Poll::Ready(Ok(())));
    assert_eq!(take(receiver.mailbox()).data(), b"3");
    assert!(receiver.mailbox().try_recv().is_err(), "a dropped send sends nothing");
}

/// Rule S6: as much room as there is, as many waiting senders get on.
#[test]
fn all_the_room_is_used() {
    let (mut receiver, table, to) = full(4);
    let mut line: Vec<_> =
        NUMBERS[..4].iter().map(|number| Waiting::begin(&table, to, number)).collect();
    for _ in 0..4 {
        take(receiver.mailbox());
    }
    let mut sent = 0;
    while let Some(next) = line.iter_mut().find(|waiting| waiting.is_woken()) {
        sent += u32::from(next.poll() == Poll::Ready(Ok(())));
    }
    assert_eq!(sent, 4);
    for number in &NUMBERS[..4] {
        assert_eq!(take(receiver.mailbox()).data(), number);
    }
}

/// Rule S6, rule Q1: waiting senders are limited, and one too many is told at
/// once.
#[test]
fn waiters_are_limited() {
    let office = PostOffice::new();
    let mut limits = MailboxLimits::default();
    (limits.messages, limits.waiters) = (1, 2);
    let mut receiver = Process::with_limits(&office, limits).unwrap();
    let table = office.create_table().unwrap();
    let to = table.insert(&receiver.capability(Permissions::SEND)).unwrap();
    table.send(to, b"first", &[]).unwrap();
    let mut first = Waiting::begin(&table, to, b"1");
    let second = Waiting::begin(&table, to, b"2");
    assert_eq!(table.send_blocking(to, b"3", &[]), Err(SendError::Full));
    // Both ways to leave the line make room in it.
    drop(second);
    let _third = Waiting::begin(&table, to, b"3");
    take(receiver.mailbox());
    assert_eq!(first.poll(), Poll::Ready(Ok(())));
    let _fourth = Waiting::begin(&table, to, b"4");
}

/// Rule S6: a sender that was woken and never runs again delays the others by
/// no more than its wake-up.
#[test]
fn who_never_runs_again_delays_nobody() {
    let (mut receiver, table, to) = full(2);
    let [first, mut second, third] =
        [b"1", b"2", b"3"].map(|data| Waiting::begin(&table, to, data));
    take(receiver.mailbox());
    assert!(first.is_woken());
    mem::forget(first);
    take(receiver.mailbox());
    assert!(second.is_woken());
    assert_eq!(second.poll(), Poll::Ready(Ok(())));
    take(receiver.mailbox());
    assert!(third.is_woken());
}

/// Rule S6, rule S2: room for capabilities is made by releasing them, and wakes
/// too.
#[test]
fn a_release_is_room_for_capabilities() {
    let office = PostOffice::new();
    let mut limits = MailboxLimits::default();
    limits.handles = 1;
    let mut receiver = Process::with_limits(&office, limits).unwrap();
    let capability = receiver.capability(Permissions::SEND);
    let [one, two] = [Permissions::MONITOR, Permissions::KILL]
        .map(|permissions| receiver.capability(permissions));
    capability.send(b"one", &[&one]).unwrap();
    let wakes = Wakes::new();
    let attach = [&two];
    let mut send = pin!(capability.send_async(b"two", &attach));
    assert!(wakes.poll(send.as_mut()).is_pending());
    assert_eq!(wakes.take(), 0, "one that waits does not wake itself");
    // Received, but not released: there is room for messages only.
    let taken = take(receiver.mailbox()).take_handles().next().unwrap();
    wakes.take();
    assert!(wakes.poll(send.as_mut()).is_pending());
    assert_eq!(wakes.take(), 0);
    receiver.table().release(taken).unwrap();
    assert_eq!(wakes.take(), 1);
    assert_eq!(wakes.poll(send), Poll::Ready(Ok(())));
}

/// Rule S6: a send that is done and polled again sends nothing again.
#[test]
fn a_send_that_is_done_stays_done() {
    let office = PostOffice::new();
    let mut receiver = Process::new(&office).unwrap();
    let table = office.create_table().unwrap();
    let capability = receiver.capability(Permissions::SEND);
    let to = table.insert(&capability).unwrap();
    let wakes = Wakes::new();
    {
        let mut copied = pin!(table.send_async(to, b"once", &[]));
        let mut owned = pin!(table.send_payload_async(to, vec![1; 100].into(), &[]));
        let mut hosts = pin!(capability.send_payload_async(vec![2; 100].into(), &[]));
        assert_eq!(wakes.poll(copied.as_mut()), Poll::Ready(Ok(())));
        assert!(matches!(wakes.poll(owned.as_mut()), Poll::Ready(Ok(()))));
        assert!(matches!(wakes.poll(hosts.as_mut()), Poll::Ready(Ok(()))));
        assert!(wakes.poll(copied).is_pending());
        assert!(wakes.poll(owned).is_pending() && wakes.poll(hosts).is_pending());
    }
    assert_eq!(receiver.mailbox().len(), 3);
}

/// Rule S6, rule S3: who waits for room for bytes sleeps until there is some,
/// though there is room for messages.
#[test]
fn a_receive_is_room_for_bytes() {
    let office = PostOffice::new();
    let mut limits = MailboxLimits::default();
    limits.bytes = 1_000;
    let mut receiver = Process::with_limits(&office, limits).unwrap();
    let table = office.create_table().unwrap();
    let to = table.insert(&receiver.capability(Permissions::SEND)).unwrap();
    table.send(to, &[0; 600], &[]).unwrap();
    table.send(to, &[0; 400], &[]).unwrap();
    let mut first = Waiting::begin(&table, to, &[1; 500]);
    let mut second = Waiting::begin(&table, to, &[2; 500]);
    assert!(!first.is_woken(), "one that waits wakes nobody");
    table.send(to, b"inline, and so no bytes", &[]).unwrap();
    take(receiver.mailbox());
    assert!(first.is_woken());
    assert_eq!(first.poll(), Poll::Ready(Ok(())));
    take(receiver.mailbox());
    assert!(second.is_woken());
    assert_eq!(second.poll(), Poll::Ready(Ok(())));
}

/// Rule S3: what no room would ever be enough for is not waited for.
#[test]
fn what_never_fits_is_not_waited_for() {
    let office = PostOffice::new();
    let mut limits = MailboxLimits::default();
    (limits.bytes, limits.handles) = (100, 0);
    let receiver = Process::with_limits(&office, limits).unwrap();
    let capability = receiver.capability(Permissions::SEND);
    let too_many_bytes = capability.send_blocking(&[0; 101], &[]);
    assert_eq!(too_many_bytes, Err(SendError::Full));
    let too_many_handles = capability.send_blocking(b"", &[&capability]);
    assert_eq!(too_many_handles, Err(SendError::Full));
}

/// Rule S6: a kill and a close wake whoever waits, all of them.
#[test]
fn kill_and_close_wake_waiting_senders() {
    let kill: fn(Process) = |receiver| receiver.group().kill();
    let close: fn(Process) = drop;
    for end in [kill, close] {
        let (receiver, table, to) = full(1);
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let table = table.clone();
                thread::spawn(move || {
                    let payload = vec![1; 100];
                    let place = payload.as_ptr();
                    let rejected = table.send_payload_blocking(to, payload.into(), &[]);
                    let rejected = rejected.unwrap_err();
                    // Rule S1: the payload comes back, the very one.
                    assert_eq!(rejected.payload.as_ptr(), place);
                    rejected.error
                })
            })
            .collect();
        let waiting = Waiting::begin(&table, to, b"waits too");
        thread::sleep(SHORT);
        end(receiver);
        assert!(waiting.is_woken());
        for sender in senders {
            assert_eq!(sender.join().unwrap(), SendError::Closed);
        }
    }
}

/// Rule S6, rule O5: one whose own group died while it waited sends nothing,
/// and holds nobody up.
#[test]
fn a_sender_that_dies_while_it_waits() {
    let office = PostOffice::new();
    let mut receiver = process(&office, 1);
    let capability = receiver.capability(Permissions::SEND);
    let (dying, living) = (Process::new(&office).unwrap(), Process::new(&office).unwrap());
    let to = dying.grant(&capability).unwrap();
    capability.send(b"first", &[]).unwrap();
    let mut first = Waiting::begin(dying.table(), to, b"dead");
    let to = living.grant(&capability).unwrap();
    let mut second = Waiting::begin(living.table(), to, b"alive");
    dying.group().kill();
    take(receiver.mailbox());
    assert_eq!(first.poll(), Poll::Ready(Err(SendError::Dead)));
    assert!(second.is_woken());
    assert_eq!(second.poll(), Poll::Ready(Ok(())));
    assert_eq!(take(receiver.mailbox()).data(), b"alive");
}

/// Every error that waiting cannot mend comes at once.
#[test]
fn errors_are_not_waited_for() {
    let (receiver, table, to) = full(1);
    let mute = table.insert(&receiver.capability(Permissions::MONITOR)).unwrap();
    let forged = Handle::from_raw(to.to_raw() ^ 1 << 40).unwrap();
    assert_eq!(table.send_blocking(mute, b"", &[]), Err(SendError::PermissionDenied));
    assert_eq!(table.send_blocking(forged, b"", &[]), Err(SendError::InvalidHandle));
    let attached = table.send_timeout(to, b"", &[to, forged], FOREVER);
    let invalid = SendError::InvalidAttachment { index: 1 };
    assert_eq!(attached, Err(SendTimeoutError::Failed(invalid)));
    let rejected = table.send_payload_deadline(forged, vec![1].into(), &[], Instant::now());
    assert!(matches!(
        rejected,
        Err(SendPayloadTimeoutError::Failed(rejected)) if rejected.error == SendError::InvalidHandle
    ));
}

/// A time limit is kept, nothing is sent afterwards, and the place in the line
/// is given up.
#[test]
fn timeouts() {
    let (mut receiver, table, to) = full(1);
    let capability = receiver.capability(Permissions::SEND);
    let begin = Instant::now();
    let late = table.send_timeout(to, b"late", &[], SHORT);
    assert_eq!(late, Err(SendTimeoutError::Timeout));
    assert!(begin.elapsed() >= SHORT);
    let late = capability.send_deadline(b"late", &[], Instant::now() + SHORT);
    assert_eq!(late, Err(SendTimeoutError::Timeout));

    let payload = vec![1; 100];
    let place = payload.as_ptr();
    let late = table.send_payload_timeout(to, payload.into(), &[], SHORT);
    let Err(SendPayloadTimeoutError::Timeout(payload)) = late else {
        panic!("there was no room");
    };
    assert_eq!(payload.as_ptr(), place);
    let late = capability.send_payload_deadline(payload, &[], Instant::now());
    let payload = late.unwrap_err().into_payload();
    assert_eq!(payload.as_ptr(), place);

    let mut waiting = Waiting::begin(&table, to, b"in time");
    assert_eq!(take(receiver.mailbox()).data(), b"first");
    assert!(waiting.is_woken(), "nobody stands before it");
    assert_eq!(waiting.poll(), Poll::Ready(Ok(())));
    assert_eq!(take(receiver.mailbox()).data(), b"in time");
    assert!(receiver.mailbox().try_recv().is_err());

    // Rule S5: the receiver reads the sender's very buffer.
    table.send_payload_timeout(to, payload, &[], Duration::MAX).unwrap();
    assert_eq!(take(receiver.mailbox()).data().as_ptr(), place);
}

/// Rule S5: with the feature `bytes`, a buffer of that crate comes back when time is
/// up, and comes out at the receiver, without having been copied.
#[cfg(feature = "bytes")]
#[test]
fn bytes_are_sent_and_handed_back_as_they_are() {
    let (mut receiver, table, to) = full(1);
    let bytes = bytes::Bytes::from(vec![6; 100]);
    let place = bytes.as_ptr();
    let late = table.send_payload_timeout(to, bytes.into(), &[], SHORT);
    let Err(SendPayloadTimeoutError::Timeout(payload)) = late else {
        panic!("there was no room");
    };
    assert_eq!((payload.as_ptr(), payload.len()), (place, 100));
    assert_eq!(take(receiver.mailbox()).data(), b"first");
    table.send_payload_blocking(to, payload, &[]).unwrap();
    let payload = take(receiver.mailbox()).into_payload();
    assert_eq!((payload.as_ptr(), &payload[..]), (place, &[6; 100][..]));
}

/// Rule S6: threads that wait by turns, each within a short time limit, and no
/// wake-up lost on the way.
#[test]
fn no_wake_up_is_lost() {
    const SENDERS: usize = 4;
    const EACH: usize = 3_000;
    let office = PostOffice::new();
    let mut receiver = process(&office, 1);
    let capability = receiver.capability(Permissions::SEND);
    let run = move |capability: Capability| {
        for number in 0..EACH {
            let data = number.to_le_bytes();
            match number % 3 {
                0 => capability.send_blocking(&data, &[]).unwrap(),
                1 => pollster::block_on(capability.send_async(&data, &[])).unwrap(),
                _ => {
                    // Gives up its turn time and again, and with it perhaps a
                    // wake.
                    let impatient = Duration::from_micros(50);
                    while let Err(error) = capability.send_timeout(&data, &[], impatient) {
                        assert_eq!(error, SendTimeoutError::Timeout);
                    }
                }
            }
        }
    };
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let capability = capability.clone();
            thread::spawn(move || run(capability))
        })
        .collect();
    for _ in 0..SENDERS * EACH {
        let signal = receiver.mailbox().recv_timeout(FOREVER);
        message(signal.expect("no wake-up is lost"));
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert!(receiver.mailbox().try_recv().is_err());
}

/// Rule S6: whenever a kill or a close comes, whoever waits or is about to is
/// told.
#[test]
fn a_close_races_a_wait() {
    for round in 0..2_000 {
        let (receiver, table, to) = full(1);
        let sender = thread::spawn(move || table.send_timeout(to, b"waits", &[], FOREVER));
        for _ in 0..round % 64 {
            thread::yield_now();
        }
        if round % 2 == 0 {
            receiver.group().kill();
        }
        drop(receiver);
        let closed = SendTimeoutError::Failed(SendError::Closed);
        assert_eq!(sender.join().unwrap(), Err(closed));
    }
}

/// Futures may be moved to other threads, and nothing happens before the first
/// poll.
#[test]
fn futures_are_send_and_lazy() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let mut receiver = process(&PostOffice::new(), 4);
    let capability = receiver.capability(Permissions::SEND);
    let table = receiver.table().clone();
    let to = table.insert(&capability).unwrap();
    drop(assert_send(table.send_async(to, b"1", &[])));
    drop(assert_send(table.send_payload_async(to, vec![2].into(), &[])));
    drop(assert_send(capability.send_async(b"3", &[])));
    let payload = Payload::from(vec![4]);
    let send = pin!(assert_send(capability.send_payload_async(payload, &[])));
    assert_eq!(receiver.mailbox().len(), 0);
    pollster::block_on(send).unwrap();
    assert_eq!(take(receiver.mailbox()).data(), [4]);
}

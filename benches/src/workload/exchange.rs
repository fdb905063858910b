//! There and back: ping-pong between two threads (spinning, blocking) and two tasks, request and reply.

use super::{read_16, warm_turns};
use crate::cores::Cores;
use crate::measure::{Against, FLUE, Row, Target, Window};
use crate::ours;
use crate::peers::*;
use crate::{peers, theirs};
use flue_core::{Handle, Mailbox, Permissions, Signal, Table};
use flue_std::MailboxExt;
use std::hint::{black_box, spin_loop};

/// The peers whose blocking receive spins before it parks.
const SPINNING: &[&str] = &[Std::NAME, Crossbeam::NAME, Flume::NAME, Kanal::NAME];

/// The family's rows.
pub fn rows(cores: &'static Cores) -> Vec<Row> {
    let spinning = Row::timed("exchange/ping-pong spinning")
        .across(FLUE, move || flue_threads(cores, spin))
        .across(theirs::NAME, move || flue_peer_spinning(cores));
    let blocking = Row::timed("exchange/ping-pong blocking")
        .across(FLUE, move || flue_threads(cores, block))
        .across(theirs::NAME, move || flue_peer_blocking(cores))
        .hold(Target { against: Against::BestOf(SPINNING), must: Some(1.2), moonshot: None })
        .hold(Target { against: Against::Figure, must: None, moonshot: Some(300.0) });
    let tasks = Row::timed("exchange/ping-pong of tasks")
        .turns(FLUE, flue_tasks)
        .turns(theirs::NAME, flue_peer_tasks);
    vec![
        peers!(
            spinning,
            across,
            [Std, Crossbeam, Flume, Kanal, Tokio, SegQueue, ArrayQueue, Rtrb],
            spinning_by(cores)
        ),
        peers!(blocking, across, [Std, Crossbeam, Flume, Kanal, Tokio], blocking_by(cores)),
        peers!(tasks, turns, [Flume, Kanal, Tokio], tasks_by()),
        request(),
    ]
}

/// Request and reply on one thread.
pub fn request() -> Row {
    let row = Row::timed("exchange/request + reply")
        .turns(FLUE, flue_request)
        .turns(theirs::NAME, flue_peer_request)
        .must(theirs::NAME, 1.0 / 10.0)
        .hold(Target { against: Against::Figure, must: None, moonshot: Some(30.0) });
    peers!(row, turns, [Std, Crossbeam, Flume, Kanal, Tokio], request_by())
}

/// Two processes, each of which may send to the other.
fn flue_both() -> ([(Table, Handle, Mailbox); 2], [flue_core::RouteGroup; 2]) {
    let ours::Pair { sender: a, to: b_in_a, receiver: b } = ours::Pair::new();
    let a_in_b = b.granted(&a.mailbox, Permissions::SEND);
    ([(a.table, b_in_a, a.mailbox), (b.table, a_in_b, b.mailbox)], [a.group, b.group])
}

fn spin(mailbox: &mut Mailbox) {
    while !ours::receive(mailbox, read_16) {
        spin_loop();
    }
}

fn block(mailbox: &mut Mailbox) {
    let Ok(Signal::Message(message)) = mailbox.recv() else { unreachable!("both sides live") };
    read_16(message.data());
}

fn flue_threads(cores: &'static Cores, wait: fn(&mut Mailbox)) -> Window {
    Box::new(move |turns| {
        let ([mut a, mut b], _alive) = flue_both();
        let send =
            |table: &Table, to| table.send(to, &black_box([7; 16]), &[]).expect("room for one");
        cores.exchange(
            turns,
            move || {
                send(&a.0, a.1);
                wait(&mut a.2);
            },
            move || {
                wait(&mut b.2);
                send(&b.0, b.1);
            },
        )
    })
}

fn flue_peer_both() -> (theirs::Pair, flue_peer::CapabilityHandle) {
    let pair = theirs::Pair::new();
    let back = pair.receiver.granted(&pair.sender.mailbox, flue_peer::Permissions::SEND);
    (pair, back)
}

fn flue_peer_spinning(cores: &'static Cores) -> Window {
    let (pair, back) = flue_peer_both();
    Box::new(move |turns| {
        let (a, b) = (&pair.sender, &pair.receiver);
        let wait = |process: &theirs::Process| {
            while !process.receive(read_16) {
                spin_loop();
            }
        };
        cores.exchange(
            turns,
            || {
                a.send(pair.to, &black_box([7; 16]), &[]);
                wait(a);
            },
            || {
                wait(b);
                b.send(back, &black_box([7; 16]), &[]);
            },
        )
    })
}

fn flue_peer_blocking(cores: &'static Cores) -> Window {
    let (pair, back) = flue_peer_both();
    Box::new(move |turns| {
        let (a, b) = (&pair.sender, &pair.receiver);
        let wait = |process: &theirs::Process| {
            pollster::block_on(
                process.mailbox.recv(|signal| theirs::show(process.table, signal, read_16)),
            )
        };
        cores.exchange(
            turns,
            || {
                pollster::block_on(a.table.send(pair.to, &black_box([7; 16]), &[])).expect("open");
                wait(a).expect("alive");
            },
            || {
                wait(b).expect("alive");
                pollster::block_on(b.table.send(back, &black_box([7; 16]), &[])).expect("open");
            },
        )
    })
}

fn spinning_by<C: Channel>(cores: &'static Cores) -> Window {
    threads_by::<C>(cores, |receiver| {
        loop {
            match C::try_recv(receiver) {
                Some(item) => return item,
                None => spin_loop(),
            }
        }
    })
}

fn blocking_by<C: Blocking>(cores: &'static Cores) -> Window {
    threads_by::<C>(cores, C::recv)
}

fn threads_by<C: Channel>(
    cores: &'static Cores,
    wait: fn(&mut C::Receiver<[u8; 16]>) -> [u8; 16],
) -> Window {
    Box::new(move |turns| {
        let (mut to_b, mut at_b) = C::open();
        let (mut to_a, mut at_a) = C::open();
        cores.exchange(
            turns,
            move || {
                C::send(&mut to_b, black_box([7; 16]));
                read_16(&wait(&mut at_a));
            },
            move || {
                read_16(&wait(&mut at_b));
                C::send(&mut to_a, black_box([7; 16]));
            },
        )
    })
}

/// A runtime on this thread alone.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a thread can have a runtime")
}

/// Runs `answer` as a task of its own while `ask` is timed.
macro_rules! two_tasks {
    ($runtime:expr, $turns:expr, $ask:block, $answer:block) => {
        $runtime.block_on(async {
            let answering = tokio::spawn(async move {
                for _ in 0..$turns {
                    $answer
                }
            });
            let start = std::time::Instant::now();
            for _ in 0..$turns {
                $ask
            }
            let elapsed = start.elapsed();
            answering.await.expect("it only answers");
            elapsed
        })
    };
}

fn flue_tasks() -> Window {
    let runtime = runtime();
    Box::new(move |turns| {
        let ([mut a, mut b], _alive) = flue_both();
        two_tasks!(
            runtime,
            turns,
            {
                a.0.send(a.1, &black_box([7; 16]), &[]).expect("room for one");
                let Ok(Signal::Message(message)) = a.2.recv_async().await else {
                    unreachable!("both sides live")
                };
                read_16(message.data());
            },
            {
                let Ok(Signal::Message(message)) = b.2.recv_async().await else {
                    unreachable!("both sides live")
                };
                read_16(message.data());
                drop(message);
                b.0.send(b.1, &black_box([7; 16]), &[]).expect("room for one");
            }
        )
    })
}

fn flue_peer_tasks() -> Window {
    let runtime = runtime();
    let (pair, back) = flue_peer_both();
    let theirs::Pair { sender: a, to, receiver: b } = pair;
    let (a, b): (&'static _, &'static _) = (Box::leak(Box::new(a)), Box::leak(Box::new(b)));
    Box::new(move |turns| {
        two_tasks!(
            runtime,
            turns,
            {
                a.table.send(to, &black_box([7; 16]), &[]).await.expect("open");
                a.mailbox
                    .recv(|signal| theirs::show(a.table, signal, read_16))
                    .await
                    .expect("alive");
            },
            {
                b.mailbox
                    .recv(|signal| theirs::show(b.table, signal, read_16))
                    .await
                    .expect("alive");
                b.table.send(back, &black_box([7; 16]), &[]).await.expect("open");
            }
        )
    })
}

fn tasks_by<C: Waiting>() -> Window {
    let runtime = runtime();
    Box::new(move |turns| {
        let (mut to_b, mut at_b) = C::open::<[u8; 16]>();
        let (mut to_a, mut at_a) = C::open::<[u8; 16]>();
        two_tasks!(
            runtime,
            turns,
            {
                C::send(&mut to_b, black_box([7; 16]));
                read_16(&C::recv_async(&mut at_a).await);
            },
            {
                read_16(&C::recv_async(&mut at_b).await);
                C::send(&mut to_a, black_box([7; 16]));
            }
        )
    })
}

/// The client attaches the capability to answer it, which the server forgets again each time.
fn flue_request() -> Window {
    Box::new(|turns| {
        let mut pair = ours::Pair::new();
        let reply = pair.sender.mailbox.export(Permissions::SEND).expect("the table has room");
        warm_turns(turns, || {
            pair.send(&black_box([7; 16]), &[reply]);
            let Ok(Signal::Message(request)) = pair.receiver.mailbox.try_recv() else {
                unreachable!("just sent")
            };
            read_16(request.data());
            pair.receiver
                .table
                .send(request.handles()[0], &black_box([7; 16]), &[])
                .expect("room for one");
            drop(request);
            assert!(ours::receive(&mut pair.sender.mailbox, read_16));
        })
    })
}

fn flue_peer_request() -> Window {
    let pair = theirs::Pair::new();
    let reply = pair.sender.granted(&pair.sender.mailbox, flue_peer::Permissions::SEND);
    Box::new(move |turns| {
        let (client, server) = (&pair.sender, &pair.receiver);
        warm_turns(turns, || {
            client.send(pair.to, &black_box([7; 16]), &[reply]);
            let request = server.mailbox.try_recv(|signal| {
                let flue_peer::TableSignal::Message { data, caps } = signal else {
                    unreachable!("just sent")
                };
                read_16(data);
                caps[0]
            });
            let reply_to = request.flatten().expect("it was just sent");
            server.send(reply_to, &black_box([7; 16]), &[]);
            server.table.dec_ref(reply_to).expect("this request's own reference");
            assert!(client.receive(read_16));
        })
    })
}

/// The client sends a sender to answer it along, which the server drops again each time.
fn request_by<C: Shared>() -> Window {
    Box::new(|turns| {
        let (mut to_server, mut at_server) = C::open::<([u8; 16], C::Sender<[u8; 16]>)>();
        let (to_client, mut at_client) = C::open::<[u8; 16]>();
        warm_turns(turns, || {
            C::send(&mut to_server, (black_box([7; 16]), C::share(&to_client)));
            let (request, mut reply) = C::try_recv(&mut at_server).expect("it was just sent");
            read_16(&request);
            C::send(&mut reply, black_box([7; 16]));
            read_16(&C::try_recv(&mut at_client).expect("it was just sent"));
        })
    })
}

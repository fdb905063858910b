//! Worst-case steps: the instructions of every operation when nobody interferes, as figures.

use core::task::Context;

use flue_core::{Handle, Permissions, PostOffice, SendWait, Signal, StaticPostOffice};

use crate::figures::figure;
use crate::process::{EVERYTHING, Process, own_handles};
use crate::wake::Flag;

/// Storage that is just enough for a crowd of 8.
pub type Office = StaticPostOffice<10, 24, 64>;

/// Storage, for a `static`.
pub const fn storage() -> Office {
    StaticPostOffice::with_limits(own_handles(16))
}

/// Exchanges before those that are counted.
const WARM: u32 = 64;
/// Exchanges in which an office of this size has used each of its message buffers once.
pub const ROUNDS: u32 = 64;

/// A machine that can tell how many instructions an operation takes.
pub trait Counter {
    /// The instructions that `operation` takes, the call of the closure included.
    fn count(&mut self, operation: &mut dyn FnMut()) -> u32;
}

/// A counter, and what it counts where there is nothing to count.
struct Counts<'c, C> {
    counter: &'c mut C,
    nothing: u32,
    rounds: u32,
}

impl<C: Counter> Counts<'_, C> {
    fn count(&mut self, operation: &mut dyn FnMut()) -> u32 {
        self.counter.count(operation).saturating_sub(self.nothing)
    }

    fn figure(&mut self, name: &str, mut operation: impl FnMut()) {
        let count = self.count(&mut operation);
        figure(name, count);
    }

    /// The instructions of a send and of its receive, with the drop of the guard: the worst of some, after others in
    /// which memory was found.
    fn exchange(&mut self, pair: &mut Pair, data: &[u8], attach: &[Handle]) -> (u32, u32) {
        let Pair { client, server, to_server } = pair;
        let send = || client.table.send(*to_server, data, attach).unwrap();
        let mut receive = || assert!(server.mailbox.try_recv().is_ok());
        for _ in 0..WARM {
            send();
            receive();
        }
        let mut worst = (0, 0);
        for _ in 0..self.rounds {
            worst.0 = worst.0.max(self.count(&mut { send }));
            worst.1 = worst.1.max(self.count(&mut receive));
        }
        worst
    }
}

/// Two processes.
struct Pair {
    server: Process,
    client: Process,
    to_server: Handle,
}

/// Counts every operation and prints the counts, of exchanges the worst of `rounds`. Whether a send and a receive took no more when as many processes as
/// `crowd` lived in the office besides.
///
/// The office needs room for those and two more, and for 8 handles in a message.
#[must_use]
pub fn run(office: &PostOffice, counter: &mut impl Counter, rounds: u32, crowd: usize) -> bool {
    let nothing = counter.count(&mut || {});
    let mut counts = Counts { counter, nothing, rounds };
    let server = Process::new(office, 4, 8).unwrap();
    let client = Process::new(office, 4, 0).unwrap();
    let to_server = client.meet(&server, EVERYTHING);
    let mut pair = Pair { server, client, to_server };

    let (send, receive) = counts.exchange(&mut pair, b"8 bytes!", &[]);
    figure("send", send);
    figure("receive", receive);
    let attach = [to_server; 8];
    for (attached, send_name, receive_name) in [
        (0, "send nothing", "receive nothing"),
        (1, "send 1 capability", "receive 1 capability"),
        (2, "send 2 capabilities", "receive 2 capabilities"),
        (4, "send 4 capabilities", "receive 4 capabilities"),
        (8, "send 8 capabilities", "receive 8 capabilities"),
    ] {
        let (send, receive) = counts.exchange(&mut pair, b"", &attach[..attached]);
        figure(send_name, send);
        figure(receive_name, receive);
    }

    // The same exchange in a crowd.
    let mut neighbours = [const { None::<Process> }; 8];
    for neighbour in neighbours.iter_mut().take(crowd) {
        let process = Process::new(office, 1, 0).unwrap();
        process.meet(&pair.server, EVERYTHING);
        *neighbour = Some(process);
    }
    let crowded = counts.exchange(&mut pair, b"8 bytes!", &[]);
    drop(neighbours);

    capabilities(&mut counts, &mut pair);
    deaths(&mut counts, &mut pair);

    drop(pair);
    let mut process = None;
    counts.figure("create a process", || process = Process::new(office, 4, 0).ok());
    counts.figure("drop a process", || drop(process.take()));
    crowded == (send, receive)
}

fn capabilities(counts: &mut Counts<'_, impl Counter>, pair: &mut Pair) {
    let Pair { client, to_server, .. } = pair;
    let (table, to_server) = (client.table.clone(), *to_server);
    counts.figure("contains", || assert!(table.contains(to_server)));
    counts.figure("permissions", || assert!(table.permissions(to_server).is_ok()));
    counts.figure("same_route", || assert!(table.same_route(to_server, to_server).unwrap()));
    counts.figure("retain", || table.retain(to_server).unwrap());
    counts.figure("release", || table.release(to_server).unwrap());
    let mut handle = None;
    counts.figure("demote", || handle = table.demote(to_server, Permissions::SEND).ok());
    counts.figure("release the last", || table.release(handle.unwrap()).unwrap());
    counts.figure("export", || handle = client.mailbox.export(Permissions::SEND).ok());
    table.release(handle.unwrap()).unwrap();
    let capability = client.mailbox.capability(Permissions::SEND);
    counts.figure("insert", || handle = table.insert(&capability).ok());
    table.release(handle.unwrap()).unwrap();
    let mut monitor = None;
    counts.figure("monitor", || monitor = table.monitor(to_server, &client.mailbox).ok());
    counts.figure("demonitor", || assert!(client.mailbox.demonitor(monitor.unwrap())));
    counts.figure("link", || table.link(to_server, &client.group).unwrap());
    counts.figure("unlink", || assert!(table.unlink(to_server, &client.group).unwrap()));
}

fn deaths(counts: &mut Counts<'_, impl Counter>, pair: &mut Pair) {
    static FLAG: Flag = Flag::new();
    let Pair { client, server, to_server } = pair;
    let (table, to_server) = (client.table.clone(), *to_server);
    let waker = FLAG.waker();
    let mut context = Context::from_waker(&waker);
    counts.figure("is_ready", || assert!(!server.mailbox.is_ready()));
    counts.figure("poll_ready", || assert!(server.mailbox.poll_ready(&mut context).is_pending()));
    counts.figure("send and wake", || table.send(to_server, b"8 bytes!", &[]).unwrap());
    for _ in 1..4 {
        table.send(to_server, b"", &[]).unwrap();
    }
    let mut wait = SendWait::default();
    let mut wait_for_room =
        || assert!(table.poll_send(&mut context, &mut wait, to_server, b"", &[]).is_pending());
    counts.figure("poll_send, full", &mut wait_for_room);
    counts.figure("receive and wake", || assert!(server.mailbox.try_recv().is_ok()));
    drop(wait);

    table.monitor(to_server, &client.mailbox).unwrap();
    counts.figure("kill, monitored", || table.kill(to_server).unwrap());
    counts.figure("receive a down", || {
        assert!(matches!(client.mailbox.try_recv(), Ok(Signal::Down(_))));
    });
}

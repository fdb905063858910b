//! Worst-case steps: the instructions of every operation when nobody interferes, and the budgets they must keep.

use core::task::Context;

use flue_core::{Handle, Permissions, PostOffice, SendWait, Signal, StaticPostOffice};

use crate::println;
use crate::process::{EVERYTHING, Process, own_handles};
use crate::wake::Flag;

/// Most instructions for a send of a few bytes.
pub const SEND_BUDGET: u32 = 120;
/// Most instructions for a receive of a few bytes, with the drop of its guard.
pub const RECEIVE_BUDGET: u32 = 150;

/// Storage that is just enough for a crowd of 8.
pub type Office = StaticPostOffice<10, 24, 64>;

/// Storage, for a `static`.
pub const fn storage() -> Office {
    StaticPostOffice::with_limits(own_handles(16))
}

/// A machine that can tell how many instructions an operation takes.
pub trait Counter {
    /// The instructions that `operation` takes, the call of the closure included.
    fn count(&mut self, operation: &mut dyn FnMut()) -> u32;
}

/// Counts every operation, prints the counts, and says whether the budgets are kept, whatever else lives in `office`.
///
/// The office needs room for as many processes as `crowd` and two, and for 8 handles in a message.
#[must_use]
pub fn run(office: &PostOffice, counter: &mut impl Counter, crowd: usize) -> bool {
    let nothing = counter.count(&mut || {});
    let mut count = |operation: &mut dyn FnMut()| counter.count(operation).saturating_sub(nothing);

    let mut server = Process::new(office, 4, 8).unwrap();
    let mut client = Process::new(office, 4, 0).unwrap();
    let to_server = client.meet(&server, EVERYTHING);
    let exchange = |count: &mut dyn FnMut(&mut dyn FnMut()) -> u32,
                    server: &mut Process,
                    data: &[u8],
                    attach: &[Handle]| {
        // The first exchange of its kind may fill a magazine; the worst of the rest is what the budget is for.
        let mut worst = (0, 0);
        for round in 0..4 {
            let send = count(&mut || client.table.send(to_server, data, attach).unwrap());
            let receive = count(&mut || assert!(server.mailbox.try_recv().is_ok()));
            if round > 0 {
                worst = (worst.0.max(send), worst.1.max(receive));
            }
        }
        worst
    };

    let (send, receive) = exchange(&mut count, &mut server, b"8 bytes!", &[]);
    println!("  8 bytes          send {send:5}  receive {receive:5}");
    let (empty_send, empty_receive) = exchange(&mut count, &mut server, b"", &[]);
    println!("  nothing          send {empty_send:5}  receive {empty_receive:5}");
    for attached in [1, 2, 4, 8] {
        let attach = [to_server; 8];
        let (send, receive) = exchange(&mut count, &mut server, b"", &attach[..attached]);
        println!("  {attached} capabilities   send {send:5}  receive {receive:5}");
    }

    // The same exchange in a crowd.
    let mut neighbours = [const { None::<Process> }; 8];
    for neighbour in neighbours.iter_mut().take(crowd) {
        let process = Process::new(office, 1, 0).unwrap();
        process.meet(&server, EVERYTHING);
        *neighbour = Some(process);
    }
    let crowded = exchange(&mut count, &mut server, b"8 bytes!", &[]);
    println!(
        "  among {:2}         send {:5}  receive {:5}",
        crowd + 2,
        crowded.0,
        crowded.1
    );
    drop(neighbours);

    let table = client.table.clone();
    println!(
        "  contains         {:5}",
        count(&mut || assert!(table.contains(to_server)))
    );
    println!(
        "  retain           {:5}",
        count(&mut || table.retain(to_server).unwrap())
    );
    println!(
        "  release          {:5}",
        count(&mut || table.release(to_server).unwrap())
    );
    let mut demoted = None;
    println!(
        "  demote           {:5}",
        count(&mut || demoted = table.demote(to_server, Permissions::SEND).ok())
    );
    println!(
        "  release, last    {:5}",
        count(&mut || table.release(demoted.unwrap()).unwrap())
    );
    let mut exported = None;
    println!(
        "  export           {:5}",
        count(&mut || exported = client.mailbox.export(Permissions::SEND).ok())
    );
    table.release(exported.unwrap()).unwrap();

    let mut monitor = None;
    println!(
        "  monitor          {:5}",
        count(&mut || monitor = table.monitor(to_server, &client.mailbox).ok())
    );
    println!(
        "  demonitor        {:5}",
        count(&mut || assert!(client.mailbox.demonitor(monitor.unwrap())))
    );
    println!(
        "  link             {:5}",
        count(&mut || table.link(to_server, &client.group).unwrap())
    );
    println!(
        "  unlink           {:5}",
        count(&mut || assert!(table.unlink(to_server, &client.group).unwrap()))
    );

    static FLAG: Flag = Flag::new();
    let waker = FLAG.waker();
    let mut context = Context::from_waker(&waker);
    println!(
        "  poll_ready       {:5}",
        count(&mut || assert!(server.mailbox.poll_ready(&mut context).is_pending()))
    );
    println!(
        "  send, waking     {:5}",
        count(&mut || table.send(to_server, b"8 bytes!", &[]).unwrap())
    );
    for _ in 1..4 {
        table.send(to_server, b"", &[]).unwrap();
    }
    let mut wait = SendWait::default();
    println!(
        "  poll_send, full  {:5}",
        count(&mut || assert!(
            table
                .poll_send(&mut context, &mut wait, to_server, b"", &[])
                .is_pending()
        ))
    );
    println!(
        "  receive, waking  {:5}",
        count(&mut || assert!(server.mailbox.try_recv().is_ok()))
    );
    drop(wait);

    table.monitor(to_server, &client.mailbox).unwrap();
    println!(
        "  kill, monitored  {:5}",
        count(&mut || table.kill(to_server).unwrap())
    );
    println!(
        "  receive a down   {:5}",
        count(&mut || assert!(matches!(client.mailbox.try_recv(), Ok(Signal::Down(_)))))
    );
    let mut process = None;
    println!(
        "  create a process {:5}",
        count(&mut || process = Process::new(office, 4, 0).ok())
    );
    println!(
        "  drop a process   {:5}",
        count(&mut || drop(process.take()))
    );

    let flat = crowded == (send, receive);
    println!("instructions: send {send} receive {receive}");
    if send > SEND_BUDGET || receive > RECEIVE_BUDGET || !flat {
        println!("over budget: send {SEND_BUDGET}, receive {RECEIVE_BUDGET}, the same in a crowd");
    }
    send <= SEND_BUDGET && receive <= RECEIVE_BUDGET && flat
}

//! Processes that are threads: how they end, and who is told.

mod common;

use core::any::Any;
use core::mem;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use core::time::Duration;
use std::panic::{self, resume_unwind};
use std::sync::{Arc, Barrier};
use std::thread;

use common::{FOREVER, message};
use flue_std::{
    CapabilityExt, CreateError, DownReason, Limits, MailboxExt, Permissions, PostOffice, Process,
    SendError, SendExt, Signal, TableError,
};

const SHORT: Duration = Duration::from_millis(20);

/// Ends the closure it is called in as a panic does, without a word.
fn crash<T>() -> T {
    resume_unwind(Box::new("crash"))
}

fn down(process: &mut Process) -> DownReason {
    match process.mailbox().recv_timeout(FOREVER).unwrap() {
        Signal::Down(down) => down.reason(),
        other => panic!("not a down: {other:?}"),
    }
}

/// Rule K3: a panic kills the group: monitors are told, links fire, and `join`
/// has the panic.
#[test]
fn a_panic_kills_the_group() {
    let office = PostOffice::new();
    let mut observer = Process::new(&office).unwrap();
    let linked = Process::new(&office).unwrap();
    let fragile = Process::new(&office).unwrap();
    let capability = fragile.capability(Permissions::LINK);
    capability.monitor(observer.mailbox()).unwrap();
    capability.link(linked.group()).unwrap();
    let group = fragile.group().clone();

    let fragile = fragile.spawn(|_| crash::<()>()).unwrap();
    assert_eq!(down(&mut observer), DownReason::Killed);
    let panic = fragile.join().unwrap_err();
    assert_eq!(*panic.downcast::<&str>().unwrap(), "crash");
    assert!(group.is_dead());
    assert!(linked.group().is_dead());
    assert!(!observer.group().is_dead());
}

/// Rule K8: what a process sent before it panicked comes before its down.
#[test]
fn last_words_come_before_the_down() {
    let office = PostOffice::new();
    let mut observer = Process::new(&office).unwrap();
    let fragile = Process::new(&office).unwrap();
    let monitored = fragile.capability(Permissions::MONITOR);
    monitored.monitor(observer.mailbox()).unwrap();
    let to = fragile.grant(&observer.capability(Permissions::SEND)).unwrap();
    let fragile = fragile.spawn(move |fragile| {
        for number in 0..100u8 {
            fragile.table().send_blocking(to, &[number], &[]).unwrap();
        }
        crash::<()>()
    });
    for number in 0..100u8 {
        let signal = observer.mailbox().recv_timeout(FOREVER).unwrap();
        assert_eq!(message(signal).data(), [number]);
    }
    assert_eq!(down(&mut observer), DownReason::Killed);
    assert!(fragile.unwrap().join().is_err());
}

/// Rule K4: a process that returns closes its mailbox and kills nobody, itself
/// included.
#[test]
fn a_return_kills_nobody() {
    let office = PostOffice::new();
    let mut observer = Process::new(&office).unwrap();
    let linked = Process::new(&office).unwrap();
    let process = Process::new(&office).unwrap();
    let capability = process.capability(Permissions::LINK);
    capability.monitor(observer.mailbox()).unwrap();
    capability.link(linked.group()).unwrap();
    let process = process.spawn(|_| "done").unwrap();
    assert_eq!(down(&mut observer), DownReason::Closed);
    let capability = process.capability(Permissions::KILL);
    assert_eq!(process.join().unwrap(), "done");
    assert!(capability.is_closed());
    assert!(!linked.group().is_dead());
}

/// Rule O5, rule K1: a kill takes the authority at once, and leaves the thread
/// to find out.
#[test]
fn a_kill_takes_the_authority() {
    let office = PostOffice::new();
    let mut observer = Process::new(&office).unwrap();
    let process = Process::new(&office).unwrap();
    let monitored = process.capability(Permissions::MONITOR);
    monitored.monitor(observer.mailbox()).unwrap();
    let to = process.grant(&observer.capability(Permissions::SEND)).unwrap();
    let killed = Arc::new(AtomicBool::new(false));
    let seen = killed.clone();
    let process = process
        .spawn(move |process| {
            while !seen.load(SeqCst) {
                thread::yield_now();
            }
            process.table().send(to, b"still here", &[])
        })
        .unwrap();
    process.kill();
    process.kill();
    killed.store(true, SeqCst);
    assert_eq!(down(&mut observer), DownReason::Killed);
    assert_eq!(process.join().unwrap(), Err(SendError::Dead));
    assert!(observer.mailbox().try_recv().is_err(), "nothing comes after the down");
}

/// The group that a panic kills is the one that was spawned, whatever the
/// closure did to its process.
#[test]
fn a_process_cannot_swap_itself_away() {
    let office = PostOffice::new();
    let (process, other) = (Process::new(&office).unwrap(), Process::new(&office).unwrap());
    let (group, other_group) = (process.group().clone(), other.group().clone());
    let process = process.spawn(move |process| {
        drop(mem::replace(process, other));
        crash::<()>()
    });
    assert!(process.unwrap().join().is_err());
    assert!(group.is_dead());
    assert!(!other_group.is_dead());
}

/// Rule K1: the handle kills the group that was spawned, though the process closed its mailbox.
#[test]
fn a_process_cannot_close_itself_away() {
    let process = Process::new(&PostOffice::new()).unwrap();
    let group = process.group().clone();
    let both = Arc::new(Barrier::new(2));
    let its = both.clone();
    let process = process.spawn(move |process| {
        let other = process.group().create_mailbox(process.table()).unwrap();
        drop(mem::replace(process.mailbox(), other));
        its.wait(); // It closed its mailbox.
        its.wait(); // It was killed.
        process.group().is_dead()
    });
    let process = process.unwrap();
    both.wait();
    assert!(!group.is_dead());
    process.kill();
    assert!(group.is_dead());
    both.wait();
    assert!(process.join().unwrap());
}

/// Rule P1, rule P2: a process has what it was granted, and no way to more.
#[test]
fn a_process_has_what_it_was_granted() {
    let office = PostOffice::new();
    let victim = Process::new(&office).unwrap();
    let guest = Process::new(&office).unwrap();
    let handle = guest.grant(&victim.capability(Permissions::SEND | Permissions::MONITOR)).unwrap();
    let guest = guest.spawn(move |guest| {
        let (group, table, mailbox) = guest.parts();
        assert_eq!(table.kill(handle), Err(TableError::PermissionDenied));
        assert_eq!(table.link(handle, group), Err(TableError::PermissionDenied));
        assert_eq!(table.demote(handle, Permissions::LINK), Err(TableError::PermissionDenied));
        table.monitor(handle, mailbox).unwrap();
        table.send(handle, b"hello", &[]).unwrap();
    });
    guest.unwrap().join().unwrap();
    assert!(!victim.group().is_dead());
}

/// A handle that is dropped lets the process run; it can still be reached and
/// killed by others.
#[test]
fn a_dropped_handle_detaches() {
    let office = PostOffice::new();
    let mut host = Process::new(&office).unwrap();
    let process = Process::new(&office).unwrap();
    let to = process.grant(&host.capability(Permissions::SEND)).unwrap();
    let capability = process.capability(Permissions::all());
    capability.monitor(host.mailbox()).unwrap();
    let echo = move |process: &mut Process| {
        let (_, table, mailbox) = process.parts();
        while let Ok(Signal::Message(message)) = mailbox.recv() {
            table.send_blocking(to, message.data(), &[]).unwrap();
        }
    };
    drop(process.spawn(echo).unwrap());
    capability.send_blocking(b"hello?", &[]).unwrap();
    let signal = host.mailbox().recv_timeout(FOREVER).unwrap();
    assert_eq!(message(signal).data(), b"hello?");
    capability.kill().unwrap();
    assert_eq!(down(&mut host), DownReason::Killed);
}

/// Without a thread there is no process: it is dropped, and whoever watched is
/// told.
#[cfg(target_os = "linux")]
#[test]
fn no_thread_to_be_had() {
    let office = PostOffice::new();
    let mut observer = Process::new(&office).unwrap();
    let process = Process::new(&office).unwrap();
    let monitored = process.capability(Permissions::MONITOR);
    monitored.monitor(observer.mailbox()).unwrap();
    let builder = thread::Builder::new().stack_size(1 << 60);
    assert!(process.spawn_with(builder, |_| ()).is_err());
    assert_eq!(down(&mut observer), DownReason::Closed);
}

/// Rule Q1: at the office's limits there is an error, and nothing stays behind.
#[test]
fn limits() {
    let mut limits = Limits::default();
    (limits.groups, limits.tables) = (2, 1);
    let office = PostOffice::with_limits(limits);
    let first = Process::new(&office).unwrap();
    for _ in 0..3 {
        assert_eq!(Process::new(&office).unwrap_err(), CreateError::LimitReached);
    }
    drop(first);
    Process::new(&office).unwrap();
}

/// Something that a host holds, to be dropped.
type Part = Option<Box<dyn Any + Send>>;

fn parts() -> Vec<Part> {
    let office = PostOffice::new();
    let mut observer = Process::new(&office).unwrap();
    let group = office.create_group().unwrap();
    let table = group.create_table().unwrap();
    let mailbox = group.create_mailbox(&table).unwrap();
    let capability = mailbox.capability(Permissions::all());
    table.insert(&capability).unwrap();
    capability.monitor(observer.mailbox()).unwrap();
    capability.link(observer.group()).unwrap();
    capability.send_blocking(&[1; 1000], &[&capability]).unwrap();
    vec![
        Some(Box::new(office)),
        Some(Box::new(group)),
        Some(Box::new(table)),
        Some(Box::new(mailbox)),
        Some(Box::new(observer)),
    ]
}

/// All orders of `items`.
fn orders(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![vec![]];
    }
    let with_first = |&first: &usize| {
        let rest: Vec<_> = items.iter().copied().filter(|&item| item != first).collect();
        orders(&rest).into_iter().map(move |mut order| {
            order.push(first);
            order
        })
    };
    items.iter().flat_map(with_first).collect()
}

/// Rule O4: owned values may be dropped in any order, here, elsewhere and while
/// unwinding.
#[test]
fn dropped_in_any_order() {
    for order in orders(&[0, 1, 2, 3, 4]) {
        let drop_all = |parts: &mut Vec<Part>| {
            for &part in &order {
                drop(parts[part].take());
            }
        };
        let mut here = parts();
        drop_all(&mut here);

        let mut elsewhere = parts();
        let mut last = elsewhere.swap_remove(order[4]);
        thread::scope(|scope| {
            scope.spawn(|| elsewhere.iter_mut().for_each(|part| drop(part.take())));
            scope.spawn(|| drop(last.take()));
        });

        let unwinding = panic::catch_unwind(AssertUnwindSafe(|| {
            struct Drops<F: FnMut()>(F);
            impl<F: FnMut()> Drop for Drops<F> {
                fn drop(&mut self) {
                    (self.0)();
                }
            }
            let mut parts = parts();
            let _drops = Drops(|| drop_all(&mut parts));
            crash::<()>()
        }));
        assert!(unwinding.is_err());
    }
}

/// Rule O4: a process that waits while the host drops all it has is not
/// disturbed.
#[test]
fn the_host_leaves_first() {
    let office = PostOffice::new();
    let process = Process::new(&office).unwrap();
    let capability = process.capability(Permissions::SEND);
    drop(office);
    let process = process
        .spawn(|process| {
            let signal = process.mailbox().recv_timeout(FOREVER).unwrap();
            message(signal).data().to_vec()
        })
        .unwrap();
    thread::sleep(SHORT);
    capability.send(b"good night", &[]).unwrap();
    drop(capability);
    assert_eq!(process.join().unwrap(), b"good night");
}

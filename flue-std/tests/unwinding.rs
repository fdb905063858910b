//! Processes that panic with something of Flue's in hand: what they had is given back,
//! and whoever watched is told.

mod common;

use core::pin::pin;
use core::task::{Context, Waker};
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::task::Wake;

use common::{FOREVER, message, process};
use flue_std::{
    CapabilityExt, DownReason, MailboxExt, Permissions, PostOffice, Process, Selector, SendExt,
    Signal, Stats,
};

/// Ends the closure it is called in as a panic does, without a word.
fn crash<T>() -> T {
    resume_unwind(Box::new("crash"))
}

/// Code of a process in whose mailbox a message of 100 bytes with two capabilities
/// waits, then a down; the first capability is to the process itself.
type Code = fn(&mut Process);

const CODE: &[(&str, Code)] = &[
    ("nothing", |_| crash()),
    ("a message", |process| {
        let _message = message(process.mailbox().recv().unwrap());
        crash()
    }),
    ("a message with a deadline", |process| {
        let _signal = process.mailbox().recv_timeout(FOREVER);
        crash()
    }),
    ("a handle", |process| {
        let mut message = message(process.mailbox().recv().unwrap());
        let _taken = message.take_handles().next();
        crash()
    }),
    ("an owned message", |process| {
        let _owned = process.mailbox().recv().map(Signal::into_owned);
        crash()
    }),
    ("a down", |process| {
        drop(process.mailbox().recv());
        let Ok(Signal::Down(_down)) = process.mailbox().recv() else { return };
        crash()
    }),
    ("a future that waits", |process| {
        drop(process.mailbox().recv());
        drop(process.mailbox().recv());
        let mut future = pin!(process.mailbox().recv_async());
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        crash()
    }),
    ("a selector", |process| {
        let mut selector = Selector::new();
        assert_eq!(selector.wait(&mut [process.mailbox()]), 0);
        crash()
    }),
    ("a send to itself that waits for room", |process| {
        let (_, table, mailbox) = process.parts();
        let message = message(mailbox.recv().unwrap());
        let own = message.handles()[0];
        let late = || table.send_timeout(own, &[2; 10], &[own], core::time::Duration::ZERO);
        while late().is_ok() {}
        crash()
    }),
    ("a mailbox of its own", |process| {
        let (group, table, _) = process.parts();
        let mailbox = group.create_mailbox(table).unwrap();
        mailbox.export(Permissions::all()).unwrap();
        crash()
    }),
];

/// All that a program has in the end.
fn is_empty(stats: &Stats) -> bool {
    let objects = stats.groups + stats.routes + stats.tables;
    objects
        + stats.messages
        + stats.buffers
        + stats.blocks
        + stats.monitors
        + stats.links
        + stats.bytes
        == 0
}

/// Rules O4, R2 and K3: whatever a process holds when it panics, its group is killed,
/// its observers are told, its links fire, and nothing of it stays in the office.
#[test]
fn whatever_a_process_holds() {
    for (name, code) in CODE {
        println!("{name}");
        let office = PostOffice::new();
        let mut observer = process(&office, 100);
        let linked = process(&office, 1);
        let fragile = process(&office, 4);
        let all = fragile.capability(Permissions::all());
        all.send(&[1; 100], &[&all, &observer.capability(Permissions::SEND)]).unwrap();
        let gone = process(&office, 1).capability(Permissions::MONITOR);
        let (_, _, mailbox) = observer.parts();
        all.monitor(mailbox).unwrap();
        all.link(linked.group()).unwrap();
        let mut fragile = fragile;
        gone.monitor(fragile.mailbox()).unwrap();

        let fragile = fragile.spawn(*code).unwrap();
        let panic = fragile.join().unwrap_err();
        assert_eq!(*panic.downcast::<&str>().expect("the crash"), "crash", "{name}");
        let Ok(Signal::Down(down)) = observer.mailbox().try_recv() else { panic!("{name}") };
        assert_eq!(down.reason(), DownReason::Killed, "{name}");
        drop(down);
        assert!(linked.group().is_dead() && all.is_closed(), "{name}");
        drop((all, gone, linked, observer));
        assert!(is_empty(&office.stats()), "{name}: {:?}", office.stats());
    }
}

/// A waker that panics.
struct Loud;

impl Wake for Loud {
    fn wake(self: Arc<Self>) {
        resume_unwind(Box::new("waker"))
    }
}

/// Rules K3 and R4: a process panics, and so does the waker of one who is told: the
/// others are told, too, the process is over, and the thread's end says that it panicked.
#[test]
fn a_waker_panics_when_a_process_has() {
    let office = PostOffice::new();
    let fragile = process(&office, 1);
    let watch = fragile.capability(Permissions::MONITOR);
    let mut observers: Vec<_> = (0..3).map(|_| process(&office, 1)).collect();
    let waker = Waker::from(Arc::new(Loud));
    for observer in &mut observers {
        watch.monitor(observer.mailbox()).unwrap();
        assert!(observer.mailbox().poll_ready(&mut Context::from_waker(&waker)).is_pending());
    }
    let fragile = fragile.spawn(|_| crash::<()>()).unwrap();
    let panic = fragile.join().unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"crash"), "its own panic, not a waker's");
    assert!(watch.is_closed());
    for observer in &mut observers {
        let Ok(Signal::Down(down)) = observer.mailbox().try_recv() else { panic!("not told") };
        assert_eq!(down.reason(), DownReason::Killed);
    }
    drop((watch, observers, waker));
    assert!(is_empty(&office.stats()), "{:?}", office.stats());
}

/// Rules R4 and S6: a process whose closure was unwound and caught inside goes on as if
/// nothing had been: it receives, and is woken.
#[test]
fn a_process_that_catches_its_panic_goes_on() {
    let office = PostOffice::new();
    let mut host = process(&office, 10);
    let server = process(&office, 2);
    let to = server.capability(Permissions::SEND);
    let back = server.grant(&host.capability(Permissions::SEND)).unwrap();
    let server = server.spawn(move |server| {
        let mut caught = 0;
        for _ in 0..100 {
            let code = core::panic::AssertUnwindSafe(|| {
                let (_, table, mailbox) = server.parts();
                let message = message(mailbox.recv_timeout(FOREVER).expect("a message"));
                table.send_blocking(back, message.data(), message.handles()).unwrap();
                crash::<()>();
            });
            caught += usize::from(std::panic::catch_unwind(code).is_err());
        }
        (caught, server.table().len())
    });
    for number in 0..100_u8 {
        let with: &[&_] = if number % 2 == 0 { &[&to] } else { &[] };
        to.send(&[number; 60], with).unwrap();
        let echo = message(host.mailbox().recv_timeout(FOREVER).expect("an echo"));
        assert_eq!((echo.data(), echo.handles().len()), (&[number; 60][..], with.len()));
    }
    assert_eq!(server.unwrap().join().unwrap(), (100, 1), "caught, and its handles");
    assert_eq!(host.table().len(), 0);
}

/// Rule R4: a process returns, and the waker of one who is told of its end panics: that is not
/// the process's panic.
#[test]
fn a_waker_panics_when_a_process_returns() {
    let office = PostOffice::new();
    let sound = process(&office, 1);
    let mut observer = process(&office, 1);
    sound.capability(Permissions::MONITOR).monitor(observer.mailbox()).unwrap();
    let waker = Waker::from(Arc::new(Loud));
    assert!(observer.mailbox().poll_ready(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(sound.spawn(|_| 42).unwrap().join().unwrap(), 42);
    assert!(matches!(observer.mailbox().try_recv(), Ok(Signal::Down(_))));
}

/// Rule S1: a send that was accepted, and whose future panicked out of the receiver's waker, is
/// not sent again.
#[test]
fn a_panicking_waker_makes_no_second_message() {
    let mut receiver = process(&PostOffice::new(), 4);
    let waker = Waker::from(Arc::new(Loud));
    assert!(receiver.mailbox().poll_ready(&mut Context::from_waker(&waker)).is_pending());
    let to = receiver.capability(Permissions::SEND);
    let mut send = pin!(to.send_payload_async(vec![1; 200].into(), &[]));
    let mut poll = || send.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(std::panic::catch_unwind(AssertUnwindSafe(&mut poll)).is_err());
    assert!(poll().is_pending(), "over");
    assert_eq!(receiver.mailbox().len(), 1);
}

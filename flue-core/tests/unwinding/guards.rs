//! What a process holds of a signal when it unwinds.

use super::common::{Process, data, panics, process};
use flue_core::{Down, Mailbox, Message, OwnedSignal, Permissions, PostOffice, Signal};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

/// A message with two capabilities and a down wait in the mailbox.
struct Scene {
    office: PostOffice,
    me: Process,
    shared: Arc<[u8]>,
}

impl Scene {
    fn new() -> Self {
        let office = PostOffice::new();
        let (me, other) = (process(&office), process(&office));
        let shared: Arc<[u8]> = vec![1; 100].into();
        let (to, way) = (
            me.mailbox.capability(Permissions::SEND),
            other.mailbox.capability(Permissions::all()),
        );
        to.send_payload(shared.clone().into(), &[&to, &way]).unwrap();
        way.monitor(&me.mailbox).unwrap();
        drop(other);
        Self { office, me, shared }
    }

    /// Nothing of the first `signals` is left, and the rest comes.
    #[track_caller]
    fn check(mut self, kept: usize, signals: usize) {
        assert_eq!(self.me.table.len(), kept, "handles");
        let gone = Arc::strong_count(&self.shared) == 1;
        assert!(gone || signals == 0, "the payload");
        let rest = std::iter::from_fn(|| self.me.mailbox.try_recv().map(drop).ok()).count();
        assert_eq!(rest, 2 - signals, "signals");
        // What was kept is released like any other; its slots are free again.
        let own: Vec<_> = self.me.table.handles().collect();
        own.iter().for_each(|handle| self.me.table.release(*handle).unwrap());
        let to = self.me.mailbox.export(Permissions::all()).unwrap();
        self.me.table.send(to, b"after", &[to]).unwrap();
        assert_eq!(data(&mut self.me.mailbox), b"after");
        let Self { office, me, shared } = self;
        drop(me);
        let stats = office.stats();
        assert_eq!((stats.routes, stats.groups, stats.tables, stats.monitors), (0, 0, 0, 0));
        assert_eq!((stats.messages, stats.bytes, stats.buffers, stats.blocks), (0, 0, 0, 0));
        assert_eq!(Arc::strong_count(&shared), 1);
    }
}

fn message(mailbox: &mut Mailbox) -> Message<'_> {
    match mailbox.try_recv() {
        Ok(Signal::Message(message)) => message,
        other => panic!("not a message: {other:?}"),
    }
}

fn down(mailbox: &mut Mailbox) -> Down<'_> {
    drop(message(mailbox));
    match mailbox.try_recv() {
        Ok(Signal::Down(down)) => down,
        other => panic!("not a down: {other:?}"),
    }
}

fn owned_down(mailbox: &mut Mailbox) -> flue_core::OwnedDown {
    down(mailbox).into_owned()
}

/// What a panic finds in hand: the code that panics, the handles that are the
/// process's own after it, and the signals that are gone.
type Case = (&'static str, fn(&mut Mailbox), usize, usize);

const CASES: &[Case] = &[
    (
        "a guard",
        |mailbox| {
            let _guard = mailbox.try_recv();
            panic!("on purpose")
        },
        0,
        1,
    ),
    (
        "a message",
        |mailbox| {
            let _message = message(mailbox);
            panic!("on purpose")
        },
        0,
        1,
    ),
    (
        "a message, one handle taken",
        |mailbox| {
            let mut message = message(mailbox);
            let _taken = message.take_handles().next();
            panic!("on purpose")
        },
        1,
        1,
    ),
    (
        "an iterator of taken handles",
        |mailbox| {
            let mut message = message(mailbox);
            let mut handles = message.take_handles();
            let _taken = handles.next();
            panic!("on purpose")
        },
        1,
        1,
    ),
    (
        "a message, all taken",
        |mailbox| {
            let mut message = message(mailbox);
            assert_eq!(message.take_handles().count(), 2);
            panic!("on purpose")
        },
        2,
        1,
    ),
    (
        "its bytes",
        |mailbox| {
            let message = message(mailbox);
            let _data = message.data();
            panic!("on purpose")
        },
        0,
        1,
    ),
    (
        "a payload",
        |mailbox| {
            let _payload = message(mailbox).into_payload();
            panic!("on purpose")
        },
        0,
        1,
    ),
    (
        "an owned message",
        |mailbox| {
            let _owned = message(mailbox).into_owned();
            panic!("on purpose")
        },
        0,
        1,
    ),
    (
        "an owned message, one handle taken",
        |mailbox| {
            let mut owned = message(mailbox).into_owned();
            let _taken = owned.take_handles().next();
            panic!("on purpose")
        },
        1,
        1,
    ),
    (
        "an owned message's payload",
        |mailbox| {
            let _payload = message(mailbox).into_owned().into_payload();
            panic!("on purpose")
        },
        0,
        1,
    ),
    (
        "a forgotten guard",
        |mailbox| {
            std::mem::forget(mailbox.try_recv());
            panic!("on purpose")
        },
        2,
        0,
    ),
    (
        "a down",
        |mailbox| {
            let _down = down(mailbox);
            panic!("on purpose")
        },
        0,
        2,
    ),
    (
        "a down's handle",
        |mailbox| {
            let _handle = down(mailbox).take_handle();
            panic!("on purpose")
        },
        1,
        2,
    ),
    (
        "an owned down",
        |mailbox| {
            let _down = owned_down(mailbox);
            panic!("on purpose")
        },
        0,
        2,
    ),
    (
        "an owned down's handle",
        |mailbox| {
            let _handle = owned_down(mailbox).take_handle();
            panic!("on purpose")
        },
        1,
        2,
    ),
    (
        "an owned signal",
        |mailbox| {
            let _owned: Option<OwnedSignal> = mailbox.try_recv().ok().map(Signal::into_owned);
            panic!("on purpose")
        },
        0,
        1,
    ),
    (
        "a guard from a future",
        |mailbox| {
            let future = pin!(mailbox.recv_async());
            let _guard = future.poll(&mut Context::from_waker(Waker::noop()));
            panic!("on purpose")
        },
        0,
        1,
    ),
    (
        "a future that waits",
        |mailbox| {
            drop(down(mailbox));
            let mut future = pin!(mailbox.recv_async());
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            panic!("on purpose")
        },
        0,
        2,
    ),
    (
        "a send from inside a guard",
        |mailbox| {
            let message = message(mailbox);
            let to = message.mailbox().capability(Permissions::SEND);
            to.send(b"", &[&to]).unwrap();
            drop(message);
            drop(down_after(mailbox));
            panic!("on purpose")
        },
        0,
        2,
    ),
];

/// The down, and what was sent after it.
fn down_after(mailbox: &mut Mailbox) -> Message<'_> {
    assert!(matches!(mailbox.try_recv(), Ok(Signal::Down(_))));
    message(mailbox)
}

/// Rules O4 and R2: whatever a process has of a signal when it unwinds, what it did
/// not take is released, and what it took is its own.
#[test]
fn unwinding_with_a_signal_in_hand() {
    for (name, code, kept, signals) in CASES {
        println!("{name}");
        let mut scene = Scene::new();
        assert!(panics(|| code(&mut scene.me.mailbox)), "{name} does not panic");
        if *signals == 0 {
            // Settled by the next receive.
            assert!(matches!(scene.me.mailbox.try_recv(), Ok(Signal::Down(_))), "{name}");
            scene.check(0, 2);
        } else {
            scene.check(*kept, *signals);
        }
    }
}

/// The same, and the mailbox goes in the very unwinding.
#[test]
fn unwinding_with_the_mailbox() {
    for (name, code, ..) in CASES {
        println!("{name}");
        let Scene { office, me, shared } = Scene::new();
        assert!(panics(move || {
            let Process { mut mailbox, group: _group, table: _table } = me;
            code(&mut mailbox);
        }));
        let stats = office.stats();
        assert_eq!(
            (stats.routes, stats.groups, stats.tables, stats.buffers),
            (0, 0, 0, 0),
            "{name}"
        );
        assert_eq!((stats.monitors, stats.bytes, Arc::strong_count(&shared)), (0, 0, 1), "{name}");
    }
}

//! Wakers that panic, wherever Flue clones, calls or drops them.

use super::common::{Process, calling, counting, data, limits, panics, process, process_with};
use flue_core::{
    Capability, Handle, Permissions, PostOffice, SendError, SendWait, StaticPostOffice, Table,
    TryRecvError,
};
use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

thread_local! {
    /// Which call of this thread's wakers, counted from now, panics; 0 for none.
    static PANICS: Cell<usize> = const { Cell::new(0) };
    /// Wakers that there are.
    static WAKERS: Cell<usize> = const { Cell::new(0) };
    /// How often they were woken.
    static WOKEN: Cell<usize> = const { Cell::new(0) };
}

fn called() {
    let left = PANICS.get();
    PANICS.set(left.saturating_sub(1));
    assert!(left != 1, "on purpose");
}

/// A waker all of whose functions may panic: cloning before there is a clone,
/// waking after, dropping after.
fn loud() -> Waker {
    const TABLE: RawWakerVTable = RawWakerVTable::new(
        |data| {
            called();
            WAKERS.set(WAKERS.get() + 1);
            RawWaker::new(data, &TABLE)
        },
        |_| {
            WAKERS.set(WAKERS.get() - 1);
            WOKEN.set(WOKEN.get() + 1);
            called();
        },
        |_| {
            WOKEN.set(WOKEN.get() + 1);
            called();
        },
        |_| {
            WAKERS.set(WAKERS.get() - 1);
            called();
        },
    );
    WAKERS.set(WAKERS.get() + 1);
    // SAFETY: the functions take any pointer, from any thread.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::without_provenance(1), &TABLE)) }
}

/// Runs `act` in worlds of their own, the n-th call of a waker in it panicking, until
/// it makes no more; then `check`s the world. How many calls panicked.
fn each_call_panics<W>(make: impl Fn() -> W, act: impl Fn(&mut W), check: impl Fn(W)) -> usize {
    for n in 1..50 {
        let wakers = WAKERS.get();
        let mut world = make();
        PANICS.set(n);
        let panicked = panics(|| act(&mut world));
        let has_panicked = PANICS.replace(0) == 0;
        assert_eq!(panicked, has_panicked, "the {n}th call: a panic is passed on");
        check(world);
        assert_eq!(WAKERS.get(), wakers, "the {n}th call: a waker is lost, or twice dropped");
        if !panicked {
            return n - 1;
        }
    }
    panic!("it never ends");
}

/// A mailbox with room for one message, its table, the way to it, and wakers.
struct Waiting {
    office: PostOffice,
    me: Process,
    /// Who is watched by me.
    other: Process,
    to: Capability,
    table: Table,
    handle: Handle,
    waits: Vec<SendWait>,
}

impl Waiting {
    fn new() -> Self {
        let office = PostOffice::new();
        let me = process_with(&office, limits(1, 1000, 4));
        let other = process(&office);
        other.mailbox.capability(Permissions::MONITOR).monitor(&me.mailbox).unwrap();
        let to = me.mailbox.capability(Permissions::all());
        let table = office.create_table().unwrap();
        let handle = table.insert(&to).unwrap();
        Self { office, me, other, to, table, handle, waits: Vec::new() }
    }

    /// The receiver waits, with a loud waker.
    fn receiver_waits(mut self) -> Self {
        let waker = loud();
        assert!(self.me.mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        self
    }

    /// So many senders wait, with loud wakers.
    fn senders_wait(mut self, count: usize) -> Self {
        self.to.send(b"full", &[]).unwrap();
        for _ in 0..count {
            let (waker, mut wait) = (loud(), SendWait::new());
            let cx = &mut Context::from_waker(&waker);
            assert!(self.table.poll_send(cx, &mut wait, self.handle, b"late", &[]).is_pending());
            self.waits.push(wait);
        }
        self
    }

    /// A message goes through, unless it is over; then everything is dropped.
    fn works(mut self) {
        if !self.me.group.is_dead() {
            while self.me.mailbox.try_recv().is_ok() {}
            self.to.send(b"again", &[]).unwrap();
            assert_eq!(data(&mut self.me.mailbox), b"again");
            let (count, waker) = counting();
            assert!(self.me.mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
            self.to.send(b"wake", &[]).unwrap();
            assert!(count.calls() > 0, "no wake");
            assert_eq!(data(&mut self.me.mailbox), b"wake");
        }
        let Self { office, me, other, to, table, waits, .. } = self;
        drop((waits, me, other, to, table));
        let stats = office.stats();
        assert_eq!((stats.routes, stats.groups, stats.tables), (0, 0, 0));
        assert_eq!((stats.buffers, stats.blocks), (0, 0));
    }
}

/// Rules R4 and S6: the clone, the call and the drop of a waker may each panic, at
/// any of the places where Flue does that.
#[test]
fn every_call_of_a_waker_may_panic() {
    let poll = |world: &mut Waiting| {
        let waker = loud();
        let _ = world.me.mailbox.poll_ready(&mut Context::from_waker(&waker));
    };
    let wait = |world: &mut Waiting| {
        let (waker, mut wait) = (loud(), SendWait::new());
        let cx = &mut Context::from_waker(&waker);
        let polled = world.table.poll_send(cx, &mut wait, world.handle, b"late", &[]);
        assert!(!matches!(polled, Poll::Ready(Err(_))), "{polled:?}");
    };
    type Act<'a> = &'a dyn Fn(&mut Waiting);
    type Make<'a> = &'a dyn Fn() -> Waiting;
    let idle: Make = &Waiting::new;
    let asleep: Make = &|| Waiting::new().receiver_waits();
    let replaced: Make = &|| {
        let mut world = Waiting::new();
        let (_, waker) = counting();
        assert!(world.me.mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        world
    };
    let full: Make = &|| Waiting::new().senders_wait(0);
    let queued: Make = &|| Waiting::new().senders_wait(2);
    let cases: [(&str, usize, Make, Act); 12] = [
        ("registering a waker", 1, idle, &poll),
        ("replacing a waker", 1, replaced, &poll),
        ("replacing a loud one", 1, asleep, &|world| {
            let (_, waker) = counting();
            let _ = world.me.mailbox.poll_ready(&mut Context::from_waker(&waker));
        }),
        ("waking by a send", 1, asleep, &|world| world.to.send(b"m", &[]).unwrap()),
        ("waking by a kill", 1, asleep, &|world| world.me.group.kill()),
        ("waking by a down", 1, asleep, &|world| world.other.group.kill()),
        ("closing a mailbox that waits", 1, asleep, &|world| {
            let fresh = process(&world.office);
            let old = std::mem::replace(&mut world.me, fresh);
            world.to = world.me.mailbox.capability(Permissions::all());
            drop(old);
        }),
        ("waiting for room", 1, full, &wait),
        ("making room", 1, queued, &|world| drop(world.me.mailbox.try_recv())),
        ("killing who is waited for", 2, queued, &|world| world.me.group.kill()),
        ("giving up", 1, queued, &|world| drop(world.waits.remove(0))),
        ("polling again with another waker", 1, queued, &|world| {
            let (_, waker) = counting();
            let cx = &mut Context::from_waker(&waker);
            let _ = world.table.poll_send(cx, &mut world.waits[0], world.handle, b"late", &[]);
        }),
    ];
    for (name, least, make, act) in cases {
        println!("{name}");
        let panicked = each_call_panics(make, act, Waiting::works);
        println!("  {panicked} calls");
        assert!(panicked >= least, "{name}: {panicked} calls");
    }
    assert!(WOKEN.get() > 0);
}

/// An office with little: what is lost twice is missed.
fn scarce() -> PostOffice {
    type Office = StaticPostOffice<4, 8, 64, 3, 4, 2, 2, 2>;
    let office: &'static Office = Box::leak(Box::new(Office::new()));
    office.office()
}

/// Rules S6 and O4: the sender that was woken gives up, and dropping its waker panics;
/// the next one is woken all the same, and the place in the line is free again.
#[test]
fn a_wake_is_passed_on_whatever_a_drop_does() {
    for office in [PostOffice::new(), scarce()] {
        let Process { group: _group, table, mut mailbox } = process_with(&office, limits(1, 0, 0));
        let to = mailbox.export(Permissions::SEND).unwrap();
        for round in 0..10 {
            table.send(to, b"full", &[]).unwrap();
            let (first, mut one) = (loud(), SendWait::new());
            let cx = &mut Context::from_waker(&first);
            assert!(table.poll_send(cx, &mut one, to, b"", &[]).is_pending());
            let ((count, second), mut two) = (counting(), SendWait::new());
            let cx = &mut Context::from_waker(&second);
            assert!(table.poll_send(cx, &mut two, to, b"", &[]).is_pending(), "{round}");
            let woken = WOKEN.get();
            assert_eq!(data(&mut mailbox), b"full");
            assert_eq!((WOKEN.get() - woken, count.calls()), (1, 0));
            PANICS.set(1);
            assert!(panics(|| drop(one)), "the panic is passed on");
            assert_eq!(count.calls(), 1, "in round {round} the second was not woken");
            assert_eq!(table.poll_send(cx, &mut two, to, b"", &[]), Poll::Ready(Ok(())));
            assert_eq!(data(&mut mailbox), b"");
        }
    }
}

/// Its drop counts as a call of a waker, and so may panic.
struct LoudDrop;

impl Drop for LoudDrop {
    fn drop(&mut self) {
        called();
    }
}

/// Rules K4, O4 and Q2: a mailbox closes, and dropping its waker panics; or the waker
/// is dropped by the last who is inside a call of it. Its slot is free again.
#[test]
fn a_slot_is_free_whatever_a_drop_does() {
    let office = scarce();
    for round in 0..10 {
        let Process { group: _group, table: _table, mut mailbox } =
            process_with(&office, limits(1, 0, 0));
        let to = mailbox.capability(Permissions::SEND);
        let waker = loud();
        assert!(mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        PANICS.set(1);
        assert!(panics(|| drop(mailbox)), "the panic is passed on in round {round}");
        assert_eq!(to.send(b"", &[]), Err(SendError::Closed));
    }
    for _ in 0..10 {
        let Process { group: _group, table: _table, mailbox } =
            process_with(&office, limits(1, 0, 0));
        let to = mailbox.capability(Permissions::SEND);
        // The call closes the mailbox, whose waker then is Flue's last.
        let mailbox = Arc::new(Mutex::new(Some(mailbox)));
        let closed = Arc::clone(&mailbox);
        let loud = LoudDrop;
        let waker = calling(move || {
            let _kept = &loud;
            drop(closed.lock().unwrap().take());
        });
        let polled = {
            let mut mailbox = mailbox.lock().unwrap();
            mailbox.as_mut().unwrap().poll_ready(&mut Context::from_waker(&waker)).is_pending()
        };
        assert!(polled);
        drop(waker);
        PANICS.set(1);
        assert!(panics(|| _ = to.send(b"", &[])), "the panic is passed on");
        assert!(mailbox.lock().unwrap().is_none());
    }
    let all: Vec<_> = (0..3).map(|_| process_with(&office, limits(1, 0, 0))).collect();
    assert_eq!(office.stats().routes, all.len());
}

/// Rules R2 and O4: a mailbox is dropped with a guard that was forgotten, and the release of
/// what that held wakes a sender to another mailbox, whose waker panics. The message goes too.
#[test]
fn a_forgotten_guard_whose_handle_wakes_another() {
    let office = PostOffice::new();
    let mut user = process_with(&office, limits(10, 1000, 1));
    let mut second = user.group.create_mailbox_with(&user.table, limits(10, 1000, 1)).unwrap();
    let other = process(&office);
    let what = other.mailbox.capability(Permissions::SEND);
    let (to, to_second) =
        (user.mailbox.capability(Permissions::SEND), second.capability(Permissions::SEND));
    // The entry is on the second mailbox's account, and a guard of the first one has it.
    to_second.send(b"", &[&what]).unwrap();
    let own = super::common::owned(&mut second).take_handles().next().unwrap();
    let payload: Arc<[u8]> = vec![1; 100].into();
    to.send_payload(payload.clone().into(), &[&what]).unwrap();
    to.send(b"behind it", &[]).unwrap();
    to.send(b"the marker", &[]).unwrap();
    core::mem::forget(user.mailbox.try_recv().unwrap());
    user.table.release(own).unwrap();
    let waker = calling(|| panic!("on purpose"));
    let mut wait = SendWait::new();
    let mut cx = Context::from_waker(&waker);
    assert!(to_second.poll_send(&mut cx, &mut wait, b"", &[&what]).is_pending());
    let mailbox = user.mailbox;
    assert!(panics(|| drop(mailbox)));
    assert_eq!(Arc::strong_count(&payload), 1, "the payload leaked");
    drop((wait, second, user.table, user.group));
    drop(other);
    assert_eq!((office.stats().buffers, office.stats().blocks), (0, 0), "a buffer leaked");
}

/// Rule R4: a signal leaves the queue only in the call that returns it, so what is being
/// received when a waker panics is received by the next call, with all its handles.
#[test]
fn a_panic_of_a_sender_to_be_woken_loses_no_message() {
    let office = PostOffice::new();
    let mut user = process_with(&office, limits(10, 1000, 1));
    let other = process(&office);
    let what = other.mailbox.capability(Permissions::SEND);
    let known = user.table.insert(&what).unwrap();
    let to = user.mailbox.capability(Permissions::SEND);
    to.send(b"with one", &[&what]).unwrap();
    let waker = calling(|| panic!("on purpose"));
    let mut cx = Context::from_waker(&waker);
    let mut waits = [SendWait::new(), SendWait::new()];
    for wait in &mut waits {
        assert!(to.poll_send(&mut cx, wait, b"", &[&what]).is_pending());
    }
    // One is woken for the room that the message had, and one for that of its capability.
    for _ in 0..2 {
        assert!(panics(|| drop(user.mailbox.try_recv())));
    }
    let mut message = super::common::owned(&mut user.mailbox);
    assert_eq!(message.data(), b"with one");
    assert_eq!(message.take_handles().collect::<Vec<_>>(), [known]);
    drop(waits);
    assert_eq!(user.mailbox.try_recv().unwrap_err(), TryRecvError::Empty, "received twice");

    // Dropped instead of received: its handles are released.
    to.send(b"with one", &[&what]).unwrap();
    let mut waits = [SendWait::new(), SendWait::new()];
    for wait in &mut waits {
        assert!(to.poll_send(&mut cx, wait, b"", &[&what]).is_pending());
    }
    for _ in 0..2 {
        assert!(panics(|| drop(user.mailbox.try_recv())));
    }
    assert!(user.table.release(known).is_ok() && user.table.release(known).is_ok());
    let mailbox = user.mailbox;
    let _ = panics(|| drop(mailbox));
    assert_eq!(user.table.len(), 0, "held by nobody");
    drop(waits);
}

/// Rules O4 and L2: a link with a dead group kills the other, whose receiver's waker panics:
/// nothing of it is left.
#[test]
fn a_link_with_the_dead_leaves_nothing() {
    for asks in [true, false] {
        let office = PostOffice::new();
        let table = office.create_table().unwrap();
        let (dead, group) = (office.create_group().unwrap(), office.create_group().unwrap());
        let mut mailbox = group.create_mailbox(&table).unwrap();
        let waker = calling(|| panic!("on purpose"));
        assert!(mailbox.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        dead.kill();
        let linked = || if asks { group.link(&dead) } else { dead.link(&group) };
        assert!(panics(|| linked().unwrap()) && group.is_dead());
        drop((mailbox, dead, group));
        assert_eq!((office.stats().groups, office.stats().links), (0, 0), "left over");
    }
}

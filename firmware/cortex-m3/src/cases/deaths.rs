//! Kill and close, with all that hangs from them.

use core::task::{Context, Poll};

use common::process::limits;
use flue_core::{DownReason, Mailbox, MonitorId, RouteGroup, SendError, SendWait};

use super::{Case, FLAGS, case};
use crate::handler::Fate;
use crate::stage::{Stage, Target};

pub(super) const CASES: &[Case] = &[
    case("group: kill", &["RouteGroup::kill"], kill),
    case("kill", &["Table::kill"], kill_by_handle),
    case("host: kill", &["Capability::kill"], kill_by_host),
    case("close", &["Mailbox::close", "Mailbox::drop"], close),
    case("drop a dead mailbox", &["Mailbox::drop"], drop_dead),
];

/// A target with everything that a death has to see to: a queue with capabilities, a waiting sender, an observer, links,
/// and a second mailbox whose receiver sleeps.
struct Estate {
    target: Target,
    id: MonitorId,
    linked: [RouteGroup; 2],
    wait: SendWait,
    sleeper: Mailbox,
}

impl Estate {
    fn new(stage: &mut Stage) -> Estate {
        let target = stage.target();
        let linked = [(); 2].map(|()| stage.office.create_group().unwrap());
        target.group.link(&linked[0]).unwrap();
        linked[1].link(&linked[0]).unwrap();
        let sleeper = target.group.create_mailbox_with(&target.table, limits(1, 0));
        let mut sleeper = sleeper.unwrap();
        FLAGS[0].take();
        let waker = FLAGS[0].waker();
        assert!(sleeper.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        stage.fill_target(&target);
        FLAGS[1].take();
        let (waker, mut wait) = (FLAGS[1].waker(), SendWait::new());
        let mut context = Context::from_waker(&waker);
        let table = &stage.process.table;
        assert!(table.poll_send(&mut context, &mut wait, target.to, b"waits", &[]).is_pending());
        let id = table.monitor(target.to, &stage.process.mailbox).unwrap();
        Estate { target, id, linked, wait, sleeper }
    }

    /// Checks what a kill must have done before it returns.
    fn is_all_dead(&mut self) {
        assert!(self.target.group.is_dead());
        assert!(self.linked.iter().all(RouteGroup::is_dead), "a link did not pass the death on");
        assert!(FLAGS[0].take() && self.sleeper.is_ready(), "the receiver was not woken");
    }

    /// Checks what must be so after the end of the route, and gives all back.
    fn settle(mut self, stage: &mut Stage, reasons: &[DownReason]) {
        let to = self.target.to;
        assert!(FLAGS[1].take(), "a waiting sender was not woken");
        let waker = FLAGS[1].waker();
        let mut context = Context::from_waker(&waker);
        let polled = stage.process.table.poll_send(&mut context, &mut self.wait, to, b"waits", &[]);
        let is_released = stage.fate() == Fate::Released;
        let error = if is_released { SendError::InvalidHandle } else { SendError::Closed };
        assert_eq!(polled, Poll::Ready(Err(error)));
        let (monitor, reason) = stage.next_down().expect("no down");
        assert!(monitor == self.id && reasons.contains(&reason), "{reason:?}");
        assert!(stage.next_down().is_none(), "one down for each monitor");
        stage.forget(self.target);
    }
}

/// Why the route is over that is killed; the handler may have closed it before.
fn reasons(stage: &Stage) -> &'static [DownReason] {
    const REASONS: &[DownReason] = &[DownReason::Killed, DownReason::Closed];
    if stage.fate() == Fate::Closed { REASONS } else { &REASONS[..1] }
}

fn kill(stage: &mut Stage, delay: u32) -> Option<u32> {
    let mut estate = Estate::new(stage);
    let group = &estate.target.group;
    let (fired, ()) = stage.act(delay, |_| group.kill());
    estate.is_all_dead();
    estate.settle(stage, reasons(stage));
    fired
}

fn kill_by_handle(stage: &mut Stage, delay: u32) -> Option<u32> {
    let mut estate = Estate::new(stage);
    let to = estate.target.to;
    let (fired, killed) = stage.act(delay, |main| main.table.kill(to));
    if stage.expect(killed).is_none() {
        assert!(!estate.target.group.is_dead(), "refused, with an effect");
        estate.target.group.kill();
    }
    estate.is_all_dead();
    estate.settle(stage, reasons(stage));
    fired
}

fn kill_by_host(stage: &mut Stage, delay: u32) -> Option<u32> {
    let mut estate = Estate::new(stage);
    let capability = &estate.target.capability;
    let (fired, killed) = stage.act(delay, |_| capability.kill());
    if stage.expect(killed).is_none() {
        assert!(!estate.target.group.is_dead(), "refused, with an effect");
        estate.target.group.kill();
    }
    estate.is_all_dead();
    estate.settle(stage, reasons(stage));
    fired
}

fn close(stage: &mut Stage, delay: u32) -> Option<u32> {
    let estate = Estate::new(stage);
    let mailbox = stage.take_mailbox();
    let (fired, ()) = stage.act(delay, |_| mailbox.close());
    let is_dead = stage.fate() == Fate::Killed;
    let is_all = |dead| estate.linked.iter().all(|group| group.is_dead() == dead);
    assert!(estate.target.group.is_dead() == is_dead && is_all(is_dead), "a close kills nobody");
    // Killed by the handler: before the close was decided, or after that.
    let reasons = [DownReason::Closed, DownReason::Killed];
    estate.settle(stage, &reasons[..1 + usize::from(is_dead)]);
    fired
}

/// Until it is dropped, what a killed mailbox had stays charged.
fn drop_dead(stage: &mut Stage, delay: u32) -> Option<u32> {
    let estate = Estate::new(stage);
    estate.target.group.kill();
    let mailbox = stage.take_mailbox();
    let (fired, ()) = stage.act(delay, |_| drop(mailbox));
    estate.settle(stage, &[DownReason::Killed]);
    fired
}

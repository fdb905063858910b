//! Kill, close, end: what follows from them.

use super::{Operation, operation};
use crate::scene::{Played, Process, Scarce, Scene};
use crate::world::{Fate, Lease, mailbox_limits};
use flue_core::{
    DownReason, Mailbox, Permissions, RouteGroup, SendError, SendWait, Signal, TableError,
};
use std::task::{Context, Poll};

pub const OPERATIONS: &[Operation] = &[
    operation("kill, with all that hangs from it", &["RouteGroup::kill"], kill),
    operation("table: kill", &["Table::kill"], kill_by_handle),
    operation("capability: kill", &["Capability::kill"], kill_by_host),
    operation("kill, dead", &["RouteGroup::kill", "Table::kill"], kill_dead),
    operation("kill, route closed", &["Table::kill", "Capability::kill"], kill_closed),
    operation("kill, a ring of groups", &["RouteGroup::kill"], kill_ring),
    operation("close, with all that waits", &["Mailbox::close", "Mailbox::drop"], close),
    operation("drop a dead mailbox", &["Mailbox::drop"], drop_dead),
    operation("end of a group with links", &["RouteGroup::drop"], end),
];

/// A process with everything that a death has to see to: a queue with payload
/// and capabilities, a waiting sender, an observer, links, and a second mailbox
/// whose receiver sleeps.
struct Estate {
    process: Process,
    observer: Lease<'static>,
    id: flue_core::MonitorId,
    linked: [RouteGroup; 2],
    wait: SendWait,
    sleeper: Mailbox,
}

impl Estate {
    fn new(scene: &Scene) -> Result<Self, Scarce> {
        let observer = scene.mailbox();
        let process = scene.process(1)?;
        let linked = [scene.group()?, scene.group()?];
        process.group.link(&linked[0]).expect("there is room");
        linked[1].link(&linked[0]).expect("there is room");
        let (table, to) = (scene.table(), process.to);
        let limits = mailbox_limits(1, 0);
        let sleeper = process.group.create_mailbox_with(&process.table, limits);
        let mut sleeper = sleeper.expect("there is room");
        scene.flag(0).take();
        let waker = scene.flag(0).waker();
        assert!(sleeper.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        scene.flag(1).take();
        let payload = flue_core::Payload::from(&b"dies with the queue"[..]);
        let sent = table.send_payload(to, payload, &[to]);
        scene.room(sent.map_err(|rejected| rejected.error))?;
        // The last that may be refused: a monitor that is set must be seen to.
        let id = scene.room(table.monitor(to, &observer))?;
        let (waker, mut wait) = (scene.flag(1).waker(), SendWait::new());
        let mut context = Context::from_waker(&waker);
        assert!(table.poll_send(&mut context, &mut wait, to, b"waits", &[]).is_pending());
        Ok(Self { process, observer, id, linked, wait, sleeper })
    }

    /// Checks what must be so after the death, and gives all back.
    fn settle(mut self, scene: &Scene, reasons: &[DownReason]) {
        let (table, to) = (scene.table(), self.process.to);
        if scene.fate() != Fate::Released {
            assert_eq!(table.send(to, b"late", &[]), Err(SendError::Closed));
        }
        let waker = scene.flag(1).waker();
        assert!(scene.flag(1).take(), "a waiting sender was not woken");
        let mut context = Context::from_waker(&waker);
        let polled = table.poll_send(&mut context, &mut self.wait, to, b"waits", &[]);
        assert!(matches!(polled, Poll::Ready(Err(SendError::Closed | SendError::InvalidHandle))));
        let mut downs = 0;
        while let Ok(signal) = self.observer.try_recv() {
            match signal {
                Signal::Message(message) => scene.world.ledger.received(scene.me, message.data()),
                Signal::Down(down) => {
                    assert_eq!(down.monitor(), self.id);
                    assert!(reasons.contains(&down.reason()), "{:?}", down.reason());
                    downs += 1;
                }
                _ => panic!("neither"),
            }
        }
        assert_eq!(downs, 1, "one down for each monitor");
        scene.done(self.process);
    }

    /// Checks what a kill must have done before it returns.
    fn is_all_dead(&self, scene: &Scene) {
        assert!(self.process.group.is_dead());
        assert!(self.linked.iter().all(RouteGroup::is_dead), "a link did not pass the death on");
        assert!(scene.flag(0).take() && self.sleeper.is_ready(), "the receiver was not woken");
    }
}

fn kill(scene: &Scene) -> Played {
    let estate = Estate::new(scene)?;
    scene.publish(&estate.process);
    let group = &estate.process.group;
    scene.act(|| group.kill());
    estate.is_all_dead(scene);
    estate.settle(scene, &[DownReason::Killed]);
    Ok(())
}

fn kill_by_handle(scene: &Scene) -> Played {
    let estate = Estate::new(scene)?;
    scene.publish(&estate.process);
    let (table, to) = (scene.table(), estate.process.to);
    let killed = scene.act(|| table.kill(to));
    if scene.expect(killed).is_none() {
        estate.process.group.kill();
    }
    estate.is_all_dead(scene);
    estate.settle(scene, &[DownReason::Killed]);
    Ok(())
}

fn kill_by_host(scene: &Scene) -> Played {
    let estate = Estate::new(scene)?;
    scene.publish(&estate.process);
    let capability = estate.process.open().capability(Permissions::KILL);
    scene.act(|| capability.kill()).expect("permitted");
    estate.is_all_dead(scene);
    estate.settle(scene, &[DownReason::Killed]);
    Ok(())
}

fn kill_dead(scene: &Scene) -> Played {
    let process = scene.process(1)?;
    let (table, to) = (scene.table(), process.to);
    process.group.kill();
    let killed = scene.act(|| {
        process.group.kill();
        table.kill(to)
    });
    assert_eq!(killed, Ok(()));
    scene.done(process);
    Ok(())
}

fn kill_closed(scene: &Scene) -> Played {
    let mut process = scene.process(1)?;
    let capability = process.open().capability(Permissions::KILL);
    process.mailbox = None;
    let (table, to) = (scene.table(), process.to);
    let killed = scene.act(|| [table.kill(to), capability.kill()]);
    assert_eq!(killed, [Err(TableError::Closed); 2]);
    assert!(!process.group.is_dead());
    scene.done(process);
    Ok(())
}

fn kill_ring(scene: &Scene) -> Played {
    const LENGTH: usize = 4;
    let ring = (0..LENGTH).map(|_| scene.group()).collect::<Result<Vec<_>, _>>()?;
    for (at, group) in ring.iter().enumerate() {
        group.link(&ring[(at + 1) % LENGTH]).expect("there is room");
    }
    scene.act(|| ring[0].kill());
    assert!(ring.iter().all(RouteGroup::is_dead));
    Ok(())
}

fn close(scene: &Scene) -> Played {
    let mut estate = Estate::new(scene)?;
    scene.publish(&estate.process);
    let mut mailbox = estate.process.mailbox.take();
    scene.act(|| mailbox.take().map(Mailbox::close));
    let is_dead = scene.fate() == Fate::Killed;
    assert_eq!(estate.process.group.is_dead(), is_dead);
    let reasons = [DownReason::Closed, DownReason::Killed];
    estate.settle(scene, if is_dead { &reasons } else { &reasons[..1] });
    Ok(())
}

/// Until it is dropped, what a killed mailbox had stays charged.
fn drop_dead(scene: &Scene) -> Played {
    let mut estate = Estate::new(scene)?;
    estate.process.group.kill();
    let mut mailbox = estate.process.mailbox.take();
    scene.act(|| drop(mailbox.take()));
    estate.settle(scene, &[DownReason::Killed]);
    Ok(())
}

/// A group that ends without dying: its links dissolve, they do not fire.
fn end(scene: &Scene) -> Played {
    let (one, two, last) = (scene.group()?, scene.group()?, scene.group()?);
    last.link(&one).expect("there is room");
    two.link(&last).expect("there is room");
    let mut last = Some(last);
    scene.act(|| drop(last.take()));
    assert!(!one.is_dead() && !two.is_dead(), "an end is no death");
    let links = scene.world.office.stats().links;
    assert!(links == 0 || !scene.is_exact(), "a link is left");
    Ok(())
}

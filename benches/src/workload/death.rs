//! Killing: a group of very many routes, with monitors, chains and stars of groups; unlinking a star.

use super::{MANY, once};
use crate::cores::Cores;
use crate::measure::{Against, FLUE, Row, Target};
use crate::{ours, theirs};
use flue_core::{Mailbox, Permissions, PostOffice, RouteGroup, Signal};
use std::sync::Arc;

/// The family's rows.
pub fn rows(cores: &'static Cores) -> Vec<Row> {
    vec![
        Row::timed("death/kill 10,000 routes")
            .figure(FLUE, || flue_kill(MANY))
            .figure(theirs::NAME, || flue_peer_kill(MANY))
            .must(theirs::NAME, 1.0 / 20.0),
        Row::timed("death/kill 10,000 routes, until seen")
            .figure_across(FLUE, move || flue_seen(cores))
            .figure_across(theirs::NAME, move || flue_peer_seen(cores))
            .hold(Target { against: Against::Figure, must: None, moonshot: Some(200.0) }),
        Row::timed("death/kill 10,000 routes, 10,000 downs")
            .figure(FLUE, flue_downs)
            .figure(theirs::NAME, flue_peer_downs)
            .target(theirs::NAME, 1.0 / 15.0, 1.0 / 40.0),
        Row::timed("death/kill a chain of 10,000")
            .figure(FLUE, || flue_linked(Shape::Chain))
            .figure(theirs::NAME, || flue_peer_linked(Shape::Chain))
            .target(theirs::NAME, 1.0 / 8.0, 1.0 / 20.0),
        Row::timed("death/kill a star of 10,000")
            .figure(FLUE, || flue_linked(Shape::Star))
            .figure(theirs::NAME, || flue_peer_linked(Shape::Star))
            .target(theirs::NAME, 1.0 / 8.0, 1.0 / 20.0),
        Row::timed("death/unlink a star of 10,000")
            .figure(FLUE, || flue_unlink(MANY))
            .figure(theirs::NAME, || flue_peer_unlink(MANY))
            .target(theirs::NAME, 1.0 / 50.0, 1.0 / 100.0),
        Row::timed("death/unlink a star, per link")
            .figure(FLUE, || flue_unlink(MANY) / MANY as f64)
            .figure("Flue, 1,000 leaves", || flue_unlink(MANY / 10) / (MANY / 10) as f64)
            .figure(theirs::NAME, || flue_peer_unlink(MANY) / MANY as f64)
            .figure("flue 0.2.2, 1,000 leaves", || flue_peer_unlink(MANY / 10) / (MANY / 10) as f64)
            .must("Flue, 1,000 leaves", 2.0),
    ]
}

fn flue_crowd(office: &PostOffice, routes: usize) -> (ours::Process, Vec<Mailbox>) {
    let process = ours::Process::new(office);
    let mailboxes = process.crowd(routes);
    (process, mailboxes)
}

/// Kills a group of `routes` routes.
pub fn flue_kill(routes: usize) -> f64 {
    let (process, _mailboxes) = flue_crowd(&PostOffice::new(), routes);
    once(|| process.group.kill())
}

fn flue_seen(cores: &Cores) -> f64 {
    let (process, _mailboxes) = flue_crowd(&PostOffice::new(), MANY);
    cores.until_seen(|| process.group.kill(), || process.group.is_dead()).as_nanos() as f64
}

fn flue_downs() -> f64 {
    let office = PostOffice::new();
    let (process, mailboxes) = flue_crowd(&office, MANY);
    let mut observer = ours::Process::new(&office);
    for mailbox in &mailboxes {
        let handle = observer.granted(mailbox, Permissions::MONITOR);
        observer.table.monitor(handle, &observer.mailbox).expect("within the limits");
    }
    once(|| {
        process.group.kill();
        for _ in 0..MANY {
            assert!(matches!(observer.mailbox.try_recv(), Ok(Signal::Down(_))));
        }
    })
}

#[derive(Clone, Copy)]
enum Shape {
    Chain,
    Star,
}

impl Shape {
    /// Whom group `index` is linked to.
    fn parent(self, index: usize) -> usize {
        match self {
            Shape::Chain => index - 1,
            Shape::Star => 0,
        }
    }
}

fn flue_groups(shape: Shape, count: usize) -> Vec<RouteGroup> {
    let office = PostOffice::new();
    let groups: Vec<_> =
        (0..count).map(|_| office.create_group().expect("within the limits")).collect();
    for (index, group) in groups.iter().enumerate().skip(1) {
        groups[shape.parent(index)].link(group).expect("within the limits");
    }
    groups
}

fn flue_linked(shape: Shape) -> f64 {
    let groups = flue_groups(shape, MANY);
    let time = once(|| groups[0].kill());
    assert!(groups.iter().all(RouteGroup::is_dead));
    time
}

/// Unlinks all leaves of a star.
fn flue_unlink(leaves: usize) -> f64 {
    let groups = flue_groups(Shape::Star, leaves + 1);
    once(|| {
        for leaf in &groups[1..] {
            assert!(groups[0].unlink(leaf).expect("both are alive"));
        }
    })
}

fn flue_peer_crowd<'a>(
    group: &'a flue_peer::MailboxGroup<'_>,
    routes: usize,
) -> Vec<flue_peer::Mailbox<'a>> {
    (0..routes).map(|_| group.create_mailbox().expect("the group is alive")).collect()
}

fn flue_peer_kill(routes: usize) -> f64 {
    theirs::settle();
    let table = flue_peer::Table::new(flue_peer::PostOffice::new());
    let group = flue_peer::MailboxGroup::new(&table);
    let _mailboxes = flue_peer_crowd(&group, routes);
    once(|| group.kill())
}

fn flue_peer_seen(cores: &Cores) -> f64 {
    theirs::settle();
    let table = flue_peer::Table::new(flue_peer::PostOffice::new());
    let group = flue_peer::MailboxGroup::new(&table);
    let _mailboxes = flue_peer_crowd(&group, MANY);
    cores.until_seen(|| group.kill(), || group.poll_dead()).as_nanos() as f64
}

fn flue_peer_downs() -> f64 {
    theirs::settle();
    let office = flue_peer::PostOffice::new();
    let (table, observing) = (flue_peer::Table::new(office.clone()), flue_peer::Table::new(office));
    let (group, observers) =
        (flue_peer::MailboxGroup::new(&table), flue_peer::MailboxGroup::new(&observing));
    let observer = observers.create_mailbox().expect("the group is alive");
    let mailboxes = flue_peer_crowd(&group, MANY);
    for mailbox in &mailboxes {
        let capability =
            mailbox.export_to(flue_peer::Permissions::MONITOR, &observing).expect("one office");
        capability.monitor(&observer).expect("permitted");
        capability.into_handle();
    }
    once(|| {
        theirs::runtime().block_on(async {
            group.kill();
            for _ in 0..MANY {
                observer
                    .recv(|signal| theirs::show(&observing, signal, |_| ()))
                    .await
                    .expect("it lives");
            }
        })
    })
}

fn flue_peer_groups(
    shape: Shape,
    count: usize,
) -> (Arc<flue_peer::PostOffice>, Vec<Arc<flue_peer::RouteGroup>>) {
    let office = flue_peer::PostOffice::new();
    let groups: Vec<Arc<flue_peer::RouteGroup>> = (0..count).map(|_| Arc::default()).collect();
    for (index, group) in groups.iter().enumerate().skip(1) {
        flue_peer::RouteGroup::link(&office, &groups[shape.parent(index)], group);
    }
    (office, groups)
}

fn flue_peer_linked(shape: Shape) -> f64 {
    theirs::settle();
    let (office, groups) = flue_peer_groups(shape, MANY);
    // What a kill leaves to the runtime is part of it: only then are all of them dead.
    let time = once(|| {
        theirs::runtime().block_on(async {
            groups[0].kill(&office);
            theirs::settled().await;
        })
    });
    assert!(groups.iter().all(|group| group.is_dead()));
    time
}

fn flue_peer_unlink(leaves: usize) -> f64 {
    let (_office, groups) = flue_peer_groups(Shape::Star, leaves + 1);
    once(|| {
        for leaf in &groups[1..] {
            flue_peer::RouteGroup::unlink(&groups[0], leaf);
        }
    })
}

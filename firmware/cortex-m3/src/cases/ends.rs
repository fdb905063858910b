//! Ends without a death, and deaths of what is over.

use flue_core::{RouteGroup, TableError};

use super::{Case, case};
use crate::handler::Fate;
use crate::stage::{Stage, Target};

pub(super) const CASES: &[Case] = &[
    case("kill, dead", &["RouteGroup::kill", "Table::kill", "Capability::kill"], kill_dead),
    case("kill, route closed", &["Table::kill", "Capability::kill"], kill_closed),
    case("kill, a ring of groups", &["RouteGroup::kill"], kill_ring),
    case("end of a group with links", &["RouteGroup::drop"], end_with_links),
    case("end of a target", &["RouteGroup::drop", "Table::drop", "Mailbox::drop"], end_of_target),
];

fn kill_dead(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    target.group.kill();
    let to = target.to;
    let (fired, killed) = stage.act(delay, |main| {
        target.group.kill();
        [target.capability.kill(), main.table.kill(to)]
    });
    assert_eq!(killed[0], Ok(()));
    assert!(killed[1] == Ok(()) || stage.fate() == Fate::Released);
    stage.forget(target);
    fired
}

fn kill_closed(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    stage.take_mailbox().close();
    let to = target.to;
    let (fired, killed) = stage.act(delay, |main| [target.capability.kill(), main.table.kill(to)]);
    assert_eq!(killed[0], Err(TableError::Closed));
    assert!(killed[1] == Err(TableError::Closed) || stage.fate() == Fate::Released);
    assert!(!target.group.is_dead());
    stage.forget(target);
    fired
}

fn kill_ring(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let ring = [(); 3].map(|()| stage.office.create_group().unwrap());
    target.group.link(&ring[0]).unwrap();
    ring[0].link(&ring[1]).unwrap();
    ring[1].link(&ring[2]).unwrap();
    ring[2].link(&target.group).unwrap();
    let (fired, ()) = stage.act(delay, |_| ring[1].kill());
    assert!(target.group.is_dead() && ring.iter().all(RouteGroup::is_dead));
    stage.forget(target);
    fired
}

/// Its links dissolve, they do not fire.
fn end_with_links(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let [one, last] = [(); 2].map(|()| stage.office.create_group().unwrap());
    last.link(&one).unwrap();
    target.group.link(&last).unwrap();
    let (fired, ()) = stage.act(delay, |_| drop(last));
    assert!(!one.is_dead() || stage.fate() == Fate::Killed, "an end is no death");
    assert_eq!(target.group.is_dead(), stage.fate() == Fate::Killed);
    assert_eq!(stage.office.stats().links, 0);
    stage.forget(target);
    fired
}

/// All of a process goes at once, with a link and a full queue.
fn end_of_target(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let linked = stage.office.create_group().unwrap();
    target.group.link(&linked).unwrap();
    stage.fill_target(&target);
    let mailbox = stage.take_mailbox();
    let Target { group, table, to, capability } = target;
    let (fired, ()) = stage.act(delay, |_| drop((group, table, mailbox, capability)));
    assert!(!linked.is_dead() || stage.fate() == Fate::Killed, "an end is no death");
    stage.release(to);
    fired
}

//! Monitors: setting and removing them.

use super::{Operation, operation};
use crate::scene::{Played, Process, Scene};
use crate::world::{Fate, Lease, PER_GROUP};
use flue_core::{DownReason, MonitorId, Permissions, Signal, TableError};

pub const OPERATIONS: &[Operation] = &[
    operation("table: monitor", &["Table::monitor"], monitor),
    operation("monitor, again", &["Table::monitor", "MonitorId::number"], monitor_again),
    operation("monitor, closed", &["Table::monitor"], monitor_closed),
    operation("monitor, at its limit", &["Table::monitor"], monitor_limited),
    operation("capability: monitor", &["Capability::monitor"], monitor_by_host),
    operation("demonitor", &["Mailbox::demonitor"], demonitor),
    operation("demonitor, fired", &["Mailbox::demonitor"], demonitor_fired),
    operation("demonitor, over", &["Mailbox::demonitor"], demonitor_over),
];

/// Receives what waits; the downs among it.
fn downs(scene: &Scene, mailbox: &mut Lease<'_>) -> Vec<(MonitorId, DownReason)> {
    let mut downs = Vec::new();
    while let Ok(signal) = mailbox.try_recv() {
        match signal {
            Signal::Message(message) => scene.world.ledger.received(scene.me, message.data()),
            Signal::Down(down) => downs.push((down.monitor(), down.reason())),
            _ => panic!("neither"),
        }
    }
    downs
}

/// An armed monitor ends once: by a down if its route is over, else by removal.
fn settle(scene: &Scene, mut mailbox: Lease<'_>, process: Process, id: Option<MonitorId>) {
    let downs = downs(scene, &mut mailbox);
    match id {
        Some(id) if process.group.is_dead() => {
            assert_eq!(downs.len(), 1, "one down for each monitor");
            assert_eq!(downs[0].0, id);
            assert!(matches!(downs[0].1, DownReason::Killed | DownReason::Gone));
            assert!(!mailbox.demonitor(id));
        }
        Some(id) => {
            assert!(downs.is_empty() && mailbox.demonitor(id));
            assert!(!mailbox.demonitor(id));
        }
        None => assert!(downs.is_empty(), "a down without a monitor"),
    }
    drop(mailbox);
    scene.done(process);
}

fn monitor(scene: &Scene) -> Played {
    let mailbox = scene.mailbox();
    let process = scene.subject(1)?;
    let (table, to) = (scene.table(), process.to);
    let id = scene.act(|| table.monitor(to, &mailbox));
    let id = scene.expect(id);
    assert!(
        id.is_some() || scene.fate() == Fate::Released,
        "of whatever route, a monitor can be set"
    );
    settle(scene, mailbox, process, id);
    Ok(())
}

fn monitor_again(scene: &Scene) -> Played {
    let mailbox = scene.mailbox();
    let process = scene.subject(1)?;
    let (table, to) = (scene.table(), process.to);
    let first = table.monitor(to, &mailbox).expect("there is room");
    let again = scene.act(|| table.monitor(to, &mailbox).map(|id| (id, id.number())));
    if let Some((again, number)) = scene.expect(again) {
        assert_eq!((again, number), (first, first.number()));
    }
    settle(scene, mailbox, process, Some(first));
    Ok(())
}

fn monitor_closed(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    let mut process = scene.process(1)?;
    process.mailbox = None;
    let (table, to) = (scene.table(), process.to);
    let id = scene.act(|| table.monitor(to, &mailbox)).expect("there is room");
    assert_eq!(downs(scene, &mut mailbox), [(id, DownReason::Gone)]);
    drop(mailbox);
    scene.done(process);
    Ok(())
}

/// As many monitors as the observer's group may have.
fn monitor_limited(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    let process = scene.subject(1)?;
    let (group, office) = (&process.group, &scene.world.office);
    let host = office.create_table().expect("there is room");
    let limits = crate::world::mailbox_limits(0, 0);
    let watched: Vec<_> = (1..PER_GROUP)
        .map(|_| group.create_mailbox_with(&host, limits).expect("there is room"))
        .collect();
    let own = &scene.party().capability;
    let capabilities = watched.iter().map(|watched| watched.capability(Permissions::MONITOR));
    let ids: Vec<_> = capabilities
        .chain([own.clone()])
        .map(|capability| capability.monitor(&mailbox).expect("there is room"))
        .collect();
    let (table, to) = (scene.table(), process.to);
    let refused = scene.act(|| table.monitor(to, &mailbox));
    scene.expect_error(refused, TableError::LimitReached);
    // Those of the group that died meanwhile are down; each ends once.
    let downs = downs(scene, &mut mailbox);
    for id in ids {
        let is_down = downs.iter().any(|(down, _)| *down == id);
        assert!(is_down != mailbox.demonitor(id), "a monitor ends once");
    }
    drop((mailbox, watched));
    scene.done(process);
    Ok(())
}

fn monitor_by_host(scene: &Scene) -> Played {
    let mailbox = scene.mailbox();
    let process = scene.subject(1)?;
    let capability = process.open().capability(Permissions::MONITOR);
    let id = scene.act(|| capability.monitor(&mailbox)).expect("there is room");
    settle(scene, mailbox, process, Some(id));
    Ok(())
}

fn demonitor(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    let process = scene.subject(1)?;
    let id = scene.table().monitor(process.to, &mailbox).expect("there is room");
    let removed = scene.act(|| mailbox.demonitor(id));
    assert!(removed, "nobody else ends it");
    assert!(downs(scene, &mut mailbox).is_empty(), "a down after demonitor");
    drop(mailbox);
    scene.done(process);
    Ok(())
}

/// Its down is in the queue already, and is never received.
fn demonitor_fired(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    let process = scene.process(1)?;
    let id = scene.table().monitor(process.to, &mailbox).expect("there is room");
    process.group.kill();
    let removed = scene.act(|| mailbox.demonitor(id));
    assert!(removed, "nobody else ends it");
    assert!(downs(scene, &mut mailbox).is_empty(), "a down after demonitor");
    drop(mailbox);
    scene.done(process);
    Ok(())
}

fn demonitor_over(scene: &Scene) -> Played {
    let mut mailbox = scene.mailbox();
    let process = scene.process(1)?;
    let id = scene.table().monitor(process.to, &mailbox).expect("there is room");
    process.group.kill();
    assert_eq!(downs(scene, &mut mailbox), [(id, DownReason::Killed)]);
    let removed = scene.act(|| mailbox.demonitor(id));
    assert!(!removed, "it was received");
    drop(mailbox);
    scene.done(process);
    Ok(())
}

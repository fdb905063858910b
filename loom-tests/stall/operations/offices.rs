//! The office itself.

use super::{Operation, Players, by, operation};
use crate::scene::{Played, Scene};
use crate::world::STORAGE;
use flue_core::{Permissions, PostOffice, Signal};

pub const OPERATIONS: &[Operation] = &[
    operation("stats", &["PostOffice::stats"], stats),
    operation("prepare_thread", &["PostOffice::prepare_thread"], prepare_thread),
    operation(
        "office: clone, drop",
        &["PostOffice::clone", "PostOffice::eq", "PostOffice::drop"],
        clone,
    ),
    operation("static office", &["StaticPostOffice::office", "PostOffice::drop"], of_storage),
    by(Players::NoHandler, operation("reclaim", &["PostOffice::reclaim"], reclaim)),
    by(Players::NoHandler, operation("an office, made and dropped", NEW, another)),
];

#[cfg(feature = "alloc")]
const NEW: &[&str] = &[
    "PostOffice::new",
    "PostOffice::with_limits",
    "PostOffice::try_new",
    "PostOffice::try_with_limits",
    "PostOffice::default",
    "PostOffice::drop",
];
#[cfg(not(feature = "alloc"))]
const NEW: &[&str] = &[];

fn stats(scene: &Scene) -> Played {
    let office = &scene.world.office;
    let stats = scene.act(|| office.stats());
    let parties = scene.world.parties.len();
    assert!(stats.groups >= parties && stats.routes >= parties && stats.tables >= 1);
    Ok(())
}

fn prepare_thread(scene: &Scene) -> Played {
    let office = &scene.world.office;
    scene.act(|| office.prepare_thread());
    Ok(())
}

fn clone(scene: &Scene) -> Played {
    let office = &scene.world.office;
    assert!(scene.act(|| office.clone() == *office));
    Ok(())
}

/// The storage was made ready before; the call that does that is waited for.
fn of_storage(scene: &Scene) -> Played {
    assert_eq!(STORAGE.office(), STORAGE.office());
    let group = scene.act(|| STORAGE.office().create_group().is_ok());
    assert!(group || scene.is_scarce());
    Ok(())
}

/// There is much that can be given back.
fn reclaim(scene: &Scene) -> Played {
    let (office, table) = (&scene.world.office, scene.table());
    let process = scene.subject(40)?;
    let limits = crate::world::mailbox_limits(0, 0);
    let mut handles = Vec::new();
    for _ in 0..3 {
        let mailbox = process.group.create_mailbox_with(&process.table, limits).expect("room");
        for bits in [0, 1, 2] {
            let permissions = Permissions::from_bits_truncate(bits);
            handles.extend(table.insert(&mailbox.capability(permissions)));
        }
    }
    for handle in handles {
        table.release(handle).expect("it is there");
    }
    scene.act(|| office.reclaim());
    scene.done(process);
    Ok(())
}

/// One message in an office of its own.
fn use_once(office: &PostOffice) -> bool {
    let group = office.create_group().expect("there is room");
    let table = group.create_table().expect("there is room");
    let limits = crate::world::mailbox_limits(1, 1);
    let mut mailbox = group.create_mailbox_with(&table, limits).expect("there is room");
    let to = mailbox.export(Permissions::SEND).expect("there is room");
    table.send(to, b"hello", &[to]).expect("there is room");
    matches!(mailbox.try_recv(), Ok(Signal::Message(message)) if message.data() == b"hello")
}

#[cfg(feature = "alloc")]
fn another(scene: &Scene) -> Played {
    let hello = scene.act(|| {
        let limits = flue_core::Limits::default();
        let offices = [PostOffice::try_with_limits(limits), PostOffice::try_new()];
        let offices = offices.map(|office| office.expect("memory"));
        drop((PostOffice::new(), PostOffice::default(), PostOffice::with_limits(limits)));
        use_once(&offices[0]) && offices[0] != offices[1]
    });
    assert!(hello);
    Ok(())
}

/// There are no others than those in a `static`.
#[cfg(not(feature = "alloc"))]
fn another(scene: &Scene) -> Played {
    static OWN: flue_core::StaticPostOffice<4, 4, 8> = {
        let mut limits = flue_core::Limits::DEFAULT;
        limits.handles_per_table = 2;
        flue_core::StaticPostOffice::with_limits(limits)
    };
    let office = OWN.office();
    assert!(scene.act(|| use_once(&office)));
    Ok(())
}

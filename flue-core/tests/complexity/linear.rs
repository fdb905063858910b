//! What takes many things apart.

use super::boundless;
use super::common::{Process, limits, process, process_with};
use super::single_step::count;
use flue_core::{Permissions, PostOffice, SendWait};
use std::task::{Context, Waker};

/// Groups in a chain of links, each with a mailbox that one observer watches.
fn chain(length: usize) -> (PostOffice, Vec<Process>, Process) {
    let office = PostOffice::new();
    let observer = process(&office);
    let processes: Vec<_> = (0..length).map(|_| process_with(&office, limits(2, 0, 0))).collect();
    for pair in processes.windows(2) {
        pair[0].group.link(&pair[1].group).unwrap();
    }
    for process in &processes {
        process.mailbox.capability(Permissions::MONITOR).monitor(&observer.mailbox).unwrap();
    }
    (office, processes, observer)
}

/// What takes many things apart takes as long for each of them, however many.
#[test]
#[ignore = "takes minutes: ci/complexity.sh"]
fn what_grows_is_linear() {
    let sizes = [8, 64];
    let mut grown = Vec::new();
    let mut linear = |name: &str, counted: [u64; 2]| {
        let each = [0, 1].map(|at| counted[at] as f64 / sizes[at] as f64);
        println!("{name:32} {:8.0} {:8.0} instructions for each", each[0], each[1]);
        if each[1] > 1.5 * each[0] {
            grown.push(format!("{name}: {each:?}"));
        }
    };
    let counted = |operation: &mut dyn FnMut()| count(operation).instructions;

    linear(
        "kill a chain",
        sizes.map(|size| {
            let (_office, processes, _observer) = chain(size);
            counted(&mut || processes[0].group.kill())
        }),
    );
    linear(
        "kill a chain from its middle",
        sizes.map(|size| {
            let (_office, processes, _observer) = chain(size);
            counted(&mut || processes[size / 2].group.kill())
        }),
    );
    linear(
        "kill the middle of a star",
        sizes.map(|size| {
            let (_office, processes, observer) = chain(size);
            processes
                .windows(2)
                .for_each(|pair| assert_eq!(pair[0].group.unlink(&pair[1].group), Ok(true)));
            processes.iter().for_each(|process| observer.group.link(&process.group).unwrap());
            counted(&mut || observer.group.kill())
        }),
    );
    linear(
        "drop a mailbox with messages",
        sizes.map(|size| {
            let office = PostOffice::new();
            let mut mailbox = Some(process(&office).mailbox);
            let to = mailbox.as_ref().unwrap().capability(Permissions::SEND);
            (0..size).for_each(|_| to.send(b"", &[]).unwrap());
            counted(&mut || drop(mailbox.take()))
        }),
    );
    linear(
        "receive what came at once",
        sizes.map(|size| {
            let Process { mut mailbox, .. } = process(&PostOffice::new());
            let to = mailbox.capability(Permissions::SEND);
            (0..size).for_each(|_| to.send(b"", &[]).unwrap());
            counted(&mut || while mailbox.try_recv().is_ok() {})
        }),
    );
    linear(
        "wake each who waits for room",
        sizes.map(|size| {
            let office = PostOffice::new();
            let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
            let mut one = boundless(size);
            one.messages = 1;
            let full = group.create_mailbox_with(&table, one).unwrap();
            let to = full.capability(Permissions::SEND);
            to.send(b"", &[]).unwrap();
            let mut waits: Vec<_> = (0..size).map(|_| SendWait::new()).collect();
            let cx = &mut Context::from_waker(Waker::noop());
            waits
                .iter_mut()
                .for_each(|wait| assert!(to.poll_send(cx, wait, b"", &[]).is_pending()));
            counted(&mut || group.kill())
        }),
    );
    linear(
        "drop a mailbox with monitors",
        sizes.map(|size| {
            let (_office, _processes, observer) = chain(size);
            let mut mailbox = Some(observer.mailbox);
            counted(&mut || drop(mailbox.take()))
        }),
    );
    linear(
        "drop a table with handles",
        sizes.map(|size| {
            let (office, processes, _observer) = chain(size);
            let mut table = Some(office.create_table().unwrap());
            for process in &processes {
                table
                    .as_ref()
                    .unwrap()
                    .insert(&process.mailbox.capability(Permissions::SEND))
                    .unwrap();
            }
            counted(&mut || drop(table.take()))
        }),
    );
    linear(
        "kill a group with routes",
        sizes.map(|size| {
            let office = PostOffice::new();
            let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
            let mailboxes: Vec<_> =
                (0..size).map(|_| group.create_mailbox_with(&table, limits(1, 0, 0))).collect();
            let did = counted(&mut || group.kill());
            drop(mailboxes);
            did
        }),
    );
    linear(
        "receive downs",
        sizes.map(|size| {
            let (_office, processes, mut observer) = chain(size);
            processes[0].group.kill();
            counted(&mut || while observer.mailbox.try_recv().is_ok() {})
        }),
    );
    linear(
        "stats",
        sizes.map(|size| {
            let (office, _processes, _observer) = chain(size);
            counted(&mut || assert_eq!(office.stats().links, size - 1))
        }),
    );
    linear(
        "handles",
        sizes.map(|size| {
            let (office, processes, _observer) = chain(size);
            let table = office.create_table().unwrap();
            for process in &processes {
                table.insert(&process.mailbox.capability(Permissions::SEND)).unwrap();
            }
            counted(&mut || assert_eq!(table.handles().count(), size))
        }),
    );
    assert!(grown.is_empty(), "{grown:#?}");
}

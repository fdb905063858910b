//! Creating and dropping mailboxes and whole processes.

use super::warm_turns;
use crate::measure::{FLUE, Row, Window};
use crate::ours;
use crate::peers::*;
use crate::{peers, theirs};
use flue_core::{Permissions, PostOffice};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The family's rows.
pub fn rows() -> Vec<Row> {
    let mailbox = Row::timed("churn/mailbox")
        .turns(FLUE, flue_mailbox)
        .turns(theirs::NAME, flue_peer_mailbox);
    let process = Row::timed("churn/process")
        .turns(FLUE, flue_process)
        .turns(theirs::NAME, flue_peer_process);
    vec![
        peers!(mailbox, turns, [Std, Crossbeam, Flume, Kanal, Tokio], channel_by()).target(
            theirs::NAME,
            1.0 / 4.0,
            1.0 / 12.0,
        ),
        process.target(theirs::NAME, 1.0 / 3.0, 1.0 / 8.0),
    ]
}

fn flue_mailbox() -> Window {
    let process = ours::Process::new(&PostOffice::new());
    Box::new(move |turns| {
        warm_turns(turns, || {
            black_box(process.open());
        })
    })
}

fn flue_peer_mailbox() -> Window {
    let process = theirs::Process::new(&flue_peer::PostOffice::new());
    Box::new(move |turns| {
        with_leftovers(turns, || {
            black_box(process.group.create_mailbox().expect("the group is alive"));
        })
    })
}

/// Takes `turns` turns, and has the runtime do now and then what the drops leave to it.
fn with_leftovers(turns: u64, turn: impl Fn()) -> Duration {
    const TOGETHER: u64 = 64;
    theirs::settle();
    theirs::runtime().block_on(async {
        let start = Instant::now();
        for index in 0..turns {
            turn();
            if index % TOGETHER == TOGETHER - 1 {
                tokio::task::yield_now().await;
            }
        }
        theirs::settled().await;
        start.elapsed()
    })
}

fn channel_by<C: Channel>() -> Window {
    Box::new(|turns| {
        warm_turns(turns, || {
            black_box(C::open::<[u8; 16]>());
        })
    })
}

/// A group, a table, a mailbox, one capability.
fn flue_process() -> Window {
    let office = PostOffice::new();
    let parent = ours::Process::new(&office);
    let capability = parent.mailbox.capability(Permissions::SEND);
    Box::new(move |turns| {
        let _alive = &parent;
        warm_turns(turns, || {
            let process = ours::Process::new(&office);
            process.grant(&capability);
            black_box(process);
        })
    })
}

fn flue_peer_process() -> Window {
    let office = flue_peer::PostOffice::new();
    let parent = theirs::Process::new(&office);
    let capability = parent.mailbox.export_owned(flue_peer::Permissions::SEND);
    Box::new(move |turns| {
        let _alive = &parent;
        with_leftovers(turns, || {
            let table = flue_peer::Table::new(office.clone());
            table.import_owned(capability.clone()).expect("one office");
            let group = flue_peer::MailboxGroup::new(&table);
            black_box(group.create_mailbox().expect("the group is alive"));
        })
    })
}

//! One thread sends and receives: bytes copied, bytes owned, capabilities attached.

use super::{read_16, read_ends, warm_turns};
use crate::measure::{FLUE, Row, Window};
use crate::ours;
use crate::peers::*;
use crate::{peers, theirs};
use flue_core::{Payload, Permissions, Signal};
use std::hint::black_box;

const LARGE: usize = 64 * 1024;

/// The family's rows.
pub fn rows() -> Vec<Row> {
    let mut rows = vec![small()];
    for (name, size) in [("64 B", 64), ("1 KiB", 1024), ("64 KiB", LARGE)] {
        let row = Row::timed(format!("send/{name} copied"))
            .turns(FLUE, move || flue_copied(size))
            .turns(theirs::NAME, move || flue_peer_copied(size));
        let row = peers!(
            row,
            turns,
            [Std, Crossbeam, Flume, Kanal, Tokio, SegQueue, ArrayQueue, Rtrb],
            copied(size)
        );
        rows.push(match size {
            64 => row.target(Std::NAME, 0.5, 0.3),
            1024 => row.target(Std::NAME, 0.7, 0.45),
            _ => row,
        });
    }
    rows.push(owned_row("1 KiB", 1024));
    rows.push(
        owned_row("64 KiB", LARGE).target(Std::NAME, 1.0, 0.4).must(theirs::NAME, 1.0 / 40.0),
    );
    for count in [1, 4] {
        let known = Row::timed(format!("send/{count} capabilities known"));
        let known = known
            .turns(FLUE, move || flue_capabilities(count, true))
            .turns(theirs::NAME, move || flue_peer_capabilities(count, true));
        rows.push(known.target(theirs::NAME, 1.0 / 4.0, 1.0 / 10.0));
        let new = Row::timed(format!("send/{count} capabilities new"));
        let new = new
            .turns(FLUE, move || flue_capabilities(count, false))
            .turns(theirs::NAME, move || flue_peer_capabilities(count, false));
        rows.push(new.target(theirs::NAME, 1.0 / 3.0, 1.0 / 8.0));
    }
    rows
}

fn small() -> Row {
    let row = Row::timed("send/16 B").turns(FLUE, flue_small).turns(theirs::NAME, flue_peer_small);
    peers!(
        row,
        turns,
        [Std, Crossbeam, Flume, Kanal, Tokio, SegQueue, ArrayQueue, Rtrb],
        small_by()
    )
    .target(ArrayQueue::NAME, 2.3, 1.5)
    .target(theirs::NAME, 1.0 / 4.0, 1.0 / 7.0)
}

fn owned_row(name: &str, size: usize) -> Row {
    let row = Row::timed(format!("send/{name} owned"))
        .turns(FLUE, move || flue_owned(size))
        .turns(theirs::NAME, move || flue_peer_copied(size));
    peers!(
        row,
        turns,
        [Std, Crossbeam, Flume, Kanal, Tokio, SegQueue, ArrayQueue, Rtrb],
        owned(size)
    )
}

/// 16 bytes through Flue.
pub fn flue_small() -> Window {
    Box::new(|turns| {
        let mut pair = ours::Pair::new();
        warm_turns(turns, || {
            pair.send(&black_box([7; 16]), &[]);
            assert!(ours::receive(&mut pair.receiver.mailbox, read_16));
        })
    })
}

/// 16 bytes through flue 0.2.2.
pub fn flue_peer_small() -> Window {
    let pair = theirs::Pair::new();
    Box::new(move |turns| {
        warm_turns(turns, || {
            pair.sender.send(pair.to, &black_box([7; 16]), &[]);
            assert!(pair.receiver.receive(read_16));
        })
    })
}

/// 16 bytes through a channel.
pub fn small_by<C: Channel>() -> Window {
    Box::new(|turns| {
        let (mut sender, mut receiver) = C::open::<[u8; 16]>();
        warm_turns(turns, || {
            C::send(&mut sender, black_box([7; 16]));
            read_16(&C::try_recv(&mut receiver).expect("it was just sent"));
        })
    })
}

/// `size` bytes by reference through Flue.
pub fn flue_copied(size: usize) -> Window {
    let data = vec![7; size];
    Box::new(move |turns| {
        let mut pair = ours::Pair::new();
        warm_turns(turns, || {
            pair.send(black_box(&data), &[]);
            assert!(ours::receive(&mut pair.receiver.mailbox, read_ends));
        })
    })
}

/// `size` bytes by reference through flue 0.2.2.
fn flue_peer_copied(size: usize) -> Window {
    let (data, pair) = (vec![7; size], theirs::Pair::new());
    Box::new(move |turns| {
        warm_turns(turns, || {
            pair.sender.send(pair.to, black_box(&data), &[]);
            assert!(pair.receiver.receive(read_ends));
        })
    })
}

/// A copy of `size` bytes through a channel.
fn copied<C: Channel>(size: usize) -> Window {
    let data = vec![7; size];
    Box::new(move |turns| {
        let (mut sender, mut receiver) = C::open::<Vec<u8>>();
        warm_turns(turns, || {
            C::send(&mut sender, black_box(&data).clone());
            read_ends(&C::try_recv(&mut receiver).expect("it was just sent"));
        })
    })
}

/// One and the same `Vec` to and fro through Flue.
fn flue_owned(size: usize) -> Window {
    let mut data = vec![7; size];
    Box::new(move |turns| {
        let mut pair = ours::Pair::new();
        warm_turns(turns, || {
            let payload = Payload::from(std::mem::take(&mut data));
            pair.sender
                .table
                .send_payload(pair.to, payload, &[])
                .expect("the mailbox is open and has room");
            let Ok(Signal::Message(message)) = pair.receiver.mailbox.try_recv() else {
                unreachable!("it was just sent")
            };
            data = message.into_payload().try_into_vec().expect("it was a Vec");
            read_ends(&data);
        })
    })
}

/// One and the same `Vec` to and fro through a channel.
fn owned<C: Channel>(size: usize) -> Window {
    let mut data = vec![7; size];
    Box::new(move |turns| {
        let (mut sender, mut receiver) = C::open::<Vec<u8>>();
        warm_turns(turns, || {
            C::send(&mut sender, std::mem::take(&mut data));
            data = C::try_recv(&mut receiver).expect("it was just sent");
            read_ends(&data);
        })
    })
}

/// 16 bytes and `count` capabilities that the receiver holds already, or does not, through Flue.
fn flue_capabilities(count: usize, known: bool) -> Window {
    Box::new(move |turns| {
        let office = flue_core::PostOffice::new();
        let mut pair = ours::Pair::within(&office);
        let others: Vec<_> = (0..count).map(|_| ours::Process::new(&office)).collect();
        let attach: Vec<_> = others
            .iter()
            .map(|other| pair.sender.granted(&other.mailbox, Permissions::SEND))
            .collect();
        if known {
            for other in &others {
                pair.receiver.granted(&other.mailbox, Permissions::SEND);
            }
        }
        warm_turns(turns, || {
            pair.send(&black_box([7; 16]), &attach);
            let Ok(Signal::Message(message)) = pair.receiver.mailbox.try_recv() else {
                unreachable!("it was just sent")
            };
            read_16(message.data());
            black_box(message.handles());
        })
    })
}

/// The same through flue 0.2.2.
fn flue_peer_capabilities(count: usize, known: bool) -> Window {
    let office = flue_peer::PostOffice::new();
    let (sender, receiver) = (theirs::Process::new(&office), theirs::Process::new(&office));
    let to = sender.granted(&receiver.mailbox, flue_peer::Permissions::SEND);
    let others: Vec<_> = (0..count).map(|_| theirs::Process::new(&office)).collect();
    let attach: Vec<_> = others
        .iter()
        .map(|other| sender.granted(&other.mailbox, flue_peer::Permissions::SEND))
        .collect();
    if known {
        for other in &others {
            receiver.granted(&other.mailbox, flue_peer::Permissions::SEND);
        }
    }
    Box::new(move |turns| {
        let _alive = &others;
        warm_turns(turns, || {
            sender.send(to, &black_box([7; 16]), &attach);
            assert!(receiver.receive(read_16));
        })
    })
}

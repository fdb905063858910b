//! One process sends to very many, then each of them receives: both halves timed by themselves.

use super::{MANY, read_16, timed};
use crate::measure::{FLUE, Row, Window};
use crate::ours;
use crate::peers::*;
use crate::{peers, theirs};
use flue_core::{Handle, Permissions, PostOffice};
use std::hint::black_box;
use std::time::Duration;

/// Which half is timed.
#[derive(Clone, Copy)]
enum Half {
    Send,
    Drain,
}

/// The family's rows.
pub fn rows() -> Vec<Row> {
    let half = |name: &str, half| {
        let row = Row::timed(name)
            .per(MANY as u64)
            .turns(FLUE, move || flue(half))
            .turns(theirs::NAME, move || flue_peer(half));
        peers!(row, turns, [Std, Crossbeam, Flume, Kanal, Tokio, SegQueue], fan_out_by(half))
    };
    vec![
        half("fan-out/10,000 routes, send", Half::Send).target(Std::NAME, 0.8, 0.5),
        half("fan-out/10,000 routes, drain", Half::Drain).target(Std::NAME, 0.5, 0.2),
    ]
}

/// Sends to all and receives from all, `turns` times and once before, and times one half.
fn halves(turns: u64, half: Half, mut send: impl FnMut(), mut drain: impl FnMut()) -> Duration {
    send();
    drain();
    (0..turns)
        .map(|_| {
            let (sending, draining) = (timed(1, &mut send), timed(1, &mut drain));
            match half {
                Half::Send => sending,
                Half::Drain => draining,
            }
        })
        .sum()
}

fn flue(half: Half) -> Window {
    let office = PostOffice::new();
    let (sender, receiver) = (ours::Process::new(&office), ours::Process::new(&office));
    let mut mailboxes = receiver.crowd(MANY);
    let handles: Vec<Handle> =
        mailboxes.iter().map(|mailbox| sender.granted(mailbox, Permissions::SEND)).collect();
    Box::new(move |turns| {
        let _alive = &receiver;
        let send = || {
            for &to in &handles {
                sender.table.send(to, &black_box([7; 16]), &[]).expect("room for one");
            }
        };
        let drain = || {
            for mailbox in &mut mailboxes {
                assert!(ours::receive(mailbox, read_16));
            }
        };
        halves(turns, half, send, drain)
    })
}

fn flue_peer(half: Half) -> Window {
    let office = flue_peer::PostOffice::new();
    let (sender, receiver) = (theirs::Process::new(&office), theirs::Process::new(&office));
    let mailboxes: Vec<_> =
        (0..MANY).map(|_| receiver.group.create_mailbox().expect("the group is alive")).collect();
    let handles: Vec<_> = mailboxes
        .iter()
        .map(|mailbox| sender.granted(mailbox, flue_peer::Permissions::SEND))
        .collect();
    Box::new(move |turns| {
        let send = || {
            for &to in &handles {
                sender.send(to, &black_box([7; 16]), &[]);
            }
        };
        let drain = || {
            for mailbox in &mailboxes {
                assert!(theirs::receive(receiver.table, mailbox, read_16));
            }
        };
        halves(turns, half, send, drain)
    })
}

fn fan_out_by<C: Channel>(half: Half) -> Window {
    let (mut senders, mut receivers): (Vec<_>, Vec<_>) =
        (0..MANY).map(|_| C::open::<[u8; 16]>()).unzip();
    Box::new(move |turns| {
        let send = || {
            for sender in &mut senders {
                C::send(sender, black_box([7; 16]));
            }
        };
        let drain = || {
            for receiver in &mut receivers {
                read_16(&C::try_recv(receiver).expect("it was just sent"));
            }
        };
        halves(turns, half, send, drain)
    })
}

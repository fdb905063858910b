//! Several senders on other cores, one receiver that spins on this one: either it looks all the time,
//! or it backs off while it finds nothing.

use super::read_16;
use crate::cores::{Cores, Idle};
use crate::measure::{FLUE, Row, Window};
use crate::ours;
use crate::peers::*;
use crate::{peers, theirs};
use flue_core::{Permissions, PostOffice};
use std::hint::black_box;

/// The family's rows.
pub fn rows(cores: &'static Cores) -> Vec<Row> {
    let row = |idle| [1, 2, 8].map(|senders| row(cores, idle, senders));
    [Idle::Looking, Idle::BackingOff].into_iter().flat_map(row).collect()
}

fn row(cores: &'static Cores, idle: Idle, senders: usize) -> Row {
    let how = if idle == Idle::BackingOff { ", backing off" } else { "" };
    let row = Row::timed(format!("fan-in/{senders} -> 1{how}"))
        .across(FLUE, move || flue(cores, idle, senders))
        .across(theirs::NAME, move || flue_peer(cores, idle, senders));
    let row = peers!(
        row,
        across,
        [Std, Crossbeam, Flume, Kanal, Tokio, SegQueue, ArrayQueue],
        fan_in_by(cores, idle, senders)
    );
    match senders {
        1 => row
            .across(Rtrb::NAME, move || one_by_rtrb(cores, idle))
            .target(Std::NAME, 0.8, 0.5)
            .must(theirs::NAME, 1.0 / 6.0),
        2 => row.target(Std::NAME, 0.8, 0.5),
        _ => row.target(Std::NAME, 1.1, 0.6),
    }
}

/// What each of `senders` sends of `turns` messages.
fn share(turns: u64, senders: usize) -> u64 {
    turns.div_ceil(senders as u64)
}

/// Every sender is a process of its own, through Flue.
pub fn flue(cores: &'static Cores, idle: Idle, senders: usize) -> Window {
    let office = PostOffice::new();
    let mut receiver = ours::Process::new(&office);
    let processes: Vec<_> = (0..senders)
        .map(|_| {
            let process = ours::Process::new(&office);
            let to = process.granted(&receiver.mailbox, Permissions::SEND);
            (process, to)
        })
        .collect();
    Box::new(move |turns| {
        cores.fan_in(
            idle,
            processes.iter().map(|(process, to)| (&process.table, *to)).collect(),
            share(turns, senders),
            |(table, to)| table.send(*to, &black_box([7; 16]), &[]).expect("the mailbox has room"),
            || ours::receive(&mut receiver.mailbox, read_16),
        )
    })
}

/// The same through flue 0.2.2.
pub fn flue_peer(cores: &'static Cores, idle: Idle, senders: usize) -> Window {
    let office = flue_peer::PostOffice::new();
    let receiver = theirs::Process::new(&office);
    let processes: Vec<_> = (0..senders)
        .map(|_| {
            let process = theirs::Process::new(&office);
            let to = process.granted(&receiver.mailbox, flue_peer::Permissions::SEND);
            (process, to)
        })
        .collect();
    Box::new(move |turns| {
        cores.fan_in(
            idle,
            processes.iter().collect(),
            share(turns, senders),
            |(process, to)| process.send(*to, &black_box([7; 16]), &[]),
            || receiver.receive(read_16),
        )
    })
}

/// Every sender has its own clone of the channel's.
pub fn fan_in_by<C: Shared>(cores: &'static Cores, idle: Idle, senders: usize) -> Window {
    Box::new(move |turns| {
        let (sender, receiver) = C::open::<[u8; 16]>();
        let senders: Vec<_> = (0..senders).map(|_| C::share(&sender)).collect();
        into_one::<C>(cores, idle, senders, receiver, turns)
    })
}

fn one_by_rtrb(cores: &'static Cores, idle: Idle) -> Window {
    Box::new(move |turns| {
        let (sender, receiver) = Rtrb::open::<[u8; 16]>();
        into_one::<Rtrb>(cores, idle, vec![sender], receiver, turns)
    })
}

fn into_one<C: Channel>(
    cores: &Cores,
    idle: Idle,
    senders: Vec<C::Sender<[u8; 16]>>,
    mut receiver: C::Receiver<[u8; 16]>,
    turns: u64,
) -> std::time::Duration {
    let each = share(turns, senders.len());
    cores.fan_in(
        idle,
        senders,
        each,
        |sender| C::send(sender, black_box([7; 16])),
        || C::try_recv(&mut receiver).inspect(|item| read_16(item)).is_some(),
    )
}

//! A micro:bit: its timer interrupts the main program at ever other places, sends to it and to processes that come
//! and go, while the main program links, watches and kills them.
#![no_std]
#![no_main]

mod timer;

use core::cell::RefCell;

use common::process::{EVERYTHING, Process, own_handles};
use common::{machine, println, tour};
use cortex_m::interrupt::Mutex;
use flue_core::{
    DownReason, Handle, Permissions, SendError, Signal, StaticPostOffice, Table, TryRecvError,
};

common::report_panics!();

/// Processes that live and die.
const ROUNDS: u32 = 2_000;

static OFFICE: StaticPostOffice<5, 14, 14> = StaticPostOffice::with_limits(own_handles(8));

/// The interrupt handler's side: its table, and whom it sends to.
struct Sender {
    table: Table,
    to_main: Handle,
    victim: Option<Handle>,
    /// Messages that the main program's mailbox accepted, and refused.
    sent: u32,
    refused: u32,
    interrupts: u32,
}

static SENDER: Mutex<RefCell<Option<Sender>>> = Mutex::new(RefCell::new(None));

/// Looks at the handler's side, with the handler kept out.
fn with_sender<R>(look: impl FnOnce(&mut Sender) -> R) -> R {
    cortex_m::interrupt::free(|free| look(SENDER.borrow(free).borrow_mut().as_mut().unwrap()))
}

/// Called by the timer's interrupt.
fn tick() {
    with_sender(|sender| {
        sender.interrupts += 1;
        match sender.table.send(
            sender.to_main,
            &sender.sent.to_le_bytes(),
            &[sender.to_main],
        ) {
            Ok(()) => sender.sent += 1,
            Err(SendError::Full) => sender.refused += 1,
            Err(error) => panic!("send: {error}"),
        }
        if let Some(victim) = sender.victim {
            let result = sender.table.send(victim, b"tick", &[]);
            assert!(matches!(
                result,
                Ok(()) | Err(SendError::Full | SendError::Closed)
            ));
        }
    });
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let office = OFFICE.office();
    let totals = tour::run(&office);
    println!("tour: {} messages, {} downs", totals.messages, totals.downs);

    let mut process = Process::new(&office, 4, 4).unwrap();
    let interrupt = office.create_group().unwrap();
    let table = interrupt.create_table().unwrap();
    let to_main = table
        .insert(&process.mailbox.capability(Permissions::SEND))
        .unwrap();
    let sender = Sender {
        table,
        to_main,
        victim: None,
        sent: 0,
        refused: 0,
        interrupts: 0,
    };
    cortex_m::interrupt::free(|free| *SENDER.borrow(free).borrow_mut() = Some(sender));
    timer::start();

    let mut received = 0;
    for round in 0..ROUNDS {
        let victim = Process::new(&office, 2, 1).unwrap();
        let handle = process.meet(&victim, EVERYTHING);
        with_sender(|sender| {
            sender.victim = Some(
                sender
                    .table
                    .insert(&victim.mailbox.capability(Permissions::SEND))
                    .unwrap(),
            )
        });
        let companion = office.create_group().unwrap();
        process.table.link(handle, &companion).unwrap();
        let monitor = process.table.monitor(handle, &process.mailbox).unwrap();
        assert!(receive(&mut process, &mut received).is_none());

        if round % 2 == 0 {
            process.table.kill(handle).unwrap();
            assert!(victim.group.is_dead());
        } else {
            companion.kill();
            assert!(victim.group.is_dead(), "the link works both ways");
        }
        assert_eq!(
            receive(&mut process, &mut received),
            Some((monitor, DownReason::Killed))
        );
        assert!(receive(&mut process, &mut received).is_none());
        with_sender(|sender| sender.table.release(sender.victim.take().unwrap()).unwrap());
        process.table.release(handle).unwrap();
    }
    timer::stop();
    assert!(receive(&mut process, &mut received).is_none());
    assert_eq!(process.table.len(), 0);

    let (sent, refused, interrupts) =
        with_sender(|sender| (sender.sent, sender.refused, sender.interrupts));
    println!(
        "{interrupts} interrupts sent {received} messages, {refused} were refused; {ROUNDS} processes killed"
    );
    assert_eq!(sent, received);
    assert!(interrupts >= ROUNDS);
    machine::exit(0)
}

/// Receives all messages up to a down; each must be the next.
fn receive(
    process: &mut Process,
    received: &mut u32,
) -> Option<(flue_core::MonitorId, DownReason)> {
    loop {
        match process.mailbox.try_recv() {
            Ok(Signal::Message(message)) => {
                assert_eq!(
                    message.data(),
                    received.to_le_bytes(),
                    "lost, doubled or reordered"
                );
                *received += 1;
            }
            Ok(Signal::Down(down)) => return Some((down.monitor(), down.reason())),
            Err(TryRecvError::Empty) => return None,
            _ => unreachable!(),
        }
    }
}

//! An interrupt feeds a worker, the worker feeds the main task, each awaiting its mailbox. A helper is linked to the
//! worker and the main task watches it: when the worker is killed, the helper's task ends too, the main task is told,
//! and the interrupt is refused.
#![no_std]
#![no_main]

use core::cell::RefCell;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU32, Ordering};

use common::process::{EVERYTHING, Process, own_handles};
use common::{machine, println, tour};
use cortex_m::interrupt::Mutex;
use cortex_m::peripheral::syst::SystClkSource;
use embassy_executor::Spawner;
use flue_core::{
    DownReason, Handle, Permissions, SendError, SendWait, Signal, StaticPostOffice, Table,
};

common::report_panics!();

const MESSAGES: u32 = 10_000;
/// Ticks between two interrupts.
const PERIOD: u32 = 2_500;

static TOUR: tour::Office = tour::storage();
static OFFICE: StaticPostOffice<4, 16, 24> = StaticPostOffice::with_limits(own_handles(12));

/// The interrupt handler's side.
struct Feeder {
    table: Table,
    to_worker: Handle,
    number: u32,
}

static FEEDER: Mutex<RefCell<Option<Feeder>>> = Mutex::new(RefCell::new(None));
/// Sends the interrupt made in vain after the worker's death.
static REFUSED: AtomicU32 = AtomicU32::new(0);
/// Tasks that ended because their process was killed.
static ENDED: AtomicU32 = AtomicU32::new(0);

#[cortex_m_rt::exception]
fn SysTick() {
    cortex_m::interrupt::free(|free| {
        let mut feeder = FEEDER.borrow(free).borrow_mut();
        let Feeder {
            table,
            to_worker,
            number,
        } = feeder.as_mut().unwrap();
        match table.send(*to_worker, &number.to_le_bytes(), &[]) {
            Ok(()) => *number += 1,
            Err(SendError::Full) => {}
            Err(SendError::Closed) => {
                REFUSED.store(REFUSED.load(Ordering::Relaxed) + 1, Ordering::Relaxed)
            }
            Err(error) => panic!("send: {error}"),
        }
    });
}

/// Doubles what it is sent, and waits while the main task's mailbox is full.
#[embassy_executor::task]
async fn worker(mut process: Process, to_main: Handle) {
    while let Ok(signal) = process.mailbox.recv_async().await {
        let Signal::Message(message) = signal else {
            unreachable!()
        };
        let doubled = 2 * u32::from_le_bytes(message.data().try_into().unwrap());
        drop(message);
        let mut wait = SendWait::default();
        let table = &process.table;
        let data = doubled.to_le_bytes();
        match poll_fn(|context| table.poll_send(context, &mut wait, to_main, &data, &[])).await {
            Ok(()) => {}
            Err(SendError::Dead) => break,
            Err(error) => panic!("send: {error}"),
        }
    }
    ENDED.store(ENDED.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Waits for a message that never comes.
#[embassy_executor::task]
async fn helper(mut process: Process) {
    assert!(process.mailbox.recv_async().await.is_err());
    ENDED.store(ENDED.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let totals = tour::run(&TOUR.office());
    println!("tour: {} messages, {} downs", totals.messages, totals.downs);

    let office = OFFICE.office();
    let mut process = Process::new(&office, 2, 1).unwrap();
    let feeding = office.create_group().unwrap();
    let working = Process::new(&office, 8, 1).unwrap();
    let helping = Process::new(&office, 1, 1).unwrap();
    let to_main = working.meet(&process, Permissions::SEND);
    let to_worker = process.meet(&working, EVERYTHING);
    let to_helper = process.meet(&helping, Permissions::LINK);
    process.table.link(to_helper, &working.group).unwrap();
    let monitor = process.table.monitor(to_worker, &process.mailbox).unwrap();
    process.table.monitor(to_helper, &process.mailbox).unwrap();

    let table = feeding.create_table().unwrap();
    let to_worker_too = table
        .insert(&working.mailbox.capability(Permissions::SEND))
        .unwrap();
    let feeder = Feeder {
        table,
        to_worker: to_worker_too,
        number: 0,
    };
    cortex_m::interrupt::free(|free| *FEEDER.borrow(free).borrow_mut() = Some(feeder));
    let mut peripherals = cortex_m::Peripherals::take().unwrap();
    peripherals.SYST.set_clock_source(SystClkSource::Core);
    peripherals.SYST.set_reload(PERIOD);
    peripherals.SYST.clear_current();
    peripherals.SYST.enable_counter();
    peripherals.SYST.enable_interrupt();
    spawner.spawn(worker(working, to_main).unwrap());
    spawner.spawn(helper(helping).unwrap());

    for number in 0..MESSAGES {
        match process.mailbox.recv_async().await {
            Ok(Signal::Message(message)) => assert_eq!(message.data(), (2 * number).to_le_bytes()),
            _ => panic!("message {number}"),
        }
    }

    process.table.kill(to_worker).unwrap();
    let mut downs = 0;
    while downs < 2 {
        match process.mailbox.recv_async().await {
            // The worker's last words, accepted before its death.
            Ok(Signal::Message(_)) => assert_eq!(downs, 0),
            Ok(Signal::Down(down)) => {
                assert_eq!(down.reason(), DownReason::Killed);
                assert!(
                    downs == 1 || down.monitor() == monitor,
                    "the worker's down comes first"
                );
                downs += 1;
            }
            _ => panic!("the main task is not linked"),
        }
    }
    while ENDED.load(Ordering::Relaxed) < 2 || REFUSED.load(Ordering::Relaxed) < 2 {
        let_others_run().await;
    }
    println!(
        "{MESSAGES} messages from interrupt to task to task, in order; the worker's death ended both its tasks"
    );
    machine::exit(0)
}

/// Lets the other tasks run.
async fn let_others_run() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return core::task::Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        core::task::Poll::Pending
    })
    .await
}

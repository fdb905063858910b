//! The smallest useful image: `common::exchange` and nothing else. Its size is the figure.
#![no_std]
#![no_main]

use common::exchange;
use common::machine::{PANICKED, exit};

static OFFICE: exchange::Office = exchange::storage();

/// Without formatting, which would be most of the image.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    exit(PANICKED)
}

#[cortex_m_rt::entry]
fn main() -> ! {
    exit(exchange::run(&OFFICE.office(), 100).map_or(1, |()| 0))
}

//! 4 harts, one office: see `common::smp`.
#![no_std]
#![no_main]

use common::machine::exit;
use common::smp;
use kernel_riscv64::{nanoseconds, park};

#[unsafe(no_mangle)]
extern "C" fn hart_main(hart: usize) -> ! {
    if hart >= smp::CPUS {
        park();
    }
    #[cfg(feature = "heap")]
    if hart == 0 {
        unsafe extern "C" {
            static mut __heap_start: u8;
            static mut __heap_end: u8;
        }
        // SAFETY: the linker script leaves this memory to the heap; hart 0 alone runs this, and nobody allocates before
        // it passes the barrier in `smp::run`.
        unsafe { common::heap::init(&raw mut __heap_start, &raw mut __heap_end) }
    }
    smp::run(hart, nanoseconds);
    if hart == 0 {
        exit(0);
    }
    park()
}

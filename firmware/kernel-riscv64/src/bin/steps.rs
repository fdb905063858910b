//! The instructions of every operation on riscv64: `minstret`, in a machine whose time is instructions.
#![no_std]
#![no_main]

use common::figures;
use common::machine::exit;
use common::steps::{self, Counter};
use kernel_riscv64::{instructions, park};

static STORAGE: steps::Office = steps::storage();

struct Retired;

impl Counter for Retired {
    #[inline(never)]
    fn count(&mut self, operation: &mut dyn FnMut()) -> u32 {
        let before = instructions();
        operation();
        (instructions() - before) as u32
    }
}

#[unsafe(no_mangle)]
extern "C" fn hart_main(hart: usize) -> ! {
    if hart != 0 {
        park();
    }
    let is_flat = steps::run(&STORAGE.office(), &mut Retired, steps::ROUNDS, 8);
    assert!(is_flat, "sends and receives take more in a crowd");
    figures::sizes();
    exit(0)
}

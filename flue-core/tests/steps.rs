//! The atomic steps of every operation when nobody interferes, counted by
//! running it one instruction at a time: the table in `docs/embedding.md`.
//!
//! A step is an instruction that locks its cache line, or a full fence. The
//! operations are those whose instructions the bare-metal images count.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod guide;
#[path = "../../firmware/common/src/process.rs"]
#[allow(dead_code, reason = "the images use more of it")]
mod process;
mod single_step;
#[path = "../../firmware/common/src/steps.rs"]
#[allow(dead_code, reason = "the images use more of it")]
mod steps;
#[path = "../../firmware/common/src/wake.rs"]
#[allow(dead_code, reason = "the images use more of it")]
mod wake;

use steps::Counter;

mod figures {
    use std::sync::Mutex;

    /// What was counted, in order.
    pub static COUNTED: Mutex<Vec<(String, u32)>> = Mutex::new(Vec::new());

    /// Notes a figure.
    pub fn figure(name: &str, value: u32) {
        COUNTED.lock().unwrap().push((name.into(), value));
    }
}

/// A trap takes long.
const ROUNDS: u32 = 16;

struct SingleStep;

impl Counter for SingleStep {
    fn count(&mut self, operation: &mut dyn FnMut()) -> u32 {
        single_step::count(operation).steps
    }
}

#[test]
fn steps_are_as_documented() {
    #[cfg(feature = "alloc")]
    let office = flue_core::PostOffice::new();
    #[cfg(not(feature = "alloc"))]
    let office = {
        static STORAGE: steps::Office = steps::storage();
        STORAGE.office()
    };
    let _ = steps::run(&office, &mut SingleStep, ROUNDS, 8);
    let counted = figures::COUNTED.lock().unwrap().clone();
    for (name, steps) in &counted {
        println!("{steps:5}  {name}");
    }
    let column = 1 + usize::from(cfg!(feature = "alloc")) + usize::from(cfg!(feature = "std"));
    guide::compare("steps", column, &counted);
}

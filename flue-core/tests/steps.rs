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
#[path = "../../firmware/common/src/steps.rs"]
#[allow(dead_code, reason = "the images use more of it")]
mod steps;
#[path = "../../firmware/common/src/wake.rs"]
#[allow(dead_code, reason = "the images use more of it")]
mod wake;

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
    fence,
};
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

/// Steps of the operation under way.
static STEPS: AtomicU32 = AtomicU32::new(0);

/// Whether the instruction at `pc` is a step.
///
/// # Safety
/// - `pc` is the address of an instruction.
unsafe fn is_step(mut pc: *const u8) -> bool {
    // SAFETY: an instruction has no more prefixes than bytes.
    unsafe {
        while matches!(*pc, 0x66 | 0x67 | 0xf2 | 0xf3 | 0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65) {
            pc = pc.add(1);
        }
        if *pc == 0xf0 {
            return true; // lock
        }
        if matches!(*pc, 0x40..=0x4f) {
            pc = pc.add(1);
        }
        let is_memory = |modes: u8| modes >> 6 != 3;
        match *pc {
            0x86 | 0x87 => is_memory(*pc.add(1)), // xchg, which locks
            0x0f => *pc.add(1) == 0xae && *pc.add(2) == 0xf0, // mfence
            _ => false,
        }
    }
}

/// Called before each instruction.
extern "C" fn trapped(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel's context of the interrupted instruction.
    let is_step = unsafe {
        let context = &*context.cast::<libc::ucontext_t>();
        is_step(context.uc_mcontext.gregs[libc::REG_RIP as usize] as *const u8)
    };
    STEPS.fetch_add(u32::from(is_step), Relaxed);
}

/// The processor's trap flag.
const TRAP: u64 = 1 << 8;

/// A trap takes long.
const ROUNDS: u32 = 16;

struct SingleStep;

impl Counter for SingleStep {
    #[inline(never)]
    fn count(&mut self, operation: &mut dyn FnMut()) -> u32 {
        STEPS.store(0, Relaxed);
        // SAFETY: sets and clears the trap flag, whose signal is handled; the
        // red zone is stepped over.
        unsafe {
            std::arch::asm!("lea rsp, [rsp - 128]", "pushfq", "or qword ptr [rsp], {flag}", "popfq", "lea rsp, [rsp + 128]", flag = const TRAP);
            operation();
            std::arch::asm!("lea rsp, [rsp - 128]", "pushfq", "and qword ptr [rsp], {flag}", "popfq", "lea rsp, [rsp + 128]", flag = const !TRAP as i32);
        }
        STEPS.load(Relaxed)
    }
}

#[test]
fn steps_are_as_documented() {
    // SAFETY: the handler only reads the context and counts.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = trapped as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        assert_eq!(libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut()), 0);
    }
    static CONTROL: AtomicU32 = AtomicU32::new(0);
    let swap = &mut || assert_eq!(CONTROL.swap(1, Relaxed), 0);
    assert_eq!(SingleStep.count(swap), 1, "an exchange");
    let step = &mut || assert!(CONTROL.compare_exchange(1, 2, Relaxed, Relaxed).is_ok());
    assert_eq!(SingleStep.count(step), 1, "a comparison and exchange");
    assert_eq!(SingleStep.count(&mut || fence(SeqCst)), 1, "a fence");
    assert_eq!(SingleStep.count(&mut || CONTROL.store(CONTROL.load(SeqCst), Relaxed)), 0);

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

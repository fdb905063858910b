//! Counts what an operation does, by running it one instruction at a time: the
//! processor's trap flag raises a signal before each. x86-64 Linux only.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What an operation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Did {
    pub instructions: u64,
    /// Instructions that lock their cache line, and full fences.
    pub steps: u32,
}

static INSTRUCTIONS: AtomicU64 = AtomicU64::new(0);
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
    INSTRUCTIONS.fetch_add(1, Relaxed);
    STEPS.fetch_add(u32::from(is_step), Relaxed);
}

/// The processor's trap flag.
const TRAP: u64 = 1 << 8;

/// Runs `operation`, counting. One at a time in a process.
#[inline(never)]
fn run(operation: &mut dyn FnMut()) -> Did {
    INSTRUCTIONS.store(0, Relaxed);
    STEPS.store(0, Relaxed);
    // SAFETY: sets and clears the trap flag, whose signal is handled; what the
    // compiler keeps below the stack's top is stepped over.
    unsafe {
        std::arch::asm!(
            "lea rsp, [rsp - 128]", "pushfq", "or qword ptr [rsp], {flag}", "popfq", "lea rsp, [rsp + 128]",
            flag = const TRAP,
        );
        operation();
        std::arch::asm!(
            "lea rsp, [rsp - 128]", "pushfq", "and qword ptr [rsp], {flag}", "popfq", "lea rsp, [rsp + 128]",
            flag = const !TRAP as i32,
        );
    }
    Did { instructions: INSTRUCTIONS.load(Relaxed), steps: STEPS.load(Relaxed) }
}

/// What `operation` does, the call of it included.
pub fn count(operation: &mut dyn FnMut()) -> Did {
    static READY: Once = Once::new();
    READY.call_once(|| {
        // SAFETY: the handler only reads the context and counts.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = trapped as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
            assert_eq!(libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut()), 0);
        }
        is_counting();
    });
    run(operation)
}

/// A counter that counts nothing is noticed.
fn is_counting() {
    use std::sync::atomic::{Ordering::SeqCst, fence};
    static CONTROL: AtomicU32 = AtomicU32::new(0);
    let steps = |operation: &mut dyn FnMut()| run(operation).steps;
    assert_eq!(steps(&mut || assert_eq!(CONTROL.swap(1, Relaxed), 0)), 1, "an exchange");
    let step = &mut || assert!(CONTROL.compare_exchange(1, 2, Relaxed, Relaxed).is_ok());
    assert_eq!(steps(step), 1, "a comparison and exchange");
    assert_eq!(steps(&mut || fence(SeqCst)), 1, "a fence");
    assert_eq!(steps(&mut || CONTROL.store(CONTROL.load(SeqCst), Relaxed)), 0, "a load, a store");
    let stores = |count: u32| run(&mut || (0..count).for_each(|n| CONTROL.store(n, SeqCst)));
    let (few, many) = (stores(10), stores(110));
    assert_eq!(many.steps - few.steps, 100);
    let each = (many.instructions - few.instructions) as f64 / 100.0;
    assert!((1.0..20.0).contains(&each), "{each} instructions for a store in a loop");
}

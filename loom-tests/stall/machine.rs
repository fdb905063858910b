//! Stopping a program at every machine instruction of an operation (Linux, x86-64).
//!
//! The processor's trap flag makes every instruction end in a signal. In its
//! handler the process is forked: the child visits that one instruction, the
//! parent waits for it and goes on to the next. So an operation is stepped
//! through once, and each child begins in exactly the state between two of its
//! instructions.
//!
//! ```text
//!  main ─ fork ─► runner: set-up, act │ trap │ trap │ trap │ ... checks
//!                                     └► child  └► child  └► child: visit
//! ```
//!
//! A child that does not end is taken for blocked: it may use so much of the
//! processor, and then so much time, as `Patience` says.

use std::process::exit;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};

/// The processor's flag that traps after each instruction.
const TRAP_FLAG: i64 = 1 << 8;

/// Exit code of a child whose checks failed; see `report_failures`.
const WRONG: i32 = 1;
/// Exit code of a child that could not be started on its visit.
const BROKEN: i32 = 3;

/// How long a child may take until it counts as blocked, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Of the processor: for who spins.
    pub cpu: i64,
    /// By the clock: for who sleeps. Generous, for the machine may be busy.
    pub clock: i64,
}

/// Which instructions are visited, and how.
#[derive(Clone, Copy)]
pub struct Plan {
    /// What a child does at its instruction. If it returns, the operation goes on there.
    pub visit: fn(variant: u32),
    /// Every so many instructions one is visited, from `first` on.
    pub stride: u32,
    pub first: u32,
    /// Variants of a visit, if the operation has so many.
    pub variants: u32,
    pub patience: Patience,
}

/// What came of all children of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Instructions of the operation, the call and its return among them.
    pub instructions: u32,
    /// Children: an instruction visited in one variant.
    pub visits: u32,
    pub fine: u32,
    /// Did not end.
    pub blocked: u32,
    /// Ended with a failed check.
    pub wrong: u32,
    /// Killed by a signal, or worse.
    pub crashed: u32,
    /// The runner itself failed: the operation does not even work undisturbed.
    pub unrunnable: bool,
}

impl Tally {
    /// Whether every visit went well, and there were some.
    pub fn is_clean(&self) -> bool {
        self.visits > 0 && self.fine == self.visits && !self.unrunnable
    }
}

/// What runner and main process share.
#[derive(Default)]
struct Shared {
    instructions: AtomicU32,
    visits: AtomicU32,
    fine: AtomicU32,
    blocked: AtomicU32,
    wrong: AtomicU32,
    crashed: AtomicU32,
}

static SHARED: AtomicPtr<Shared> = AtomicPtr::new(std::ptr::null_mut());
static STRIDE: AtomicU32 = AtomicU32::new(1);
static FIRST: AtomicU32 = AtomicU32::new(0);
static VARIANTS: AtomicU32 = AtomicU32::new(1);
static MOST_VARIANTS: AtomicU32 = AtomicU32::new(1);
static VISIT: AtomicUsize = AtomicUsize::new(0);
static CPU: AtomicI32 = AtomicI32::new(0);
static CLOCK: AtomicI32 = AtomicI32::new(0);
/// Where this child is, for its messages.
static AT: AtomicU32 = AtomicU32::new(0);
static VARIANT: AtomicU32 = AtomicU32::new(0);
static IS_CHILD: AtomicBool = AtomicBool::new(false);

fn shared() -> &'static Shared {
    let mut page = SHARED.load(Relaxed);
    if page.is_null() {
        let size = size_of::<Shared>();
        let (access, sharing) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh mapping; nothing else is touched.
        let fresh = unsafe { libc::mmap(std::ptr::null_mut(), size, access, sharing, -1, 0) };
        assert!(fresh != libc::MAP_FAILED, "no shared page");
        page = fresh.cast();
        SHARED.store(page, Relaxed);
    }
    // SAFETY: mapped above for good, zero, and large enough; atomics only.
    unsafe { &*page }
}

/// Runs `body` in a process of its own, which calls `stepped` once, and counts
/// what came of the visits.
pub fn run(plan: Plan, body: impl FnOnce()) -> Tally {
    let counts = shared();
    for count in [
        &counts.instructions,
        &counts.visits,
        &counts.fine,
        &counts.blocked,
        &counts.wrong,
        &counts.crashed,
    ] {
        count.store(0, SeqCst);
    }
    STRIDE.store(plan.stride.max(1), Relaxed);
    FIRST.store(plan.first, Relaxed);
    VARIANTS.store(1, Relaxed);
    MOST_VARIANTS.store(plan.variants, Relaxed);
    VISIT.store(plan.visit as *const () as usize, Relaxed);
    CPU.store(plan.patience.cpu as i32, Relaxed);
    CLOCK.store(plan.patience.clock as i32, Relaxed);
    // SAFETY: this process has one thread; the child goes on in `body`.
    let runner = unsafe { libc::fork() };
    assert!(runner >= 0, "no process");
    if runner == 0 {
        body();
        exit(0);
    }
    let status = wait_for(runner);
    let get = |count: &AtomicU32| count.load(SeqCst);
    Tally {
        instructions: get(&counts.instructions),
        visits: get(&counts.visits),
        fine: get(&counts.fine),
        blocked: get(&counts.blocked),
        wrong: get(&counts.wrong),
        crashed: get(&counts.crashed),
        unrunnable: status != 0,
    }
}

/// In how many variants each instruction may be visited. Called before `stepped`.
pub fn set_variants(variants: u32) {
    VARIANTS.store(variants.min(MOST_VARIANTS.load(Relaxed)), Relaxed);
}

/// Runs `operation`, visiting its instructions.
#[inline(never)]
pub fn stepped(operation: &mut dyn FnMut()) {
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = trapped;
    // SAFETY: a zeroed `sigaction` is a valid one, and the handler has the
    // signature that `SA_SIGINFO` asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut());
    }
    set_trap_flag();
    operation();
    clear_trap_flag();
}

#[inline(never)]
fn set_trap_flag() {
    // SAFETY: changes the trap flag alone; what it pushes it pops.
    unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") }
}

#[inline(never)]
fn clear_trap_flag() {
    // SAFETY: as above.
    unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], -257", "popfq") }
}

/// Between two instructions.
extern "C" fn trapped(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let counts = shared();
    let at = counts.instructions.fetch_add(1, SeqCst);
    if at % STRIDE.load(Relaxed) != FIRST.load(Relaxed) % STRIDE.load(Relaxed) {
        return;
    }
    for variant in 0..VARIANTS.load(Relaxed) {
        // SAFETY: this process has one thread, and the child goes on in what
        // may be called in a signal handler that interrupted none of libc.
        let child = unsafe { libc::fork() };
        if child == 0 {
            AT.store(at, Relaxed);
            VARIANT.store(variant, Relaxed);
            IS_CHILD.store(true, Relaxed);
            // SAFETY: the handler was given the context of what it interrupted.
            let interrupted = unsafe { &mut *context.cast::<libc::ucontext_t>() };
            interrupted.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
            be_patient();
            // SAFETY: `run` stored a function of this type there.
            let visit: fn(u32) = unsafe { std::mem::transmute(VISIT.load(Relaxed)) };
            visit(variant);
            return;
        }
        let status = if child > 0 { wait_for(child) } else { BROKEN << 8 };
        let count = match () {
            () if status == 0 => &counts.fine,
            () if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == WRONG => &counts.wrong,
            () if libc::WIFSIGNALED(status)
                && matches!(libc::WTERMSIG(status), libc::SIGPROF | libc::SIGALRM) =>
            {
                &counts.blocked
            }
            () => &counts.crashed,
        };
        count.fetch_add(1, SeqCst);
        counts.visits.fetch_add(1, SeqCst);
    }
}

/// Whether this process is a child on its visit.
pub fn is_child() -> bool {
    IS_CHILD.load(Relaxed)
}

/// Ends a child: all is well.
pub fn well() -> ! {
    // SAFETY: ends the process; nothing is left to be flushed.
    unsafe { libc::_exit(0) }
}

fn wait_for(process: i32) -> i32 {
    let mut status = 0;
    // SAFETY: our own child, and a place for its status.
    while unsafe { libc::waitpid(process, &mut status, 0) } < 0 {}
    status
}

/// Sets the timers that end this process if it does not.
fn be_patient() {
    for (timer, milliseconds) in [(libc::ITIMER_PROF, &CPU), (libc::ITIMER_REAL, &CLOCK)] {
        let milliseconds = i64::from(milliseconds.load(Relaxed));
        let value =
            libc::timeval { tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000 };
        let never = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let once = libc::itimerval { it_interval: never, it_value: value };
        // SAFETY: sets a timer of this process whose signal, unhandled, ends it.
        unsafe { libc::setitimer(timer, &once, std::ptr::null_mut()) };
    }
}

/// Makes every panic end the process as wrong, and say nothing.
pub fn fail_silently() {
    // SAFETY: ends the process.
    std::panic::set_hook(Box::new(|_| unsafe { libc::_exit(WRONG) }));
}

/// Makes every panic say where the child was, and end the process as wrong.
pub fn report_failures() {
    std::panic::set_hook(Box::new(|panic| {
        let at = if is_child() {
            format!("instruction {}, variant {}", AT.load(Relaxed), VARIANT.load(Relaxed))
        } else {
            "undisturbed".into()
        };
        eprintln!("    {at}: {panic}");
        // SAFETY: ends the process.
        unsafe { libc::_exit(WRONG) }
    }));
}

/// Runs `body` on a second thread, for ever with this one: whoever calls this
/// does not go on.
pub fn leave_to_others(body: extern "C" fn(*mut libc::c_void) -> *mut libc::c_void) -> ! {
    // SAFETY: a thread without attributes and argument.
    let started = unsafe {
        let mut thread = std::mem::zeroed();
        libc::pthread_create(&mut thread, std::ptr::null(), body, std::ptr::null_mut())
    };
    if started != 0 {
        // SAFETY: ends the process.
        unsafe { libc::_exit(BROKEN) }
    }
    loop {
        // SAFETY: waits for a signal; the ones that come end the process.
        unsafe { libc::pause() };
    }
}

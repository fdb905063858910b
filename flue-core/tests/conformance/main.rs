//! A real post office answers as the executable specification does, whatever is asked of it.
//!
//! Random sequences of operations run on both in step; after each operation all that can be seen
//! of the two is compared. The limits are small, so that all of them are reached.
//!
//! - `FLUE_CASES`: how many sequences (256), `FLUE_OPS`: how long each is (200).
//! - `FLUE_SEED`: what the sequences are drawn from. It is fixed, so that a run means the same
//!   to everybody, and printed.
//!
//! A failure is shrunk to few operations and printed as the objects they had to do with;
//! with `FLUE_SHORTENS=0` it is only a failure, and soon.

mod offices;
mod op;
mod pair;
mod run;
mod signals;
mod strategies;
mod translate;

use core::any::Any;
use core::cell::RefCell;
use core::marker::PhantomData;
use core::panic::AssertUnwindSafe;
use std::panic;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use offices::{Build, Growing, Static};
use op::{Op, Setup};
use pair::Pair;

/// What operations may be asked for: always any, since each fits any state (see [`op`]). The
/// state that decides what they mean is the specification's, and runs in step with the office.
struct AnyOps;

impl ReferenceStateMachine for AnyOps {
    type State = Setup;
    type Transition = Op;

    fn init_state() -> BoxedStrategy<Setup> {
        strategies::setup()
    }

    fn transitions(_: &Setup) -> BoxedStrategy<Op> {
        thread_local!(static OPS: BoxedStrategy<Op> = strategies::op());
        OPS.with(Clone::clone)
    }

    fn apply(setup: Setup, _: &Op) -> Setup {
        setup
    }
}

struct Conformance<B>(PhantomData<B>);

impl<B: Build> StateMachineTest for Conformance<B> {
    type SystemUnderTest = Pair;
    type Reference = AnyOps;

    fn init_test(setup: &Setup) -> Pair {
        let [office, foreign] = B::offices(setup.limits);
        let pair = Pair::new(office, foreign, setup.limits, B::HANDLES);
        op::furnish(setup).iter().fold(pair, step::<B>)
    }

    fn apply(pair: Pair, _: &Setup, op: Op) -> Pair {
        step::<B>(pair, &op)
    }

    fn teardown(pair: Pair, _: Setup) {
        let log = [pair.log.as_slice(), &["and all was dropped".to_owned()]].concat();
        if let Err(failure) = panic::catch_unwind(AssertUnwindSafe(|| pair.finish())) {
            fail::<B>(log, failure);
        }
    }
}

fn step<B: Build>(mut pair: Pair, op: &Op) -> Pair {
    if let Err(failure) = panic::catch_unwind(AssertUnwindSafe(|| pair.step(op))) {
        let last = format!("and then, if that was not it: {op:?}");
        let log = [pair.log.as_slice(), &[last]].concat();
        core::mem::forget(pair); // Nothing is known of its state.
        fail::<B>(log, failure);
    }
    pair
}

fn fail<B: Build>(log: Vec<String>, failure: Box<dyn Any + Send>) -> ! {
    LOG_OF_FAILURE.set(log);
    B::abandon();
    panic::resume_unwind(failure)
}

thread_local! {
    /// What the latest failed sequence did: of the shrunk one, in the end.
    static LOG_OF_FAILURE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn from_env(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

fn conform<B: Build>() {
    let (cases, ops) = (from_env("FLUE_CASES", 256), from_env("FLUE_OPS", 200) as usize);
    let seed = from_env("FLUE_SEED", 0xF1E);
    let shortens = from_env("FLUE_SHORTENS", 1) == 1;
    eprintln!("{cases} sequences of {ops} operations, FLUE_SEED={seed}");
    let config = Config {
        cases: u32::try_from(cases).expect("FLUE_CASES"),
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: if shortens { 2_000 } else { 0 },
        ..Config::default()
    };
    panic::set_hook(Box::new(|_| {})); // Hundreds fail while one is shrunk; the last is reported.
    let sequences = AnyOps::sequential_strategy(ops..=ops);
    let result = TestRunner::new(config.clone()).run(&sequences, |(setup, ops, seen)| {
        Conformance::<B>::test_sequential(config.clone(), setup, ops, seen);
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("{reason}"),
        Err(TestError::Fail(_, (setup, ops, _))) => {
            if shortens {
                eprintln!("{}", shortest::<B>(setup, ops));
            }
            panic!("flue-core and the specification disagree, FLUE_SEED={seed}");
        }
    }
}

/// Leaves out of a failing sequence what it fails without, and says how the rest fails.
fn shortest<B: Build>(mut setup: Setup, mut ops: Vec<Op>) -> String {
    let mut report = run::<B>(setup, &ops).unwrap_or_else(|| "only once".to_owned());
    loop {
        let fewer = (0..setup.processes).map(|processes| Setup { processes, ..setup });
        for simpler in fewer.chain([Setup { chained: false, ..setup }]) {
            if let Some(failure) = run::<B>(simpler, &ops) {
                (setup, report) = (simpler, failure);
                break;
            }
        }
        let length = ops.len();
        for index in (0..length).rev() {
            let fewer = [&ops[..index], &ops[index + 1..]].concat();
            if let Some(failure) = run::<B>(setup, &fewer) {
                (ops, report) = (fewer, failure);
            }
        }
        if ops.len() == length {
            return report;
        }
    }
}

/// How a sequence fails, if it does.
fn run<B: Build>(setup: Setup, ops: &[Op]) -> Option<String> {
    let run = || Conformance::<B>::test_sequential(Config::default(), setup, ops.to_vec(), None);
    let panic = panic::catch_unwind(AssertUnwindSafe(run)).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(format!("{}, after\n{}", text.unwrap_or_default(), LOG_OF_FAILURE.take().join("\n")))
}

#[test]
fn a_growing_office_conforms() {
    conform::<Growing>();
}

#[test]
fn a_static_office_conforms() {
    conform::<Static>();
}

//! What the fuzz targets share. Bytes become operations ([`decode`]), of which each target has
//! its own selection ([`targets`]); these run on a post office and on the executable
//! specification in step, by the code of the conformance test.
//!
//! For one target the bytes are a program of several threads and a schedule of it: that is the
//! code of `loom-tests/shuttle`, in a build with `--cfg shuttle` and the feature.
//!
//! With `FLUE_TRACE` set, each operation is printed before it runs.

pub mod decode;
pub mod targets;
pub mod verbs;

#[path = "../../flue-core/tests/conformance/offices.rs"]
#[allow(dead_code, reason = "the conformance test alone starts anew after a failure")]
mod offices;
#[path = "../../flue-core/tests/conformance/op.rs"]
#[allow(dead_code, missing_docs, reason = "another package's, of which this uses a part")]
pub mod op;
#[path = "../../flue-core/tests/conformance/pair.rs"]
mod pair;
#[path = "../../flue-core/tests/conformance/run.rs"]
mod run;
#[path = "../../flue-core/tests/conformance/signals.rs"]
mod signals;
#[path = "../../flue-core/tests/conformance/translate.rs"]
mod translate;

#[cfg(all(shuttle, feature = "shuttle"))]
#[path = "../../loom-tests/shuttle/check.rs"]
#[allow(dead_code, missing_docs, reason = "another package's, of which this uses a part")]
mod check;
#[cfg(all(shuttle, feature = "shuttle"))]
mod interleave;
#[cfg(all(shuttle, feature = "shuttle"))]
#[path = "../../loom-tests/shuttle/office.rs"]
#[allow(dead_code, missing_docs, reason = "another package's, of which this uses a part")]
mod office;
#[cfg(all(shuttle, feature = "shuttle"))]
#[path = "../../loom-tests/shuttle/program.rs"]
#[allow(dead_code, missing_docs, reason = "another package's, of which this uses a part")]
mod program;
#[cfg(all(shuttle, feature = "shuttle"))]
#[path = "../../loom-tests/shuttle/schedule.rs"]
#[allow(dead_code, missing_docs, reason = "another package's, of which this uses a part")]
mod schedule;
#[cfg(all(shuttle, feature = "shuttle"))]
#[path = "../../loom-tests/shuttle/source.rs"]
#[allow(dead_code, missing_docs, reason = "another package's, of which this uses a part")]
mod source;

#[cfg(all(shuttle, feature = "shuttle"))]
pub use interleave::interleave;
use offices::{Build, Growing, Static};
use op::{Op, SMALL, Setup};
use pair::Pair;
use targets::Target;

/// More operations than this are not run: what they find, fewer find too.
const MOST_OPS: usize = 200;

/// Runs the operations that the bytes are, to `target`.
///
/// # Panics
/// If the office and the specification disagree.
pub fn run(target: &Target, bytes: &[u8]) {
    let mut bytes = decode::Bytes::new(bytes, target.manners);
    let Ok(setup) = (target.setup)(&mut bytes) else { return };
    // Storage that does not grow is there for one set of limits.
    let is_static = setup.limits == SMALL && bytes.one_in(3);
    if is_static {
        step_through::<Static>(setup, bytes, target);
    } else {
        step_through::<Growing>(setup, bytes, target);
    }
}

fn step_through<B: Build>(setup: Setup, mut bytes: decode::Bytes<'_>, target: &Target) {
    let [office, foreign] = B::offices(setup.limits);
    let mut pair = Pair::new(office, foreign, setup.limits, B::HANDLES);
    let trace = std::env::var_os("FLUE_TRACE").is_some();
    if trace {
        eprintln!("{setup:?}, storage for {:?} entries a table", B::HANDLES);
    }
    let mut step = |op: &Op| {
        let known = pair.log.len();
        if trace {
            eprintln!("{op:?}");
        }
        pair.step(op);
        if trace {
            pair.log[known..].iter().for_each(|line| eprintln!("    {line}"));
        }
    };
    op::furnish(&setup).iter().for_each(&mut step);
    let ops = std::iter::from_fn(|| bytes.op(target.verbs).ok()).take(MOST_OPS);
    ops.for_each(|op| step(&op));
    pair.finish();
}

//! The hot pairs of crossbeam's `ArrayQueue` alone in a binary.

use benches::cores::Idle;
use benches::lone;
use benches::peers::{ArrayQueue, Channel};
use benches::workload::{fan_in, send};

fn main() {
    lone::main(ArrayQueue::NAME, |cores| {
        vec![
            ("send/16 B", send::small_by::<ArrayQueue>()),
            ("fan-in/1 -> 1", fan_in::fan_in_by::<ArrayQueue>(cores, Idle::Looking, 1)),
        ]
    });
}

//! The hot pairs of `std::sync::mpsc` alone in a binary.

use benches::cores::Idle;
use benches::lone;
use benches::peers::{Channel, Std};
use benches::workload::{fan_in, send};

fn main() {
    lone::main(Std::NAME, |cores| {
        vec![
            ("send/16 B", send::small_by::<Std>()),
            ("fan-in/1 -> 1", fan_in::fan_in_by::<Std>(cores, Idle::Looking, 1)),
        ]
    });
}

//! Flue's hot pairs alone in a binary.

use benches::cores::Idle;
use benches::workload::{fan_in, send};
use benches::{lone, measure::FLUE};

fn main() {
    lone::main(FLUE, |cores| {
        vec![
            ("send/16 B", send::flue_small()),
            ("fan-in/1 -> 1", fan_in::flue(cores, Idle::Looking, 1)),
        ]
    });
}

//! The hot pairs of flue 0.2.2 alone in a binary.

use benches::cores::Idle;
use benches::workload::{fan_in, send};
use benches::{lone, theirs};

fn main() {
    let _context = theirs::runtime().enter();
    lone::main(theirs::NAME, |cores| {
        vec![
            ("send/16 B", send::flue_peer_small()),
            ("fan-in/1 -> 1", fan_in::flue_peer(cores, Idle::Looking, 1)),
        ]
    });
}

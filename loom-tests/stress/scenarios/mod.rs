//! What is done at full speed, and what must be so meanwhile and afterwards.

mod deaths;
mod lives;
mod memory;
mod queues;
mod sleep;
mod tables;

use crate::dice::Dice;
use flue_core::PostOffice;

/// One run of one scenario.
pub struct Run {
    pub office: PostOffice,
    pub seed: u64,
    /// How much is done: multiplies the counts.
    pub scale: u64,
}

impl Run {
    /// The dice of one of the run's threads.
    pub fn dice(&self, thread: usize) -> Dice {
        Dice::new(self.seed, thread)
    }
}

/// A scenario: its name, and what runs it and says how much was done.
pub struct Scenario {
    pub name: &'static str,
    pub run: fn(&Run) -> u64,
}

const fn scenario(name: &'static str, run: fn(&Run) -> u64) -> Scenario {
    Scenario { name, run }
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let parts = [
        queues::SCENARIOS,
        sleep::SCENARIOS,
        lives::SCENARIOS,
        deaths::SCENARIOS,
        tables::SCENARIOS,
        memory::SCENARIOS,
    ];
    parts.into_iter().flatten()
}

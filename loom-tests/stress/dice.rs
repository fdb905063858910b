//! Random numbers of which the seed is printed.

/// A generator (Marsaglia's xorshift, 64 bits).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a thread, in a run of this seed.
    pub fn new(seed: u64, thread: usize) -> Self {
        let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (thread as u64 + 1) << 32;
        let mut dice = Self(mixed | 1);
        for _ in 0..4 {
            dice.roll(2);
        }
        dice
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % sides
    }

    /// Whether a throw out of `sides` was the one that counts.
    pub fn hits(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

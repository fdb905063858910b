//! Where choices come from: numbers that a seed decides, or bytes.

/// A source of choices.
#[derive(Clone, Debug)]
pub enum Source {
    /// Numbers that look random, the same for the same seed.
    Dice(u64),
    /// One byte a choice; when there are none left, always the first one.
    Bytes(std::vec::IntoIter<u8>),
}

impl Source {
    /// Of a seed.
    pub fn seeded(seed: u64) -> Self {
        Self::Dice(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        match self {
            // SplitMix64 (Steele, Lea and Flood 2014): any seed is a good one.
            Self::Dice(state) => {
                *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut mixed = *state;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                ((mixed ^ (mixed >> 31)) % bound as u64) as usize
            }
            Self::Bytes(bytes) => usize::from(bytes.next().unwrap_or(0)) % bound,
        }
    }

    /// One of the weighted choices.
    pub fn weighted<T: Copy>(&mut self, choices: &[(usize, T)]) -> T {
        let mut at = self.below(choices.iter().map(|choice| choice.0).sum());
        for &(weight, choice) in choices {
            match at.checked_sub(weight) {
                Some(rest) => at = rest,
                None => return choice,
            }
        }
        unreachable!("below the sum of all weights")
    }
}

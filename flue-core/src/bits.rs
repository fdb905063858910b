//! Fields of a machine word, each placed relative to the one below it.
//!
//! A layout is a chain: [`Field::lowest`], then [`Field::above`] as often as
//! needed, then [`Field::rest`] for what remains. No shift and no mask is
//! written by hand, so fields cannot overlap and no bit goes unnamed.

/// Bits of a word that layouts use. `--cfg flue_word="32"` or `"16"` has a build
/// use fewer than there are: so the layouts of smaller machines, and words so
/// small that they come to their end, are tested on a large one.
pub(crate) const WORD: u32 = if cfg!(flue_word = "16") {
    16
} else if cfg!(flue_word = "32") {
    32
} else {
    usize::BITS
};

/// A run of bits in a `usize`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    shift: u32,
    width: u32,
}

impl Field {
    /// The `width` least significant bits.
    pub(crate) const fn lowest(width: u32) -> Self {
        assert!(width > 0 && width <= usize::BITS);
        Self { shift: 0, width }
    }

    /// The `width` bits directly above `below`.
    pub(crate) const fn above(below: Self, width: u32) -> Self {
        let shift = below.shift + below.width;
        assert!(width > 0 && shift + width <= usize::BITS);
        Self { shift, width }
    }

    /// Every bit above `below`.
    pub(crate) const fn rest(below: Self) -> Self {
        Self::above(below, WORD - below.shift - below.width)
    }

    /// All bits from those of `low` to those of `high`.
    pub(crate) const fn spanning(low: Self, high: Self) -> Self {
        assert!(low.shift <= high.shift);
        Self { shift: low.shift, width: high.shift + high.width - low.shift }
    }

    /// The greatest value this field holds.
    pub(crate) const fn max(self) -> usize {
        usize::MAX >> (usize::BITS - self.width)
    }

    /// The lowest bit of this field alone: what one more of it adds to a word.
    pub(crate) const fn one(self) -> usize {
        1 << self.shift
    }

    /// Reads this field of `word`.
    #[inline(always)]
    pub(crate) const fn get(self, word: usize) -> usize {
        (word >> self.shift) & self.max()
    }

    /// `word` with this field set to `value`, of which only what fits is kept.
    #[inline(always)]
    pub(crate) const fn set(self, word: usize, value: usize) -> usize {
        (word & !(self.max() << self.shift)) | ((value & self.max()) << self.shift)
    }

    /// `word` with this field advanced by one, wrapping within the field.
    #[inline(always)]
    pub(crate) const fn advance(self, word: usize) -> usize {
        self.set(word, self.get(word).wrapping_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: Field = Field::lowest(2);
    const MID: Field = Field::above(LOW, 8);
    const TOP: Field = Field::rest(MID);

    #[test]
    fn fields_tile_the_word() {
        let all = LOW.set(MID.set(TOP.set(0, TOP.max()), MID.max()), LOW.max());
        assert_eq!(all, usize::MAX >> (usize::BITS - WORD));
    }

    #[test]
    fn a_field_leaves_its_neighbours_alone() {
        let word = MID.set(usize::MAX, 0);
        assert_eq!((LOW.get(word), MID.get(word)), (LOW.max(), 0));
        assert_eq!(TOP.get(word), TOP.max());
    }

    #[test]
    fn advancing_wraps_within_the_field() {
        let word = MID.set(0, MID.max());
        assert_eq!(MID.advance(word), 0);
        assert_eq!(TOP.get(TOP.advance(usize::MAX)), 0);
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        assert_eq!(LOW.set(0, LOW.max() + 1), 0);
    }
}

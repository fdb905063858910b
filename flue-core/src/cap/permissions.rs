//! What a capability permits.

bitflags::bitflags! {
    /// What the holder of a capability may do to its route.
    ///
    /// Permissions are only ever taken away: a capability comes from one with
    /// the same or more of them (rule P2). There are three; `LINK` is the name
    /// of `MONITOR` and `KILL` together, for a link watches and kills (rule P1).
    ///
    /// A value that came from untrusted code enters through
    /// [`from_bits`](Self::from_bits), which refuses unknown bits.
    ///
    /// ```
    /// use flue_core::Permissions;
    ///
    /// assert_eq!(Permissions::LINK, Permissions::MONITOR | Permissions::KILL);
    /// assert!(!(Permissions::SEND | Permissions::MONITOR).contains(Permissions::LINK));
    /// assert_eq!(Permissions::from_bits(1 << 7), None);
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Permissions: u32 {
        /// Send messages to the route.
        const SEND = 1 << 0;
        /// Be told when the route is over.
        const MONITOR = 1 << 1;
        /// Kill the route's group.
        const KILL = 1 << 2;
        /// Tie the fate of a group of one's own to that of the route's group.
        const LINK = Self::MONITOR.bits() | Self::KILL.bits();
    }
}

impl Permissions {
    /// Whether a bit is set that stands for nothing.
    pub(crate) fn has_unknown(self) -> bool {
        self.bits() & !Self::all().bits() != 0
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Permissions {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Permissions({=u32:b})", self.bits());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule P1: a link is no weaker than what it does.
    #[test]
    fn link_is_monitor_and_kill() {
        assert_eq!(Permissions::LINK, Permissions::MONITOR | Permissions::KILL);
        assert_eq!(Permissions::all().bits().count_ones(), 3);
        assert!(!(Permissions::SEND | Permissions::MONITOR).contains(Permissions::LINK));
        assert!(!(Permissions::SEND | Permissions::KILL).contains(Permissions::LINK));
    }

    /// Rule P1: unknown bits are refused.
    #[test]
    fn unknown_bits_are_refused() {
        assert_eq!(Permissions::from_bits(0b1000), None);
        assert!(Permissions::from_bits_retain(0b1001).has_unknown());
        assert!(!Permissions::all().has_unknown());
    }
}

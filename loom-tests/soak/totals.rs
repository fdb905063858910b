//! What was done, counted by whoever did it, and what must be equal.

macro_rules! totals {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one thread did, or all did.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals { $($(#[$doc])* pub $name: u64,)* }

        impl std::ops::AddAssign for Totals {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

totals! {
    /// Messages accepted.
    sent,
    received,
    /// Messages in a queue that went with its mailbox.
    destroyed,
    /// Capabilities attached to accepted messages.
    attached,
    /// Those of received messages.
    imported,
    /// Handles taken from messages, or otherwise the table's own, and those released.
    taken,
    released,
    /// Monitors set, and removed.
    monitors,
    demonitored,
    downs,
    /// Groups, tables and mailboxes made, and dropped.
    made,
    dropped,
    /// Links made and taken away again, in pairs.
    link_pairs,
    kills,
    /// Sends that found no room and waited for it.
    waits,
}

impl Totals {
    /// What the specification says of a round that is over.
    pub fn check(&self) {
        assert_eq!(self.sent, self.received + self.destroyed, "each message once: {self:?}");
        assert_eq!(self.attached, self.imported, "each capability once: {self:?}");
        assert_eq!(self.taken, self.released, "all handles are given back: {self:?}");
        assert_eq!(self.monitors, self.demonitored + self.downs, "one down each: {self:?}");
        assert_eq!(self.made, self.dropped, "{self:?}");
        assert!(self.kills > 0 && self.waits > 0, "{self:?}");
    }
}

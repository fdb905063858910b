//! Handles out of nothing: whatever is not in the table is refused everywhere.

use crate::villain::Villain;
use flue_core::{Handle, Permissions, SendError, TableError};
use std::collections::HashSet;

const FORGERIES: usize = 32;

impl Villain {
    /// A handle that nobody gave it: random, beside one of its own, or another's.
    fn forgery(&mut self) -> Option<Handle> {
        let raw = match self.dice.roll(4) {
            0 => self.dice.roll(u64::MAX),
            1 => self.dice.roll(512) | self.dice.roll(64) << 32,
            2 => {
                let at = self.dice.roll(self.grants.len() as u64) as usize;
                self.grants[at]?.to_raw() ^ 1 << self.dice.roll(64)
            }
            _ => {
                let at = self.dice.roll(self.stolen.len() as u64) as usize;
                self.stolen[at].to_raw()
            }
        };
        Handle::from_raw(raw)
    }

    /// Tries everything with forged handles.
    pub fn forge(&mut self) {
        let invalid = Err(TableError::InvalidHandle);
        // Nobody else puts anything into this table.
        let own: HashSet<Handle> = self.table.handles().collect();
        for _ in 0..FORGERIES {
            let Some(forged) = self.forgery() else { continue };
            assert_eq!(self.table.contains(forged), own.contains(&forged));
            if own.contains(&forged) {
                continue; // Its own: nothing is gained.
            }
            let Self { table, inbox, group, .. } = self;
            assert_eq!(table.send(forged, &[0; 16], &[]), Err(SendError::InvalidHandle));
            assert_eq!(table.monitor(forged, inbox).map(drop), invalid);
            assert_eq!(table.kill(forged), invalid);
            assert_eq!(table.link(forged, group), invalid);
            assert_eq!(table.unlink(forged, group).map(drop), invalid);
            assert_eq!(table.demote(forged, Permissions::empty()).map(drop), invalid);
            assert_eq!(table.retain(forged), invalid);
            assert_eq!(table.release(forged), invalid);
            assert_eq!(table.permissions(forged).map(drop), invalid);
            let me = inbox.export(Permissions::SEND).expect("room for it");
            if me == forged {
                table.release(me).expect("its own");
                continue; // Given out by now.
            }
            assert_eq!(table.same_route(me, forged).map(drop), invalid);
            let attached = table.send(me, &[0; 16], &[me, forged]);
            assert_eq!(attached, Err(SendError::InvalidAttachment { index: 1 }));
            table.release(me).expect("its own");
            self.deeds.forged += 1;
        }
    }
}

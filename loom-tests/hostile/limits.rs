//! Everything up to its limit, and not one more.

use crate::bound;
use crate::villain::Villain;
use flue_core::{CreateError, Handle, Mailbox, Permissions, SendError, Table, TableError};

/// Makes objects until one is refused, at the limit.
fn until_refused<T>(mut make: impl FnMut() -> Result<T, CreateError>) -> Vec<T> {
    let mut made = Vec::new();
    loop {
        match make() {
            Ok(one) => made.push(one),
            Err(CreateError::LimitReached) => return made,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Villain {
    /// Its own mailbox has room for as many messages, bytes and capabilities as its
    /// limits say.
    pub fn flood_itself(&mut self) {
        let limits = bound::hostile_mailbox();
        let Ok(group) = self.office.create_group() else { return };
        let Ok(table) = group.create_table() else { return };
        let mailbox = group.create_mailbox_with(&table, limits).expect("the first");
        let to = mailbox.export(Permissions::SEND).expect("room for it");
        let fill = |data: &[u8], attach: &[Handle]| {
            let mut sent = 0;
            while table.send(to, data, attach).inspect_err(|error| {
                assert_eq!(*error, SendError::Full);
            }) == Ok(())
            {
                sent += 1;
            }
            sent
        };
        let (data, attach, expected): (&[u8], &[Handle], _) = match self.dice.roll(3) {
            0 => (&[1; 16], &[], limits.messages),
            1 => (&[1; 1000], &[], limits.bytes / 1000),
            _ => (&[], &[to; 4], limits.handles / 4),
        };
        assert_eq!(fill(data, attach), expected, "exactly");
        assert_eq!(mailbox.len(), expected as usize);
        self.deeds.accepted += u64::from(expected);
        self.deeds.full += 1;
        self.deeds.made += 3;
    }

    /// Makes as many groups, tables and mailboxes as it can, and drops them or dies.
    pub fn exhaust(&mut self) {
        let limits = bound::office();
        let Self { office, group, table, .. } = self;
        // Its own group has a mailbox and a table already.
        let mailboxes: Vec<Mailbox> =
            until_refused(|| group.create_mailbox_with(table, bound::small_mailbox()));
        assert_eq!(mailboxes.len() + 1, limits.routes_per_group as usize, "exactly");
        let tables: Vec<Table> = until_refused(|| group.create_table());
        assert_eq!(tables.len() + 1, limits.tables_per_group as usize, "exactly");
        let groups = until_refused(|| office.create_group());
        let stats = office.stats();
        assert!(stats.groups <= limits.groups as usize, "{stats:?}");
        assert!(stats.tables <= limits.tables as usize, "{stats:?}");
        self.deeds.made += (mailboxes.len() + tables.len() + groups.len()) as u64;

        if let [asker, others @ ..] = &groups[..] {
            let linked = others.iter().take_while(|other| asker.link(other).is_ok()).count();
            assert_eq!(linked, others.len().min(limits.links_per_group as usize), "exactly");
            self.deeds.links += linked as u64;
            if self.dice.hits(2) {
                asker.kill();
                let dead = groups.iter().filter(|group| group.is_dead()).count();
                assert_eq!(dead, linked + 1, "those and no others");
            }
        }
        // Monitors: three of its mailboxes watch all but one, which is more than may be.
        if let [observer, one, two, rest @ ..] = &mailboxes[..] {
            let all: Vec<&Mailbox> = [one, two].into_iter().chain(rest).collect();
            let mut set = 0;
            let limit = limits.monitors_per_group as usize;
            for watched in &all {
                for observer in [observer, one, two] {
                    let route = watched.capability(Permissions::MONITOR);
                    match route.monitor(observer) {
                        Ok(_) => set += 1,
                        Err(error) => assert_eq!(error, TableError::LimitReached),
                    }
                }
            }
            assert_eq!(set + self.armed.len(), limit, "exactly");
            self.deeds.monitors += set as u64;
        }
    }

    /// Fills its table with capabilities: of its own slots there are exactly so many.
    pub fn hoard(&mut self) {
        let Ok(group) = self.office.create_group() else { return };
        let Ok(table) = group.create_table() else { return };
        let limits = bound::office();
        let mailboxes = until_refused(|| group.create_mailbox_with(&table, bound::small_mailbox()));
        // All that it can make of its own routes, and of what it was granted.
        let mut held = Vec::new();
        let granted: Vec<_> =
            self.granted().filter_map(|(handle, _)| self.table.capability(handle).ok()).collect();
        let routes = mailboxes.iter().flat_map(|mailbox| {
            (0..8).filter_map(Permissions::from_bits).map(|bits| mailbox.capability(bits))
        });
        let weaker = granted.iter().flat_map(|capability| {
            let bits = (0..8).filter_map(Permissions::from_bits);
            bits.filter_map(|bits| capability.demote(bits).ok())
        });
        let own = limits.handles_per_table as usize;
        for capability in routes.chain(weaker) {
            match table.insert(&capability) {
                Ok(handle) => held.push(handle),
                Err(error) => {
                    assert_eq!(error, TableError::Full);
                    assert_eq!(held.len(), own, "exactly");
                    self.deeds.tables_full += 1;
                }
            }
            assert_eq!(table.len(), held.len());
        }
        assert!(table.len() <= table.capacity() && held.len() <= own);
        self.deeds.made += mailboxes.len() as u64 + 2;
        if self.dice.hits(2) {
            for handle in held {
                table.release(handle).expect("its own");
            }
            assert_eq!(table.len(), 0);
        }
    }
}

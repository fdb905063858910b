//! Where post offices come from.

use core::cell::RefCell;

use flue_core::{PostOffice, StaticPostOffice};
use flue_spec::Limits;

use crate::translate;

/// How to come by post offices with certain limits.
pub trait Build: 'static {
    /// Entries of each table that there is storage for, if it is fixed.
    const HANDLES: Option<usize> = None;

    /// An office, and one to mistake for it, which has room for an object of each kind.
    fn offices(limits: Limits) -> [PostOffice; 2];

    /// The offices that were built are not to be used again.
    fn abandon() {}
}

/// Offices that grow.
pub struct Growing;

impl Build for Growing {
    fn offices(limits: Limits) -> [PostOffice; 2] {
        [PostOffice::with_limits(translate::limits(limits)), PostOffice::new()]
    }
}

/// Offices in storage that does not: used again and again, for it is never given back.
pub struct Static;

type Storage = StaticPostOffice<8, { Static::TABLE }, 1024, 32, 8, 128, 128, 8>;

thread_local! {
    static STORAGE: RefCell<Vec<(Limits, [&'static Storage; 2])>> = const { RefCell::new(vec![]) };
}

impl Static {
    const TABLE: usize = 24;
}

impl Build for Static {
    const HANDLES: Option<usize> = Some(Self::TABLE);

    fn offices(limits: Limits) -> [PostOffice; 2] {
        let build = || {
            let storage = Box::new(Storage::with_limits(translate::limits(limits)));
            &*Box::leak(storage)
        };
        STORAGE.with_borrow_mut(|all| {
            let known = all.iter().position(|(of, _)| *of == limits);
            let known = known.unwrap_or_else(|| {
                all.push((limits, [build(), build()]));
                all.len() - 1
            });
            all[known].1.map(Storage::office)
        })
    }

    fn abandon() {
        STORAGE.take();
    }
}

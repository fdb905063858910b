//! The host's capabilities: looks.

use core::hash::{Hash, Hasher};

use flue_core::{Capability, Permissions, TableError};

use super::{Case, case};
use crate::handler::Fate;
use crate::stage::Stage;

pub(super) const CASES: &[Case] = &[case(
    "capability: looks",
    &[
        "Capability::permissions",
        "Capability::same_route",
        "Capability::demote",
        "Capability::is_closed",
        "Capability::clone",
        "Capability::eq",
        "Capability::hash",
        "Capability::drop",
    ],
    looks,
)];

/// Adds up what it is given.
#[derive(Default)]
struct Sum(u64);

impl Hasher for Sum {
    fn write(&mut self, bytes: &[u8]) {
        self.0 += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn hash(capability: &Capability) -> u64 {
    let mut hasher = Sum::default();
    capability.hash(&mut hasher);
    hasher.finish()
}

fn looks(stage: &mut Stage, delay: u32) -> Option<u32> {
    let target = stage.target();
    let capability = &target.capability;
    let (fired, is_closed) = stage.act(delay, |_| {
        let copy = capability.clone();
        let less = copy.demote(Permissions::SEND).unwrap();
        assert!(less.same_route(&copy) && less != copy && copy == *capability);
        assert_eq!((less.permissions(), hash(&copy)), (Permissions::SEND, hash(capability)));
        assert_eq!(less.demote(Permissions::KILL), Err(TableError::PermissionDenied));
        copy.is_closed()
    });
    let is_over = matches!(stage.fate(), Fate::Killed | Fate::Closed);
    assert!(!is_closed || is_over);
    assert_eq!(capability.is_closed(), is_over);
    stage.forget(target);
    fired
}

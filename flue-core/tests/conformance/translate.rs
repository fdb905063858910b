//! What flue-core says, in the words of the specification.

use flue_core as real;
use flue_spec as spec;

/// A value that both have.
pub trait Translate {
    type Spec;
    fn translate(self) -> Self::Spec;
}

/// The same variants on both sides. Others cannot come up here: memory does not run out, and
/// objects of two offices are tried apart.
macro_rules! same_variants {
    ($($name:ident { $($variant:ident $({ $field:ident })?),* })*) => {$(
        impl Translate for real::$name {
            type Spec = spec::$name;

            fn translate(self) -> spec::$name {
                match self {
                    $(real::$name::$variant $({ $field })? => spec::$name::$variant $({ $field })?,)*
                    #[allow(unreachable_patterns, reason = "some are exhaustive")]
                    other => panic!("{other:?} is out of the question"),
                }
            }
        }
    )*};
}

same_variants! {
    TableError { InvalidHandle, PermissionDenied, Dead, Closed, Full, LimitReached }
    SendError {
        InvalidHandle, InvalidAttachment { index }, PermissionDenied, Dead, Closed, Full, TooLarge, TooManyHandles
    }
    CreateError { Dead, LimitReached, TableMismatch }
    TryRecvError { Empty, Dead }
    DownReason { Closed, Killed, Gone }
}

impl<T, E: Translate> Translate for Result<T, E> {
    type Spec = Result<T, E::Spec>;

    fn translate(self) -> Self::Spec {
        self.map_err(Translate::translate)
    }
}

impl Translate for real::Stats {
    type Spec = spec::Stats;

    fn translate(self) -> spec::Stats {
        spec::Stats {
            groups: self.groups,
            routes: self.routes,
            tables: self.tables,
            messages: self.messages,
            monitors: self.monitors,
            links: self.links,
            bytes: self.bytes,
        }
    }
}

/// The limits of an office, as flue-core takes them.
pub fn limits(limits: spec::Limits) -> real::Limits {
    let mut real = real::Limits::default();
    real.groups = limits.groups;
    real.tables = limits.tables;
    real.messages = limits.messages;
    real.routes_per_group = limits.routes_per_group;
    real.tables_per_group = limits.tables_per_group;
    real.monitors_per_group = limits.monitors_per_group;
    real.links_per_group = limits.links_per_group;
    real.handles_per_table = limits.handles_per_table;
    real.handles_per_message = limits.handles_per_message;
    real.bytes_per_message = limits.bytes_per_message;
    real
}

/// The limits of a mailbox, as flue-core takes them.
pub fn mailbox_limits(limits: spec::MailboxLimits) -> real::MailboxLimits {
    let mut real = real::MailboxLimits::default();
    real.messages = limits.messages;
    real.bytes = limits.bytes;
    real.handles = limits.handles;
    real.waiters = limits.waiters;
    real
}

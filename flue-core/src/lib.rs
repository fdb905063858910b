//! Flue: the core of capability-secure, concurrency-oriented programs.
//!
//! *Processes* with private memory, which may run untrusted code, communicate
//! only by *signals* sent to *routes* and received through *mailboxes*. Routes
//! live in a *post office* and die together in *route groups*. A *capability* is
//! a route and permissions; capabilities sit in each process's *table*, where
//! process code names them by *handles*, integers that cannot be forged.
//!
//! Two axioms: a route is reachable only through a capability that was
//! explicitly passed, and a capability only ever comes from one with the same or
//! more permissions.
//!
//! What a process is, the program says: a thread, a task, an interrupt handler,
//! a guest of a virtual machine.
//!
//! ```
//! use flue_core::{Permissions, PostOffice, SendError, Signal};
//!
//! let office = PostOffice::new();
//!
//! // A server process: a group, a table, a mailbox.
//! let server = office.create_group()?;
//! let server_table = server.create_table()?;
//! let mut requests = server.create_mailbox(&server_table)?;
//!
//! // A client process, which the host lets send to the server.
//! let client = office.create_group()?;
//! let client_table = client.create_table()?;
//! let mut replies = client.create_mailbox(&client_table)?;
//! let to_server = client_table.insert(&requests.capability(Permissions::SEND))?;
//!
//! // It sends a request, and with it the right to answer.
//! let reply_to = replies.export(Permissions::SEND)?;
//! client_table.send(to_server, b"2 + 2", &[reply_to])?;
//!
//! let Signal::Message(mut request) = requests.try_recv()? else { unreachable!() };
//! let answer_to = request.take_handles().next().expect("a reply capability");
//! server_table.send(answer_to, b"4", &[])?;
//! drop(request);
//!
//! let Signal::Message(reply) = replies.try_recv()? else { unreachable!() };
//! assert_eq!(reply.data(), b"4");
//! drop(reply);
//!
//! // The end of one is the end of all of it, at once.
//! server.kill();
//! assert_eq!(client_table.send(to_server, b"3 + 3", &[]), Err(SendError::Closed));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # What operations cost
//! A *step* is an atomic instruction that others on the machine see. One that
//! loses a race is made again, and then somebody else's has succeeded. The guide
//! `docs/embedding.md` counts the steps of every operation, and a test counts
//! them again. Where the documentation of an operation says
//! - *a look-up*, it reads a table, without a step; for handles beyond a table's
//!   first ones it pins, which is what keeps memory in place;
//! - *a search*, it goes through an index: constant on average in the heap, linear in
//!   the records in static storage;
//! - *a slot*, it claims one by a few steps, after a search where few are free; in the
//!   heap it allocates more of them (or more buckets of an index) when there are too
//!   few. A build without `alloc` never allocates.
//!
//! Nothing else takes memory, but for bytes that are copied and do not fit inline
//! ([`PostOffice::inline_bytes`]).
//!
//! # How to read this crate
//! | module | what is in it |
//! |--------|---------------|
//! | `sync` | the door for atomics: `core`'s, or the model checker's |
//! | `bits` | fields of a word |
//! | `life` | generations: which life of a slot an address means |
//! | `arena` | slots, segments, claims: all memory |
//! | `reclaim` | giving memory back while others look |
//! | `refs` | counts of references |
//! | `index` | at most one living record for a key |
//! | `roster` | who is walked at a death |
//! | `office`, `fixed` | post offices: growing, or in a `static` |
//! | `route` | the cache line that senders touch |
//! | `group`, `link`, `monitor`, `death` | dying together, and being told |
//! | `mailbox` | the queue, receiving, waking, waiting for room |
//! | `cap` | permissions, handles, entries, tables, capabilities |
//! | `signal`, `payload` | what is received |
//! | `limits`, `error` | how much, and why not |
#![no_std]
#![warn(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]
#![cfg_attr(
    not(feature = "alloc"),
    allow(
        dead_code,
        unused_imports,
        clippy::drop_non_drop,
        reason = "what only offices that grow use stays compiled with the rest"
    )
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod arena;
mod bits;
mod cap;
mod death;
mod error;
mod fixed;
mod group;
mod index;
#[cfg(all(loom, feature = "loom", feature = "alloc"))]
#[doc(hidden)]
pub mod internals;
mod life;
mod limits;
mod link;
mod mailbox;
mod monitor;
mod office;
mod panics;
mod payload;
mod reclaim;
mod refs;
mod roster;
mod route;
mod signal;
mod sync;
mod twin;

/// What a test under shuttle's scheduler can leave out of the code.
#[cfg(all(shuttle, feature = "shuttle"))]
#[doc(hidden)]
pub use twin::{Twin, set as set_twin};

pub use cap::capability::Capability;
pub use cap::handle::Handle;
pub use cap::permissions::Permissions;
pub use cap::table::Table;
pub use error::{
    CreateError, OutOfMemory, RecvError, RejectedPayload, SendError, TableError, TryRecvError,
};
pub use fixed::StaticPostOffice;
pub use group::RouteGroup;
pub use limits::{Limits, MAX_MESSAGE_HANDLES, MailboxLimits, Stats};
pub use mailbox::Mailbox;
pub use mailbox::waiters::SendWait;
pub use monitor::{DownReason, MonitorId};
pub use office::PostOffice;
pub use payload::{INLINE_BYTES, Payload};
pub use signal::{Down, Message, OwnedDown, OwnedMessage, OwnedSignal, Signal};

//! Processes that are threads.
//!
//! The core knows route groups, tables and mailboxes; a *process* here is one
//! of each, and a thread to use them. It is a convenience: nothing in Flue asks
//! for it, and a thread may as well own several groups, or a task one.
//!
//! | how the closure ends | group | what monitors of the mailbox see | links |
//! |---|---|---|---|
//! | it returns | ends with its last owner | a down, `Closed`, as whenever it is closed | dissolve with the group |
//! | it panics | is killed, when its locals are dropped | a down, `Killed` | fire |
//! | it was killed | is dead already | a down, `Killed`, at the kill | fired at the kill |
//!
//! A kill takes a process's authority at once, not its thread: the closure
//! finds every receive and every send refused, and ends when it returns. A receive that
//! waits ends at once; a send that waits for room in another's mailbox when that has some, is
//! closed, or the time is over.

use core::fmt;
use core::mem;
use core::panic::AssertUnwindSafe;
use std::io;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};
use std::thread;

use flue_core::{
    Capability, CreateError, Handle, Mailbox, MailboxLimits, Permissions, PostOffice, RouteGroup,
    Table, TableError,
};

/// A route group, a table of it that is sealed when it dies, and a mailbox.
///
/// It belongs to the host until [`spawn`](Self::spawn) gives it to the code
/// that it is for. That code should capture nothing but handles and other
/// integers, so that all it can do to others is what its table allows.
///
/// # Cost
///
/// Its accessors return what it has. Dropping it costs what dropping its mailbox, its
/// table and its group does.
///
/// # Example
///
/// ```
/// use flue_std::{MailboxExt, Permissions, PostOffice, Process, TableError};
///
/// let office = PostOffice::new();
/// let victim = Process::new(&office)?;
/// let guest = Process::new(&office)?;
/// let handle = guest.grant(&victim.capability(Permissions::SEND))?;
/// let refused = guest.spawn(move |guest| guest.table().kill(handle))?;
/// assert_eq!(refused.join().unwrap(), Err(TableError::PermissionDenied));
/// assert!(!victim.group().is_dead());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Process {
    mailbox: Mailbox,
    table: Table,
    group: RouteGroup,
}

impl Process {
    /// Creates a group, a table for it and a mailbox with the default limits.
    ///
    /// # Errors
    ///
    /// [`CreateError::LimitReached`] and [`CreateError::OutOfMemory`]; what had
    /// been created is gone again.
    ///
    /// # Cost
    ///
    /// Three objects of the office; no thread yet.
    ///
    /// # Progress
    ///
    /// Waits for nobody.
    ///
    /// ```
    /// use flue_std::{PostOffice, Process};
    ///
    /// let process = Process::new(&PostOffice::new())?;
    /// assert!(!process.group().is_dead());
    /// # Ok::<(), flue_std::CreateError>(())
    /// ```
    pub fn new(office: &PostOffice) -> Result<Self, CreateError> {
        Self::with_limits(office, MailboxLimits::default())
    }

    /// As [`new`](Self::new), with limits for the mailbox.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Cost
    ///
    /// As [`new`](Self::new): messages take memory when they wait, not before.
    ///
    /// ```
    /// use flue_std::{MailboxLimits, PostOffice, Process};
    ///
    /// let mut limits = MailboxLimits::default();
    /// limits.messages = 4;
    /// let mut process = Process::with_limits(&PostOffice::new(), limits)?;
    /// assert_eq!(process.mailbox().capacity(), 4);
    /// # Ok::<(), flue_std::CreateError>(())
    /// ```
    pub fn with_limits(office: &PostOffice, limits: MailboxLimits) -> Result<Self, CreateError> {
        let group = office.create_group()?;
        let table = group.create_table()?;
        let mailbox = group.create_mailbox_with(&table, limits)?;
        Ok(Self { mailbox, table, group })
    }

    /// The process's route group.
    ///
    /// ```
    /// let process = flue_std::Process::new(&flue_std::PostOffice::new())?;
    /// process.group().kill();
    /// assert!(process.group().is_dead());
    /// # Ok::<(), flue_std::CreateError>(())
    /// ```
    pub fn group(&self) -> &RouteGroup {
        &self.group
    }

    /// The process's table: what it may do.
    ///
    /// ```
    /// let process = flue_std::Process::new(&flue_std::PostOffice::new())?;
    /// assert_eq!(process.table().len(), 0);
    /// # Ok::<(), flue_std::CreateError>(())
    /// ```
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The process's mailbox.
    ///
    /// ```
    /// use flue_std::{MailboxExt, Permissions, PostOffice, Process};
    ///
    /// let mut process = Process::new(&PostOffice::new())?;
    /// let own = process.mailbox().export(Permissions::SEND)?;
    /// process.table().send(own, b"a note to myself", &[])?;
    /// assert!(process.mailbox().recv().is_ok());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn mailbox(&mut self) -> &mut Mailbox {
        &mut self.mailbox
    }

    /// All three at once, to use group and table while a signal is at hand.
    ///
    /// ```
    /// use flue_std::{MailboxExt, Permissions, PostOffice, Process, Signal};
    ///
    /// let mut process = Process::new(&PostOffice::new())?;
    /// let (_, table, mailbox) = process.parts();
    /// let own = mailbox.export(Permissions::SEND)?;
    /// table.send(own, b"ping", &[own])?;
    /// let Signal::Message(ping) = mailbox.recv()? else { unreachable!("it monitors nobody") };
    /// table.send(ping.handles()[0], b"pong", &[])?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn parts(&mut self) -> (&RouteGroup, &Table, &mut Mailbox) {
        (&self.group, &self.table, &mut self.mailbox)
    }

    /// A capability to the process's mailbox, for the host to give to others.
    /// Bits that are no permission are left out.
    ///
    /// # Cost
    ///
    /// That of [`Mailbox::capability`].
    ///
    /// ```
    /// use flue_std::{Permissions, PostOffice, Process};
    ///
    /// let process = Process::new(&PostOffice::new())?;
    /// let capability = process.capability(Permissions::SEND | Permissions::MONITOR);
    /// assert_eq!(capability.permissions(), Permissions::SEND | Permissions::MONITOR);
    /// # Ok::<(), flue_std::CreateError>(())
    /// ```
    pub fn capability(&self, permissions: Permissions) -> Capability {
        self.mailbox.capability(permissions)
    }

    /// Puts a capability into the process's table: the first ones must come
    /// from the host. The handle is the process's own, to be told to its
    /// closure and released by it.
    ///
    /// # Errors
    ///
    /// Those of [`Table::insert`].
    ///
    /// # Cost
    ///
    /// That of [`Table::insert`].
    ///
    /// ```
    /// use flue_std::{Permissions, PostOffice, Process};
    ///
    /// let office = PostOffice::new();
    /// let (server, client) = (Process::new(&office)?, Process::new(&office)?);
    /// let to_server = client.grant(&server.capability(Permissions::SEND))?;
    /// client.table().send(to_server, b"hello", &[])?;
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn grant(&self, capability: &Capability) -> Result<Handle, TableError> {
        self.table.insert(capability)
    }

    /// Runs `body` on a new thread, which owns the process from now on.
    ///
    /// When `body` returns, the process is dropped: its mailbox closes, and its
    /// group ends unless somebody else owns a part of it. When `body` panics,
    /// the group is killed before that, so that links fire and monitors are told
    /// `Killed`; what `body` itself owned is dropped first, by the panic. (With
    /// `panic = "abort"` the whole program ends.) Panics of the wakers of those who
    /// are told end here.
    ///
    /// # Errors
    ///
    /// Of the operating system, when there is no thread to be had. The process
    /// is dropped.
    ///
    /// # Cost
    ///
    /// One thread.
    ///
    /// # Progress
    ///
    /// That of [`thread::Builder::spawn`].
    ///
    /// ```
    /// use flue_std::{DownReason, MailboxExt, Permissions, PostOffice, Process, Signal};
    ///
    /// let office = PostOffice::new();
    /// let mut observer = Process::new(&office)?;
    /// let fragile = Process::new(&office)?;
    /// fragile.capability(Permissions::MONITOR).monitor(observer.mailbox())?;
    ///
    /// // Any panic will do; this way to panic prints nothing.
    /// let fragile = fragile.spawn(|_| std::panic::resume_unwind(Box::new("oops")))?;
    /// let Signal::Down(down) = observer.mailbox().recv()? else { unreachable!("nobody may send") };
    /// assert_eq!(down.reason(), DownReason::Killed);
    /// let fragile: Result<(), _> = fragile.join();
    /// assert!(fragile.is_err());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn spawn<F, T>(self, body: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce(&mut Process) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_with(thread::Builder::new(), body)
    }

    /// As [`spawn`](Self::spawn), on a thread with a name or a stack size of
    /// its own.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cost
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// ```
    /// use std::thread;
    /// use flue_std::{PostOffice, Process};
    ///
    /// let named = thread::Builder::new().name("registry".into());
    /// let registry = Process::new(&PostOffice::new())?;
    /// let registry = registry.spawn_with(named, |_| thread::current().name().map(String::from))?;
    /// assert_eq!(registry.join().unwrap().as_deref(), Some("registry"));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn spawn_with<F, T>(
        mut self,
        builder: thread::Builder,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce(&mut Process) -> T + Send + 'static,
        T: Send + 'static,
    {
        let capability = self.capability(Permissions::all());
        // The group that dies of a panic, or by the handle, is this one, whatever `body`
        // leaves in its `&mut Process`.
        let group = Arc::new(self.group.clone());
        let killed = Arc::downgrade(&group);
        let thread = builder.spawn(move || {
            // Caught, not guarded: a kill while unwinding would abort should a
            // waker panic too.
            let ended = catch_unwind(AssertUnwindSafe(|| body(&mut self)));
            if ended.is_err() {
                contain(|| group.kill());
            }
            contain(|| drop(self));
            contain(|| drop(group));
            ended.unwrap_or_else(|panic| resume_unwind(panic))
        })?;
        Ok(JoinHandle { thread, group: killed, capability })
    }
}

/// Runs what calls others' wakers: their panics are not the process's.
fn contain(code: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(code)) {
        mem::forget(panic); // Its drop might panic, too.
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}

/// The host's handle on a process that runs. Dropping it lets the process run
/// on.
///
/// It owns no part of the process: a group ends with its process, whether or
/// not this is still there.
///
/// # Example
///
/// ```
/// use flue_std::{PostOffice, Process};
///
/// let process = Process::new(&PostOffice::new())?.spawn(|_| 6 * 7)?;
/// assert_eq!(process.join().unwrap(), 42);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct JoinHandle<T> {
    thread: thread::JoinHandle<T>,
    group: Weak<RouteGroup>,
    capability: Capability,
}

impl<T> JoinHandle<T> {
    /// Waits for the closure to end and returns what it returned. By then its
    /// process has been dropped.
    ///
    /// # Errors
    ///
    /// The panic's payload, if the closure panicked.
    ///
    /// # Progress
    ///
    /// Blocks until the thread has ended, however long that takes:
    /// [`kill`](Self::kill) ends its authority, not its run. One that waits for room in a
    /// mailbox of the caller's waits on, unless the caller receives or closes it.
    ///
    /// ```
    /// use flue_std::{MailboxExt, PostOffice, Process};
    ///
    /// let process = Process::new(&PostOffice::new())?.spawn(|process| process.mailbox().recv().is_err())?;
    /// process.kill();
    /// assert!(process.join().unwrap());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn join(self) -> thread::Result<T> {
        self.thread.join()
    }

    /// Kills the process's group. Does nothing when the process is over.
    ///
    /// # Cost
    ///
    /// That of [`RouteGroup::kill`].
    ///
    /// # Progress
    ///
    /// Waits for nobody, the process's thread included.
    ///
    /// ```
    /// use flue_std::{Permissions, PostOffice, Process};
    ///
    /// let process = Process::new(&PostOffice::new())?.spawn(|_| std::thread::yield_now())?;
    /// process.kill();
    /// process.kill(); // a group dies once
    /// assert!(process.capability(Permissions::empty()).is_closed());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn kill(&self) {
        if let Some(group) = self.group.upgrade() {
            group.kill();
        }
    }

    /// Whether the closure has ended.
    ///
    /// ```
    /// use flue_std::{PostOffice, Process};
    ///
    /// let process = Process::new(&PostOffice::new())?.spawn(|_| ())?;
    /// while !process.is_finished() {
    ///     std::thread::yield_now();
    /// }
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// A capability to the process's mailbox, for the host to give to others.
    /// Bits that are no permission are left out.
    ///
    /// # Cost
    ///
    /// That of [`Capability::demote`].
    ///
    /// ```
    /// use flue_std::{MailboxExt, Permissions, PostOffice, Process};
    ///
    /// let process = Process::new(&PostOffice::new())?;
    /// let process = process.spawn(|process| process.mailbox().recv().is_ok())?;
    /// process.capability(Permissions::SEND).send(b"go", &[])?;
    /// assert!(process.join().unwrap());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn capability(&self, permissions: Permissions) -> Capability {
        self.capability
            .demote(permissions & Permissions::all())
            .expect("a subset of every permission")
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

//! Model-checking a protocol of your own on top of Flue.
//!
//! A program that is built on `flue-core` can be explored by [loom]: every order
//! in which its threads' steps may come, with Flue's own steps among them. It
//! needs two things, and no change of the program:
//!
//! 1. The feature `loom` of `flue-core`, in the model build alone:
//!    ```toml
//!    [target.'cfg(loom)'.dependencies]
//!    flue-core = { version = "0.1", features = ["loom"] }
//!    loom = { version = "0.7", features = ["futures"] }
//!    ```
//! 2. `--cfg loom`, and a test that makes its office and its threads inside a
//!    model (`tests/model.rs`):
//!    ```sh
//!    LOOM_MAX_PREEMPTIONS=2 RUSTFLAGS="--cfg loom" cargo test --release --test model
//!    ```
//!
//! Both are needed: the feature without the cfg, or the cfg without the feature,
//! changes nothing. `ci/downstream.sh` runs this package.
//!
//! What to know about it:
//! - Keep a model small: two or three threads, one operation of each racing, the rest
//!   before they start and after they were joined. Waiting costs most.
//! - loom stops at 1,000 steps of one execution, which a little setting up can take:
//!   give it more (`max_branches`).
//! - Use Flue only where loom explores, not between `loom::stop_exploring` and
//!   `loom::explore`: the atomics of a model build call both. They tell three threads
//!   apart; with more, some orders of reads are not tried.
//! - To wait, use `loom::future::block_on(mailbox.recv_async())`, not what `flue-std`
//!   has: that parks threads which loom does not know.
//! - In a model build memory is kept until its office goes, and little of everything
//!   is at hand at first; limits and results are the same.
//! - Write the variant with the mistake, too, and see it rejected. Here it is
//!   [`Server::hasty`].
//!
//! # The protocol
//! A server has one permit. A client asks for it, and with its request comes a
//! capability to the client's mailbox. The server watches the client, gives it the
//! permit, and has the permit back when the client is over.
//!
//! [loom]: https://docs.rs/loom

use flue_core::{
    CreateError, Handle, Mailbox, MailboxLimits, Permissions, PostOffice, RouteGroup, SendError,
    Signal, Table,
};

/// A process: a group, a table of it, a mailbox.
#[derive(Debug)]
struct Process {
    group: RouteGroup,
    table: Table,
    mailbox: Mailbox,
}

impl Process {
    fn new(office: &PostOffice) -> Result<Self, CreateError> {
        let group = office.create_group()?;
        let table = group.create_table()?;
        let mut limits = MailboxLimits::default();
        limits.messages = 2;
        limits.handles = 2;
        let mailbox = group.create_mailbox_with(&table, limits)?;
        Ok(Self { group, table, mailbox })
    }
}

/// Who has the permit to give.
#[derive(Debug)]
pub struct Server {
    process: Process,
    permits: u32,
    /// Whether it takes a refused answer for the end of the client, too.
    is_hasty: bool,
}

impl Server {
    /// A server with one permit.
    ///
    /// # Errors
    /// Those of creating a process.
    pub fn new(office: &PostOffice) -> Result<Self, CreateError> {
        Ok(Self { process: Process::new(office)?, permits: 1, is_hasty: false })
    }

    /// One with a mistake: a client that cannot be answered is over, so it takes the
    /// permit back; but it is told of that end once more, by the down.
    ///
    /// # Errors
    /// Those of creating a process.
    pub fn hasty(office: &PostOffice) -> Result<Self, CreateError> {
        Ok(Self { is_hasty: true, ..Self::new(office)? })
    }

    /// Permits that are not given away.
    #[must_use]
    pub fn permits(&self) -> u32 {
        self.permits
    }

    /// Does what the next signal asks for. `false`: there is none.
    pub fn serve(&mut self) -> bool {
        let Process { table, mailbox, .. } = &mut self.process;
        let client = match mailbox.try_recv() {
            Ok(Signal::Message(mut request)) => {
                let mut taken = request.take_handles();
                taken.next()
            }
            Ok(Signal::Down(_)) => {
                self.permits += 1;
                None
            }
            _ => return false,
        };
        let Some(client) = client else { return true };
        if self.permits > 0 && table.monitor(client, mailbox).is_ok() {
            self.permits -= 1;
            let is_told = table.send(client, b"granted", &[]).is_ok();
            if !is_told && self.is_hasty {
                self.permits += 1;
            }
        }
        let _ = table.release(client);
        true
    }
}

/// Who wants the permit.
#[derive(Debug)]
pub struct Client {
    process: Process,
    server: Handle,
    myself: Handle,
}

impl Client {
    /// A client that knows the server.
    ///
    /// # Errors
    /// Those of creating a process.
    pub fn new(office: &PostOffice, server: &Server) -> Result<Self, CreateError> {
        let process = Process::new(office)?;
        let to_server = server.process.mailbox.capability(Permissions::SEND);
        let server = process.table.insert(&to_server).map_err(|_| CreateError::LimitReached)?;
        let myself = process.mailbox.export(Permissions::SEND | Permissions::MONITOR);
        let myself = myself.map_err(|_| CreateError::LimitReached)?;
        Ok(Self { process, server, myself })
    }

    /// Asks for the permit.
    ///
    /// # Errors
    /// Those of a send.
    pub fn ask(&self) -> Result<(), SendError> {
        self.process.table.send(self.server, b"", &[self.myself])
    }

    /// Its group, for who may kill it.
    #[must_use]
    pub fn group(&self) -> &RouteGroup {
        &self.process.group
    }
}

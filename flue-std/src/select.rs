//! Waiting for the first of several mailboxes.
//!
//! One waker, registered in every mailbox: whichever gets a signal wakes the
//! thread, which then looks at all of them. Which mailboxes take part is said
//! anew for every wait, so nothing has to be kept up to date between waits, and
//! a selector is nothing but the place where the next look begins.
//!
//! # Progress
//!
//! Blocking, by purpose. Nobody ever waits for the one who waits here.

use core::future::{Future, poll_fn};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::time::Instant;

use flue_core::Mailbox;

use crate::blocking::{deadline_after, is_past, spin, wait, wait_until};

/// Waits until one of several mailboxes is ready, and takes them in rotation.
///
/// *Ready* is what [`Mailbox::is_ready`] says: a message, a down, or the death
/// of the mailbox's group, so a dead mailbox should leave the slice. Whoever
/// was returned last is looked at last: a mailbox that is always ready cannot
/// starve the others, each of which is returned within as many waits as there
/// are mailboxes.
///
/// # Example
///
/// ```
/// use flue_std::{Permissions, PostOffice, Selector};
///
/// let office = PostOffice::new();
/// let group = office.create_group()?;
/// let table = group.create_table()?;
/// let mut orders = group.create_mailbox(&table)?;
/// let mut complaints = group.create_mailbox(&table)?;
///
/// complaints.capability(Permissions::SEND).send(b"too slow", &[])?;
/// let mut selector = Selector::new();
/// assert_eq!(selector.wait(&mut [&mut orders, &mut complaints]), 1);
/// assert!(complaints.try_recv().is_ok());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Selector {
    /// Where the next look begins; taken modulo the number of mailboxes, as is the other.
    first: usize,
    /// Whose senders are asked next whether they come.
    asked: usize,
}

impl Selector {
    /// A selector that looks at the first mailbox first.
    ///
    /// ```
    /// let selector = flue_std::Selector::new();
    /// # let _ = selector;
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { first: 0, asked: 0 }
    }

    /// Waits for a mailbox that is ready and returns its index. No signal is
    /// taken: call [`try_recv`](Mailbox::try_recv), which will not be `Empty`.
    ///
    /// # Panics
    ///
    /// If there are no mailboxes: the wait could not end.
    ///
    /// # Cost
    ///
    /// One look at each mailbox until one is ready, and one registration in one of them; one in
    /// each and one sleep per wake-up otherwise. No memory after the thread's first wait.
    ///
    /// # Progress
    ///
    /// Blocks until a mailbox is ready.
    ///
    /// ```
    /// use flue_std::{PostOffice, Selector};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mut mailbox = group.create_mailbox(&group.create_table()?)?;
    /// group.kill();
    /// assert_eq!(Selector::new().wait(&mut [&mut mailbox]), 0);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn wait(&mut self, mailboxes: &mut [&mut Mailbox]) -> usize {
        if let Some(index) = self.spin(None, mailboxes) {
            return index;
        }
        wait(|cx| self.poll(cx, mailboxes))
    }

    /// Waits as [`wait`](Self::wait), for `timeout` at most: `None` when the
    /// time was over first.
    ///
    /// A zero timeout looks and does not wait; one too large for the clock
    /// waits without end.
    ///
    /// # Panics
    ///
    /// If there are no mailboxes.
    ///
    /// # Cost
    ///
    /// As [`wait`](Self::wait), and one reading of the clock per wake-up.
    ///
    /// # Progress
    ///
    /// Blocks until a mailbox is ready or the time is over.
    ///
    /// ```
    /// use core::time::Duration;
    /// use flue_std::{PostOffice, Selector};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mut mailbox = group.create_mailbox(&group.create_table()?)?;
    /// let patience = Duration::from_millis(1);
    /// assert_eq!(Selector::new().wait_timeout(&mut [&mut mailbox], patience), None);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn wait_timeout(
        &mut self,
        mailboxes: &mut [&mut Mailbox],
        timeout: Duration,
    ) -> Option<usize> {
        self.wait_until(mailboxes, deadline_after(timeout))
    }

    /// Waits as [`wait_timeout`](Self::wait_timeout), until `deadline` at most.
    /// A deadline in the past looks once.
    ///
    /// # Panics
    ///
    /// If there are no mailboxes.
    ///
    /// # Cost
    ///
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Progress
    ///
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    /// use flue_std::{PostOffice, Selector};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mut mailbox = group.create_mailbox(&group.create_table()?)?;
    /// assert_eq!(Selector::new().wait_deadline(&mut [&mut mailbox], Instant::now()), None);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn wait_deadline(
        &mut self,
        mailboxes: &mut [&mut Mailbox],
        deadline: Instant,
    ) -> Option<usize> {
        self.wait_until(mailboxes, Some(deadline))
    }

    /// Waits for a mailbox that is ready and returns its index.
    ///
    /// # Panics
    ///
    /// When polled, if there are no mailboxes.
    ///
    /// # Cost
    ///
    /// One registration of the task's waker in each mailbox that is not ready,
    /// per poll. No memory.
    ///
    /// # Progress
    ///
    /// Pending until a mailbox is ready.
    ///
    /// # Cancel safety
    ///
    /// Safe to drop at any time: no signal is taken, and the rotation moves
    /// only when an index is returned.
    ///
    /// ```
    /// use flue_std::{Permissions, PostOffice, Selector};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let mut mailbox = group.create_mailbox(&group.create_table()?)?;
    /// mailbox.capability(Permissions::SEND).send(b"ready", &[])?;
    /// let mut selector = Selector::new();
    /// assert_eq!(pollster::block_on(selector.wait_async(&mut [&mut mailbox])), 0);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn wait_async(
        &mut self,
        mailboxes: &mut [&mut Mailbox],
    ) -> impl Future<Output = usize> + Send {
        poll_fn(move |cx| self.poll(cx, mailboxes))
    }

    fn wait_until(
        &mut self,
        mailboxes: &mut [&mut Mailbox],
        deadline: Option<Instant>,
    ) -> Option<usize> {
        let is_late = is_past(deadline); // Then it polls once.
        let seen = if is_late { None } else { self.spin(deadline, mailboxes) };
        seen.or_else(|| wait_until(deadline, |cx| self.poll(cx, mailboxes)))
    }

    /// Looks at each mailbox for a moment, without registering.
    fn spin(&mut self, deadline: Option<Instant>, mailboxes: &mut [&mut Mailbox]) -> Option<usize> {
        let ready = |mailbox: &mut Mailbox| mailbox.is_ready();
        let index = spin(deadline, || self.find(mailboxes, ready))?;
        // A look alone asks no sender whether it comes (rule S6): one mailbox does in each wait.
        let asked = self.asked % mailboxes.len();
        self.asked = asked + 1;
        let _ = mailboxes[asked].poll_ready(&mut Context::from_waker(Waker::noop()));
        Some(index)
    }

    /// Looks at each mailbox once and registers where there is nothing.
    fn poll(&mut self, cx: &mut Context<'_>, mailboxes: &mut [&mut Mailbox]) -> Poll<usize> {
        match self.find(mailboxes, |mailbox| mailbox.poll_ready(cx).is_ready()) {
            Some(index) => Poll::Ready(index),
            None => Poll::Pending,
        }
    }

    /// The first mailbox, in rotation, that `is_ready`; the next look begins
    /// behind it.
    fn find(
        &mut self,
        mailboxes: &mut [&mut Mailbox],
        mut is_ready: impl FnMut(&mut Mailbox) -> bool,
    ) -> Option<usize> {
        let count = mailboxes.len();
        assert_ne!(count, 0, "a selector without mailboxes would wait for ever");
        let start = self.first % count;
        let index = (start..count).chain(0..start).find(|&index| is_ready(mailboxes[index]))?;
        self.first = index + 1;
        Some(index)
    }
}

//! Waiting on a thread: the thread's waker, and receives that sleep.
//!
//! # How a wait goes
//!
//! | step | the thread | what wakes it |
//! |---|---|---|
//! | 1 look | looks a few times, with a pause or a yield between | nothing has to |
//! | 2 register | polls with its waker; done if ready, or if it is late | an event from now on |
//! | 3 park | sleeps, then goes back to 2 | the waker, or the deadline |
//!
//! A wake is a token that `parking` keeps until the next park, so none is lost
//! between 2 and 3. A stale token, left by a wait that is over, costs one more
//! round. Senders skip step 1: to look without a place in the line would be to
//! jump it.
//!
//! # Progress
//!
//! Blocking, by purpose. While it waits the thread holds nothing of Flue's that others need.
//! To wake it is `parking`'s and the operating system's matter, as it is any waker's: between
//! saying that it sleeps and sleeping the thread holds a lock for a few instructions, for which
//! who wakes it waits; and of two who wake it at once the second leaves it to the first. So of
//! threads that stop for ever right there, the promises of `flue-core` do not speak.

use core::cell::Cell;
use core::error::Error;
use core::fmt;
use core::hint;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::thread;
use std::time::Instant;

use flue_core::{Mailbox, RecvError, Signal, TryRecvError};
use parking::Parker;

/// A wait looks so often with a pause between, each twice as long as the one
/// before: to meet a peer that is about to answer on another core.
const PAUSES: u32 = 7;

/// Then it looks so often after giving the core away: to meet one that waits
/// for it, or that is just being woken. Waking a thread takes some ten
/// microseconds: two that answer each other and look for less than that before
/// they park, park every time once they began to.
const YIELDS: u32 = 64;

/// Receives that put the thread to sleep until there is a signal.
///
/// # Example
///
/// ```
/// use flue_std::{MailboxExt, Permissions, PostOffice, Signal};
///
/// let office = PostOffice::new();
/// let group = office.create_group()?;
/// let table = group.create_table()?;
/// let mut mailbox = group.create_mailbox(&table)?;
///
/// let capability = mailbox.capability(Permissions::SEND);
/// let sender = std::thread::spawn(move || capability.send(b"good morning", &[]));
/// let Signal::Message(message) = mailbox.recv()? else { unreachable!("nothing is monitored") };
/// assert_eq!(message.data(), b"good morning");
/// # drop(message);
/// # sender.join().unwrap()?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub trait MailboxExt: sealed::Mailbox {
    /// Waits for the next signal and receives it.
    ///
    /// # Errors
    ///
    /// [`RecvError`] when the mailbox's group is dead, be it before or during
    /// the wait (rule R3).
    ///
    /// # Cost
    ///
    /// With a signal waiting: one `is_ready` and one `try_recv`. Else a short
    /// spin, then one registration of the thread's waker and one sleep per
    /// wake-up. No memory after the thread's first wait.
    ///
    /// # Progress
    ///
    /// Blocks until a signal arrives or the group is killed: nothing else ends
    /// it.
    ///
    /// ```
    /// use flue_std::{MailboxExt, PostOffice};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mut mailbox = group.create_mailbox(&table)?;
    /// group.kill();
    /// assert!(mailbox.recv().is_err());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn recv(&mut self) -> Result<Signal<'_>, RecvError>;

    /// Waits for the next signal, for `timeout` at most.
    ///
    /// A zero timeout looks once and does not wait; one too large for the clock
    /// waits without end.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError::Timeout`] when nothing came in time (nothing is
    /// lost: what comes later waits in the mailbox); [`RecvTimeoutError::Dead`]
    /// when the mailbox's group is dead.
    ///
    /// # Cost
    ///
    /// As [`recv`](Self::recv), and a reading of the clock per wake-up.
    ///
    /// # Progress
    ///
    /// Blocks until a signal arrives, the group is killed or the time is over.
    ///
    /// ```
    /// use core::time::Duration;
    /// use flue_std::{MailboxExt, PostOffice, RecvTimeoutError};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mut mailbox = group.create_mailbox(&table)?;
    /// assert_eq!(mailbox.recv_timeout(Duration::from_millis(1)).unwrap_err(), RecvTimeoutError::Timeout);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn recv_timeout(&mut self, timeout: Duration) -> Result<Signal<'_>, RecvTimeoutError>;

    /// Waits for the next signal, until `deadline` at most. A deadline in the
    /// past looks once.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Cost
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Progress
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    /// use flue_std::{MailboxExt, Permissions, PostOffice};
    ///
    /// let group = PostOffice::new().create_group()?;
    /// let table = group.create_table()?;
    /// let mut mailbox = group.create_mailbox(&table)?;
    /// mailbox.capability(Permissions::SEND).send(b"in time", &[])?;
    /// assert!(mailbox.recv_deadline(Instant::now()).is_ok());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    fn recv_deadline(&mut self, deadline: Instant) -> Result<Signal<'_>, RecvTimeoutError>;
}

impl MailboxExt for Mailbox {
    fn recv(&mut self) -> Result<Signal<'_>, RecvError> {
        if spin(None, || self.is_ready().then_some(())).is_none() {
            wait(|cx| self.poll_ready(cx));
        }
        match self.try_recv() {
            Ok(signal) => Ok(signal),
            Err(TryRecvError::Dead) => Err(RecvError),
            Err(TryRecvError::Empty) => {
                unreachable!("only its owner can empty a mailbox that was ready")
            }
        }
    }

    fn recv_timeout(&mut self, timeout: Duration) -> Result<Signal<'_>, RecvTimeoutError> {
        recv_until(self, deadline_after(timeout))
    }

    fn recv_deadline(&mut self, deadline: Instant) -> Result<Signal<'_>, RecvTimeoutError> {
        recv_until(self, Some(deadline))
    }
}

/// Why a receive with a time limit returned no signal. See
/// [`MailboxExt::recv_timeout`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// No signal came in time. The mailbox is as it was.
    Timeout,
    /// The mailbox's group is dead: nothing will ever be received.
    Dead,
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no signal came in time",
            Self::Dead => "the mailbox's group is dead",
        })
    }
}

impl Error for RecvTimeoutError {}

mod sealed {
    pub trait Mailbox {}
    impl Mailbox for flue_core::Mailbox {}
}

/// The instant `timeout` from now; `None`, which is never, when the clock does
/// not reach that far.
pub(crate) fn deadline_after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// Whether there is no time to wait.
pub(crate) fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// Looks for `event` for a moment, without registering anywhere, and not beyond `deadline`:
/// on a busy machine each core that is given away may be gone for milliseconds.
pub(crate) fn spin<T>(
    deadline: Option<Instant>,
    mut event: impl FnMut() -> Option<T>,
) -> Option<T> {
    for look in 0..PAUSES + YIELDS {
        if let Some(event) = event() {
            return Some(event);
        }
        if look < PAUSES {
            (0..1 << look).for_each(|_| hint::spin_loop());
        } else if is_past(deadline) {
            return None;
        } else {
            thread::yield_now();
        }
    }
    None
}

/// Polls until ready, asleep in between.
pub(crate) fn wait<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    with_parker(|parker, waker| {
        let mut cx = Context::from_waker(waker);
        loop {
            if let Poll::Ready(value) = poll(&mut cx) {
                return value;
            }
            parker.park();
        }
    })
}

/// Polls until ready or the deadline, asleep in between. The last poll comes
/// after the deadline, so that what came in time is never reported late.
/// Without a deadline it is [`wait`].
pub(crate) fn wait_until<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let Some(deadline) = deadline else {
        return Some(wait(poll));
    };
    with_parker(|parker, waker| {
        let mut cx = Context::from_waker(waker);
        loop {
            let late = deadline <= Instant::now();
            match poll(&mut cx) {
                Poll::Ready(value) => return Some(value),
                Poll::Pending if late => return None,
                Poll::Pending => parker.park_deadline(deadline),
            };
        }
    })
}

fn recv_until(
    mailbox: &mut Mailbox,
    deadline: Option<Instant>,
) -> Result<Signal<'_>, RecvTimeoutError> {
    let ready = |mailbox: &Mailbox| mailbox.is_ready().then_some(());
    if ready(mailbox).is_none() && !is_past(deadline) && spin(deadline, || ready(mailbox)).is_none()
    {
        wait_until(deadline, |cx| mailbox.poll_ready(cx));
    }
    mailbox.try_recv().map_err(|error| match error {
        TryRecvError::Empty => RecvTimeoutError::Timeout,
        TryRecvError::Dead => RecvTimeoutError::Dead,
    })
}

/// Runs `wait` with the thread's parker and its waker.
///
/// The pair is taken out for the time of the wait: a wait inside a wait (a
/// payload's drop that receives, say) gets a pair of its own, and so does one
/// in a destructor of the thread's locals.
fn with_parker<T>(wait: impl FnOnce(&Parker, &Waker) -> T) -> T {
    thread_local! {
        static CACHED: Cell<Option<(Parker, Waker)>> = const { Cell::new(None) };
    }
    let pair = CACHED.try_with(Cell::take).ok().flatten();
    let (parker, waker) = pair.unwrap_or_else(|| {
        let (parker, unparker) = parking::pair();
        (parker, Waker::from(unparker))
    });
    let value = wait(&parker, &waker);
    // Fails only where there is nothing left to cache for.
    let _ = CACHED.try_with(|cached| cached.set(Some((parker, waker))));
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waiting again registers the same waker; a wait inside a wait has
    /// another.
    #[test]
    fn a_thread_has_one_waker() {
        let first = with_parker(|_, waker| waker.clone());
        let nested = with_parker(|_, outer| {
            assert!(outer.will_wake(&first));
            with_parker(|_, inner| inner.clone())
        });
        assert!(!nested.will_wake(&first));
        assert!(with_parker(|_, waker| waker.will_wake(&first)));
        let other = thread::spawn(|| with_parker(|_, waker| waker.clone()));
        assert!(!other.join().unwrap().will_wake(&first));
    }

    /// A wake that comes between the poll and the park is not lost, nor is one
    /// for another wait kept for ever.
    #[test]
    fn a_wake_is_a_token() {
        let mut polls = 0;
        wait(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
        });
        let begin = Instant::now();
        let patience = Duration::from_millis(20);
        let none: Option<()> = wait_until(Some(begin + patience), |_| Poll::Pending);
        assert_eq!(none, None);
        assert!(begin.elapsed() >= patience);
    }

    /// Who looks before it sleeps gives its core away no more when it is late.
    #[test]
    fn looking_ends_with_the_deadline() {
        let mut looks = 0;
        let none: Option<()> = spin(Some(Instant::now()), || {
            looks += 1;
            None
        });
        assert_eq!((none, looks), (None, PAUSES + 1));
    }

    /// A wait that panics leaves the thread able to wait.
    #[test]
    fn a_panic_in_a_wait() {
        let thread = thread::spawn(|| {
            let poll =
                |_: &mut Context<'_>| -> Poll<()> { std::panic::resume_unwind(Box::new(())) };
            assert!(std::panic::catch_unwind(|| wait(poll)).is_err());
            with_parker(|_, _| ());
        });
        assert!(thread.join().is_ok());
    }

    /// A thread may wait while its locals are being destroyed.
    #[test]
    fn a_wait_in_a_destructor() {
        struct Waits;
        impl Drop for Waits {
            fn drop(&mut self) {
                assert_eq!(wait_until(Some(Instant::now()), |_| Poll::<()>::Pending), None);
            }
        }
        thread_local!(static LAST: Waits = const { Waits });
        let thread = thread::spawn(|| {
            LAST.with(|_| ());
            with_parker(|_, _| ());
        });
        assert!(thread.join().is_ok());
    }
}

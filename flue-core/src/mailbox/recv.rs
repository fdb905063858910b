//! Receiving: taking signals off the head, in order, and giving back what they
//! took.

use super::Mailbox;
use super::channel::Received;
use super::head::{Element, What};
use super::node::{Content, Holds, Node};
use crate::error::{RecvError, TryRecvError};
use crate::office::Office;
use crate::panics::Panics;
use crate::payload::INLINE_BYTES;
use crate::route::{self};
use crate::signal::{Down, Message, Signal};
use crate::sync::atomic::{Ordering::SeqCst, fence};
use crate::twin::{self, Twin};
use core::future::Future;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

impl Mailbox {
    /// The next signal, if there is one.
    ///
    /// The guard reads the message where it lies. The handles attached to it
    /// belong to the guard until they are taken from it; the rest is released
    /// when it is dropped (rule R2).
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice, Signal, TryRecvError};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mut mailbox = group.create_mailbox(&table)?;
    /// # let to = mailbox.export(Permissions::SEND)?;
    /// assert_eq!(mailbox.try_recv().unwrap_err(), TryRecvError::Empty);
    /// table.send(to, b"hello", &[])?;
    /// match mailbox.try_recv()? {
    ///     Signal::Message(message) => assert_eq!(message.data(), b"hello"),
    ///     other => unreachable!("nothing is monitored: {other:?}"),
    /// }
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Empty`; `Dead` once the group is dead, whatever waits (rule R3).
    ///
    /// # Cost
    /// A constant number of steps for a message, and for each capability attached, and for
    /// that of a down, [a search](crate#what-operations-cost). Signals that came since the
    /// last look are put in order once, by reads and writes. No memory, whatever is
    /// received.
    ///
    /// # Progress
    /// Wait-free, but for the wake of a sender that waits for room; capabilities are put
    /// into the table lock-free.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Signal<'_>, TryRecvError> {
        self.settle_lent();
        if self.group.is_dead() {
            return Err(TryRecvError::Dead);
        }
        if self.pending.is_none() { self.newest() } else { self.next_pending() }
    }

    /// What came since the marker, when all before it was received.
    fn newest(&mut self) -> Result<Signal<'_>, TryRecvError> {
        let seen = self.route().head.look().newest();
        if seen == self.marker {
            self.pass_over();
            return Err(TryRecvError::Empty);
        }
        let Some((node, envelope)) = self.only_one(seen) else {
            self.fetch(false);
            return self.next_pending();
        };
        self.count(seen, envelope.weight);
        // It is the marker now, which is not to be freed yet; and inline bytes need no dropping.
        if !envelope.is_plain || twin::is(Twin::MarkerFreed) {
            self.prepare(seen, node, &envelope);
        }
        let old = core::mem::replace(&mut self.marker, seen);
        self.free(old);
        Ok(Signal::Message(self.lend(node, &envelope)))
    }

    /// The first of what was taken off the head.
    #[inline(never)]
    fn next_pending(&mut self) -> Result<Signal<'_>, TryRecvError> {
        loop {
            let element = self.pending;
            match element.what() {
                Some(What::Message(index)) => {
                    let node = match self.front.take() {
                        Some(node) => node,
                        // SAFETY: pending, so its claim is ours, and Queued.
                        None => unsafe { NonNull::from(self.post_office().nodes.slot(index)) },
                    };
                    // SAFETY: as above.
                    let envelope = unsafe { node.as_ref().read(Content::envelope) };
                    self.count(element, envelope.weight);
                    if element != self.marker || !envelope.is_plain || twin::is(Twin::MarkerFreed) {
                        self.prepare(element, node, &envelope);
                    }
                    self.pending = envelope.next;
                    return Ok(Signal::Message(self.lend(node, &envelope)));
                }
                Some(What::Down(down)) => {
                    // It may be of the death that killed this mailbox: its killer took that
                    // step before it queued the down, so now it is seen (rule R3).
                    if self.group.is_dead() && !twin::is(Twin::DownUnconfirmed) {
                        return Err(TryRecvError::Dead);
                    }
                    if self.take_down(element, down.record) {
                        return Ok(Signal::Down(Down::new(self)));
                    }
                }
                // What was there were removed downs; more may have come since.
                None if self.fetch(false) => {}
                None => {
                    self.pass_over();
                    return Err(TryRecvError::Empty);
                }
            }
        }
    }

    /// Receives the pending down, into `self.down`. `false`: it was removed.
    #[inline(never)]
    fn take_down(&mut self, element: Element, index: u32) -> bool {
        let is_received = self.counted == element || self.admit_down(element, index);
        self.counted = Element::NONE;
        self.front = None;
        self.pending = self.next_of(element);
        if element != self.marker {
            self.free(element);
        }
        self.has_lent = is_received;
        is_received
    }

    /// Ends the monitor of a down that is still pending, so that a waker that panics does no
    /// harm (rule R4). `false`: it was over.
    fn admit_down(&mut self, element: Element, index: u32) -> bool {
        Panics::after(|panics| {
            let Some(received) = self.receive_down(index, panics) else { return false };
            let _ = self.handles.push(received.handle); // Empty: nothing is lent.
            self.down = received;
            self.counted = element;
            true
        })
    }

    /// Nothing is here and yet a sender waits: who was woken for the room has
    /// not come, so the next in the line is (rule S6). And who has no work needs
    /// no buffers that others miss.
    #[inline(always)]
    fn pass_over(&mut self) {
        self.share_spare();
        if self.channel().received.has_waiting() {
            self.post_office().wake_senders_of_empty(self.address, self.asleep);
        }
    }

    /// The newest element's node, if it is a message and the only thing that came since the
    /// marker: then nothing is to be turned round.
    #[inline(always)]
    fn only_one(&self, newest: Element) -> Option<(NonNull<Node>, Envelope)> {
        let index = newest.as_message()?;
        // SAFETY: in our queue, so its claim is ours, and Queued.
        let node = unsafe { self.post_office().nodes.slot(index) };
        // SAFETY: as above.
        let envelope = unsafe { node.read(Content::envelope) };
        let only = envelope.next == self.marker && !self.asleep;
        only.then(|| (NonNull::from(node), envelope))
    }

    /// Readies a message that must be settled after its guard. It is still in the queue.
    #[inline(always)]
    fn prepare(&mut self, element: Element, node: NonNull<Node>, envelope: &Envelope) {
        if envelope.has_attached {
            self.import(element, node);
        }
        self.has_lent = true;
        self.lent = Some((element, node));
    }

    /// Lends a message that was taken to the guard that is made for it.
    #[inline(always)]
    fn lend(&mut self, node: NonNull<Node>, envelope: &Envelope) -> Message<'_> {
        let data = if envelope.in_node {
            // SAFETY: in our queue, so its claim is ours, and Queued.
            unsafe { node.as_ref().inline() }
        } else {
            self.elsewhere(node)
        };
        #[cfg(feature = "alloc")]
        if twin::is(Twin::BlockKeptEarly) {
            self.keep_block(node);
        }
        Message::new(self, data, envelope.length)
    }

    /// Where the bytes of a message are that are not in its node.
    #[inline(never)]
    fn elsewhere(&self, message: NonNull<Node>) -> NonNull<u8> {
        // SAFETY: in our queue, so its claim is ours, and Queued.
        unsafe { message.as_ref().read(|content| content.named_bytes(self.post_office())) }
    }

    /// Whether the next [`try_recv`](Self::try_recv) is not `Empty`. Only the
    /// owner can change a `true` back. See [`poll_ready`](Self::poll_ready) for an
    /// example.
    ///
    /// # Cost
    /// Reads alone: constant, and for each removed down that still is in the queue.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.group.is_dead() || self.has_signal()
    }

    /// Whether a signal waits that was not removed.
    fn has_signal(&self) -> bool {
        let mut element = self.pending;
        while !element.is_none() {
            if self.is_current(element) {
                return true;
            }
            element = self.next_of(element);
        }
        let mut element = self.route().head.look().newest();
        while !element.is_none() && element != self.marker {
            if self.is_current(element) {
                return true;
            }
            element = self.next_of(element);
        }
        false
    }

    /// Whether an element is a message, or a down that was not removed.
    pub(super) fn is_current(&self, element: Element) -> bool {
        match element.what() {
            Some(What::Message(_)) => true,
            Some(What::Down(down)) => self.counted == element || self.is_down_current(down.record),
            None => false,
        }
    }

    /// Ready when the next [`try_recv`](Self::try_recv) is not `Empty`.
    ///
    /// ```
    /// # use core::task::{Context, Waker};
    /// # use flue_core::{Permissions, PostOffice};
    /// # let group = PostOffice::new().create_group()?;
    /// # let mut mailbox = group.create_mailbox(&group.create_table()?)?;
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// assert!(mailbox.poll_ready(&mut cx).is_pending());
    /// mailbox.capability(Permissions::SEND).send(b"hello", &[])?;
    /// assert!(mailbox.is_ready() && mailbox.poll_ready(&mut cx).is_ready());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Cost
    /// [`is_ready`](Self::is_ready); if it is not, the registration of the waker, which is
    /// cloned unless it is the same as before, and a few steps; for each sender that waits,
    /// and for whom there is room, a wake and a look at all who wait. No memory but what that clone
    /// takes.
    ///
    /// # Cancel safety
    /// Nothing is taken, so nothing can be lost.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.settle_lent();
        if self.is_ready() {
            return Poll::Ready(());
        }
        self.route().wake.register(cx.waker());
        if twin::is(Twin::IdleLooksFirst) {
            self.pass_over();
        }
        if self.asleep && !twin::is(Twin::DozeUnfenced) {
            fence(SeqCst); // Partner: `rouse_receiver`; what is no step of the head orders nothing.
        }
        let is_asleep = self.doze();
        // Partners: who ends the group, before it wakes its receivers; and who makes room, before
        // it asks whether we sleep.
        fence(SeqCst);
        if !is_asleep || self.group.is_dead() {
            return Poll::Ready(());
        }
        if !twin::is(Twin::IdleLooksFirst) {
            self.pass_over();
        }
        Poll::Pending
    }

    /// Puts the head to sleep. `false`: something waits.
    fn doze(&mut self) -> bool {
        loop {
            // Removed downs are in the way of nobody but a sleeper.
            while !self.pending.is_none() {
                if self.is_current(self.pending) {
                    return false;
                }
                let element = self.pending;
                self.front = None;
                self.pending = self.next_of(element);
                if element != self.marker {
                    self.free(element);
                }
            }
            let seen = self.route().head.look();
            if self.asleep && seen.newest().is_none() {
                return true;
            }
            if self.route().head.sleep(seen, self.marker) {
                let marker = core::mem::replace(&mut self.marker, Element::NONE);
                self.free(marker);
                self.flush_spare();
                self.asleep = true;
                return true;
            }
            self.fetch(true); // Something came since the look.
        }
    }

    /// The next signal, or a promise to wake.
    ///
    /// ```
    /// # use core::task::{Context, Poll, Waker};
    /// # use flue_core::{Permissions, PostOffice, Signal};
    /// # let group = PostOffice::new().create_group()?;
    /// # let mut mailbox = group.create_mailbox(&group.create_table()?)?;
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// assert!(mailbox.poll_recv(&mut cx).is_pending());
    /// mailbox.capability(Permissions::SEND).send(b"hello", &[])?;
    /// let received = mailbox.poll_recv(&mut cx);
    /// assert!(matches!(received, Poll::Ready(Ok(Signal::Message(m))) if m.data() == b"hello"));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `RecvError` once the group is dead.
    ///
    /// # Cost
    /// That of [`poll_ready`](Self::poll_ready), and of [`try_recv`](Self::try_recv) when
    /// that is ready.
    ///
    /// # Cancel safety
    /// A signal leaves the queue only in the call that returns it (rule R4).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Signal<'_>, RecvError>> {
        if self.poll_ready(cx).is_pending() {
            return Poll::Pending;
        }
        match self.try_recv() {
            Ok(signal) => Poll::Ready(Ok(signal)),
            Err(TryRecvError::Dead) => Poll::Ready(Err(RecvError)),
            Err(TryRecvError::Empty) => {
                cx.waker().wake_by_ref(); // Ready was a mistake: never seen, and harmless.
                Poll::Pending
            }
        }
    }

    /// The next signal, when there is one.
    ///
    /// ```
    /// # use flue_core::{Permissions, PostOffice};
    /// # use core::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    /// # let group = PostOffice::new().create_group()?;
    /// # let table = group.create_table()?;
    /// # let mut mailbox = group.create_mailbox(&table)?;
    /// # let to = mailbox.export(Permissions::SEND)?;
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let mut next = pin!(mailbox.recv_async());
    /// assert!(next.as_mut().poll(&mut cx).is_pending());
    /// table.send(to, b"at last", &[])?;
    /// assert!(next.as_mut().poll(&mut cx).is_ready());
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `RecvError` once the group is dead.
    ///
    /// # Cost
    /// For each poll that of [`poll_recv`](Self::poll_recv); no memory.
    ///
    /// # Progress
    /// Pending until a signal comes or the group dies.
    ///
    /// # Cancel safety
    /// Dropping the future loses no signal (rule R4).
    pub fn recv_async(&mut self) -> impl Future<Output = Result<Signal<'_>, RecvError>> + Send {
        RecvFuture(Some(self))
    }

    /// Gives a message's room back, once, and wakes a sender that waits for it.
    /// The message is still pending, so a waker that panics does no harm.
    #[inline]
    fn count(&mut self, element: Element, weight: u32) {
        if self.counted == element {
            self.counted = Element::NONE;
            return;
        }
        if weight > 0 {
            let channel = self.channel();
            channel.bytes.lower(channel.life.count(), weight);
        }
        let received: &Received = &self.channel().received;
        let (count, awaited) = match self.limits.waiters {
            0 => (received.one_more_unawaited(), false),
            _ => received.one_more(),
        };
        let most = self.limits.messages;
        // Now and then, so that the senders' cache line is left alone.
        if count & self.stride == 0 {
            route::publish(&self.route().bound, count.wrapping_add(most));
        }
        if awaited {
            self.counted = element;
            self.post_office().wake_one_sender(self.address);
            self.counted = Element::NONE;
        }
    }
}

/// What a receive wants to know of a message, in one look.
struct Envelope {
    next: Element,
    /// Bytes that were charged for it.
    weight: u32,
    /// Whether the bytes are in the node.
    in_node: bool,
    has_attached: bool,
    /// Whether there is no more to it than bytes in its node.
    is_plain: bool,
    length: usize,
}

impl Content {
    #[inline(always)]
    fn envelope(&self) -> Envelope {
        let in_node = self.holds == Holds::Inline;
        debug_assert!(!in_node || self.length as usize <= INLINE_BYTES);
        let weight = if self.holds == Holds::Owned { self.length } else { 0 };
        Envelope {
            next: self.next,
            weight,
            in_node,
            has_attached: self.attached > 0,
            is_plain: in_node && self.attached == 0,
            length: self.length as usize,
        }
    }

    /// Where the bytes are that the body names.
    fn named_bytes(&self, office: &Office) -> NonNull<u8> {
        #[cfg(feature = "alloc")]
        if let Some(block) = self.block() {
            // SAFETY: named by a node that is the receiver's, and so claimed and its, too.
            return unsafe { office.blocks.slot(block).bytes() };
        }
        let _ = office;
        if self.holds != Holds::Owned {
            return NonNull::dangling();
        }
        // SAFETY: `holds` says that the body is owned bytes.
        let owned: &[u8] = unsafe { &self.body.owned };
        NonNull::from(owned).cast()
    }
}

/// A future that borrows the mailbox until it has a signal from it.
struct RecvFuture<'m>(Option<&'m mut Mailbox>);

impl<'m> Future for RecvFuture<'m> {
    type Output = Result<Signal<'m>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mailbox) = self.0.as_mut() else {
            // Polled after it was ready: as good as any future that is done.
            return Poll::Pending;
        };
        if mailbox.poll_ready(cx).is_pending() {
            return Poll::Pending;
        }
        match self.0.take().map(Mailbox::try_recv) {
            Some(Ok(signal)) => Poll::Ready(Ok(signal)),
            Some(Err(_)) => Poll::Ready(Err(RecvError)),
            None => Poll::Pending,
        }
    }
}

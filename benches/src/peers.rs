//! The channels and queues that carry the same messages, behind one small trait, so that each workload
//! is written once for all of them. Unbounded wherever there is a choice; the raw rings hold 1024.

use std::future::Future;

/// What may be sent.
pub trait Item: Send + 'static {}
impl<T: Send + 'static> Item for T {}

/// Something with two ends.
pub trait Channel: 'static {
    /// How reports call it.
    const NAME: &'static str;
    /// The end that sends.
    type Sender<T: Item>: Send;
    /// The end that receives.
    type Receiver<T: Item>: Send;
    /// A new one.
    fn open<T: Item>() -> (Self::Sender<T>, Self::Receiver<T>);
    /// Sends; a ring that is full lets others run until it is not.
    fn send<T: Item>(sender: &mut Self::Sender<T>, item: T);
    /// Receives what is there.
    fn try_recv<T: Item>(receiver: &mut Self::Receiver<T>) -> Option<T>;
}

/// A channel with any number of senders.
pub trait Shared: Channel {
    /// One more sender.
    fn share<T: Item>(sender: &Self::Sender<T>) -> Self::Sender<T>;
}

/// A channel on which a thread can sleep.
pub trait Blocking: Channel {
    /// Waits for an item.
    fn recv<T: Item>(receiver: &mut Self::Receiver<T>) -> T;
}

/// A channel on which a task can wait.
pub trait Waiting: Channel {
    /// Waits for an item.
    fn recv_async<T: Item>(receiver: &mut Self::Receiver<T>) -> impl Future<Output = T> + Send;
}

/// Adds one contender for each channel named, all doing the same work:
/// `peers!(row, turns, [Std, Flume], work(size))`.
#[macro_export]
macro_rules! peers {
    ($row:expr, $how:ident, [$($peer:ident),+], $work:ident $arguments:tt) => {{
        let row = $row;
        $(let row = row.$how(<$peer as Channel>::NAME, move || $work::<$peer> $arguments);)+
        row
    }};
}

const OPEN: &str = "both ends are alive";

/// `std::sync::mpsc`.
#[derive(Debug)]
pub struct Std;
impl Channel for Std {
    const NAME: &'static str = "std mpsc";
    type Sender<T: Item> = std::sync::mpsc::Sender<T>;
    type Receiver<T: Item> = std::sync::mpsc::Receiver<T>;
    fn open<T: Item>() -> (Self::Sender<T>, Self::Receiver<T>) {
        std::sync::mpsc::channel()
    }
    #[inline]
    fn send<T: Item>(sender: &mut Self::Sender<T>, item: T) {
        sender.send(item).expect(OPEN);
    }
    #[inline]
    fn try_recv<T: Item>(receiver: &mut Self::Receiver<T>) -> Option<T> {
        receiver.try_recv().ok()
    }
}
impl Shared for Std {
    fn share<T: Item>(sender: &Self::Sender<T>) -> Self::Sender<T> {
        sender.clone()
    }
}
impl Blocking for Std {
    #[inline]
    fn recv<T: Item>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.recv().expect(OPEN)
    }
}

/// `crossbeam-channel`.
#[derive(Debug)]
pub struct Crossbeam;
impl Channel for Crossbeam {
    const NAME: &'static str = "crossbeam";
    type Sender<T: Item> = crossbeam_channel::Sender<T>;
    type Receiver<T: Item> = crossbeam_channel::Receiver<T>;
    fn open<T: Item>() -> (Self::Sender<T>, Self::Receiver<T>) {
        crossbeam_channel::unbounded()
    }
    #[inline]
    fn send<T: Item>(sender: &mut Self::Sender<T>, item: T) {
        sender.send(item).expect(OPEN);
    }
    #[inline]
    fn try_recv<T: Item>(receiver: &mut Self::Receiver<T>) -> Option<T> {
        receiver.try_recv().ok()
    }
}
impl Shared for Crossbeam {
    fn share<T: Item>(sender: &Self::Sender<T>) -> Self::Sender<T> {
        sender.clone()
    }
}
impl Blocking for Crossbeam {
    #[inline]
    fn recv<T: Item>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.recv().expect(OPEN)
    }
}

/// `flume`.
#[derive(Debug)]
pub struct Flume;
impl Channel for Flume {
    const NAME: &'static str = "flume";
    type Sender<T: Item> = flume::Sender<T>;
    type Receiver<T: Item> = flume::Receiver<T>;
    fn open<T: Item>() -> (Self::Sender<T>, Self::Receiver<T>) {
        flume::unbounded()
    }
    #[inline]
    fn send<T: Item>(sender: &mut Self::Sender<T>, item: T) {
        sender.send(item).expect(OPEN);
    }
    #[inline]
    fn try_recv<T: Item>(receiver: &mut Self::Receiver<T>) -> Option<T> {
        receiver.try_recv().ok()
    }
}
impl Shared for Flume {
    fn share<T: Item>(sender: &Self::Sender<T>) -> Self::Sender<T> {
        sender.clone()
    }
}
impl Blocking for Flume {
    #[inline]
    fn recv<T: Item>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.recv().expect(OPEN)
    }
}
impl Waiting for Flume {
    #[inline]
    async fn recv_async<T: Item>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.recv_async().await.expect(OPEN)
    }
}

/// `kanal`.
#[derive(Debug)]
pub struct Kanal;
impl Channel for Kanal {
    const NAME: &'static str = "kanal";
    type Sender<T: Item> = kanal::Sender<T>;
    type Receiver<T: Item> = kanal::Receiver<T>;
    fn open<T: Item>() -> (Self::Sender<T>, Self::Receiver<T>) {
        kanal::unbounded()
    }
    #[inline]
    fn send<T: Item>(sender: &mut Self::Sender<T>, item: T) {
        sender.send(item).expect(OPEN);
    }
    #[inline]
    fn try_recv<T: Item>(receiver: &mut Self::Receiver<T>) -> Option<T> {
        receiver.try_recv().ok().flatten()
    }
}
impl Shared for Kanal {
    fn share<T: Item>(sender: &Self::Sender<T>) -> Self::Sender<T> {
        sender.clone()
    }
}
impl Blocking for Kanal {
    #[inline]
    fn recv<T: Item>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.recv().expect(OPEN)
    }
}
impl Waiting for Kanal {
    #[inline]
    async fn recv_async<T: Item>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.as_async().recv().await.expect(OPEN)
    }
}

/// `tokio::sync::mpsc`.
#[derive(Debug)]
pub struct Tokio;
impl Channel for Tokio {
    const NAME: &'static str = "tokio mpsc";
    type Sender<T: Item> = tokio::sync::mpsc::UnboundedSender<T>;
    type Receiver<T: Item> = tokio::sync::mpsc::UnboundedReceiver<T>;
    fn open<T: Item>() -> (Self::Sender<T>, Self::Receiver<T>) {
        tokio::sync::mpsc::unbounded_channel()
    }
    #[inline]
    fn send<T: Item>(sender: &mut Self::Sender<T>, item: T) {
        assert!(sender.send(item).is_ok(), "{OPEN}");
    }
    #[inline]
    fn try_recv<T: Item>(receiver: &mut Self::Receiver<T>) -> Option<T> {
        receiver.try_recv().ok()
    }
}
impl Shared for Tokio {
    fn share<T: Item>(sender: &Self::Sender<T>) -> Self::Sender<T> {
        sender.clone()
    }
}
impl Blocking for Tokio {
    #[inline]
    fn recv<T: Item>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.blocking_recv().expect(OPEN)
    }
}
impl Waiting for Tokio {
    #[inline]
    async fn recv_async<T: Item>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.recv().await.expect(OPEN)
    }
}

/// `crossbeam_queue::SegQueue`: raw, nobody can wait on it.
#[derive(Debug)]
pub struct SegQueue;
impl Channel for SegQueue {
    const NAME: &'static str = "SegQueue";
    type Sender<T: Item> = std::sync::Arc<crossbeam_queue::SegQueue<T>>;
    type Receiver<T: Item> = std::sync::Arc<crossbeam_queue::SegQueue<T>>;
    fn open<T: Item>() -> (Self::Sender<T>, Self::Receiver<T>) {
        let queue = std::sync::Arc::new(crossbeam_queue::SegQueue::new());
        (queue.clone(), queue)
    }
    #[inline]
    fn send<T: Item>(sender: &mut Self::Sender<T>, item: T) {
        sender.push(item);
    }
    #[inline]
    fn try_recv<T: Item>(receiver: &mut Self::Receiver<T>) -> Option<T> {
        receiver.pop()
    }
}
impl Shared for SegQueue {
    fn share<T: Item>(sender: &Self::Sender<T>) -> Self::Sender<T> {
        sender.clone()
    }
}

/// How much the raw rings hold.
const RING: usize = 1024;

/// `crossbeam_queue::ArrayQueue`: raw, nobody can wait on it.
#[derive(Debug)]
pub struct ArrayQueue;
impl Channel for ArrayQueue {
    const NAME: &'static str = "ArrayQueue";
    type Sender<T: Item> = std::sync::Arc<crossbeam_queue::ArrayQueue<T>>;
    type Receiver<T: Item> = std::sync::Arc<crossbeam_queue::ArrayQueue<T>>;
    fn open<T: Item>() -> (Self::Sender<T>, Self::Receiver<T>) {
        let queue = std::sync::Arc::new(crossbeam_queue::ArrayQueue::new(RING));
        (queue.clone(), queue)
    }
    #[inline]
    fn send<T: Item>(sender: &mut Self::Sender<T>, item: T) {
        let mut full = sender.push(item);
        while let Err(item) = full {
            std::thread::yield_now();
            full = sender.push(item);
        }
    }
    #[inline]
    fn try_recv<T: Item>(receiver: &mut Self::Receiver<T>) -> Option<T> {
        receiver.pop()
    }
}
impl Shared for ArrayQueue {
    fn share<T: Item>(sender: &Self::Sender<T>) -> Self::Sender<T> {
        sender.clone()
    }
}

/// `rtrb`: raw, one sender, nobody can wait on it.
#[derive(Debug)]
pub struct Rtrb;
impl Channel for Rtrb {
    const NAME: &'static str = "rtrb";
    type Sender<T: Item> = rtrb::Producer<T>;
    type Receiver<T: Item> = rtrb::Consumer<T>;
    fn open<T: Item>() -> (Self::Sender<T>, Self::Receiver<T>) {
        rtrb::RingBuffer::new(RING)
    }
    #[inline]
    fn send<T: Item>(sender: &mut Self::Sender<T>, item: T) {
        let mut full = sender.push(item);
        while let Err(rtrb::PushError::Full(item)) = full {
            std::thread::yield_now();
            full = sender.push(item);
        }
    }
    #[inline]
    fn try_recv<T: Item>(receiver: &mut Self::Receiver<T>) -> Option<T> {
        receiver.pop().ok()
    }
}

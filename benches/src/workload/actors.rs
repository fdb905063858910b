//! Actor libraries on one thread: a message told, a question asked, an idle actor kept. Flue's actor is
//! a tokio task that owns a process; a question carries the capability to answer it.

use super::exchange::runtime;
use super::memory::each_of;
use crate::measure::{FLUE, Row, Unit, Window};
use crate::ours;
use flue_core::{Handle, Mailbox, Permissions, PostOffice, Signal, Table};
use std::future::Future;
use std::hint::black_box;
use std::time::Instant;

/// How many are told before it is asked whether it has counted them all.
const TOLD: u64 = 1_000;
/// How many idle actors are counted.
const IDLE: usize = 10_000;

/// The multi-threaded libraries that Flue is to beat five times.
const LIBRARIES: [&str; 4] = [Actix::NAME, Xtra::NAME, Kameo::NAME, Ractor::NAME];

/// The family's rows.
pub fn rows() -> Vec<Row> {
    let told = Row::timed("actors/tell").per(TOLD);
    let told = told
        .turns(FLUE, tell::<Flue>)
        .turns(Actix::NAME, tell::<Actix>)
        .turns(Xtra::NAME, tell::<Xtra>)
        .turns(Kameo::NAME, tell::<Kameo>)
        .turns(Ractor::NAME, tell::<Ractor>);
    let asked = Row::timed("actors/ask")
        .turns(FLUE, ask::<Flue>)
        .turns(Actix::NAME, ask::<Actix>)
        .turns(Xtra::NAME, ask::<Xtra>)
        .turns(Kameo::NAME, ask::<Kameo>)
        .turns(Ractor::NAME, ask::<Ractor>);
    let idle = Row::new("actors/idle actor", Unit::Bytes)
        .figure(FLUE, idle::<Flue>)
        .figure(Actix::NAME, idle::<Actix>)
        .figure(Xtra::NAME, idle::<Xtra>)
        .figure(Kameo::NAME, idle::<Kameo>)
        .figure(Ractor::NAME, idle::<Ractor>);
    let five_times =
        |row: Row| LIBRARIES.into_iter().fold(row, |row, library| row.must(library, 1.0 / 5.0));
    vec![five_times(told), five_times(asked), idle]
}

/// A library of actors; its actor counts what it is told and says how much it was.
trait Library: 'static {
    /// How reports call it.
    const NAME: &'static str;
    /// What the actors run on.
    type Runtime: Runtime;
    /// What whoever tells and asks has of its own, for all actors.
    type Client: Default;
    /// The way to an actor.
    type Address;
    /// Starts an actor.
    fn start(client: &Self::Client) -> impl Future<Output = Self::Address>;
    /// Tells it to count `amount`.
    fn tell(client: &Self::Client, actor: &Self::Address, amount: u64) -> impl Future<Output = ()>;
    /// Tells it to count `amount` and asks for the sum.
    fn ask(
        client: &mut Self::Client,
        actor: &Self::Address,
        amount: u64,
    ) -> impl Future<Output = u64>;
}

/// Something that runs actors on this thread.
trait Runtime: 'static {
    fn new() -> Self;
    fn run<T>(&self, work: impl Future<Output = T>) -> T;
}

impl Runtime for tokio::runtime::Runtime {
    fn new() -> Self {
        runtime()
    }
    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.block_on(work)
    }
}

impl Runtime for actix::SystemRunner {
    fn new() -> Self {
        actix::System::new()
    }
    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.block_on(work)
    }
}

fn tell<L: Library>() -> Window {
    let runtime = L::Runtime::new();
    let mut client = L::Client::default();
    let actor = runtime.run(L::start(&client));
    Box::new(move |turns| {
        runtime.run(async {
            let mut expected = L::ask(&mut client, &actor, 0).await;
            let start = Instant::now();
            for _ in 0..turns {
                for _ in 0..TOLD {
                    L::tell(&client, &actor, black_box(1)).await;
                }
                expected += TOLD;
                // One question is enough where it waits its turn; xtra lets it pass some that were told.
                while L::ask(&mut client, &actor, 0).await < expected {}
            }
            start.elapsed()
        })
    })
}

fn ask<L: Library>() -> Window {
    let runtime = L::Runtime::new();
    let mut client = L::Client::default();
    let actor = runtime.run(L::start(&client));
    Box::new(move |turns| {
        runtime.run(async {
            L::ask(&mut client, &actor, 0).await;
            let start = Instant::now();
            for _ in 0..turns {
                black_box(L::ask(&mut client, &actor, black_box(1)).await);
            }
            start.elapsed()
        })
    })
}

fn idle<L: Library>() -> f64 {
    let runtime = L::Runtime::new();
    let mut client = L::Client::default();
    each_of(IDLE, |_| {
        runtime.run(async {
            let actor = L::start(&client).await;
            // One question, so that it is surely running.
            L::ask(&mut client, &actor, 0).await;
            actor
        })
    })
}

struct Flue;

/// A process that tells and asks, and the capability to answer it.
struct FlueClient {
    office: PostOffice,
    process: ours::Process,
    reply: Handle,
}

impl Default for FlueClient {
    fn default() -> Self {
        let office = PostOffice::new();
        let process = ours::Process::new(&office);
        let reply = process.mailbox.export(Permissions::SEND).expect("the table has room");
        Self { office, process, reply }
    }
}

/// Counts what it is told; answers where an answer is expected.
async fn flue_actor(table: Table, mut mailbox: Mailbox) {
    let mut sum = 0;
    while let Ok(Signal::Message(message)) = mailbox.recv_async().await {
        sum += message.data().try_into().map_or(0, u64::from_ne_bytes);
        if let [reply] = *message.handles() {
            table.send(reply, &u64::to_ne_bytes(sum), &[]).expect("the client waits");
        }
    }
}

impl Library for Flue {
    const NAME: &'static str = FLUE;
    type Runtime = tokio::runtime::Runtime;
    type Client = FlueClient;
    type Address = Handle;
    async fn start(client: &FlueClient) -> Handle {
        let actor = ours::Process::new(&client.office);
        let to = client.process.granted(&actor.mailbox, Permissions::SEND);
        tokio::spawn(flue_actor(actor.table, actor.mailbox));
        to
    }
    #[inline]
    async fn tell(client: &FlueClient, actor: &Handle, amount: u64) {
        client.process.table.send(*actor, &amount.to_ne_bytes(), &[]).expect(ALIVE);
    }
    #[inline]
    async fn ask(client: &mut FlueClient, actor: &Handle, amount: u64) -> u64 {
        let FlueClient { process, reply, .. } = client;
        process.table.send(*actor, &amount.to_ne_bytes(), &[*reply]).expect(ALIVE);
        match process.mailbox.recv_async().await {
            Ok(Signal::Message(answer)) => answer.data().try_into().map_or(0, u64::from_ne_bytes),
            _ => 0,
        }
    }
}

/// What the libraries' actors are told.
#[derive(Debug)]
struct Tell(u64);
/// What the libraries' actors are asked.
#[derive(Debug)]
struct Ask(u64);

const ALIVE: &str = "the actor lives";

struct Actix;
struct ActixActor(u64);

impl actix::Actor for ActixActor {
    type Context = actix::Context<Self>;
}
impl actix::Message for Tell {
    type Result = ();
}
impl actix::Message for Ask {
    type Result = u64;
}
impl actix::Handler<Tell> for ActixActor {
    type Result = ();
    fn handle(&mut self, Tell(amount): Tell, _: &mut Self::Context) {
        self.0 += amount;
    }
}
impl actix::Handler<Ask> for ActixActor {
    type Result = u64;
    fn handle(&mut self, Ask(amount): Ask, _: &mut Self::Context) -> u64 {
        self.0 += amount;
        self.0
    }
}
impl Library for Actix {
    const NAME: &'static str = "actix";
    type Runtime = actix::SystemRunner;
    type Client = ();
    type Address = actix::Addr<ActixActor>;
    async fn start((): &()) -> Self::Address {
        actix::Actor::start(ActixActor(0))
    }
    #[inline]
    async fn tell((): &(), actor: &Self::Address, amount: u64) {
        actor.do_send(Tell(amount));
    }
    #[inline]
    async fn ask((): &mut (), actor: &Self::Address, amount: u64) -> u64 {
        actor.send(Ask(amount)).await.expect(ALIVE)
    }
}

struct Xtra;
#[derive(xtra::Actor)]
struct XtraActor(u64);

impl xtra::Handler<Tell> for XtraActor {
    type Return = ();
    async fn handle(&mut self, Tell(amount): Tell, _: &mut xtra::Context<Self>) {
        self.0 += amount;
    }
}
impl xtra::Handler<Ask> for XtraActor {
    type Return = u64;
    async fn handle(&mut self, Ask(amount): Ask, _: &mut xtra::Context<Self>) -> u64 {
        self.0 += amount;
        self.0
    }
}
impl Library for Xtra {
    const NAME: &'static str = "xtra";
    type Runtime = tokio::runtime::Runtime;
    type Client = ();
    type Address = xtra::Address<XtraActor>;
    async fn start((): &()) -> Self::Address {
        xtra::spawn_tokio(XtraActor(0), xtra::Mailbox::unbounded())
    }
    #[inline]
    async fn tell((): &(), actor: &Self::Address, amount: u64) {
        drop(actor.send(Tell(amount)).detach().await.expect(ALIVE));
    }
    #[inline]
    async fn ask((): &mut (), actor: &Self::Address, amount: u64) -> u64 {
        actor.send(Ask(amount)).await.expect(ALIVE)
    }
}

struct Kameo;
#[derive(kameo::Actor)]
struct KameoActor(u64);

impl kameo::message::Message<Tell> for KameoActor {
    type Reply = ();
    async fn handle(&mut self, Tell(amount): Tell, _: &mut kameo::message::Context<Self, ()>) {
        self.0 += amount;
    }
}
impl kameo::message::Message<Ask> for KameoActor {
    type Reply = u64;
    async fn handle(
        &mut self,
        Ask(amount): Ask,
        _: &mut kameo::message::Context<Self, u64>,
    ) -> u64 {
        self.0 += amount;
        self.0
    }
}
impl Library for Kameo {
    const NAME: &'static str = "kameo";
    type Runtime = tokio::runtime::Runtime;
    type Client = ();
    type Address = kameo::actor::ActorRef<KameoActor>;
    async fn start((): &()) -> Self::Address {
        kameo::actor::Spawn::spawn_with_mailbox(KameoActor(0), kameo::mailbox::unbounded())
    }
    #[inline]
    async fn tell((): &(), actor: &Self::Address, amount: u64) {
        actor.tell(Tell(amount)).await.expect(ALIVE);
    }
    #[inline]
    async fn ask((): &mut (), actor: &Self::Address, amount: u64) -> u64 {
        actor.ask(Ask(amount)).await.expect(ALIVE)
    }
}

struct Ractor;
struct RactorActor;
#[derive(Debug)]
enum RactorMessage {
    Tell(u64),
    Ask(u64, ractor::RpcReplyPort<u64>),
}

impl ractor::Actor for RactorActor {
    type Msg = RactorMessage;
    type State = u64;
    type Arguments = ();
    async fn pre_start(
        &self,
        _: ractor::ActorRef<RactorMessage>,
        (): (),
    ) -> Result<u64, ractor::ActorProcessingErr> {
        Ok(0)
    }
    async fn handle(
        &self,
        _: ractor::ActorRef<RactorMessage>,
        message: RactorMessage,
        sum: &mut u64,
    ) -> Result<(), ractor::ActorProcessingErr> {
        match message {
            RactorMessage::Tell(amount) => *sum += amount,
            RactorMessage::Ask(amount, reply) => {
                *sum += amount;
                reply.send(*sum)?;
            }
        }
        Ok(())
    }
}
impl Library for Ractor {
    const NAME: &'static str = "ractor";
    type Runtime = tokio::runtime::Runtime;
    type Client = ();
    type Address = ractor::ActorRef<RactorMessage>;
    async fn start((): &()) -> Self::Address {
        ractor::Actor::spawn(None, RactorActor, ()).await.expect("it has no name to clash").0
    }
    #[inline]
    async fn tell((): &(), actor: &Self::Address, amount: u64) {
        actor.cast(RactorMessage::Tell(amount)).expect(ALIVE);
    }
    #[inline]
    async fn ask((): &mut (), actor: &Self::Address, amount: u64) -> u64 {
        ractor::call!(actor, RactorMessage::Ask, amount).expect(ALIVE)
    }
}

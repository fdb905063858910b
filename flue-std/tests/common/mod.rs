//! What the tests share.
#![allow(dead_code, reason = "each test program uses a part of it")]

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::task::Wake;

use flue_std::{Mailbox, MailboxLimits, Message, PostOffice, Process, Signal};

/// Longer than anything here should take: a wait for so long means a lost
/// wake-up.
pub const FOREVER: Duration = Duration::from_secs(60);

/// A process whose mailbox has room for `messages`.
pub fn process(office: &PostOffice, messages: u32) -> Process {
    let mut limits = MailboxLimits::default();
    limits.messages = messages;
    Process::with_limits(office, limits).unwrap()
}

/// The message that must be waiting.
pub fn take(mailbox: &mut Mailbox) -> Message<'_> {
    message(mailbox.try_recv().expect("a message waits"))
}

/// The message that the signal must be.
pub fn message(signal: Signal<'_>) -> Message<'_> {
    match signal {
        Signal::Message(message) => message,
        other => panic!("not a message: {other:?}"),
    }
}

/// A waker that counts.
#[derive(Default)]
pub struct Wakes(AtomicU32);

impl Wakes {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// How often it was woken since this was asked last.
    pub fn take(&self) -> u32 {
        self.0.swap(0, SeqCst)
    }

    /// The same, and it may be asked again.
    pub fn count(&self) -> u32 {
        self.0.load(SeqCst)
    }

    pub fn poll<F: Future + ?Sized>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        let waker = Waker::from(self.clone());
        future.poll(&mut Context::from_waker(&waker))
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// The program of an example, as it is now: `cargo test --test ..` builds no
/// examples.
pub fn example(name: &str) -> PathBuf {
    // `target/PROFILE/deps/TEST` and `target/PROFILE/examples/NAME`; with a target
    // that was chosen, `target/TRIPLE/PROFILE/..`.
    let test = env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap();
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "test",
        Some(profile) => profile,
        None => panic!("no profile: {}", directory.display()),
    };
    let target =
        directory.ancestors().nth(if env::var_os("CARGO_BUILD_TARGET").is_some() { 2 } else { 1 });
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", profile, "--example", name])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .arg("--target-dir")
        .arg(target.unwrap())
        .status()
        .unwrap();
    assert!(built.success(), "{name} does not build");
    let program = directory.join("examples").join(name);
    program.with_extension(env::consts::EXE_EXTENSION)
}

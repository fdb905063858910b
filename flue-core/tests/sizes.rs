//! The bytes of each kind of object in a post office that grows: the table in
//! `docs/embedding.md`. Those of static storage the bare-metal images print.
#![cfg(all(feature = "std", target_pointer_width = "64"))]

mod guide;

use flue_core::{MailboxLimits, Permissions, PostOffice, SendWait, Table};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::task::{Context, Waker};

struct Counting;

thread_local! {
    /// Bytes that this thread has allocated and not freed.
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator; the count is beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get().wrapping_add(layout.size()));
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get().wrapping_sub(layout.size()));
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Objects that are made; their segments, indices and rosters are shared out.
const MANY: usize = 4096;

/// Bytes for each of `MANY` objects.
fn each<T>(mut make: impl FnMut(usize) -> T) -> usize {
    let mut kept = Vec::with_capacity(MANY);
    let before = LIVE.get();
    kept.extend((0..MANY).map(&mut make));
    (LIVE.get() - before).div_ceil(MANY)
}

fn limits() -> MailboxLimits {
    let mut limits = MailboxLimits::default();
    (limits.handles, limits.waiters) = (0, MANY as u32);
    limits
}

fn measured() -> Vec<(String, u32)> {
    let mut rows = Vec::new();
    let mut row = |name: &str, bytes: usize| rows.push((name.to_owned(), bytes as u32));
    let office = PostOffice::new();
    let before = LIVE.get();
    let unused = PostOffice::new();
    row("the office", LIVE.get() - before);
    drop(unused);
    row("a group", each(|_| office.create_group().unwrap()));
    row("a table, with 4 handles", each(|_| office.create_table().unwrap()));
    let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
    let mut mailboxes = Vec::with_capacity(MANY);
    let mailbox = |_| mailboxes.push(group.create_mailbox_with(&table, limits()).unwrap());
    row("a mailbox", each(mailbox));
    let to_each: Vec<_> =
        mailboxes.iter().map(|mailbox| mailbox.capability(Permissions::MONITOR)).collect();
    let other: Table = office.create_table().unwrap();
    row("a handle beyond those", each(|at| other.insert(&to_each[at]).unwrap()));
    let target = mailboxes.pop().unwrap().capability(Permissions::SEND);
    drop(target);
    let receiver = office.create_group().unwrap();
    let receiving = receiver.create_mailbox_with(&table, limits()).unwrap();
    let to = receiving.capability(Permissions::SEND);
    row("a message", each(|_| to.send(b"inline", &[]).unwrap()));
    row("a message in a block", each(|_| to.send(&[0; 80], &[]).unwrap()));
    row("a monitor", each(|at| to_each[at].monitor(&receiving).unwrap()));
    let groups: Vec<_> = (0..MANY).map(|_| office.create_group().unwrap()).collect();
    row("a link", each(|at| group.link(&groups[at]).unwrap()));
    let mut small = limits();
    small.messages = 1;
    // In an office of its own: each looks for a buffer, which takes longer to find among many.
    let office = PostOffice::new();
    let (group, table) = (office.create_group().unwrap(), office.create_table().unwrap());
    let full = group.create_mailbox_with(&table, small).unwrap();
    let to = full.capability(Permissions::SEND);
    to.send(b"", &[]).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    row(
        "a waiting sender",
        each(|_| {
            let mut wait = SendWait::new();
            assert!(to.poll_send(&mut context, &mut wait, b"", &[]).is_pending());
            wait
        }),
    );
    rows
}

#[test]
fn sizes_are_as_documented() {
    let measured = measured();
    for (name, bytes) in &measured {
        println!("| {name} | {bytes} |");
    }
    guide::compare("heap", 1, &measured);
}

//! The worker process: counts the words of what it is sent.
//!
//! It has its table, its mailbox and integers, and nothing else: no channel, no
//! shared counter, no path.

use core::time::Duration;
use std::collections::HashMap;
use std::panic::resume_unwind;
use std::thread;

use flue_std::{Handle, MailboxExt, Process, RouteGroup, SendError, SendExt, Signal};

use crate::attempts::Attempts;
use crate::wire::{Answer, Order, Task};

/// White space, as `isspace` has it in the C locale.
const WHITE_SPACE: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

/// How a worker ended, unless it crashed.
pub enum Ending {
    /// It was told to leave, or killed while it waited for work.
    Left,
    /// What it had to say was refused.
    Failed(SendError),
    /// It hung until it was killed, and answered then.
    Late(Result<(), SendError>),
}

/// Counts until told to leave. `supervisor` is the capability that it was
/// granted, to send with.
pub fn run(process: &mut Process, supervisor: Handle) -> Ending {
    let (group, table, mailbox) = process.parts();
    let attempts = Attempts::make(group, table, mailbox, supervisor);
    if let Err(error) = table.send_blocking(supervisor, &attempts.encode(), &[]) {
        return Ending::Failed(error);
    }
    while let Ok(signal) = mailbox.recv() {
        let Signal::Message(message) = signal else {
            continue; // it monitors nobody
        };
        let Some(task) = Task::decode(message.data()) else {
            continue;
        };
        if task.order == Order::Leave {
            break;
        }
        // Whoever asks sends along what to answer with.
        let [reply] = *message.handles() else {
            continue;
        };
        match task.order {
            Order::Crash => crash(),
            Order::Hang => {
                hang(group);
                let answer = Answer::encode(task.number, None);
                return Ending::Late(table.send_blocking(reply, &answer, &[]));
            }
            Order::Count | Order::Leave => {}
        }
        let words = str::from_utf8(task.text).ok().map(count);
        let answer = Answer::encode(task.number, words.as_ref());
        if let Err(rejected) = table.send_payload_blocking(reply, answer.into(), &[]) {
            return Ending::Failed(rejected.error);
        }
    }
    Ending::Left
}

fn count(text: &str) -> HashMap<&str, u32> {
    let mut words = HashMap::new();
    for word in text.split(WHITE_SPACE).filter(|word| !word.is_empty()) {
        *words.entry(word).or_insert(0) += 1;
    }
    words
}

/// Panics, without the message that would disturb the progress bar.
fn crash() {
    resume_unwind(Box::new("a crash that was asked for"))
}

/// Does nothing for as long as the process lives: a kill ends its authority,
/// not its thread.
fn hang(group: &RouteGroup) {
    while !group.is_dead() {
        thread::sleep(Duration::from_millis(5));
    }
}

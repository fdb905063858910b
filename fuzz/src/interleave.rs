//! A program of several threads, and who runs when.

use std::sync::{Arc, Mutex};

use shuttle::{Config, FailurePersistence, Runner};

use crate::check::{Event, Verdict, check};
use crate::office::{Office, World};
use crate::program::{self, Kind, Program};
use crate::schedule::Choices;
use crate::source::Source;

const KINDS: [Kind; 6] =
    [Kind::Stream, Kind::Links, Kind::Monitors, Kind::Everything, Kind::LastWords, Kind::Waiting];
/// More threads would leave few bytes to each.
const THREADS: usize = 6;
/// Situations that the search for an order may look at.
const MOST: usize = 20_000;

/// Runs the program that the first bytes are, in the order that the others say.
///
/// # Panics
/// If there is no order of its calls that gives all their answers, or a thread hangs.
pub fn interleave(bytes: &[u8]) {
    let mut source = Source::Bytes(bytes.to_vec().into_iter());
    let kind = KINDS[source.below(KINDS.len())];
    let program = Program::draw(kind, THREADS, &mut source);
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    let history = Arc::new(Mutex::new(None));
    let (seen, running) = (history.clone(), program.clone());
    Runner::new(Choices::told(source), config).run(move || {
        let history = program::run(&running);
        *seen.lock().expect("nobody panics with it") = Some(history);
    });
    let history = history.lock().expect("as above").take().expect("it ran once");
    let world = World::new(program.processes, program.capacity, &history);
    let (verdict, _) = check(Office::new(program.processes), &world, &history, MOST);
    if let Verdict::Not { after } = verdict {
        for (at, event) in history.events.iter().enumerate() {
            let (Event::Began(number) | Event::Ended(number)) = *event;
            let mark = if at == after { " <- no order came further" } else { "" };
            eprintln!("{at:3} {event:?} {:?}{mark}", history.calls[number]);
        }
        panic!("not linearizable: {program:?}");
    }
}

//! Counts the words of a directory tree with processes that share nothing but
//! capabilities.
//!
//! `cargo run --release --example wordcount -- [DIR]`
//!
//! A *supervisor* hands the files out, one message each: the payload is the
//! very buffer that the file was read into, and attached is a capability to
//! answer with, and to do nothing else with. *Workers*, one per core, count and
//! answer. Some are made to crash and some to hang on the way (`--crash`): the
//! supervisor sees their downs, kills those that hang, hands their files out
//! again and starts others, and no file is lost or counted twice. Every worker
//! also tries what it may not do.
//!
//! | file | what is there |
//! |---|---|
//! | `tree.rs` | the directory tree: which files there are, and their bytes |
//! | `wire.rs` | the messages, as bytes |
//! | `worker.rs`, `attempts.rs` | the worker process, and what it tries in vain |
//! | `supervisor.rs`, `staff.rs`, `faults.rs` | the supervisor process, its workers, and what shall happen to them |
//! | `tally.rs`, `progress.rs` | the figures and the final table; how far the run has come |
//!
//! A word is a maximal run of bytes other than ASCII white space, so that the
//! words of all files together are the sum of what `LC_ALL=C.UTF-8 wc -w` says
//! of each.

mod attempts;
mod faults;
mod progress;
mod staff;
mod supervisor;
mod tally;
mod tree;
mod wire;
mod worker;

use core::error::Error;
use core::num::NonZeroUsize;
use core::time::Duration;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use clap::{Parser, value_parser};

use crate::supervisor::{Plan, Supervisor};
use crate::tally::Tally;
use crate::tree::Tree;

/// Counts the words of a directory tree with processes that share nothing but
/// capabilities.
#[derive(Parser)]
#[command(
    name = "wordcount",
    after_help = "Symbolic links are not followed. Files that are not UTF-8 are named and left out.\n\n\
                  Exit code: 0 every file was counted, 1 some were left out, 2 nothing could be counted."
)]
struct Cli {
    /// The directory to count [default: this repository]
    dir: Option<PathBuf>,

    /// How many workers to lose on the way: half of them crash, half hang
    #[arg(long, value_name = "N", default_value_t = 4)]
    crash: u32,

    /// How many workers there are at a time [default: one for each core]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,

    /// How long a worker may take for a small file before it counts as hung
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 250, value_parser = value_parser!(u64).range(1..))]
    patience: u64,

    /// How many of the most frequent words to show
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,

    /// Count what git would ignore, too
    #[arg(long)]
    all: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(tally) if tally.left_out() == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(io::stderr(), "wordcount: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<Tally, Box<dyn Error>> {
    let root = cli.dir.clone().unwrap_or_else(repository);
    let tree = Tree::walk(&root, cli.all)?;
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let plan = Plan {
        workers: cli.workers.map_or(cores, NonZeroUsize::get),
        faults: cli.crash,
        patience: Duration::from_millis(cli.patience),
    };
    let tally = Supervisor::new(plan, tree)?.run()?;
    match tally.print(&mut io::stdout().lock(), cli.top) {
        // `wordcount | head` has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    tally.check()?;
    Ok(tally)
}

/// The repository that cargo runs this in, or else wherever it runs.
fn repository() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let workspace = package.and_then(|package| Some(Path::new(&package).parent()?.to_owned()));
    workspace.unwrap_or_else(|| PathBuf::from("."))
}

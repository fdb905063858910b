//! How far the run has come: a bar on a terminal, lines elsewhere. All of it
//! goes to standard error.

use core::time::Duration;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line says how far the run has come.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

pub struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    done: u64,
    next_line: Instant,
}

impl Progress {
    pub fn new(total: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} files, {eta} to go");
            ProgressBar::new(total).with_style(style.expect("the template is well formed"))
        });
        Self { bar, total, done: 0, next_line: Instant::now() + BETWEEN_LINES }
    }

    /// One more file is done with.
    pub fn advance(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if self.next_line <= Instant::now() {
            self.next_line = Instant::now() + BETWEEN_LINES;
            self.note(&format!("{} of {} files", self.done, self.total));
        }
    }

    /// Something happened.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            // Nobody is left to be told of a closed standard error.
            None => drop(writeln!(io::stderr(), "{text}")),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

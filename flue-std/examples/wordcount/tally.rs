//! The figures of a run, and the final table.

use core::time::Duration;
use std::collections::HashMap;
use std::io::{self, Write};

use flue_std::DownReason;

use crate::attempts::{Attempt, Attempts};
use crate::tree::escape;

/// As many characters of a word are shown.
const LONGEST_WORD: usize = 40;

#[derive(Debug, Default)]
pub struct Tally {
    pub files: u64,
    pub bytes: u64,
    pub words: u64,
    pub frequencies: HashMap<Box<str>, u64>,
    pub unreadable: u64,
    pub not_text: u64,
    pub links: u64,
    pub sent: u64,
    pub received: u64,
    pub killed: u64,
    pub closed: u64,
    pub crashed: u64,
    pub hung: u64,
    pub handed_out_again: u64,
    pub started: u64,
    pub attempts: Attempts,
    pub time: Duration,
}

impl Tally {
    /// A file was counted.
    pub fn count(&mut self, bytes: u64, words: &[(&str, u32)]) {
        self.files += 1;
        self.bytes += bytes;
        for &(word, count) in words {
            self.words += u64::from(count);
            match self.frequencies.get_mut(word) {
                Some(frequency) => *frequency += u64::from(count),
                None => drop(self.frequencies.insert(word.into(), count.into())),
            }
        }
    }

    /// A down was received.
    pub fn down(&mut self, reason: DownReason) {
        match reason {
            DownReason::Killed => self.killed += 1,
            _ => self.closed += 1,
        }
    }

    /// How many files were not counted.
    pub fn left_out(&self) -> u64 {
        self.unreadable + self.not_text
    }

    /// Fails if a worker got away with anything.
    pub fn check(&self) -> Result<(), String> {
        for attempt in Attempt::ALL {
            let count = self.attempts.of(attempt);
            if count.tried != count.refused {
                return Err(format!("not refused: {}", attempt.describe().0));
            }
        }
        Ok(())
    }

    pub fn print(&self, out: &mut impl Write, top: usize) -> io::Result<()> {
        row(out, "files", self.files, "counted")?;
        let why = format!(
            "left out ({} unreadable, {} not UTF-8); {} symbolic links not followed",
            self.unreadable, self.not_text, self.links
        );
        row(out, "", self.left_out(), &why)?;
        row(out, "bytes", self.bytes, "")?;
        let different = format!("of them {} different", self.frequencies.len());
        row(out, "words", self.words, &different)?;
        let messages = format!("{} sent, {} received", self.sent, self.received);
        row(out, "messages", self.sent + self.received, &messages)?;
        let downs = format!("{} killed, {} closed", self.killed, self.closed);
        row(out, "downs", self.killed + self.closed, &downs)?;
        let lost = format!(
            "lost ({} crashed, {} hung); {} files handed out again",
            self.crashed, self.hung, self.handed_out_again
        );
        row(out, "workers", self.started, "started")?;
        row(out, "", self.crashed + self.hung, &lost)?;
        let seconds = self.time.as_secs_f64().max(1e-9);
        let throughput = format!(
            "files/s, {:.1} MB/s, {:.2} s",
            self.bytes as f64 / seconds / 1e6,
            self.time.as_secs_f64()
        );
        let files_per_second = (self.files as f64 / seconds) as u64;
        row(out, "throughput", files_per_second, &throughput)?;

        writeln!(out, "\nrefused to workers")?;
        for attempt in Attempt::ALL {
            let count = self.attempts.of(attempt);
            let (what, why) = attempt.describe();
            let times = format!("{} of {}", count.refused, count.tried);
            writeln!(out, "{times:>20}  {what}: {why}")?;
        }

        writeln!(out, "\nmost frequent words")?;
        let mut words: Vec<_> = self.frequencies.iter().collect();
        words.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
        for (word, count) in words.into_iter().take(top) {
            writeln!(out, "{count:>20}  {}", shown(word))?;
        }
        out.flush()
    }
}

fn row(out: &mut impl Write, name: &str, number: u64, note: &str) -> io::Result<()> {
    let line = format!("{name:10}{number:>10}  {note}");
    writeln!(out, "{}", line.trim_end())
}

/// A word for people: printable, and not too long.
fn shown(word: &str) -> String {
    let mut characters = word.chars();
    let mut shown = escape(&characters.by_ref().take(LONGEST_WORD).collect::<String>());
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

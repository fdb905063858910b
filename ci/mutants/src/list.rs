//! The mutants that cargo-mutants finds in a package.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Outcome;

/// What changes nothing that a test could see, or is for tests alone.
const LEFT_OUT: [&str; 7] = [
    "**/internals.rs",
    "**/twin.rs",
    "**/sync.rs",
    "**/sync/*.rs",
    "**/tests.rs",
    "tests::",
    "impl defmt::Format",
];

/// What is changed. Its number, from one, is its place in the list.
#[derive(Debug)]
pub(crate) struct Mutant {
    pub(crate) file: PathBuf,
    /// As cargo-mutants names it: file, line, column, change.
    pub(crate) name: String,
    pub(crate) package: String,
    pub(crate) is_body: bool,
    /// First and last place, as line and column from one, of what is replaced.
    pub(crate) from: (usize, usize),
    pub(crate) to: (usize, usize),
    pub(crate) replacement: String,
}

impl Mutant {
    /// Bytes of what it replaces.
    pub(crate) fn range(&self, text: &str) -> Range<usize> {
        byte(text, self.from.0, self.from.1 - 1)..byte(text, self.to.0, self.to.1 - 1)
    }

    /// The text of its file with it.
    pub(crate) fn within(&self, text: &str) -> String {
        let Range { start, end } = self.range(text);
        format!("{}{}{}", &text[..start], self.replacement, &text[end..])
    }

    /// Whether both replace the same.
    pub(crate) fn is_where(&self, other: &Self) -> bool {
        (&self.file, self.from, self.to) == (&other.file, other.from, other.to)
    }
}

pub(crate) fn mutants(root: &Path, package: &str) -> Outcome<Vec<Mutant>> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["mutants", "--list", "--json", "--package", package]);
    for pattern in LEFT_OUT {
        command.args([if pattern.contains('*') { "--exclude" } else { "--exclude-re" }, pattern]);
    }
    let list = command.output()?;
    if !list.status.success() {
        return Err(format!("cargo mutants: {}", String::from_utf8_lossy(&list.stderr)).into());
    }
    let list: Vec<Value> = serde_json::from_slice(&list.stdout)?;
    list.iter()
        .map(|mutant| read(mutant).ok_or_else(|| format!("not understood: {mutant}").into()))
        .collect()
}

fn read(mutant: &Value) -> Option<Mutant> {
    let text = |key: &str| Some(mutant[key].as_str()?.to_owned());
    let place = |end: &str| {
        let place = &mutant["span"][end];
        Some((place["line"].as_u64()? as usize, place["column"].as_u64()? as usize))
    };
    Some(Mutant {
        file: text("file")?.into(),
        name: text("name")?,
        package: text("package")?,
        is_body: mutant["genre"] == "FnValue",
        from: place("start")?,
        to: place("end")?,
        replacement: text("replacement")?,
    })
}

/// `line` from one, `column` in characters, from zero.
pub(crate) fn byte(text: &str, line: usize, column: usize) -> usize {
    let line = if line == 1 {
        0
    } else {
        text.match_indices('\n').nth(line - 2).map_or(text.len(), |(at, _)| at + 1)
    };
    text[line..].char_indices().nth(column).map_or(text.len(), |(at, _)| line + at)
}

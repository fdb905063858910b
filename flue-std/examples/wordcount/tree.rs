//! The directory tree: which files there are, and their bytes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

/// No file larger than this is counted: it travels in one message, and its
/// counts in another.
const MOST_BYTES: u64 = 1 << 30;

/// What a walk found.
pub struct Tree {
    /// The files, in the order of their names.
    pub files: Vec<PathBuf>,
    /// Symbolic links, which are not followed.
    pub links: u64,
    /// What could not be looked into, and why; made printable.
    pub unreadable: Vec<String>,
}

impl Tree {
    /// Lists the files below `root`: all that git would not ignore, or `all`.
    pub fn walk(root: &Path, all: bool) -> Result<Self, String> {
        // Said here, once and clearly, rather than by the walk as one
        // unreadable entry among others.
        if let Err(error) = fs::read_dir(root) {
            return Err(match error.kind() {
                io::ErrorKind::NotFound => format!("no such directory: {}", printable(root)),
                io::ErrorKind::NotADirectory => format!("not a directory: {}", printable(root)),
                _ => format!("cannot read {}: {error}", printable(root)),
            });
        }
        let walk = WalkBuilder::new(root)
            .standard_filters(false)
            .git_ignore(!all)
            .git_exclude(!all)
            .parents(!all)
            .filter_entry(|entry| entry.file_name() != ".git")
            .sort_by_file_name(Ord::cmp)
            .build();
        let mut tree = Self { files: Vec::new(), links: 0, unreadable: Vec::new() };
        for entry in walk {
            match entry {
                Ok(entry) => match entry.file_type() {
                    Some(kind) if kind.is_file() => tree.files.push(entry.into_path()),
                    Some(kind) if kind.is_symlink() && entry.depth() > 0 => tree.links += 1,
                    _ => {} // a directory, whose entries follow; a socket, a pipe, a device
                },
                Err(error) => tree.unreadable.push(escape(&error.to_string())),
            }
        }
        Ok(tree)
    }
}

/// Reads a file into a buffer with `spare` bytes left behind it.
pub fn read(path: &Path, spare: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > MOST_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size as usize + spare)?;
    // A file may grow while it is read.
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(too_large());
    }
    Ok(bytes)
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {} MiB", MOST_BYTES >> 20))
}

/// A path for people: what is not text, or would act on a terminal, is escaped.
pub fn printable(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(&escape(chunk.valid()));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A text for people: control characters and the like are escaped, quotes are
/// not.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for part in text.split_inclusive(['\'', '"']) {
        let body = part.trim_end_matches(['\'', '"']);
        escaped.extend(body.escape_debug());
        escaped.push_str(&part[body.len()..]);
    }
    escaped
}

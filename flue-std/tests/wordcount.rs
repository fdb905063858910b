//! The main job on a corpus: right whatever is lost on the way, clear about
//! what it leaves out.
#![cfg(unix)]

mod common;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| common::example("wordcount"))
}

fn wordcount(directory: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.arg(directory).args(options).output().unwrap()
}

fn stdout(run: &Output) -> &str {
    str::from_utf8(&run.stdout).unwrap()
}

fn stderr(run: &Output) -> &str {
    str::from_utf8(&run.stderr).unwrap()
}

/// The first number in the row that begins with `name`.
fn figure(run: &Output, name: &str) -> u64 {
    let rows = || stdout(run).lines().map(str::split_whitespace);
    let figure = rows().find_map(|mut row| (row.next() == Some(name)).then(|| row.next())?);
    figure.expect(name).parse().unwrap()
}

/// Sentences in two alphabets, in files of all sizes, with every kind of white
/// space.
fn corpus() -> TempDir {
    const ENGLISH: &str = "the quick brown fox jumps over the lazy dog don't stop";
    const GREEK: &str = "τὸ μὲν οὖν ὄνομα ἡ Ἀθήνα καὶ ὁ κόσμος δεν τελειώνει ποτέ";
    let corpus = TempDir::new().unwrap();
    let words: Vec<&str> = [ENGLISH, GREEK].join(" ").leak().split(' ').collect();
    let spaces = [" ", "\n", "\t", "  \n", "\r\n", "\x0b", " \x0c"];
    for file in 0..120 {
        let mut text = String::new();
        for word in 0..file * file {
            text.push_str(words[(word * 7 + file) % words.len()]);
            text.push_str(spaces[(word * 5 + file) % spaces.len()]);
        }
        if file % 3 == 0 {
            text.truncate(text.trim_end().len());
        }
        let directory = corpus.path().join(["", "a", "a/b", "γ δ"][file % 4]);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{file}.txt")), text).unwrap();
    }
    fs::write(corpus.path().join(".hidden"), "hidden words count").unwrap();
    fs::write(corpus.path().join("only spaces"), " \n\t ").unwrap();
    // Not followed, or it would be counted twice.
    symlink("a", corpus.path().join("link")).unwrap();
    corpus
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

/// What `wc` says of a file.
fn wc(option: &str, file: &Path) -> u64 {
    let wc = Command::new("wc")
        .env("LC_ALL", "C.UTF-8")
        .arg(option)
        .stdin(File::open(file).unwrap())
        .output()
        .unwrap();
    stdout(&wc).trim().parse().unwrap()
}

/// On a pipe: plain lines, how many files of how many, and nothing that only a
/// terminal understands. A line comes once a second: so long a worker hangs.
#[test]
fn says_how_far_it_has_come() {
    let corpus = corpus();
    let run = wordcount(corpus.path(), &["--crash", "4", "--workers", "1", "--patience", "1100"]);
    let total = files(corpus.path()).len();
    let is_progress = |line: &str| {
        let done = line.strip_suffix(&format!(" of {total} files"));
        done.is_some_and(|done| done.parse::<usize>().is_ok_and(|done| done <= total))
    };
    assert!(stderr(&run).lines().any(is_progress), "{}", stderr(&run));
    assert!(!stderr(&run).contains('\x1b'), "{}", stderr(&run));
    assert!(run.status.success());
}

#[test]
fn counts_what_wc_counts_while_workers_are_lost() {
    let corpus = corpus();
    let files = files(corpus.path());
    let words: u64 = files.iter().map(|file| wc("-w", file)).sum();
    let bytes: u64 = files.iter().map(|file| wc("-c", file)).sum();
    let options: [&[&str]; 3] = [
        &["--crash", "0"],
        &["--crash", "7", "--workers", "3", "--patience", "100"],
        &["--crash", "20", "--workers", "1", "--patience", "20"],
    ];
    for options in options {
        let run = wordcount(corpus.path(), options);
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        assert_eq!(figure(&run, "files"), files.len() as u64);
        assert_eq!(figure(&run, "words"), words);
        assert_eq!(figure(&run, "bytes"), bytes);

        // As many are lost as was asked for; a slow machine may cost a few
        // more.
        let asked: u64 = options[1].parse().unwrap();
        assert!(figure(&run, "workers") > asked);
        assert!(figure(&run, "downs") > asked);
        let lost = stdout(&run).lines().find(|line| line.contains("lost (")).unwrap();
        let lost: u64 = lost.split_whitespace().next().unwrap().parse().unwrap();
        assert!(lost >= asked, "{lost} lost");

        // What a worker may not do it did not do, and each of them tried.
        let refused = stdout(&run).split_once("refused to workers\n").unwrap().1;
        let refused = refused.split_once("\n\n").unwrap().0;
        assert_eq!(refused.lines().count(), 7);
        for line in refused.lines() {
            let [times, "of", tried, ..] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            assert_eq!(times, tried, "{line}");
            assert!(tried != "0" || line.contains("answer after being killed"), "{line}");
        }
    }
}

#[test]
fn shows_the_most_frequent_words() {
    let corpus = corpus();
    let mut frequencies = HashMap::<String, u64>::new();
    for file in files(corpus.path()) {
        let text = fs::read_to_string(file).unwrap();
        let is_space = |c: char| c == '\x0b' || c.is_ascii_whitespace();
        for word in text.split(is_space).filter(|word| !word.is_empty()) {
            *frequencies.entry(word.into()).or_default() += 1;
        }
    }
    let mut expected: Vec<_> = frequencies.into_iter().map(|(word, n)| (n, word)).collect();
    expected.sort_by(|(m, a), (n, b)| n.cmp(m).then(a.cmp(b)));
    expected.truncate(20);

    let run = wordcount(corpus.path(), &["--crash", "2"]);
    let shown = stdout(&run).split_once("most frequent words\n").unwrap().1;
    let shown: Vec<(u64, String)> = shown
        .lines()
        .map(|line| line.trim().split_once("  ").unwrap())
        .map(|(count, word)| (count.parse().unwrap(), word.into()))
        .collect();
    assert_eq!(shown, expected);

    let run = wordcount(corpus.path(), &["--top", "3"]);
    let shown = stdout(&run).split_once("most frequent words\n").unwrap().1;
    assert_eq!(shown.lines().count(), 3);
}

#[test]
fn names_what_it_leaves_out() {
    let corpus = TempDir::new().unwrap();
    let file = |name: &[u8]| corpus.path().join(OsStr::from_bytes(name));
    fs::write(file(b"good"), "three good words").unwrap();
    fs::write(file(b"latin1"), b"caf\xe9 au lait").unwrap();
    fs::write(file(b"esc\x1b[31m\nred\xff"), b"\xff").unwrap();
    // More than a message may carry, without a byte on the disk.
    File::create(file(b"huge")).unwrap().set_len(1 << 31).unwrap();

    let run = wordcount(corpus.path(), &["--crash", "2"]);
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(figure(&run, "files"), 1);
    assert_eq!(figure(&run, "words"), 3);
    let row = "3  left out (1 unreadable, 2 not UTF-8)";
    assert!(stdout(&run).contains(row), "{}", stdout(&run));
    for name in ["latin1: not UTF-8", "huge: larger than", r"esc\u{1b}[31m\nred\xff: not UTF-8"] {
        assert!(stderr(&run).contains(name), "{}", stderr(&run));
    }
    assert!(!stderr(&run).contains('\x1b'), "nothing in a name acts on the terminal");
}

#[test]
fn words_are_printable() {
    let corpus = TempDir::new().unwrap();
    let long = "x".repeat(100);
    let text = format!("bell\x07 \u{202e}reversed don't {long}");
    fs::write(corpus.path().join("file"), text).unwrap();
    let run = wordcount(corpus.path(), &[]);
    assert_eq!(figure(&run, "words"), 4);
    for word in [r"bell\u{7}", r"\u{202e}reversed", "don't"] {
        assert!(stdout(&run).contains(&format!("  {word}\n")), "{}", stdout(&run));
    }
    assert!(!stdout(&run).contains(&long));
}

/// Root reads everything, so this one runs as somebody else when it is root's.
#[test]
fn unreadable_files_and_directories() {
    let corpus = TempDir::new().unwrap();
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(corpus.path(), everybody.clone()).unwrap();
    let nobody = fs::Permissions::from_mode(0o000);
    for (name, mode) in [("open", &everybody), ("locked", &nobody)] {
        let directory = corpus.path().join(name);
        fs::create_dir(&directory).unwrap();
        let (good, bad) = (directory.join("good"), directory.join("bad"));
        fs::write(&good, "two words").unwrap();
        fs::write(&bad, "no words").unwrap();
        fs::set_permissions(&good, everybody.clone()).unwrap();
        fs::set_permissions(&bad, nobody.clone()).unwrap();
        fs::set_permissions(&directory, mode.clone()).unwrap();
    }

    let mut command = Command::new(program());
    command.arg(corpus.path());
    let program_for_all = TempDir::new().unwrap();
    let is_root = File::open(corpus.path().join("open/bad")).is_ok();
    if is_root {
        let program_for_all = program_for_all.path();
        fs::set_permissions(program_for_all, everybody).unwrap();
        let copy = program_for_all.join("wordcount");
        fs::copy(program(), &copy).unwrap();
        command = Command::new(copy);
        command.arg(corpus.path()).uid(65534).gid(65534);
    }
    let run = match command.output() {
        Ok(run) => run,
        Err(error) if is_root => return eprintln!("cannot be somebody else: {error}"),
        Err(error) => panic!("{error}"),
    };
    // So that it can be removed.
    let locked = corpus.path().join("locked");
    fs::set_permissions(locked, fs::Permissions::from_mode(0o755)).unwrap();

    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    assert_eq!((figure(&run, "files"), figure(&run, "words")), (1, 2));
    assert!(stdout(&run).contains("2  left out (2 unreadable, 0 not UTF-8)"));
    for name in ["open/bad", "locked"] {
        let line = stderr(&run).lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains("denied")), "{}", stderr(&run));
    }
}

#[test]
fn without_a_directory_nothing_is_counted() {
    let corpus = TempDir::new().unwrap();
    let file = corpus.path().join("file");
    fs::write(&file, "words").unwrap();
    let missing = corpus.path().join("missing\x1b");
    for (path, message) in [(&missing, r"no such directory: "), (&file, "not a directory: ")] {
        let run = wordcount(path, &[]);
        assert_eq!(run.status.code(), Some(2));
        assert_eq!(stdout(&run), "");
        assert!(stderr(&run).contains(message), "{}", stderr(&run));
        assert!(!stderr(&run).contains('\x1b'));
    }
    let run = wordcount(corpus.path(), &["--crash", "many"]);
    assert_eq!(run.status.code(), Some(2));
}

#[test]
fn an_empty_directory_has_no_words() {
    let corpus = TempDir::new().unwrap();
    let run = wordcount(corpus.path(), &["--crash", "5"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert_eq!((figure(&run, "files"), figure(&run, "words")), (0, 0));
}

#[test]
fn what_git_ignores_is_left_out() {
    let corpus = TempDir::new().unwrap();
    fs::create_dir(corpus.path().join(".git")).unwrap();
    fs::write(corpus.path().join(".git/config"), "words of git").unwrap();
    fs::write(corpus.path().join(".gitignore"), "ignored").unwrap();
    fs::write(corpus.path().join("ignored"), "two words").unwrap();
    fs::write(corpus.path().join("file"), "three more words").unwrap();
    let run = wordcount(corpus.path(), &[]);
    assert_eq!((figure(&run, "files"), figure(&run, "words")), (2, 4));
    let run = wordcount(corpus.path(), &["--all"]);
    assert_eq!((figure(&run, "files"), figure(&run, "words")), (3, 6));
}

#[test]
fn help_says_what_there_is() {
    let run = wordcount(Path::new("--help"), &[]);
    assert_eq!(run.status.code(), Some(0));
    for option in ["[DIR]", "--crash", "--workers", "--patience", "--top", "--all", "Exit code"] {
        assert!(stdout(&run).contains(option), "{option}");
    }
}

/// A reader that has seen enough ends the program, without a panic.
#[test]
fn a_closed_pipe_is_no_error() {
    let corpus = corpus();
    let mut command = Command::new(program());
    command.arg(corpus.path()).args(["--crash", "2"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    drop(run.stdout.take());
    let mut messages = String::new();
    run.stderr.take().unwrap().read_to_string(&mut messages).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0), "{messages}");
    assert!(!messages.contains("panicked"), "{messages}");
}

//! The quick start does what the README says.

mod common;

use std::fs;
use std::process::Command;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
const MARKER: &str = "<!-- two_processes -->";

/// What stands in the README behind the marker, in the next fenced block.
fn expected() -> String {
    let readme = fs::read_to_string(README).unwrap();
    let (_, after) = readme.split_once(MARKER).expect("the README has the marker");
    let block = after
        .lines()
        .skip_while(|line| !line.starts_with("```"))
        .skip(1)
        .take_while(|line| !line.starts_with("```"));
    block.map(|line| format!("{line}\n")).collect()
}

#[test]
fn prints_what_the_readme_says() {
    let program = common::example("two_processes");
    let expected = expected();
    for _ in 0..20 {
        let run = Command::new(&program).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(String::from_utf8(run.stdout).unwrap(), expected);
    }
}

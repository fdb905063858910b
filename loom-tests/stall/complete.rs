//! Whether the operations are all there are: their list, and that of the firmware's
//! cases, against flue-core's source.

use crate::operations;
use crate::world::GROWS;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Public functions that touch nothing that is shared: plain values.
const VALUES: &[&str] = &[
    "Handle::from_raw",
    "Handle::to_raw",
    "MonitorId::number",
    "Payload::try_into_vec",
    "PostOffice::inline_bytes", // Reads what never changes.
    "SendWait::new",
    "StaticPostOffice::new",
    "StaticPostOffice::with_limits",
];

/// What an office that does not grow does not have.
const GROWING: &[&str] = &[
    "PostOffice::new",
    "PostOffice::with_limits",
    "PostOffice::try_new",
    "PostOffice::try_with_limits",
];

/// Types whose traits' functions are operations, too.
const SHARED: [&str; 8] =
    ["PostOffice", "RouteGroup", "Table", "Capability", "Mailbox", "SendWait", "Message", "Down"];

/// Requires that each public function of flue-core is within some operation's
/// act, here and in the image that is interrupted at every instruction, and that
/// neither names others.
pub fn check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = root.join("flue-core/src");
    let exported =
        exported(&fs::read_to_string(source.join("lib.rs")).expect("flue-core's source"));
    let mut functions = BTreeSet::new();
    each_file(&source, &mut |text| functions_of(text, &exported, &mut functions));
    assert!(functions.len() > 90, "only {} functions found: is this the source?", functions.len());
    let public = Public { exported, functions };

    let here: BTreeSet<String> =
        operations::all().flat_map(|o| o.covers).map(|name| (*name).to_owned()).collect();
    let of_all = public.covered("operations", &here, if GROWS { &[] } else { GROWING });
    println!(
        "{} operations cover {of_all} public functions ({} more are of plain values)",
        operations::all().count(),
        VALUES.len()
    );

    let mut there = BTreeSet::new();
    each_file(&root.join("firmware/cortex-m3/src/cases"), &mut |text| named(text, &mut there));
    let of_all = public.covered("firmware/cortex-m3", &there, GROWING);
    println!("firmware/cortex-m3 covers {of_all} public functions of a static office");
}

/// What flue-core lets others call.
struct Public {
    exported: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Public {
    /// How many functions there are to be covered, all of which `covered` has, but
    /// for those that there are not where `cases` run.
    fn covered(&self, cases: &str, covered: &BTreeSet<String>, absent: &[&str]) -> usize {
        let is_due = |name: &str| !VALUES.contains(&name) && !absent.contains(&name);
        let due: Vec<_> = self.functions.iter().filter(|name| is_due(name)).collect();
        let missing: Vec<_> = due.iter().filter(|name| !covered.contains(**name)).collect();
        assert!(missing.is_empty(), "{cases}: nothing for {missing:?}");
        let unknown: Vec<_> = covered.iter().filter(|name| !self.has(name)).collect();
        assert!(unknown.is_empty(), "{cases}: flue-core has no {unknown:?}");
        due.len()
    }

    fn has(&self, name: &str) -> bool {
        let of = name.split("::").next().unwrap_or_default();
        self.functions.contains(name) || (self.exported.contains(of) && is_of_a_trait(name))
    }
}

/// The functions that a text names in quotes: `"Type::function"`.
fn named(text: &str, names: &mut BTreeSet<String>) {
    let is_name = |text: &str| {
        let parts = text.split_once("::");
        parts.is_some_and(|(of, function)| {
            let is_word = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            of.starts_with(|c: char| c.is_ascii_uppercase()) && is_word(of) && is_word(function)
        })
    };
    for line in text.lines() {
        names.extend(line.split('"').skip(1).step_by(2).filter(|t| is_name(t)).map(str::to_owned));
    }
}

fn is_of_a_trait(name: &str) -> bool {
    let function = name.rsplit("::").next().unwrap_or_default();
    matches!(function, "drop" | "clone" | "eq" | "hash" | "from" | "default")
}

/// The names that `lib.rs` exports.
fn exported(text: &str) -> BTreeSet<String> {
    let text = text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    let names = text.flat_map(|path| path.split(['{', '}', ',', ':']));
    names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn each_file(folder: &Path, visit: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).expect("flue-core's source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            each_file(&path, visit);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            visit(&fs::read_to_string(path).expect("a file"));
        }
    }
}

/// The public functions of exported types, and those of traits that act on what is shared.
fn functions_of(text: &str, exported: &BTreeSet<String>, functions: &mut BTreeSet<String>) {
    let mut of = String::new();
    let mut header: Option<String> = None;
    for line in text.lines() {
        if line.starts_with("impl") {
            header = Some(String::new());
        }
        if let Some(mut head) = header.take() {
            head.push_str(line);
            if line.trim_end().ends_with('{') {
                of = type_of(&head);
                if let Some(operation) = operation_of_trait(&head)
                    && SHARED.contains(&of.as_str())
                {
                    functions.insert(format!("{of}::{operation}"));
                }
            } else {
                header = Some(head + " ");
            }
            continue;
        }
        if line.starts_with('}') {
            of.clear();
        }
        let declared = ["pub const fn ", "pub fn "]
            .iter()
            .find_map(|start| line.trim_start().strip_prefix(start)?.split(['(', '<']).next());
        if let Some(name) = declared.filter(|_| exported.contains(&of)) {
            functions.insert(format!("{of}::{name}"));
        }
    }
}

/// Whose implementation begins with `head`.
fn type_of(head: &str) -> String {
    let head = head.rsplit(" for ").next().unwrap_or(head);
    let head = head.strip_prefix("impl").unwrap_or(head);
    let mut depth = 0;
    let outside = head.chars().filter(|c| {
        depth += match c {
            '<' => 1,
            '>' => -1,
            _ => 0,
        };
        depth == 0 && *c != '>'
    });
    let outside: String = outside.collect();
    outside.split_whitespace().next().unwrap_or_default().trim_end_matches('{').to_owned()
}

fn operation_of_trait(head: &str) -> Option<&'static str> {
    let traits = [(" Drop for ", "drop"), (" Clone for ", "clone"), (" PartialEq for ", "eq")];
    traits.into_iter().find(|(text, _)| head.contains(text)).map(|(_, operation)| operation)
}

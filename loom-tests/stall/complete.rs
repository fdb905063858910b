//! Whether the operations are all there are: their list against flue-core's source.

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
const SHARED: [&str; 7] =
    ["PostOffice", "RouteGroup", "Table", "Mailbox", "SendWait", "Message", "Down"];

/// Requires that each public function of flue-core is within some operation's
/// act, and that the operations name no others.
pub fn check() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../flue-core/src");
    let exported =
        exported(&fs::read_to_string(source.join("lib.rs")).expect("flue-core's source"));
    let mut functions = BTreeSet::new();
    each_file(&source, &mut |text| functions_of(text, &exported, &mut functions));
    assert!(functions.len() > 90, "only {} functions found: is this the source?", functions.len());

    let covered: BTreeSet<&str> = operations::all().flat_map(|o| o.covers).copied().collect();
    let is_covered = |name: &str| {
        covered.contains(name) || VALUES.contains(&name) || (!GROWS && GROWING.contains(&name))
    };
    let missing: Vec<_> = functions.iter().filter(|name| !is_covered(name)).collect();
    assert!(missing.is_empty(), "no operation for {missing:?}");
    let known = |name: &str| {
        functions.contains(name)
            || name
                .split("::")
                .next()
                .is_some_and(|of| exported.contains(of) && !name.is_empty() && is_of_a_trait(name))
    };
    let unknown: Vec<_> = covered.iter().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "flue-core has no {unknown:?}");
    println!(
        "{} operations cover {} public functions ({} more are of plain values)",
        operations::all().count(),
        functions.len() - VALUES.len(),
        VALUES.len()
    );
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

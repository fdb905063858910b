//! Runs one of Flue's hot operations a given number of times and nothing else, so that two runs under
//! callgrind differ by those operations alone. `ci/instructions.sh` does so; without arguments, this
//! program names the operations.

use benches::measure::{FLUE, Row};
use benches::workload::{churn, exchange, send, table};
use std::env;
use std::process::ExitCode;

/// The workloads whose instructions are guarded.
fn rows() -> Vec<Row> {
    let mut rows = send::rows();
    rows.push(exchange::request());
    rows.extend(churn::rows());
    rows.extend(table::rows());
    rows
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => {
            rows().iter().for_each(|row| println!("{}", row.name));
            ExitCode::SUCCESS
        }
        [name, turns] => run(name, turns).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        _ => ExitCode::FAILURE,
    }
}

fn run(name: &str, turns: &str) -> Option<()> {
    let turns = turns.parse().ok()?;
    let row = rows().into_iter().find(|row| row.name == name)?;
    row.into_window(FLUE)?(turns);
    Some(())
}

//! Hot pairs alone in a binary: the same windows as in the table, nothing beside them.

use crate::cores::Cores;
use crate::measure::{Effort, Window, calibrate};
use crate::stats::Summary;

/// Measures some windows of `who` and prints a line for each.
pub fn main(who: &str, windows: impl FnOnce(&'static Cores) -> Vec<(&'static str, Window)>) {
    let Some(cores) = Cores::take() else {
        return eprintln!("this system does not tell its cores");
    };
    let effort = Effort::FULL;
    for (name, mut window) in windows(cores) {
        let turns = calibrate(&mut window, effort.window);
        let round = |_| {
            let best = (0..effort.windows).map(|_| window(turns)).min().unwrap_or_default();
            best.as_nanos() as f64 / turns as f64
        };
        let samples: Vec<f64> = (0..effort.rounds).map(round).collect();
        if let Some(all) = Summary::of(&samples) {
            println!("{name:<16}  {who:<12}  {:>8.1} ns  ±{:.0} %", all.median, all.spread * 100.0);
        }
    }
}

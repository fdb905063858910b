//! The table, and the same for scripts.

use crate::measure::{Against, FLUE, Mark, Outcome, Standing, Target, Unit, Verdict};
use std::fmt::{self, Write as _};

/// The table's head.
pub const HEAD: &str = concat!(
    "workload                                   who                       figure  spread  Flue/it  target\n",
    "-----------------------------------------  ----------------------  ---------  ------  -------  -------------"
);

/// One outcome as lines of the table: Flue first, then everybody else, the fastest first.
pub fn lines(outcome: &Outcome) -> String {
    let mut text = String::new();
    let place = outcome.place.label();
    let name =
        if place.is_empty() { outcome.name.clone() } else { format!("{} ({place})", outcome.name) };
    for (index, standing) in ranked(outcome).into_iter().enumerate() {
        let name = if index == 0 { name.as_str() } else { "" };
        let figure = Figure(standing.own.median, outcome.unit).to_string();
        let spread = format!("±{:.0} %", standing.own.spread * 100.0);
        let ratio = match standing.ratio {
            Some(ratio) if standing.who != FLUE && ratio.median.is_finite() => {
                significant(ratio.median)
            }
            _ => String::new(),
        };
        let verdicts: Vec<_> = verdicts_of(outcome, &standing.who).collect();
        writeln!(
            text,
            "{name:<41}  {:<22}  {figure:>9}  {spread:>6}  {ratio:>7}  {}",
            standing.who,
            verdicts.join("; ")
        )
        .expect("a string takes everything");
    }
    text
}

/// Flue, then the others by their figures.
fn ranked(outcome: &Outcome) -> Vec<&Standing> {
    let mut ranked: Vec<_> = outcome.standings.iter().collect();
    ranked.sort_by(|a, b| {
        let key = |standing: &Standing| (standing.who != FLUE, standing.own.median);
        let ((a_other, a), (b_other, b)) = (key(a), key(b));
        a_other.cmp(&b_other).then(a.total_cmp(&b))
    });
    ranked
}

/// What is written beside `who`: the targets set against it; against a figure, beside Flue itself.
fn verdicts_of<'o>(outcome: &'o Outcome, who: &'o str) -> impl Iterator<Item = String> + 'o {
    let beside = move |verdict: &Verdict| {
        if verdict.against.is_empty() { who == FLUE } else { verdict.against == who }
    };
    outcome.verdicts.iter().filter(move |(_, verdict)| beside(verdict)).map(|(target, verdict)| {
        let bound = bound(target).map(significant).unwrap_or_default();
        format!("{} (<= {bound})", verdict.mark.label())
    })
}

fn bound(target: &Target) -> Option<f64> {
    target.must.or(target.moonshot)
}

/// How the targets stand in total, and the misses by name.
pub fn summary(outcomes: &[Outcome]) -> String {
    let marks: Vec<(&Outcome, &Target, &Verdict)> = outcomes
        .iter()
        .flat_map(|outcome| {
            outcome.verdicts.iter().map(move |(target, verdict)| (outcome, target, verdict))
        })
        .collect();
    let count = |mark| marks.iter().filter(|(_, _, verdict)| verdict.mark == mark).count();
    let mut text = format!(
        "targets: {} beyond the moonshot, {} met, {} within one run's slack, {} missed\n",
        count(Mark::Moonshot),
        count(Mark::Pass),
        count(Mark::Slack),
        count(Mark::Miss)
    );
    for (outcome, target, verdict) in marks {
        if matches!(verdict.mark, Mark::Miss | Mark::Slack) {
            let against = match &target.against {
                Against::Figure => outcome.unit.label().to_string(),
                _ => format!("x {}", verdict.against),
            };
            let bound = bound(target).map(significant).unwrap_or_default();
            let value = significant(verdict.value);
            writeln!(
                text,
                "  {:<5} {}: {value} {against}, wanted {bound}",
                verdict.mark.label(),
                outcome.name
            )
            .expect("a string takes everything");
        }
    }
    text
}

/// Three significant digits.
fn significant(value: f64) -> String {
    match value.abs() {
        at if at >= 100.0 => format!("{value:.0}"),
        at if at >= 10.0 => format!("{value:.1}"),
        at if at >= 1.0 || at == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A figure with its unit, scaled for reading.
struct Figure(f64, Unit);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.1 {
            Unit::Nanoseconds if self.0 >= 1e6 => (self.0 / 1e6, "ms"),
            Unit::Nanoseconds if self.0 >= 1e4 => (self.0 / 1e3, "us"),
            Unit::Allocations => (self.0, "a"),
            unit => (self.0, unit.label()),
        };
        f.pad(&format!("{} {unit:<2}", significant(value)))
    }
}

/// The columns of the comma-separated form.
const COLUMNS: [&str; 11] = [
    "workload",
    "place",
    "unit",
    "who",
    "median",
    "spread",
    "samples",
    "ratio",
    "ratio_spread",
    "must",
    "mark",
];

/// One contender in one place, as fields of [`COLUMNS`].
fn records(outcome: &Outcome) -> impl Iterator<Item = [String; 11]> + '_ {
    outcome.standings.iter().map(move |standing| {
        let verdict = outcome.verdicts.iter().find(|(_, verdict)| {
            verdict.against == standing.who || (verdict.against.is_empty() && standing.who == FLUE)
        });
        let number = |value: f64| format!("{value:.4}");
        [
            outcome.name.clone(),
            outcome.place.label().into(),
            outcome.unit.label().into(),
            standing.who.clone(),
            number(standing.own.median),
            number(standing.own.spread),
            standing.own.samples.to_string(),
            standing.ratio.map(|ratio| number(ratio.median)).unwrap_or_default(),
            standing.ratio.map(|ratio| number(ratio.spread)).unwrap_or_default(),
            verdict.and_then(|(target, _)| bound(target)).map(number).unwrap_or_default(),
            verdict.map(|(_, verdict)| verdict.mark.label().to_string()).unwrap_or_default(),
        ]
    })
}

/// Comma-separated, one line a contender. Fields that hold a comma are quoted; none holds a quote.
pub fn csv(outcomes: &[Outcome]) -> String {
    let quote = |field: &String| {
        if field.contains(',') { format!("\"{field}\"") } else { field.clone() }
    };
    let mut text = COLUMNS.join(",") + "\n";
    for record in outcomes.iter().flat_map(records) {
        text += &record.iter().map(quote).collect::<Vec<_>>().join(",");
        text.push('\n');
    }
    text
}

/// One JSON array of objects, the keys as in the comma-separated form. No name needs an escape.
pub fn json(outcomes: &[Outcome]) -> String {
    let value = |field: &str| match field.parse::<f64>() {
        Ok(number) if number.is_finite() => field.to_string(),
        _ if field.is_empty() || field == "NaN" => "null".into(),
        _ => format!("\"{field}\""),
    };
    let object = |record: [String; 11]| {
        let members =
            COLUMNS.iter().zip(&record).map(|(key, field)| format!("\"{key}\": {}", value(field)));
        format!("  {{{}}}", members.collect::<Vec<_>>().join(", "))
    };
    let objects: Vec<_> = outcomes.iter().flat_map(records).map(object).collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}

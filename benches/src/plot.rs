//! The table as a picture: for each workload of time, how many times as long as Flue each peer takes.

use crate::measure::{FLUE, Outcome, Unit};
use plotters::prelude::*;
use std::path::Path;

const WIDTH: u32 = 1100;
const LINE: u32 = 22;
const MARGIN: u32 = 60;
const NAMES: u32 = 330;
/// From a hundredth to ten thousand times Flue's time.
const RANGE: std::ops::Range<f64> = 0.01..10_000.0;

/// Draws the outcomes into an SVG file.
pub fn draw(outcomes: &[Outcome], file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let rows: Vec<_> =
        outcomes.iter().filter(|outcome| outcome.unit == Unit::Nanoseconds).collect();
    let height = MARGIN * 2 + LINE * rows.len() as u32;
    let area = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut whos: Vec<&str> = Vec::new();
    for standing in rows.iter().flat_map(|row| &row.standings) {
        if !whos.contains(&standing.who.as_str()) && standing.who != FLUE {
            whos.push(&standing.who);
        }
    }
    let across = |times: f64| {
        let share = (times / RANGE.start).log10() / (RANGE.end / RANGE.start).log10();
        (NAMES as f64 + share.clamp(0.0, 1.0) * (WIDTH - NAMES - MARGIN) as f64) as i32
    };
    let down = |line: usize| (MARGIN + LINE * line as u32 + LINE / 2) as i32;
    let text = ("sans-serif", 13).into_font();
    area.draw(&Text::new(
        "time of each peer / time of Flue (right of the line: slower)",
        (NAMES as i32, 8),
        text.clone(),
    ))?;
    let mut tick = RANGE.start;
    while tick <= RANGE.end {
        let style =
            if tick == 1.0 { BLACK.stroke_width(2) } else { BLACK.mix(0.15).stroke_width(1) };
        let ends = [(across(tick), MARGIN as i32), (across(tick), (height - MARGIN) as i32)];
        area.draw(&PathElement::new(ends, style))?;
        area.draw(&Text::new(
            format!("{tick}x"),
            (across(tick) - 12, MARGIN as i32 - 18),
            text.clone(),
        ))?;
        tick = (tick * 10_000.0).round() / 1_000.0;
    }
    for (line, row) in rows.iter().enumerate() {
        let label = format!("{} {}", row.name, row.place.label());
        area.draw(&Text::new(label, (8, down(line) - 7), text.clone()))?;
        for standing in row.standings.iter().filter(|standing| standing.who != FLUE) {
            let Some(ratio) = standing.ratio.filter(|ratio| ratio.median > 0.0) else {
                continue;
            };
            let index = whos.iter().position(|who| *who == standing.who).unwrap_or(0);
            let color = Palette99::pick(index).filled();
            area.draw(&Circle::new((across(1.0 / ratio.median), down(line)), 5, color))?;
        }
    }
    for (index, who) in whos.iter().enumerate() {
        let (column, line) = (index as i32 % 8, index as i32 / 8);
        let at = (20 + column * 135, (height - MARGIN) as i32 + 16 + line * 20);
        area.draw(&Circle::new(at, 5, Palette99::pick(index).filled()))?;
        area.draw(&Text::new(who.to_string(), (at.0 + 10, at.1 - 7), text.clone()))?;
    }
    area.present()?;
    Ok(())
}

//! What a handful of samples says.

/// Median and spread of some samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The middle sample.
    pub median: f64,
    /// Half the distance between the quartiles, as a share of the median.
    pub spread: f64,
    /// How many samples there were.
    pub samples: usize,
}

impl Summary {
    /// Summarizes `samples`; `None` if there are none.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = quantile(&sorted, 0.5)?;
        let width = quantile(&sorted, 0.75)? - quantile(&sorted, 0.25)?;
        let spread = if median == 0.0 { 0.0 } else { width / 2.0 / median };
        Some(Self { median, spread, samples: sorted.len() })
    }
}

/// The value below which the share `q` of the sorted samples lies, interpolated.
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = q * last as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(low + (high - low) * at.fract())
}

//! Results of benchmarks, as people and as programs read them.

use anyhow::{Context, Result};
use serde::Serialize;
use std::fs;
use std::path::Path;

/// One figure beside its baseline.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub baseline: String,
    pub baseline_value: f64,
    pub ratio: f64,
}

impl Figure {
    /// Compares a value in seconds with a baseline.
    pub fn seconds((name, value): (&str, f64), (baseline, baseline_value): (&str, f64)) -> Self {
        let (name, baseline) = (name.to_owned(), baseline.to_owned());
        Self { name, value, unit: "s", baseline, baseline_value, ratio: value / baseline_value }
    }

    /// A line of the table.
    pub fn line(&self) -> String {
        let Self { name, value, unit, baseline, baseline_value, ratio } = self;
        format!("{name:<20} {value:>8.3} {unit}   {baseline:<20} {baseline_value:>8.3} {unit}   ratio {ratio:.3}")
    }
}

/// Writes the figures as a JSON list.
pub fn write(path: &Path, figures: &[Figure]) -> Result<()> {
    fs::write(path, serde_json::to_vec_pretty(figures)?).with_context(|| format!("cannot write {}", path.display()))
}

/// The middle of the values, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        even if even.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_does_not_move_the_median() {
        assert_eq!(median(&[1.0, 900.0, 2.0]).to_bits(), 2.0f64.to_bits());
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5f64.to_bits());
    }

    #[test]
    fn a_figure_carries_its_ratio() {
        let figure = Figure::seconds(("a", 3.0), ("b", 2.0));
        assert!((figure.ratio - 1.5).abs() < 1e-9);
        let json = serde_json::to_string(&[figure]).unwrap();
        assert!(
            json.starts_with(r#"[{"name":"a","value":3.0,"unit":"s","baseline":"b","baseline_value":2.0,"ratio":1.5"#),
            "{json}"
        );
    }
}

//! What the figures have to fulfil.

use super::Figures;
use serde::Serialize;

/// First touches scale at least so far as null calls do, times this.
pub const LEAST_RATIO: f64 = 0.95;

/// A requirement, and whether it is met.
#[derive(Clone, Debug, Serialize)]
pub struct Gate {
    name: &'static str,
    wanted: String,
    seen: String,
    holds: bool,
}

impl Gate {
    /// Whether it is not met. A figure that is missing meets nothing.
    pub fn is_broken(&self) -> bool {
        !self.holds
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let Self { name, wanted, seen, holds } = self;
        let verdict = if *holds { "holds" } else { "BROKEN" };
        format!("{name:<44} {wanted}: {verdict}, {seen}")
    }
}

/// Both.
pub fn check(figures: &Figures) -> Vec<Gate> {
    let ratio = Gate {
        name: "scaling of first touches over null calls'",
        wanted: format!("at least {LEAST_RATIO}"),
        seen: format!("{:.3}", figures.ratio),
        holds: figures.ratio >= LEAST_RATIO,
    };
    let locks = Gate {
        name: "locks taken by faults",
        wanted: "none".into(),
        seen: figures.locks.map_or_else(|| "not counted".into(), |locks| locks.to_string()),
        holds: figures.locks == Some(0),
    };
    vec![ratio, locks]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(ratio: f64, locks: Option<u64>) -> Vec<bool> {
        let figures = Figures { null: 2.0, touch: 2.0 * ratio, ratio, null_rate: 1.0, touch_rate: 1.0, locks };
        check(&figures).iter().map(|gate| !gate.is_broken()).collect()
    }

    #[test]
    fn a_low_ratio_and_a_single_lock_break_their_gates() {
        assert_eq!(holding(0.95, Some(0)), [true, true]);
        assert_eq!(holding(0.949, Some(1)), [false, false]);
    }

    #[test]
    fn what_was_not_measured_holds_nothing() {
        assert_eq!(holding(f64::NAN, None), [false, false]);
    }
}

//! What the figures have to fulfil.

use super::Measured;
use serde::Serialize;

/// A requirement on one figure.
struct Limit {
    /// Where: on platforms whose names begin so.
    platforms: &'static str,
    figure: &'static str,
    /// Net instructions per event.
    most: f64,
}

const EVERYWHERE: &str = "";
/// Where hash guests are.
const BARE_METAL: &str = "powernv";

const LIMITS: [Limit; 12] = [
    Limit { platforms: "powernv10", figure: "null-hcall", most: 300.0 },
    Limit { platforms: "powernv10", figure: "zero-write-4k", most: 700.0 },
    Limit { platforms: "powernv10", figure: "image-map", most: 450.0 },
    Limit { platforms: "powernv10", figure: "upgrade", most: 450.0 },
    Limit { platforms: "powernv10", figure: "upgrade-again", most: 450.0 },
    Limit { platforms: "pseries", figure: "zero-write-4k", most: 800.0 },
    Limit { platforms: EVERYWHERE, figure: "second-touch", most: 0.0 },
    Limit { platforms: BARE_METAL, figure: "hash-enter", most: 500.0 },
    Limit { platforms: BARE_METAL, figure: "hash-enter-exact", most: 500.0 },
    Limit { platforms: BARE_METAL, figure: "hash-protect", most: 500.0 },
    Limit { platforms: BARE_METAL, figure: "hash-remove", most: 500.0 },
    Limit { platforms: BARE_METAL, figure: "hash-mapped-second-touch", most: 0.0 },
];
/// An instruction in all, of thousands of events, is the timebase's grain.
const GRAIN: f64 = 0.05;

/// A requirement, and whether it is met.
#[derive(Clone, Debug, Serialize)]
pub struct Gate {
    platform: &'static str,
    name: &'static str,
    most: f64,
    figure: Option<f64>,
    holds: bool,
}

impl Gate {
    /// Whether it is not met. A figure that is missing meets nothing.
    pub fn is_broken(&self) -> bool {
        !self.holds
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let Self { platform, name, most, figure, holds } = self;
        let verdict = if *holds { "holds" } else { "BROKEN" };
        format!("{platform:<10} {name:<44} at most {most:>5}: {verdict}, {}", super::number(*figure))
    }
}

/// Those of one platform.
pub fn check(measured: &Measured) -> Vec<Gate> {
    let concerned = |limit: &&Limit| measured.platform.starts_with(limit.platforms);
    LIMITS.iter().filter(concerned).map(|limit| judge(measured, limit)).collect()
}

fn judge(measured: &Measured, limit: &Limit) -> Gate {
    let row = measured.figures.iter().find(|figure| figure.id == limit.figure);
    let (name, figure) = row.map_or((limit.figure, None), |row| (row.name, row.ours));
    let holds = figure.is_some_and(|figure| figure <= limit.most + GRAIN);
    Gate { platform: measured.platform, name, most: limit.most, figure, holds }
}

#[cfg(test)]
mod tests {
    use super::super::Figure;
    use super::*;

    fn gates(platform: &'static str, id: &'static str, ours: Option<f64>) -> Vec<Gate> {
        let figures = vec![Figure { id, name: id, ours, kvm_hv: None, ratio: None }];
        let gates = check(&Measured { platform, figures });
        gates.into_iter().filter(|gate| gate.name == id).collect()
    }

    #[test]
    fn a_figure_above_its_limit_breaks_it() {
        assert!(!gates("powernv10", "null-hcall", Some(300.0))[0].is_broken());
        assert!(gates("powernv10", "null-hcall", Some(300.1))[0].is_broken());
        assert!(gates("powernv9", "second-touch", Some(1.0))[0].is_broken());
        assert!(!gates("powernv9", "second-touch", Some(-0.3))[0].is_broken());
    }

    #[test]
    fn a_figure_that_is_missing_holds_nothing() {
        assert!(gates("pseries", "zero-write-4k", None)[0].is_broken());
        let limits = |platform| check(&Measured { platform, figures: Vec::new() }).len();
        assert_eq!(["powernv10", "powernv9", "pseries"].map(limits), [11, 6, 2]);
    }
}

//! The guests to be tried: kernels, platforms, processors and granules, all combinations of them or every pair.

use std::collections::BTreeSet;

/// One combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The guest's name.
    pub kernel: &'static str,
    /// The machine.
    pub machine: Machine,
    /// The size in which guest memory is made.
    pub granule: &'static str,
}

/// A machine that guests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its word in a case's name: the processor on pseries, else the platform.
    pub name: &'static str,
    /// Pseries or powernv.
    pub platform: &'static str,
    /// Of which kind its processors are.
    pub processor: &'static str,
    /// The tool's options for it.
    pub options: [&'static str; 2],
}

/// How much of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every pair of values of different dimensions at least once.
    Pairs,
    /// Every combination.
    Full,
}

/// The guests that have names.
pub const KERNELS: [&str; 3] = ["debian-6.1", "debian-6.12", "debian-6.12-64k"];
/// All machines that guests run on.
pub const MACHINES: [Machine; 4] = [POWER9, POWER10, POWERNV9, POWERNV10];
/// The granules whose pairs are tried: the smallest, which faults most, and the default.
const GRANULES: [&str; 2] = ["4k", "auto"];
const ALL_GRANULES: [&str; 4] = ["4k", "64k", "2m", "auto"];

/// Pseries with POWER9.
pub const POWER9: Machine =
    Machine { name: "power9", platform: "pseries", processor: "POWER9", options: ["--cpu", "power9"] };
/// Pseries with POWER10.
pub const POWER10: Machine =
    Machine { name: "power10", platform: "pseries", processor: "POWER10", options: ["--cpu", "power10"] };
/// Bare metal with POWER9.
pub const POWERNV9: Machine =
    Machine { name: "powernv9", platform: "powernv", processor: "POWER9", options: ["--platform", "powernv9"] };
/// Bare metal with POWER10.
pub const POWERNV10: Machine =
    Machine { name: "powernv10", platform: "powernv", processor: "POWER10", options: ["--platform", "powernv10"] };

/// Two values of different dimensions that occur together.
pub type Pair = (&'static str, &'static str);

impl Cell {
    /// A value of each dimension.
    fn values(self) -> [&'static str; 4] {
        let Machine { platform, processor, .. } = self.machine;
        [self.kernel, platform, processor, self.granule]
    }

    /// `debian-6.1/power9/4k` on pseries, `debian-6.1/powernv9/4k` on bare metal.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}/{}/{}", self.kernel, self.machine.name, self.granule)
    }
}

/// The cells to be tried.
#[must_use]
pub fn cells(extent: Extent) -> Vec<Cell> {
    match extent {
        Extent::Full => product(&ALL_GRANULES),
        Extent::Pairs => cover(&product(&GRANULES), |cell| cell.values().to_vec()),
    }
}

fn product(granules: &[&'static str]) -> Vec<Cell> {
    let cells = |kernel, machine| granules.iter().map(move |&granule| Cell { kernel, machine, granule });
    KERNELS.iter().flat_map(|&kernel| MACHINES.iter().flat_map(move |&machine| cells(kernel, machine))).collect()
}

/// All pairs of these values.
pub fn pairs(values: &[&'static str]) -> Vec<Pair> {
    let with_later = |(at, &value)| values[at + 1..].iter().map(move |&later| (value, later));
    values.iter().enumerate().flat_map(with_later).collect()
}

/// Greedily takes the cell with most pairs that were not seen yet, until all were. `values` gives a cell's value in each dimension; no two
/// dimensions have one in common.
pub fn cover<C: Copy>(all: &[C], values: impl Fn(C) -> Vec<&'static str>) -> Vec<C> {
    let cells: Vec<(C, Vec<Pair>)> = all.iter().map(|&cell| (cell, pairs(&values(cell)))).collect();
    let mut missing: BTreeSet<Pair> = cells.iter().flat_map(|(_, pairs)| pairs.iter().copied()).collect();
    let mut taken = Vec::new();
    while !missing.is_empty() {
        let news = |(_, pairs): &&(C, Vec<Pair>)| pairs.iter().filter(|pair| missing.contains(pair)).count();
        let Some((best, pairs)) = cells.iter().rev().max_by_key(news) else { break };
        missing.retain(|pair| !pairs.contains(pair));
        taken.push(*best);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_occurs_in_the_small_selection() {
        let taken = cells(Extent::Pairs);
        for pair in product(&GRANULES).iter().flat_map(|cell| pairs(&cell.values())) {
            assert!(taken.iter().any(|cell| pairs(&cell.values()).contains(&pair)), "{pair:?}");
        }
    }

    #[test]
    fn the_small_selection_is_as_small_as_its_two_largest_dimensions_allow() {
        assert_eq!(cells(Extent::Pairs).len(), 6, "three kernels, and two of everything else");
    }

    #[test]
    fn the_whole_matrix_has_each_cell_once() {
        let all = cells(Extent::Full);
        assert_eq!(all.len(), 48);
        assert!(all.iter().enumerate().all(|(at, cell)| !all[..at].contains(cell)));
    }
}

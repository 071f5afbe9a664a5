//! The guests to be tried: kernels, processors and granules, all combinations of them or every pair.

/// One combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The guest's name.
    pub kernel: &'static str,
    /// The processor.
    pub cpu: &'static str,
    /// The size in which guest memory is made.
    pub granule: &'static str,
}

/// How much of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every pair of values of different dimensions at least once.
    Pairs,
    /// Every combination.
    Full,
}

const KERNELS: [&str; 3] = ["debian-6.1", "debian-6.12", "debian-6.12-64k"];
const CPUS: [&str; 2] = ["power9", "power10"];
/// The granules whose pairs are tried: the smallest, which faults most, and the default.
const GRANULES: [&str; 2] = ["4k", "auto"];
const ALL_GRANULES: [&str; 4] = ["4k", "64k", "2m", "auto"];

/// Two values of different dimensions that occur together.
type Pair = (&'static str, &'static str);

impl Cell {
    fn pairs(self) -> [Pair; 3] {
        [(self.kernel, self.cpu), (self.kernel, self.granule), (self.cpu, self.granule)]
    }

    /// `debian-6.1/power9/4k`
    #[must_use]
    pub fn name(self) -> String {
        format!("{}/{}/{}", self.kernel, self.cpu, self.granule)
    }
}

/// The cells to be tried.
#[must_use]
pub fn cells(extent: Extent) -> Vec<Cell> {
    match extent {
        Extent::Full => product(&ALL_GRANULES),
        Extent::Pairs => cover(&product(&GRANULES)),
    }
}

fn product(granules: &[&'static str]) -> Vec<Cell> {
    let cells = |kernel, cpu| granules.iter().map(move |&granule| Cell { kernel, cpu, granule });
    KERNELS.iter().flat_map(|&kernel| CPUS.iter().flat_map(move |&cpu| cells(kernel, cpu))).collect()
}

/// Greedily takes the cell with most pairs that were not seen yet, until all were.
fn cover(all: &[Cell]) -> Vec<Cell> {
    let mut missing: Vec<Pair> = all.iter().flat_map(|cell| cell.pairs()).collect();
    let mut taken = Vec::new();
    while !missing.is_empty() {
        let news = |cell: &Cell| cell.pairs().iter().filter(|pair| missing.contains(pair)).count();
        let Some(&best) = all.iter().rev().max_by_key(|cell| news(cell)) else { break };
        missing.retain(|pair| !best.pairs().contains(pair));
        taken.push(best);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_occurs_in_the_small_selection() {
        let taken = cells(Extent::Pairs);
        for pair in product(&GRANULES).iter().flat_map(|cell| cell.pairs()) {
            assert!(taken.iter().any(|cell| cell.pairs().contains(&pair)), "{pair:?}");
        }
    }

    #[test]
    fn the_small_selection_is_as_small_as_its_two_largest_dimensions_allow() {
        assert_eq!(cells(Extent::Pairs).len(), KERNELS.len() * CPUS.len());
    }

    #[test]
    fn the_whole_matrix_has_each_cell_once() {
        let all = cells(Extent::Full);
        assert_eq!(all.len(), 24);
        assert!(all.iter().enumerate().all(|(at, cell)| !all[..at].contains(cell)));
    }
}

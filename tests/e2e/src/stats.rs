//! The counters at the end of a run, and the sums that they must add up to.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Counters by dotted name.
pub struct Stats(BTreeMap<String, u64>);

impl Stats {
    /// Reads what the tool wrote.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("the tool wrote no {}", path.display()))?;
        Ok(Self(serde_json::from_slice(&bytes)?))
    }

    /// The sum of a counter and of everything below its name.
    fn get(&self, name: &str) -> Result<u64> {
        self.0.get(name).copied().with_context(|| format!("the hypervisor reported no {name}"))
    }

    /// Every page made on the fault path is found again by walking the tables, or was unmapped.
    pub fn check_pages(&self) -> Result<String> {
        let (made, unmapped) = (self.get("pages.made")?, self.get("pages.unmapped")?);
        let (live, walked) = (self.get("pages.live")?, self.get("pages.walked")?);
        ensure!(made.checked_sub(unmapped) == Some(live), "pages made {made} - unmapped {unmapped} is not live {live}");
        ensure!(live == walked, "{live} pages live by the fault path's count, {walked} found in the tables");
        ensure!(made > 0, "not a single page was made");
        Ok(format!("{made} pages made"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(made: u64, unmapped: u64, live: u64, walked: u64) -> Stats {
        let pairs = [("made", made), ("unmapped", unmapped), ("live", live), ("walked", walked)];
        Stats(pairs.iter().map(|(name, value)| (format!("pages.{name}"), *value)).collect())
    }

    #[test]
    fn pages_that_are_accounted_for_pass() {
        assert!(stats(10, 3, 7, 7).check_pages().is_ok());
    }

    #[test]
    fn a_page_that_one_side_does_not_know_fails() {
        assert!(stats(10, 3, 6, 6).check_pages().is_err());
        assert!(stats(10, 3, 7, 8).check_pages().is_err());
        assert!(stats(3, 10, 7, 7).check_pages().is_err());
        assert!(stats(0, 0, 0, 0).check_pages().is_err());
    }

    #[test]
    fn a_missing_counter_fails() {
        assert!(Stats(BTreeMap::new()).check_pages().is_err());
    }
}

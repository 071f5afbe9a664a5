//! The counters at the end of a run, and the sums that they must add up to.

use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Counters by dotted name.
pub struct Stats(BTreeMap<String, u64>);

/// What a store did.
pub struct Moved {
    /// Pages that went there.
    pub out: u64,
    /// Pages that came back.
    pub back: u64,
    /// Their size over the memory that they take there.
    pub ratio: f64,
}

impl Stats {
    /// Reads what the tool wrote.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("the tool wrote no {}", path.display()))?;
        Ok(Self(serde_json::from_slice(&bytes)?))
    }

    /// A counter; what never happened may be left out of the report.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// The kinds and sizes of page that occur in any of the three counts: `zero.4k`.
    fn kinds(&self) -> BTreeSet<&str> {
        let kind = |name| ["made.", "unmapped.", "live."].iter().find_map(|count| str::strip_prefix(name, *count));
        self.0.keys().filter_map(|name| kind(name)).collect()
    }

    /// Every page made on the fault path is found again by walking the tables, or was unmapped; tables likewise.
    pub fn check_pages(&self) -> Result<String> {
        let faults = self.check_faults()?;
        Ok(format!("{faults} faults, {}", self.check_made()?))
    }

    /// The same of a hash guest: most of its storage exits are for itself to deal with, and concern no page of ours.
    pub fn check_hashed_pages(&self) -> Result<String> {
        let (exits, again) = (self.exits(), self.get("fault.asked-again"));
        let (faults, told) = (self.faults(), self.get("fault.reflected"));
        // A fault that loses a race for an entry is made anew, so there may be more outcomes than exits; one that meets another CPU at an entry is asked again, and has none before.
        ensure!(
            exits > 0 && exits <= faults + told + again,
            "{exits} storage exits, {again} asked again, {faults} faults with an outcome, {told} told to the guest"
        );
        Ok(format!("{told} faults told to the guest, {faults} others, {}", self.check_made()?))
    }

    fn check_made(&self) -> Result<String> {
        let mut pages = 0;
        for kind in self.kinds() {
            pages += self.check_sum(&format!("made.{kind}"), &format!("unmapped.{kind}"), &format!("live.{kind}"))?;
        }
        let tables = self.check_sum("tables.made", "tables.freed", "tables.live")?;
        for never in ["pages.unaccounted", "tables.broken", "tables.met-detached", "memory.double-frees"] {
            ensure!(self.get(never) == 0, "{never} is {}", self.get(never));
        }
        ensure!(pages > 0 && tables > 0, "no pages or tables were reported");
        Ok(format!("{pages} pages and {tables} tables accounted for"))
    }

    fn exits(&self) -> u64 {
        self.get("exit.hdsi") + self.get("exit.hisi")
    }

    /// The guest's faults that have an outcome.
    fn faults(&self) -> u64 {
        let guests =
            |name: &str| ["fault.read.", "fault.write.", "fault.fetch."].iter().any(|kind| name.starts_with(kind));
        self.0.iter().filter(|(name, _)| guests(name)).map(|(_, count)| count).sum()
    }

    /// Every storage exit of the guest is a fault with an outcome, and so is each time that it was asked again meanwhile.
    pub fn check_faults(&self) -> Result<u64> {
        let (exits, faults) = (self.exits(), self.faults());
        let again = self.get("fault.asked-again");
        ensure!(
            exits + again == faults && exits > 0,
            "{exits} storage exits, {again} asked again, {faults} faults with an outcome"
        );
        Ok(exits)
    }

    /// Out − back = what the tables' entries say is stored, and the charge stays within the budget and the little that a page-out may overdraw.
    pub fn check_store(&self, budget: u64) -> Result<Moved> {
        let [out, back, pages] = ["paged-out", "paged-in", "pages"].map(|name| self.get(&format!("store.{name}")));
        ensure!(out.checked_sub(back) == Some(pages), "{out} pages out, {back} back, {pages} there");
        ensure!(self.get("store.unaccounted") == 0, "tables and store disagree");
        let charged = self.get("store.charged-bytes");
        ensure!(charged <= budget + (2 << 20), "{charged} bytes are charged for a budget of {budget}");
        let bytes = self.get("store.memory-bytes").max(1);
        Ok(Moved { out, back, ratio: (pages * 4096) as f64 / bytes as f64 })
    }

    /// Checks that a counter got so far.
    pub fn reaches(&self, name: &str, least: u64) -> Result<()> {
        let count = self.get(name);
        ensure!(count >= least, "{name} is {count}, not {least} or more");
        Ok(())
    }

    /// Checks that a counter was reported, and is this.
    pub fn is(&self, name: &str, wanted: u64) -> Result<()> {
        let count = self.0.get(name).with_context(|| format!("there is no counter {name}"))?;
        ensure!(*count == wanted, "{name} is {count}, not {wanted}");
        Ok(())
    }

    /// Checks that so many CPUs ran the guest.
    pub fn check_cpus(&self, wanted: &str) -> Result<()> {
        let count = self.get("sched.cpus");
        ensure!(count.to_string() == wanted, "{count} CPUs ran the guest instead of {wanted}");
        Ok(())
    }

    /// Checks that all counters of one kind got so far, and that there are some.
    pub fn each_reaches(&self, kind: &str, least: u64) -> Result<()> {
        let mut names = self.0.keys().filter(|name| name.starts_with(kind)).peekable();
        ensure!(names.peek().is_some(), "no counter is called {kind}…");
        names.try_for_each(|name| self.reaches(name, least))
    }

    /// How often a fault met a page that another CPU was at work on.
    pub fn waits(&self) -> u64 {
        let waits = |name: &str| name.starts_with("fault.") && name.ends_with(".wait");
        self.0.iter().filter(|(name, _)| waits(name)).map(|(_, count)| count).sum()
    }

    /// Checks made − gone = live, and returns what was made.
    fn check_sum(&self, made: &str, gone: &str, live: &str) -> Result<u64> {
        let counts = [made, gone, live].map(|name| self.get(name));
        let [made_count, gone_count, live_count] = counts;
        let expected = made_count.checked_sub(gone_count);
        ensure!(expected == Some(live_count), "{made} {made_count} - {gone} {gone_count} is not {live} {live_count}");
        Ok(made_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(made: u64, unmapped: u64, live: u64, unaccounted: u64) -> Stats {
        let pages = [("made.zero.4k", made), ("unmapped.zero.4k", unmapped), ("live.zero.4k", live)];
        let others =
            [("made.image-shared.64k", 5), ("live.image-shared.64k", 5), ("tables.made", 4), ("tables.live", 4)];
        let faults = [("exit.hdsi", 8), ("exit.hisi", 2), ("fault.read.installed", 7), ("fault.fetch.spurious", 3)];
        let all = pages.iter().chain(&others).chain(&faults).map(|(name, value)| ((*name).to_owned(), *value));
        Stats(all.chain([("pages.unaccounted".to_owned(), unaccounted)]).collect())
    }

    #[test]
    fn pages_that_are_accounted_for_pass() {
        assert_eq!(stats(10, 3, 7, 0).check_pages().unwrap(), "10 faults, 15 pages and 4 tables accounted for");
    }

    #[test]
    fn a_page_that_one_side_does_not_know_fails() {
        assert!(stats(10, 3, 6, 0).check_pages().is_err());
        assert!(stats(3, 10, 7, 0).check_pages().is_err());
        assert!(stats(10, 3, 7, 1).check_pages().is_err());
    }

    #[test]
    fn an_exit_without_an_outcome_fails() {
        let mut stats = stats(10, 3, 7, 0);
        stats.0.insert("exit.hdsi".to_owned(), 9);
        assert!(stats.check_pages().is_err());
    }

    #[test]
    fn a_store_that_lost_a_page_or_took_too_much_fails() {
        let of = |out, back, pages, charged| {
            let all = [("paged-out", out), ("paged-in", back), ("pages", pages), ("charged-bytes", charged)];
            Stats(all.into_iter().map(|(name, value)| (format!("store.{name}"), value)).collect())
        };
        assert!(of(10, 4, 6, 64 << 20).check_store(64 << 20).is_ok());
        assert!(of(10, 4, 5, 64 << 20).check_store(64 << 20).is_err());
        assert!(of(4, 10, 6, 64 << 20).check_store(64 << 20).is_err());
        assert!(of(10, 4, 6, 70 << 20).check_store(64 << 20).is_err());
    }

    #[test]
    fn a_counter_that_is_missing_is_not_zero() {
        let stats = Stats([("twins.first.moves".to_owned(), 0)].into());
        assert!(stats.is("twins.first.moves", 0).is_ok());
        assert!(stats.is("twins.first.moves", 1).is_err());
        assert!(stats.is("twins.second.moves", 0).is_err());
    }

    #[test]
    fn each_counter_of_a_kind_has_to_get_far_enough() {
        let stats = Stats([("retry.split", 3), ("retry.not-same", 0)].map(|(name, n)| (name.to_owned(), n)).into());
        assert!(stats.reaches("retry.split", 3).is_ok());
        assert!(stats.reaches("retry.split", 4).is_err());
        let error = stats.each_reaches("retry.", 1).unwrap_err().to_string();
        assert_eq!(error, "retry.not-same is 0, not 1 or more");
        assert!(stats.each_reaches("retry.", 0).is_ok());
        assert!(stats.each_reaches("leaf.", 0).is_err());
    }

    #[test]
    fn an_empty_report_fails() {
        assert!(Stats(BTreeMap::new()).check_pages().is_err());
    }
}

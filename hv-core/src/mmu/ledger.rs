//! What a guest is charged for: private frames, tables, and the frames of its store.
//!
//! The sum is one word for all CPUs, so CPUs draw from it in batches ([`Purse`]) and the fault path writes no line that another CPU's fault writes.

use crate::sync::{AtomicU64, CacheLine, Ordering};

/// Pages that a CPU draws at a time: many while there are plenty, so that CPUs seldom meet here; few when what one keeps another may lack.
const MOST: u64 = 512;
const LEAST: u64 = 32;
/// The part of what is left that it draws.
const PART: u64 = 64;

/// A guest's account, in pages of 4 KiB.
#[derive(Debug)]
pub struct Ledger {
    budget: u64,
    drawn: CacheLine<AtomicU64>,
}

/// Pages that one CPU has drawn and not spent.
#[derive(Debug)]
pub struct Purse {
    pages: u64,
    /// How many it drew the last time; it keeps no more than twice that.
    batch: u64,
}

impl Default for Purse {
    fn default() -> Self {
        Self { pages: 0, batch: LEAST }
    }
}

impl Ledger {
    /// An account over `budget` pages, of which `drawn` are spent already.
    #[must_use]
    pub fn new(budget: u64, drawn: u64) -> Self {
        Self { budget, drawn: CacheLine(AtomicU64::new(drawn)) }
    }

    /// Pages drawn, those in purses included.
    #[must_use]
    pub fn drawn(&self) -> u64 {
        self.drawn.0.load(Ordering::Relaxed)
    }

    /// Pages that may be drawn in all.
    #[must_use]
    pub const fn budget(&self) -> u64 {
        self.budget
    }

    /// Relaxed throughout: it is a count, nothing is published by it.
    fn draw(&self, pages: u64) -> bool {
        let enough = |drawn: u64| drawn.checked_add(pages).filter(|sum| *sum <= self.budget);
        self.drawn.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok()
    }

    /// Spends `pages` from `purse`, drawing more where it holds too few. False, and nothing spent, if the budget does not allow it.
    #[inline]
    #[must_use]
    pub fn spend(&self, purse: &mut Purse, pages: u64) -> bool {
        if purse.pages < pages && !self.fill(purse, pages) {
            return false;
        }
        purse.pages -= pages;
        true
    }

    #[cold]
    fn fill(&self, purse: &mut Purse, pages: u64) -> bool {
        let missing = pages - purse.pages;
        purse.batch = (self.budget.saturating_sub(self.drawn()) / PART).clamp(LEAST, MOST);
        for more in [missing + purse.batch, missing] {
            if self.draw(more) {
                purse.pages += more;
                return true;
            }
        }
        false
    }

    /// Spends although the budget may not allow it: for the few pages that a page-out needs before it frees more.
    pub fn overdraw(&self, purse: &mut Purse, pages: u64) {
        if !self.spend(purse, pages) {
            self.drawn.0.fetch_add(pages, Ordering::Relaxed);
        }
    }

    /// Takes back what was spent. An overdraft is paid back first: if it stayed until the next one, they would add up.
    #[inline]
    pub fn refund(&self, purse: &mut Purse, pages: u64) {
        purse.pages += pages;
        let overdrawn = self.drawn().saturating_sub(self.budget);
        if overdrawn > 0 {
            self.empty_to(purse, purse.pages.saturating_sub(overdrawn));
        }
        if purse.pages > 2 * purse.batch {
            self.empty_to(purse, purse.batch);
        }
    }

    /// Gives back all that a CPU has drawn.
    pub fn settle(&self, purse: &mut Purse) {
        self.empty_to(purse, 0);
    }

    fn empty_to(&self, purse: &mut Purse, keep: u64) {
        let back = purse.pages.saturating_sub(keep);
        purse.pages -= back;
        self.drawn.0.fetch_sub(back, Ordering::Relaxed);
    }
}

/// A guest's quota of table pages. Tables are made rarely, so one line for all CPUs does. Relaxed throughout: nothing is published by it.
#[derive(Debug)]
pub struct Tables {
    limit: AtomicU64,
    count: CacheLine<AtomicU64>,
}

impl Tables {
    /// No table yet, and at most `limit`.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit: AtomicU64::new(limit), count: CacheLine(AtomicU64::new(0)) }
    }

    /// At most so many from now on.
    pub fn limit(&self, pages: u64) {
        self.limit.store(pages, Ordering::Relaxed);
    }

    /// Counts one more; false, and nothing counted, if it is one too many.
    #[must_use]
    pub fn begin(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let one_more = |count: u64| (count < limit).then(|| count + 1);
        self.count.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Counts one more in any case.
    pub fn begin_beyond(&self) {
        self.count.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn end(&self) {
        self.count.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn nobody_spends_more_than_the_budget_and_the_last_page_can_be_spent() {
        let ledger = Ledger::new(100, 0);
        let (mut a, mut b) = (Purse::default(), Purse::default());
        let spent = (0..1000).filter(|turn| ledger.spend(if turn % 2 == 0 { &mut a } else { &mut b }, 1)).count();
        assert!((100 - 2 * LEAST as usize..=100).contains(&spent), "{spent}");
        ledger.settle(&mut a);
        ledger.settle(&mut b);
        assert_eq!(ledger.drawn(), spent as u64);
    }

    #[test]
    fn a_purse_is_filled_well_while_much_is_left_and_holds_little_at_the_end() {
        let ledger = Ledger::new(PART * MOST + 1, 0);
        let mut purse = Purse::default();
        assert!(ledger.spend(&mut purse, 1));
        assert_eq!(ledger.drawn(), 1 + MOST);
        // A race that is lost gives one back: nothing moves.
        ledger.refund(&mut purse, 1);
        assert_eq!(ledger.drawn(), 1 + MOST);
        while ledger.budget() - ledger.drawn() > PART * LEAST {
            assert!(ledger.spend(&mut purse, 1));
        }
        ledger.settle(&mut purse);
        let spent = ledger.drawn();
        assert!(ledger.spend(&mut purse, 1));
        assert!(ledger.drawn() - spent <= 1 + LEAST + 1, "{}", ledger.drawn() - spent);
    }

    #[test]
    fn what_is_refunded_can_be_spent_again() {
        let ledger = Ledger::new(512, 0);
        let mut purse = Purse::default();
        for _ in 0..10 {
            assert!(ledger.spend(&mut purse, 512));
            assert!(!ledger.spend(&mut purse, 1));
            ledger.refund(&mut purse, 512);
        }
        ledger.settle(&mut purse);
        assert_eq!(ledger.drawn(), 0);
    }

    #[test]
    fn a_quota_of_tables_is_kept_but_for_those_beyond_it() {
        let tables = Tables::new(2);
        assert!(tables.begin() && tables.begin() && !tables.begin());
        tables.begin_beyond();
        tables.end();
        assert!(!tables.begin());
        tables.end();
        assert!(tables.begin());
    }

    #[test]
    fn an_overdraft_is_counted() {
        let ledger = Ledger::new(1, 0);
        let mut purse = Purse::default();
        assert!(ledger.spend(&mut purse, 1));
        ledger.overdraw(&mut purse, 2);
        assert_eq!(ledger.drawn(), 3);
        ledger.refund(&mut purse, 3);
        ledger.settle(&mut purse);
        assert_eq!(ledger.drawn(), 0);
    }

    #[test]
    fn overdrafts_do_not_add_up() {
        let ledger = Ledger::new(100, 0);
        let mut purse = Purse::default();
        while ledger.spend(&mut purse, 1) {}
        for _ in 0..1000 {
            // A page-out: a frame for the store first, then the page's own and others come back, and are spent again.
            ledger.overdraw(&mut purse, 1);
            ledger.refund(&mut purse, 6);
            while ledger.spend(&mut purse, 1) {}
        }
        assert_eq!(ledger.drawn(), 100);
    }
}

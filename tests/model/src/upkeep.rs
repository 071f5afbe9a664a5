//! What changes how memory is mapped, and nothing that the guest can see.

use crate::memory::{ADDRESSES, PAGE};
use crate::world::{LPID, World};
use hv_core::mmu::audit::Audit;
use hv_core::mmu::{PromoteError, SplitError};
use machine::{Recording, Translation, Walked};
use ppc64_arch::addr::{GuestReal, LeafSize};

impl<const BROADCAST: bool> World<'_, '_, BROADCAST> {
    /// The leaf that maps `at`.
    fn leaf(&self, at: u64) -> Option<Translation> {
        match self.memory.hardware.peek(LPID, GuestReal::new(at)) {
            Walked::Found(leaf) => Some(leaf),
            Walked::Absent => None,
            Walked::Broken(why) => panic!("the tables at {at:#x} are broken: {why}"),
        }
    }

    pub(crate) fn split(&mut self, cpu: usize, at: u64) {
        let before = self.leaf(at).map(|leaf| leaf.size());
        let split = self.mutate(cpu, |space, cpu| space.split(cpu, GuestReal::new(at)));
        match (before, split) {
            (Some(LeafSize::Size2M | LeafSize::Size1G), Ok(())) => {
                assert!(self.leaf(at).map(|leaf| leaf.size()) < before, "the leaf at {at:#x} is as large as before");
                self.tally.splits += 1;
            }
            (Some(LeafSize::Size2M | LeafSize::Size1G), Err(SplitError::OutOfMemory)) if self.is_tight => {}
            (Some(LeafSize::Size4K | LeafSize::Size64K), Err(SplitError::Smallest)) => {}
            // The page may rest: its leaf is not there, and can be split all the same.
            (None, Ok(()) | Err(SplitError::NoLeaf | SplitError::Smallest)) => {}
            (None, Err(SplitError::OutOfMemory)) if self.is_tight => {}
            (before, split) => panic!("splitting the leaf of {before:?} at {at:#x} ended in {split:?}"),
        }
    }

    pub(crate) fn promote(&mut self, cpu: usize, at: u64) {
        let promoted = self.mutate(cpu, |space, cpu| space.promote(cpu, GuestReal::new(at)));
        let slot = self.model.slot_of(at).map(|(_, slot)| slot.log.is_some());
        match (slot, promoted) {
            (None, Err(PromoteError::NoTable)) | (Some(true), Err(PromoteError::Logged)) => {}
            (Some(false), Err(PromoteError::NoTable | PromoteError::Mixed | PromoteError::OutOfMemory)) => {}
            (Some(false), Ok(size)) => {
                assert_eq!(
                    self.leaf(at).map(|leaf| leaf.size()),
                    Some(size),
                    "the leaf at {at:#x} after its promotion"
                );
                self.tally.promotions += 1;
            }
            (slot, promoted) => panic!("promotion at {at:#x} (logged: {slot:?}) ended in {promoted:?}"),
        }
    }

    pub(crate) fn age(&mut self, cpu: usize, from: u64, to: u64) {
        let before = self.leaves(from, to);
        let used = before.iter().filter(|leaf| leaf.is_referenced()).count() as u64;
        let owed = |leaf: &&Translation| leaf.is_referenced() || self.memory.hardware.owes_reference(leaf);
        let owed = before.iter().filter(owed).count() as u64;
        let aged = self.mutate(cpu, |space, cpu| space.age(cpu, GuestReal::new(from), GuestReal::new(to)));
        match self.setup.recording {
            Recording::Software => {
                let after = self.leaves(from, to);
                assert_eq!(aged.young, (before.len() - after.len()) as u64, "leaves of {from:#x}..{to:#x} laid down");
            }
            Recording::AtOnce | Recording::Late => {
                assert_eq!(aged.young + aged.old, before.len() as u64, "leaves of {from:#x}..{to:#x}");
                assert!((used..=owed).contains(&aged.young), "{aged:?}, where {used} to {owed} were used");
            }
        }
    }

    /// The leaves that map any byte of a range's pages.
    fn leaves(&self, from: u64, to: u64) -> Vec<Translation> {
        // An empty range has none, whatever page it lies in.
        let (mut at, mut leaves) = (if from < to { from & !(PAGE - 1) } else { to }, vec![]);
        while at < to.min(ADDRESSES) {
            let leaf = self.leaf(at);
            at = leaf.map_or(at + PAGE, |leaf| leaf.page().raw() + leaf.size().bytes());
            leaves.extend(leaf);
        }
        leaves
    }

    pub(crate) fn prune(&mut self, cpu: usize) {
        let before = Audit::of(self.space).tables;
        let pruned = self.mutate(cpu, |space, cpu| space.prune(cpu));
        assert_eq!(Audit::of(self.space).tables + pruned, before, "tables pruned");
        assert_eq!(self.mutate(cpu, |space, cpu| space.prune(cpu)), 0, "an empty table was left");
        self.tally.pruned += pruned;
    }

    pub(crate) fn page_out(&mut self, cpu: usize) {
        let stored = || self.space.store().map_or(0, |store| store.held().pages);
        let before = stored();
        let gone = self.mutate(cpu, |space, cpu| space.page_out(cpu));
        assert_eq!(stored(), before + gone, "pages taken out");
        self.tally.paged_out += gone;
    }

    pub(crate) fn limit_tables(&mut self, pages: u64) {
        self.space.limit_tables(pages);
        self.is_tight = self.setup.is_tight() || pages != u64::MAX;
    }
}

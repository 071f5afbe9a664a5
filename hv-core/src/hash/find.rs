//! The search that hardware makes as well: both groups of a hash, for what the guest has there.

use super::lock::{ABSENT, Glance, LOCK};
use super::machine::Translations;
use super::table::Hpt;
use crate::sync::entry;
use ppc64_arch::hash::table::Hashed;
use ppc64_arch::hash::{Entry, PageSize, Pages, Segment, VirtualAddress, Word0};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought {
    pub at: VirtualAddress,
    pub segment: Segment,
    pub base: PageSize,
}

/// What there is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// The guest's entry, and its sizes.
    Entry(Glance, Pages),
    /// None.
    Nowhere,
    /// Something is there that is changing just now.
    Moving,
}

impl<T: Translations> Hpt<'_, T> {
    /// Looks for the entry of a virtual address, without a lock.
    pub(super) fn find(&self, sought: Sought) -> Found {
        let hash = Hashed::of(sought.at, sought.segment, sought.base);
        match self.find_in(sought, hash, false) {
            Found::Nowhere => self.find_in(sought, hash, true),
            found => found,
        }
    }

    fn find_in(&self, sought: Sought, hash: Hashed, secondary: bool) -> Found {
        let aligned = sought.at.align_down(sought.base);
        let side = if secondary { Word0::SECONDARY } else { Word0::empty() };
        let (name, compared) = (Word0::naming(aligned) | side, Word0::AVA | Word0::SECONDARY);
        for place in self.group(self.shape().group(hash, secondary)) {
            let word0 = place.peek();
            if word0 & compared != name || !word0.intersects(Word0::VALID | ABSENT) {
                continue;
            }
            entry::acquire();
            let glance = if word0.contains(LOCK) { None } else { place.glance(word0) };
            let Some(glance) = glance else { return Found::Moving };
            match (Entry { word0, word1: glance.view }.pages(), glance.view.segment()) {
                (Some(pages), Some(segment)) if pages.base() == sought.base && segment == sought.segment => {
                    return Found::Entry(glance, pages);
                }
                _ => {}
            }
        }
        Found::Nowhere
    }
}

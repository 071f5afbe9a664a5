//! What has to hold between operations: hardware's doublewords are what the guest's view and memory make of them.

use super::pte::{Pte, RECORDED};
use super::world::World;
use hv_core::hash::Backing;
use ppc64_arch::addr::GuestReal;
use ppc64_arch::hash::{PageSize, Word0};

/// Operations between two looks at the whole table.
pub(super) const INTERVAL: u64 = 16;
/// The hypervisor's lock of an entry, and its mark of one that hardware does not use.
const LOCK: u64 = 0x40;
const ABSENT: u64 = 0x20;

impl World<'_, '_> {
    /// Of the entries that the guest has.
    pub fn check_known(&self) {
        for (index, pte) in &self.model.entries {
            let raw = self.seat.hardware.raw(*index);
            assert_eq!(raw.word0.bits() & LOCK, 0, "{index:#x} is still locked");
            let valid = raw.word0.contains(Word0::VALID);
            assert_eq!(raw.word0.bits() & ABSENT == 0, valid, "{index:#x} is shown or absent");
            if valid {
                self.check_shown(*index, *pte, raw.word1.bits());
            }
        }
    }

    /// Of the whole table: nothing is where the guest has nothing, and the guest reads what it has.
    pub fn check_all(&self) {
        let known: Vec<_> = self.model.entries.keys().copied().collect();
        assert_eq!(self.seat.hardware.used(), known, "places that are not free");
        for (index, pte) in &self.model.entries {
            let read = self.seat.tables.read(&self.seat.regions, 0, *index).expect("in the table").entries()[0];
            assert_eq!(read.word0, pte.word0, "{index:#x}");
            let late = self.seat.hardware.owed(*index);
            assert_eq!(read.word1 | late, pte.word1, "{index:#x}: late are {late:#x}");
            assert_eq!(read.word1 & late, 0);
        }
    }

    fn check_shown(&self, index: u64, pte: Pte, word1: u64) {
        let (_, actual) = pte.sizes().expect("it was taken");
        let below = (1 << actual) - 1;
        let guest = GuestReal::new(pte.real(actual));
        let page = self.seat.regions.look(guest, PageSize::Size4K).expect("shown without memory");
        assert_eq!(word1 & 0x01ff_ffff_ffff_f000 & !below, page.frame.raw() & !below, "{index:#x}: another frame");
        let shown = Pte { word0: pte.word0, word1 };
        assert!(page.stores || !shown.allows(true), "{index:#x}: stores are to be noticed");
        let kept = 0x3000_0000_0000_0e7c | below & 0xff000;
        assert_eq!(word1 & kept, pte.word1 & kept, "{index:#x}: a late store undid a change");
        assert!(shown.pp() == pte.pp() || !shown.allows(true), "{index:#x}: more than the guest allows");
        assert_eq!(word1 & RECORDED & !pte.word1, 0, "{index:#x}: R or C of nobody's access");
    }
}

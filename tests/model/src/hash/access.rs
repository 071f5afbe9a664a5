//! The guest's program, and its firmware in real mode, access memory.

use super::guest::Reached;
use super::hardware::Access;
use super::pte::{GROUP, Pte, RECORDED, REFERENCED};
use super::regions::{END, REGION};
use super::world::World;
use ppc64_arch::addr::EffAddr;
use ppc64_arch::hash::{PageSize, PaprEntry, Segment, VirtualAddress, VsidWord};

impl World<'_, '_> {
    /// The guest's program accesses what one of its entries is about.
    pub fn touch(&mut self, which: usize, store: bool, offset: u64) {
        let index = self.live(which);
        let Some(pte) = self.model.entries.get(&index).copied() else { return };
        // Hardware may use either of two entries for one page.
        let page = pte.page(index);
        if self.model.entries.iter().any(|(place, other)| *place != index && other.page(*place) == page) {
            return;
        }
        let (_, segment, pages) = PaprEntry { word0: pte.word0, word1: pte.word1 }.check().expect("it was taken");
        let ((begin, ..), base) = (page, pages.base());
        let at = VirtualAddress::new(begin | u128::from(offset & base.offset_mask()));
        let asdr = VsidWord::of(segment, at.vsid(segment), base);
        let reached = self.seat.reach(Access { at, segment, base, store }, asdr);
        let found = pte.group(begin, self.model.order) == index - index % GROUP;
        let real = pte.real(pages.actual().shift()) | at.low() & pages.actual().offset_mask();
        match reached {
            Reached::Interrupt => {
                assert!(!found || !pte.allows(store) || asdr.is_real_mode(), "{pte:x?} in {index:#x}");
                self.tally.interrupts += 1;
            }
            Reached::Device(at) => {
                assert!(found && pte.allows(store) && at == real, "{at:#x} by {pte:x?} in {index:#x}");
                self.tally.devices += 1;
            }
            Reached::Host(host) => {
                assert!(found && pte.allows(store), "by {pte:x?} in {index:#x}");
                self.is_at(host, real, store);
                self.record(index, store);
            }
        }
    }

    /// The guest's firmware accesses real memory: no entry is asked for, the hypervisor makes one.
    pub fn real(&mut self, at: u64, store: bool) {
        let base = PageSize::Size4K;
        let asdr = VsidWord::real_mode(base);
        let Some(va) = asdr.translate(EffAddr::new(at)) else { return };
        let at = at & ((1 << 40) - 1);
        let reached = self.seat.reach(Access { at: va, segment: Segment::Size1T, base, store }, asdr);
        self.adopt(va, at < END);
        let of_it = |(index, pte): (&u64, &Pte)| pte.is_real_mode() && pte.address(*index) == va.align_down(base).raw();
        let mut entries = self.model.entries.iter().filter(|entry| of_it(*entry));
        let (entry, other) = (entries.next().map(|(index, pte)| (*index, *pte)), entries.next());
        match (reached, entry) {
            // The guest has made one itself as well.
            _ if other.is_some() => {}
            (Reached::Host(host), Some((index, pte))) => {
                assert!(pte.allows(store), "by {pte:x?}");
                self.is_at(host, pte.real(12) | at & 0xfff, store);
                self.record(index, store);
            }
            (Reached::Interrupt, None) => assert!(at >= END, "{at:#x}"),
            (Reached::Interrupt, Some((_, pte))) => assert!(!pte.allows(store), "{at:#x} by {pte:x?}"),
            (Reached::Device(_), Some((_, pte))) => assert!(pte.word1 & 0x20 != 0, "{at:#x} by {pte:x?}"),
            (reached, None) => panic!("{reached:?} at {at:#x} without an entry"),
        }
    }

    /// The hypervisor's entry for real mode, if it has made one, is the guest's from now on.
    fn adopt(&mut self, at: VirtualAddress, may: bool) {
        let name = Pte { word0: 1 << 62, word1: 0 };
        for secondary in [0, super::pte::SECONDARY] {
            let first = Pte { word0: name.word0 | secondary, ..name }.group(at.raw(), self.model.order);
            for index in first..first + GROUP {
                let raw = self.seat.hardware.raw(index);
                if raw.word0.is_empty() || self.model.entries.contains_key(&index) {
                    continue;
                }
                let made = self.seat.tables.read(&self.seat.regions, 0, index).expect("in the table").entries()[0];
                let pte = Pte { word0: made.word0, word1: made.word1 };
                let right = pte.is_real_mode() && pte.address(index) == at.align_down(PageSize::Size4K).raw();
                assert!(may && right && pte.word0 & 0x10 != 0, "{pte:x?} in {index:#x} for real mode at {at:x?}");
                assert_eq!(pte.word1, at.low() & 0xff_ffff_f000 | RECORDED | 0x10, "it allows everything");
                self.model.entries.insert(index, pte);
            }
        }
    }

    fn record(&mut self, index: u64, store: bool) {
        let pte = self.model.entries.get_mut(&index).expect("an entry");
        pte.word1 |= if store { RECORDED } else { REFERENCED };
        self.tally.reached += 1;
    }

    /// The byte that was reached is the one that the guest's memory has there now.
    fn is_at(&self, host: u64, guest: u64, store: bool) {
        let region = self.seat.regions.region(guest).expect("it was accessed");
        assert_eq!(host, region.frame + guest % REGION, "a stale translation");
        assert!(!store || region.stores, "a store that nobody noticed");
    }
}

//! What processors and emulators get wrong, each by name.
//!
//! Whoever needs a way around asks here; no other file compares versions.
//!
//! # What QEMU's TCG does not show of hash guests
//!
//! For these nothing is done; they are what a test under it cannot find (QEMU 10.0, `target/ppc/mmu-hash64.c`, `mmu_helper.c`).
//!
//! | what | hardware | TCG |
//! | --- | --- | --- |
//! | `tlbie`, `tlbiel` with R=0 | drops what its operands name | drops everything, whatever they say: wrong pages, sizes, partitions go unnoticed |
//! | a write of LPIDR, `slbie`, `slbia` | needs a flush where entries may be stale | drops everything, too |
//! | R and C | byte stores from a copy of the entry | the same, and it does set them, unlike for radix; C=0 is enforced |
//! | a valid entry whose doubleword 1 changes | may be used half and half | read as one piece |
//! | UPRT=1 with HR=0 | segment tables | QEMU ends: such guests are not made |
//! | two segment entries for one address | a machine check | the first one counts |
//! | HDAR in real mode | the effective address | the same, with the four upper bits that real mode ignores |
//! | keys in the virtual real mode area | not looked at | not looked at |

use crate::pvr::{Cpu, Pvr};

/// The ways around that a machine needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errata {
    /// POWER9 may let a store of another thread through that began before a `tlbie` and ends after it, unless the `tlbie` is done twice (Linux commit
    /// a5d4b589). Mended in Nimbus DD 2.3 and Cumulus DD 1.3.
    pub tlbie_repeated: bool,
    /// POWER9: a `tlbie` misses the effective-to-real cache of a thread whose sibling writes PIDR or LPIDR just then, unless one more `tlbie` for process 0 of partition 0
    /// follows (Linux commit 047e6575). All revisions.
    pub tlbie_misses_erat: bool,
    /// POWER9: the threads of a core are all in radix mode or all in hash mode. Mended in Nimbus DD 2.2 and Cumulus DD 1.1 (as Linux has it, which refuses to mix them before).
    pub one_mode_a_core: bool,
    /// QEMU's TCG: a partition-scoped `tlbie` of one page drops what is cached for the *effective* address of that value. Translations of a whole partition are
    /// dropped as they should be.
    pub tlbie_page_by_effective_address: bool,
    /// QEMU's TCG: LPCR\[MER\] does nothing, so that a guest which turns MSR\[EE\] on while an interrupt waits for it goes on. But on
    /// bare metal a hypervisor doorbell waits for the guest's EE, as it should not, and ends the stay at just that moment; under its nested API a privileged doorbell of ours can be had to do that.
    pub external_not_mediated: bool,
    /// QEMU's nested API v1: the hypervisor decrementer interrupts when it turns negative, from what is left of the stay before. A stay whose time is over when the L0 begins it, as that of the one
    /// before is, does not end (`hw/ppc/ppc.c`, QEMU 10.0).
    pub hdec_on_edge: bool,
    /// QEMU's TCG: a decrementer that is set anew takes its old interrupt back first, and stops the old count after that. If that count ends in between, the interrupt of the old one is pending
    /// while the new one counts (`hw/ppc/ppc.c`; read, not seen to happen). To set it once more takes that back.
    pub stale_decrementer: bool,
}

impl Errata {
    /// Those of a machine.
    #[must_use]
    pub const fn of(pvr: Pvr, emulated: bool) -> Self {
        let power9 = matches!(pvr.cpu(), Some(Cpu::Power9));
        Self {
            tlbie_repeated: power9 && is_before(pvr, 0x203, 0x103),
            tlbie_misses_erat: power9,
            one_mode_a_core: power9 && is_before(pvr, 0x202, 0x101),
            tlbie_page_by_effective_address: emulated,
            external_not_mediated: emulated,
            hdec_on_edge: emulated,
            stale_decrementer: emulated,
        }
    }
}

/// Bits 0xe000 of a POWER9's revision tell Nimbus (0) from Cumulus (0x2000); the low 12 bits are the level.
const fn is_before(pvr: Pvr, nimbus: u32, cumulus: u32) -> bool {
    let (family, level) = (pvr.revision() & 0xe000, pvr.revision() & 0xfff);
    match family {
        0 => level < nimbus,
        0x2000 => level < cumulus,
        // Not known: the way around is right for all.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_erratum_is_that_of_its_processors() {
        let of = |raw| Errata::of(Pvr::new(raw), false);
        assert!(of(0x004e_0202).tlbie_repeated && of(0x004e_0202).tlbie_misses_erat);
        assert!(!of(0x004e_0203).tlbie_repeated && of(0x004e_0203).tlbie_misses_erat);
        assert!(of(0x004e_0201).one_mode_a_core && !of(0x004e_0202).one_mode_a_core);
        assert!(of(0x004e_2100).one_mode_a_core && !of(0x004e_2101).one_mode_a_core);
        assert_eq!(of(0x0080_0200), Errata::default());
        assert_eq!(of(0x0082_0200), Errata::default());
    }

    #[test]
    fn only_the_emulator_needs_whole_partitions() {
        assert!(Errata::of(Pvr::new(0x0080_1200), true).tlbie_page_by_effective_address);
        assert!(!Errata::of(Pvr::new(0x004e_1202), false).tlbie_page_by_effective_address);
    }
}

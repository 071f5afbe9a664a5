//! Interrupts, as software meets them: the vector, the machine state that was saved, and the cause registers.
//!
//! An interrupt saves the next instruction address and the MSR in a pair of registers (SRR0/SRR1, or HSRR0/HSRR1 for those that
//! belong to the hypervisor) and continues at a fixed address, its *vector*. SRR1 does double duty: some of its bits are not the
//! MSR's but say why the interrupt happened. Data storage interrupts put the cause in a register of their own (DSISR, HDSISR).
//!
//! Whatever these registers say about a guest is a claim: the guest may have arranged it, and nested hosts lose or leave stale
//! parts of it. The fault path therefore looks for itself.

use crate::bits::{bit, mask};
use bitflags::bitflags;

/// Interrupt vectors (Power ISA 3.1B Book III chapter 7, "Interrupt Processing", table of effective addresses).
pub mod vector {
    /// System Reset.
    pub const SYSTEM_RESET: u64 = 0x100;
    /// Machine Check.
    pub const MACHINE_CHECK: u64 = 0x200;
    /// Data Storage.
    pub const DATA_STORAGE: u64 = 0x300;
    /// Data Segment.
    pub const DATA_SEGMENT: u64 = 0x380;
    /// Instruction Storage.
    pub const INST_STORAGE: u64 = 0x400;
    /// Instruction Segment.
    pub const INST_SEGMENT: u64 = 0x480;
    /// External.
    pub const EXTERNAL: u64 = 0x500;
    /// Alignment.
    pub const ALIGNMENT: u64 = 0x600;
    /// Program.
    pub const PROGRAM: u64 = 0x700;
    /// Floating-Point Unavailable.
    pub const FP_UNAVAILABLE: u64 = 0x800;
    /// Decrementer.
    pub const DECREMENTER: u64 = 0x900;
    /// Hypervisor Decrementer.
    pub const HDEC: u64 = 0x980;
    /// Directed Privileged Doorbell.
    pub const DOORBELL: u64 = 0xA00;
    /// System Call; `sc 1` is a guest's call to its hypervisor.
    pub const HCALL: u64 = 0xC00;
    /// Trace.
    pub const TRACE: u64 = 0xD00;
    /// Hypervisor Data Storage.
    pub const HDSI: u64 = 0xE00;
    /// Hypervisor Instruction Storage.
    pub const HISI: u64 = 0xE20;
    /// Hypervisor Emulation Assistance.
    pub const HEAI: u64 = 0xE40;
    /// Hypervisor Maintenance.
    pub const HMI: u64 = 0xE60;
    /// Directed Hypervisor Doorbell.
    pub const HDOORBELL: u64 = 0xE80;
    /// Hypervisor Virtualization: an external interrupt for the hypervisor.
    pub const HVIRT: u64 = 0xEA0;
    /// Performance Monitor.
    pub const PERF_MONITOR: u64 = 0xF00;
    /// Vector Unavailable.
    pub const VEC_UNAVAILABLE: u64 = 0xF20;
    /// VSX Unavailable.
    pub const VSX_UNAVAILABLE: u64 = 0xF40;
    /// Facility Unavailable.
    pub const FAC_UNAVAILABLE: u64 = 0xF60;
    /// Hypervisor Facility Unavailable.
    pub const HFU: u64 = 0xF80;

    /// One past the last vector's code.
    pub const END: u64 = 0x1000;

    /// A vector's name in the manual, shortened; `None` if no interrupt arrives there.
    #[must_use]
    pub const fn name(vector: u64) -> Option<&'static str> {
        Some(match vector {
            SYSTEM_RESET => "system reset",
            MACHINE_CHECK => "machine check",
            DATA_STORAGE => "data storage",
            DATA_SEGMENT => "data segment",
            INST_STORAGE => "instruction storage",
            INST_SEGMENT => "instruction segment",
            EXTERNAL => "external",
            ALIGNMENT => "alignment",
            PROGRAM => "program",
            FP_UNAVAILABLE => "floating-point unavailable",
            DECREMENTER => "decrementer",
            HDEC => "hypervisor decrementer",
            DOORBELL => "doorbell",
            HCALL => "system call",
            TRACE => "trace",
            HDSI => "hypervisor data storage",
            HISI => "hypervisor instruction storage",
            HEAI => "hypervisor emulation assistance",
            HMI => "hypervisor maintenance",
            HDOORBELL => "hypervisor doorbell",
            HVIRT => "hypervisor virtualization",
            PERF_MONITOR => "performance monitor",
            VEC_UNAVAILABLE => "vector unavailable",
            VSX_UNAVAILABLE => "VSX unavailable",
            FAC_UNAVAILABLE => "facility unavailable",
            HFU => "hypervisor facility unavailable",
            _ => return None,
        })
    }
}

bitflags! {
    /// The Machine State Register (Power ISA 3.1B Book III 4.2.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Msr: u64 {
        /// Sixty-four-bit mode.
        const SF = bit(0);
        /// Hypervisor state. Must never be set in what a guest is entered with.
        const HV = bit(3);
        /// Vector available.
        const VEC = bit(38);
        /// VSX available.
        const VSX = bit(40);
        /// Secure state.
        const S = bit(41);
        /// External (and decrementer) interrupts enabled.
        const EE = bit(48);
        /// Problem state: not privileged.
        const PR = bit(49);
        /// Floating-point available.
        const FP = bit(50);
        /// Machine check enabled.
        const ME = bit(51);
        /// Floating-point exception mode 0.
        const FE0 = bit(52);
        /// Trace enable (both bits).
        const TE = mask(53, 54);
        /// Floating-point exception mode 1.
        const FE1 = bit(55);
        /// Instruction relocation.
        const IR = bit(58);
        /// Data relocation.
        const DR = bit(59);
        /// Performance monitor mark.
        const PMM = bit(61);
        /// Recoverable interrupt.
        const RI = bit(62);
        /// Little-endian.
        const LE = bit(63);
        // Other bits are reserved or from older versions (transactional memory); they are kept as they came.
        const _ = !0;
    }
}

impl Msr {
    /// What an interrupt to a kernel in 64-bit mode leaves of the MSR, from any state: translation as `relocated`
    /// says (AIL), everything that is per-context off, and `LE` from the partition's ILE (Book III 7.5, figure of MSR settings).
    #[must_use]
    pub const fn after_interrupt(self, little_endian: bool, relocated: bool) -> Self {
        let kept = self.bits() & (Self::HV.bits() | Self::ME.bits() | Self::S.bits());
        let le = if little_endian { Self::LE.bits() } else { 0 };
        let on = if relocated { Self::IR.bits() | Self::DR.bits() } else { 0 };
        Self::from_bits_retain(kept | Self::SF.bits() | le | on)
    }
}

bitflags! {
    /// DSISR, the cause of a Data Storage interrupt (Power ISA 3.1B Book III 7.5, "Data Storage Interrupt"; its bits
    /// 32 to 63 are the low word).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Dsisr: u32 {
        /// Bit 33: no translation was found.
        const NO_TRANSLATION = 0x4000_0000;
        /// Bit 35: the access is not allowed on this kind of memory.
        const ATTRIBUTE = 0x1000_0000;
        /// Bit 36: the protection forbids it.
        const PROTECTION = 0x0800_0000;
        /// Bit 37: the access disagrees with the page's attributes (atomic on caching-inhibited).
        const ATOMIC_ON_CI = 0x0400_0000;
        /// Bit 38: it was a store.
        const STORE = 0x0200_0000;
        /// Bit 41: a data address watchpoint.
        const WATCHPOINT = 0x0040_0000;
        /// Bit 42: the page's key forbids it.
        const KEY = 0x0020_0000;
        /// Bit 44: the radix tree or its root is not one that the hardware supports.
        const BAD_TREE = 0x0008_0000;
        /// Bit 45: the hardware could not set the reference or change bit.
        const SET_RC = 0x0004_0000;
        /// Bit 46: the fault was met while reading a process's tables, not at the access itself.
        const TABLE_WALK = 0x0002_0000;
        // Other bits are kept as they came.
        const _ = !0;
    }
}

impl Dsisr {
    /// DSISR from the doubleword that a register or a guest's state holds it in: the high half is not part of it.
    #[must_use]
    pub const fn from_dword(value: u64) -> Self {
        Self::from_bits_retain(low_word(value))
    }
}

bitflags! {
    /// HDSISR, the cause of a Hypervisor Data Storage interrupt (Power ISA 3.1B Book III 7.5, "Hypervisor Data Storage
    /// Interrupt"; its bits 32 to 63 are the low word).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Hdsisr: u32 {
        /// Bit 33: no partition-scoped translation was found.
        const NO_TRANSLATION = 0x4000_0000;
        /// Bit 35: the access is not allowed on this kind of memory.
        const ATTRIBUTE = 0x1000_0000;
        /// Bit 36: the partition-scoped protection forbids it.
        const PROTECTION = 0x0800_0000;
        /// Bit 37: the access disagrees with the page's attributes.
        const ATOMIC_ON_CI = 0x0400_0000;
        /// Bit 38: it was a store.
        const STORE = 0x0200_0000;
        /// Bit 41: a data address watchpoint.
        const WATCHPOINT = 0x0040_0000;
        /// Bit 42: the page's key forbids it (hash).
        const KEY = 0x0020_0000;
        /// Bit 44: the partition-scoped tree is not one that the hardware supports.
        const BAD_TREE = 0x0008_0000;
        /// Bit 45: the hardware could not set the reference or change bit.
        const SET_RC = 0x0004_0000;
        /// Bit 46: the hardware was reading or updating the guest's own tables; ASDR points into them.
        const TABLE_WALK = 0x0002_0000;
        // Other bits are kept as they came.
        const _ = !0;
    }
}

impl Hdsisr {
    /// HDSISR from the doubleword that a nested host stores it in: its high half is not part of it.
    #[must_use]
    pub const fn from_dword(value: u64) -> Self {
        Self::from_bits_retain(low_word(value))
    }

    /// Whether no change of the mapping can cure this: the tree itself or the attributes are wrong.
    #[must_use]
    pub const fn is_unsupported(self) -> bool {
        self.intersects(Self::ATTRIBUTE.union(Self::ATOMIC_ON_CI).union(Self::BAD_TREE))
    }
}

bitflags! {
    /// The bits of SRR1 (and HSRR1) that say why, next to the saved MSR (Power ISA 3.1B Book III 7.5, each interrupt's own
    /// figure). One bit can mean different things after different interrupts.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Srr1: u64 {
        /// Bit 33, instruction storage: no translation was found.
        const NO_TRANSLATION = bit(33);
        /// Bit 35, instruction storage: the page is not executable, or guarded.
        const NO_EXEC = bit(35);
        /// Bit 36, instruction storage: the protection forbids it.
        const PROTECTION = bit(36);
        /// Bit 42, instruction storage: the page's key forbids it.
        const KEY = bit(42);
        /// Bit 43, program: a floating-point exception.
        const PROGRAM_FP = bit(43);
        /// Bit 44, program: an illegal instruction. Instruction storage: the tree is not supported.
        const PROGRAM_ILLEGAL = bit(44);
        /// Bit 45, program: a privileged instruction. Instruction storage: R could not be set.
        const PROGRAM_PRIVILEGED = bit(45);
        /// Bit 46, program: a trap instruction. Instruction storage: met while reading the process's tables.
        const PROGRAM_TRAP = bit(46);
        // The saved MSR, and bits of other interrupts.
        const _ = !0;
    }
}

impl Srr1 {
    /// The bits that an interrupt takes from the causes and not from the MSR (Book III chapter 7: 33 to 36 and 42 to 47).
    pub const CAUSE_MASK: u64 = mask(33, 36) | mask(42, 47);

    /// The saved MSR without the causes.
    #[must_use]
    pub const fn msr(self) -> Msr {
        Msr::from_bits_retain(self.bits() & !Self::CAUSE_MASK)
    }
}

/// The low half of a doubleword, meant.
const fn low_word(value: u64) -> u32 {
    let [.., a, b, c, d] = value.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_have_the_values_that_were_seen_on_a_machine() {
        assert_eq!(Msr::SF.bits(), 0x8000_0000_0000_0000);
        assert_eq!((Msr::EE | Msr::PR | Msr::FP | Msr::ME).bits(), 0xf000);
        assert_eq!((Msr::IR | Msr::DR | Msr::RI | Msr::LE).bits(), 0x33);
        assert_eq!((Msr::VEC | Msr::VSX).bits(), 0x0280_0000);
        assert_eq!(Srr1::NO_TRANSLATION.bits(), 0x4000_0000);
        assert_eq!(Srr1::NO_EXEC.bits(), 0x1000_0000);
        assert_eq!(Srr1::PROGRAM_TRAP.bits(), 0x2_0000);
        assert_eq!(Srr1::CAUSE_MASK, 0x783f_0000);
    }

    #[test]
    fn hdsisr_takes_the_low_word_only() {
        let seen = Hdsisr::from_dword(0xffff_ffff_0a00_0000);
        assert_eq!(seen, Hdsisr::PROTECTION | Hdsisr::STORE);
        assert!(!seen.is_unsupported());
        assert!(Hdsisr::BAD_TREE.is_unsupported());
    }

    #[test]
    fn an_interrupt_drops_the_context_and_keeps_who_owns_the_machine() {
        let user = Msr::SF | Msr::PR | Msr::EE | Msr::FP | Msr::ME | Msr::IR | Msr::DR | Msr::LE;
        assert_eq!(user.after_interrupt(true, false), Msr::SF | Msr::ME | Msr::LE);
        assert_eq!(user.after_interrupt(false, true), Msr::SF | Msr::ME | Msr::IR | Msr::DR);
    }

    #[test]
    fn the_saved_msr_carries_no_cause() {
        let saved = Srr1::from_bits_retain(Msr::SF.bits() | Msr::LE.bits() | Srr1::PROGRAM_ILLEGAL.bits());
        assert_eq!(saved.msr(), Msr::SF | Msr::LE);
    }

    #[test]
    fn every_vector_lies_in_its_page_and_has_a_name() {
        let named = (0..vector::END).step_by(0x20).filter(|&v| vector::name(v).is_some()).count();
        assert_eq!(named, 26);
    }
}

//! Delivers an interrupt to the guest, as the processor would have done (Power ISA 3.1B Book III 7.5).
//!
//! SRR0 and SRR1 take the old NIP and MSR, the MSR keeps ME and little else, LE comes from LPCR\[ILE\], and the vector is
//! low, real mode, unless LPCR\[AIL\] moves it. The interrupts of this file are those that the hypervisor itself causes; a guest's own
//! page faults, system calls and decrementer never come here.

use super::vcpu::Vcpu;
use crate::mmu::{Access, Reflect};
use ppc64_arch::addr::EffAddr;
use ppc64_arch::spr::LPCR;
use ppc64_arch::trap::{Dsisr, Msr, Srr1, vector};

/// An interrupt of the guest, with what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// 0x100: told to look around.
    SystemReset,
    /// 0x200: SRR1's cause bits, DAR and DSISR.
    MachineCheck {
        /// The causes in SRR1.
        cause: Srr1,
        /// The effective address, if DSISR has the cause.
        dar: u64,
        /// The cause, if SRR1 does not have it.
        dsisr: Dsisr,
    },
    /// 0x300: DAR and DSISR.
    DataStorage {
        /// The effective address.
        dar: u64,
        /// Why.
        dsisr: Dsisr,
    },
    /// 0x400, with SRR1's cause bits.
    InstructionStorage(Srr1),
    /// 0x500.
    External,
    /// 0x700, with SRR1's cause bits.
    Program(Srr1),
}

impl Interrupt {
    /// An instruction that this processor does not have, or that is denied to this guest. Facilities that HFSCR denies come here too, not to
    /// 0xF60: that one promises a cause in FSCR, and the guest would switch the facility on and try again for ever.
    pub const ILLEGAL: Self = Self::Program(Srr1::PROGRAM_ILLEGAL);

    /// A storage access that cannot be cured, as the guest's own storage interrupt.
    ///
    /// The causes carry [`Dsisr::BAD_TREE`] as well: the guest's own tables do translate the address, so a kernel that only heard "no
    /// translation" would find nothing to do and try again for ever. With it, Linux sends SIGBUS or finds its fix-up.
    #[must_use]
    pub fn from_fault(access: Access, ea: EffAddr, why: Reflect) -> Self {
        let cause = Dsisr::BAD_TREE
            | match why {
                Reflect::NoSlot => Dsisr::NO_TRANSLATION,
                Reflect::ReadOnly => Dsisr::PROTECTION,
                Reflect::Unsupported(bits) => Dsisr::from_bits_retain(bits),
            };
        Self::storage(access, ea, cause)
    }

    /// A storage interrupt with these causes.
    #[must_use]
    pub fn storage(access: Access, ea: EffAddr, cause: Dsisr) -> Self {
        let dar = ea.raw();
        match access {
            Access::Fetch => Self::InstructionStorage(Srr1::from_bits_retain(u64::from(cause.bits()))),
            Access::Read => Self::DataStorage { dar, dsisr: cause - Dsisr::STORE },
            Access::Write => Self::DataStorage { dar, dsisr: cause | Dsisr::STORE },
        }
    }

    const fn vector(self) -> u64 {
        match self {
            Self::SystemReset => vector::SYSTEM_RESET,
            Self::MachineCheck { .. } => vector::MACHINE_CHECK,
            Self::DataStorage { .. } => vector::DATA_STORAGE,
            Self::InstructionStorage(_) => vector::INST_STORAGE,
            Self::External => vector::EXTERNAL,
            Self::Program(_) => vector::PROGRAM,
        }
    }

    const fn cause(self) -> Srr1 {
        match self {
            Self::MachineCheck { cause: bits, .. } | Self::InstructionStorage(bits) | Self::Program(bits) => bits,
            Self::SystemReset | Self::DataStorage { .. } | Self::External => Srr1::empty(),
        }
    }

    /// System reset and machine check stay at their low vectors whatever LPCR\[AIL\] says.
    const fn is_relocatable(self) -> bool {
        !matches!(self, Self::SystemReset | Self::MachineCheck { .. })
    }
}

/// Makes the guest's next instruction the first one of its handler.
pub fn deliver(vcpu: &mut Vcpu, interrupt: Interrupt) {
    let old = vcpu.msr();
    vcpu.hv.srr0 = vcpu.regs.nip;
    vcpu.hv.srr1 = (old.bits() & !Srr1::CAUSE_MASK) | (interrupt.cause().bits() & Srr1::CAUSE_MASK);
    if let Interrupt::DataStorage { dar, dsisr } | Interrupt::MachineCheck { dar, dsisr, .. } = interrupt {
        vcpu.regs.dar = dar;
        vcpu.regs.dsisr = u64::from(dsisr.bits());
        vcpu.load_dar = true;
    }
    let offset = if interrupt.is_relocatable() { relocation(vcpu) } else { None };
    let new = old.after_interrupt(vcpu.lpcr().is_set(LPCR::ILE), offset.is_some());
    vcpu.regs.nip = interrupt.vector() + offset.unwrap_or(0);
    vcpu.regs.msr = (new - Msr::HV).bits();
}

/// How far LPCR\[AIL\] moves handlers, which then begin with translation on. It counts only if both kinds of translation were on.
fn relocation(vcpu: &Vcpu) -> Option<u64> {
    if !vcpu.msr().contains(Msr::IR | Msr::DR) {
        return None;
    }
    match vcpu.lpcr().read(LPCR::AIL) {
        2 => Some(0x1_8000),
        3 => Some(0xc000_0000_0000_4000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::vcpu::Entry;

    fn running(on: Msr) -> Vcpu {
        let mut vcpu = Vcpu::at_reset(0, 1, Entry { nip: 0, fdt: 0, little_endian: true }, 0);
        vcpu.regs.nip = 0xc000_0000_0012_3454;
        vcpu.regs.msr |= on.bits();
        vcpu
    }

    const VIRTUAL: Msr = Msr::IR.union(Msr::DR).union(Msr::EE).union(Msr::RI);

    #[test]
    fn an_interrupt_saves_the_old_state_and_begins_in_real_mode() {
        let mut vcpu = running(VIRTUAL | Msr::PR);
        let old = vcpu.regs.msr;
        deliver(&mut vcpu, Interrupt::External);
        assert_eq!((vcpu.hv.srr0, vcpu.hv.srr1), (0xc000_0000_0012_3454, old));
        assert_eq!((vcpu.regs.nip, vcpu.msr()), (0x500, Msr::SF | Msr::ME | Msr::LE));
    }

    #[test]
    fn the_byte_order_of_a_handler_comes_from_lpcr() {
        let mut vcpu = running(Msr::empty());
        vcpu.set_lpcr(LPCR::ILE::CLEAR);
        deliver(&mut vcpu, Interrupt::ILLEGAL);
        assert!(!vcpu.msr().contains(Msr::LE));
        assert_eq!(vcpu.hv.srr1 & Srr1::CAUSE_MASK, 0x8_0000);
    }

    #[test]
    fn handlers_stand_high_only_if_translation_was_on() {
        let mut vcpu = running(VIRTUAL);
        vcpu.set_lpcr(LPCR::AIL::High);
        deliver(&mut vcpu, Interrupt::External);
        assert_eq!(vcpu.regs.nip, 0xc000_0000_0000_4500);
        assert_eq!(vcpu.msr() & VIRTUAL, Msr::IR | Msr::DR);

        let mut vcpu = running(Msr::DR);
        vcpu.set_lpcr(LPCR::AIL::High);
        deliver(&mut vcpu, Interrupt::External);
        assert_eq!((vcpu.regs.nip, vcpu.msr() & Msr::DR), (0x500, Msr::empty()));
    }

    #[test]
    fn system_reset_and_machine_check_stay_low() {
        let check = Interrupt::MachineCheck { cause: Srr1::PROGRAM_FP, dar: 0x1234, dsisr: Dsisr::empty() };
        for (interrupt, vector) in [(Interrupt::SystemReset, 0x100), (check, 0x200)] {
            let mut vcpu = running(VIRTUAL);
            vcpu.set_lpcr(LPCR::AIL::High);
            deliver(&mut vcpu, interrupt);
            assert_eq!((vcpu.regs.nip, vcpu.msr() & Msr::IR), (vector, Msr::empty()));
        }
    }

    #[test]
    fn a_machine_check_says_in_dsisr_and_dar_what_a_load_met() {
        let mut vcpu = running(VIRTUAL);
        let dsisr = Dsisr::from_bits_retain(0x8000);
        deliver(&mut vcpu, Interrupt::MachineCheck { cause: Srr1::KEY, dar: 0x1234, dsisr });
        assert_eq!(vcpu.hv.srr1 & Srr1::CAUSE_MASK, 0x20_0000);
        assert_eq!((vcpu.regs.dar, vcpu.regs.dsisr, vcpu.load_dar), (0x1234, 0x8000, true));
    }

    fn reflected(access: Access, why: Reflect) -> Interrupt {
        Interrupt::from_fault(access, EffAddr::new(0xc000_0000_8000_0008), why)
    }

    #[test]
    fn a_store_outside_memory_is_a_data_storage_interrupt_with_its_address() {
        let mut vcpu = running(VIRTUAL);
        deliver(&mut vcpu, reflected(Access::Write, Reflect::NoSlot));
        assert_eq!((vcpu.regs.nip, vcpu.regs.dar), (0x300, 0xc000_0000_8000_0008));
        assert_eq!(vcpu.regs.dsisr, 0x4208_0000);
        assert!(vcpu.load_dar);
    }

    #[test]
    fn a_fetch_outside_memory_is_an_instruction_storage_interrupt() {
        let mut vcpu = running(VIRTUAL);
        deliver(&mut vcpu, reflected(Access::Fetch, Reflect::NoSlot));
        assert_eq!((vcpu.regs.nip, vcpu.hv.srr1 & Srr1::CAUSE_MASK), (0x400, 0x4008_0000));
        assert!(!vcpu.load_dar);
    }

    #[test]
    fn a_load_is_never_reported_as_a_store() {
        let why = Reflect::Unsupported(0x0a00_0000);
        let Interrupt::DataStorage { dsisr: bits, .. } = reflected(Access::Read, why) else {
            panic!("a load is a data access")
        };
        assert_eq!(bits, Dsisr::PROTECTION | Dsisr::BAD_TREE);
    }
}

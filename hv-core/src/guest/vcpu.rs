//! One virtual processor: its registers and what the hypervisor remembers about it between two exits.

use super::regs::{HvState, Regs};
use super::run::Storm;
use crate::papr::Rc;
use ppc64_arch::extended::Extended;
use ppc64_arch::hash::Segments;
use ppc64_arch::spr::{LPCR, LocalRegisterCopy};
use ppc64_arch::trap::Msr;
use tock_registers::fields::FieldValue;

/// How many [`Vcpu::platform`] has.
pub const PLATFORM_WORDS: usize = 12;

/// A virtual processor. FP, VSX and the other registers of [`Extended`] stay in the hardware while it runs: the hypervisor uses none of them.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Vcpu {
    /// General registers. First, so that a platform's assembly finds them.
    pub regs: Regs,
    /// The hypervisor's half.
    pub hv: HvState,
    /// Its number in the device tree, and of its interrupt server.
    pub id: u32,
    /// The host timebase at which the guest's decrementer turns negative. The platform sets it at each exit and loads the
    /// decrementer from it at entry.
    pub dec_expiry: u64,
    /// `regs.dar` and `regs.dsisr` were set by an injected interrupt: the platform loads DAR and DSISR (live registers
    /// otherwise) before entry, and clears this.
    pub load_dar: bool,
    /// A register that only the hypervisor writes (LPCR, DAWRs, CIABR) was changed: the platform loads them before the guest goes on, and clears this.
    pub modes_changed: bool,
    /// Words of the platform's own, for its assembly.
    pub platform: [u64; PLATFORM_WORDS],
    /// The CPU that runs it, or ran it last.
    pub cpu: usize,
    /// It called H_CEDE, and did not run since.
    pub ceded: bool,
    /// Finds out whether it gets anywhere.
    pub storm: Storm,
    /// The registers that no exit stores, as [`World::put_away`](super::World::put_away) left them.
    pub extended: Extended,
    /// The CPU that it was entered on last; the platform's own. `None`: it begins with what is in `extended`.
    pub last_cpu: Option<usize>,
    /// A hash guest's segments, while none of it is in a CPU; the platform's own.
    pub segments: Segments,
}

/// Where and how a guest begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// First instruction, guest real.
    pub nip: u64,
    /// The flattened device tree, guest real.
    pub fdt: u64,
    /// Entered little-endian.
    pub little_endian: bool,
}

/// The decrementer's first expiry after a reset: as far off as 32 bits allow.
const DEC_AT_RESET: u64 = 0x7fff_ffff;

impl Vcpu {
    /// A processor in the state in which PAPR kernels are entered without Open Firmware, as kexec does: real mode, interrupts
    /// off, r3 = device tree, r4 = r5 = 0. Interrupts are taken in the same byte order until H_SET_MODE says
    /// otherwise. `now` is the host timebase.
    #[must_use]
    pub fn at_reset(id: u32, lpid: u32, entry: Entry, now: u64) -> Self {
        let mut regs = Regs { nip: entry.nip, msr: (Msr::SF | Msr::ME).bits(), ..Regs::default() };
        regs.gpr[3] = entry.fdt;
        let mut hv = HvState { version: 2, lpid, vcpu_token: id, ..HvState::default() };
        if entry.little_endian {
            regs.msr |= Msr::LE.bits();
            hv.lpcr |= LPCR::ILE::SET.value;
        }
        Self {
            regs,
            hv,
            id,
            dec_expiry: now.saturating_add(DEC_AT_RESET),
            load_dar: false,
            modes_changed: true,
            platform: [0; PLATFORM_WORDS],
            cpu: 0,
            ceded: false,
            storm: Storm::default(),
            extended: Extended::default(),
            last_cpu: None,
            segments: Segments::default(),
        }
    }

    /// The same processor begun anew: of its old life only the number and the partition are left.
    #[must_use]
    pub fn restarted(&self, entry: Entry, now: u64) -> Self {
        Self { cpu: self.cpu, ..Self::at_reset(self.id, self.hv.lpid, entry, now) }
    }

    /// Its machine state register.
    #[must_use]
    pub const fn msr(&self) -> Msr {
        Msr::from_bits_retain(self.regs.msr)
    }

    /// Its LPCR, as fields. A copy: changes go back with [`Vcpu::set_lpcr`].
    #[must_use]
    pub const fn lpcr(&self) -> LocalRegisterCopy<u64, LPCR::Register> {
        LocalRegisterCopy::new(self.hv.lpcr)
    }

    /// Changes fields of its LPCR, and leaves the others.
    pub fn set_lpcr(&mut self, fields: FieldValue<u64, LPCR::Register>) {
        let lpcr = fields.modify(self.hv.lpcr);
        self.modes_changed |= lpcr != self.hv.lpcr;
        self.hv.lpcr = lpcr;
    }

    /// Sets those bits of its LPCR that are in `mask` to what they are in `value`.
    pub const fn set_lpcr_bits(&mut self, mask: u64, value: u64) {
        let lpcr = self.hv.lpcr & !mask | value & mask;
        self.modes_changed |= lpcr != self.hv.lpcr;
        self.hv.lpcr = lpcr;
    }

    /// Whether external interrupts are taken.
    #[must_use]
    pub const fn interrupts_on(&self) -> bool {
        self.msr().contains(Msr::EE)
    }

    /// Whether the last exit was taken from problem state.
    #[must_use]
    pub const fn in_problem_state(&self) -> bool {
        self.msr().contains(Msr::PR)
    }

    /// Whether its decrementer is negative at `now`.
    #[must_use]
    pub const fn decrementer_expired(&self, now: u64) -> bool {
        now >= self.dec_expiry
    }

    /// Sets result `n` of a hypervisor call (0 is r4). There are nine.
    pub fn set_result(&mut self, n: usize, value: u64) {
        debug_assert!(n < 9, "results are r4 to r12");
        self.regs.gpr[4 + n % 9] = value;
    }

    /// Sets the return code of a hypervisor call.
    pub fn set_return(&mut self, rc: Rc) {
        self.regs.gpr[3] = rc.register();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_endian_kernel_begins_in_real_mode_with_its_tree_in_r3() {
        let vcpu = Vcpu::at_reset(0, 1, Entry { nip: 0, fdt: 0x123_0000, little_endian: true }, 1000);
        assert_eq!(vcpu.regs.msr, 0x8000_0000_0000_1001);
        assert_eq!((vcpu.regs.gpr[3], vcpu.regs.gpr[4], vcpu.regs.gpr[5]), (0x123_0000, 0, 0));
        assert_eq!(vcpu.hv.lpcr, 1 << 25);
        assert!(!vcpu.interrupts_on() && !vcpu.in_problem_state() && !vcpu.decrementer_expired(1000));
    }

    #[test]
    fn a_big_endian_kernel_takes_big_endian_interrupts() {
        let vcpu = Vcpu::at_reset(0, 1, Entry { nip: 0x100, fdt: 0, little_endian: false }, 0);
        assert!(!vcpu.msr().contains(Msr::LE) && !vcpu.lpcr().is_set(LPCR::ILE));
    }
}

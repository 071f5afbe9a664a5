//! Guests that get nowhere.

use crate::guest::vcpu::Vcpu;
use crate::mmu::Access;
use ppc64_arch::addr::EffAddr;

/// Finds a guest that meets the same storage interrupt for ever, with not one register changed between two of them. Problem state is left
/// alone: a program must not be able to end its kernel.
#[derive(Clone, Debug, Default)]
pub struct Storm {
    /// Instruction, address, and kind of the last fault.
    last: Option<(u64, u64, Access)>,
    /// A digest of the general registers at it; made only from its second time on.
    registers: u64,
    repeats: u32,
}

impl Storm {
    /// So many times prove it.
    const LIMIT: u32 = 1000;

    /// Whether this fault is the last one again: then somebody has to look closer. Remembers it otherwise.
    #[inline]
    pub(super) fn repeats(vcpu: &mut Vcpu, access: Access, ea: EffAddr) -> bool {
        let this = Some((vcpu.regs.nip, ea.raw(), access));
        let same = vcpu.storm.last == this;
        vcpu.storm.last = this;
        same
    }

    pub(super) fn is_stuck(vcpu: &mut Vcpu, access: Access, ea: EffAddr) -> bool {
        let this = Some((vcpu.regs.nip, ea.raw(), access));
        if vcpu.storm.last != this || vcpu.in_problem_state() {
            vcpu.storm = Self { last: this, ..Self::default() };
            return false;
        }
        let registers = vcpu.regs.gpr.iter().fold(vcpu.regs.msr, |sum, gpr| sum.rotate_left(7) ^ gpr);
        if vcpu.storm.registers != registers {
            vcpu.storm.registers = registers;
            vcpu.storm.repeats = 0;
        }
        vcpu.storm.repeats += 1;
        vcpu.storm.repeats >= Self::LIMIT
    }
}

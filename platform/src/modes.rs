//! What every guest is run with, on either platform.

use ppc64_arch::pvr::Cpu;
use ppc64_arch::spr::{HFSCR, LPCR};
use tock_registers::fields::FieldValue;

/// Facilities that a guest may use. msgsndp is left out: it would reach processors that share our core, and nobody needs it.
const FACILITIES: u64 = HFSCR::FP.val(1).value
    | HFSCR::VECVSX.val(1).value
    | HFSCR::DSCR.val(1).value
    | HFSCR::PM.val(1).value
    | HFSCR::BHRB.val(1).value
    | HFSCR::EBB.val(1).value
    | HFSCR::TAR.val(1).value;

/// What every radix guest's LPCR has, next to the interrupt mode that the guest chose.
const RADIX_GUEST: u64 = LPCR::VPM.val(1).value
    | LPCR::UPRT.val(1).value
    | LPCR::HR.val(1).value
    | LPCR::GTSE.val(1).value
    | LPCR::HDICE.val(1).value;

/// What every hash guest's LPCR has: storage interrupts come to the hypervisor. HR, UPRT and GTSE are 0: a hashed table, an SLB that the guest fills, no `tlbie` of its own. ISL is 0 as well: the pages that the guest
/// chooses are those that hardware uses.
const HASH_GUEST: u64 = LPCR::VPM.val(1).value | LPCR::HDICE.val(1).value;

/// What tells the two apart: set to what [`radix_guest`] or [`hash_guest`] say.
pub const TRANSLATION: u64 = LPCR::UPRT.val(1).value | LPCR::HR.val(1).value | LPCR::GTSE.val(1).value;

/// HFSCR on a CPU of design `cpu`.
#[must_use]
pub const fn facilities(cpu: Cpu) -> u64 {
    FACILITIES | if cpu.is_v31() { field(HFSCR::PREFIX::SET) } else { 0 }
}

/// The part of a radix guest's LPCR that is ours.
#[must_use]
pub const fn radix_guest(large_decrementer: bool) -> u64 {
    RADIX_GUEST | if large_decrementer { field(LPCR::LD::SET) } else { 0 }
}

/// The part of a hash guest's LPCR that is ours.
#[must_use]
pub const fn hash_guest(large_decrementer: bool) -> u64 {
    HASH_GUEST | if large_decrementer { field(LPCR::LD::SET) } else { 0 }
}

/// A field's bits.
#[must_use]
pub const fn field<R: tock_registers::RegisterLongName>(value: FieldValue<u64, R>) -> u64 {
    value.value
}

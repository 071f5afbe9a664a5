//! What the vector and the registers of an exit mean, on either platform.

use crate::decrementer::low_word;
use hv_core::guest::{Exit, MachineError, Vcpu};
use hv_core::hash;
use hv_core::mmu::{Access, StorageFault};
use ppc64_arch::addr::{EffAddr, GuestReal};
use ppc64_arch::hash::VsidWord;
use ppc64_arch::mce::Severity;
use ppc64_arch::spr::live;
use ppc64_arch::trap::{Hdsisr, vector};
use tock_registers::interfaces::Readable;

/// What an exit's vector means. `fetch_cause` is why a fetch failed, where that is known.
#[must_use]
pub fn decode(vcpu: &Vcpu, vector: u64, fetch_cause: Option<u32>) -> Exit {
    match vector {
        vector::HCALL => Exit::Hcall,
        vector::HDSI => Exit::Storage(data_fault(low_word(vcpu.hv.hdsisr), vcpu.hv.hdar, vcpu.hv.asdr)),
        vector::HISI => Exit::Storage(fetch_fault(fetch_cause, vcpu.regs.nip, vcpu.hv.asdr)),
        vector::HDEC => Exit::Hdec,
        vector::EXTERNAL | vector::HVIRT | vector::HDOORBELL => Exit::External,
        // Where nobody gives the instruction, 0 is none.
        vector::HEAI => Exit::Emulation(Some(low_word(vcpu.hv.heir)).filter(|&instruction| instruction != 0)),
        vector::HFU => Exit::Facility(vcpu.hv.hfscr.to_be_bytes()[0]),
        vector::SYSTEM_RESET => Exit::SystemReset,
        vector::MACHINE_CHECK => Exit::MachineCheck(machine_error(vcpu)),
        other => Exit::Unexpected(u16::try_from(other).unwrap_or(u16::MAX)),
    }
}

/// A machine check as whoever is below us hands it on: what could be mended is mended, so the rest is the guest's.
#[must_use]
pub fn machine_error(vcpu: &Vcpu) -> MachineError {
    let (dsisr, dar) = (live::DSISR.get(), live::DAR.get());
    MachineError { srr1: vcpu.regs.msr, dsisr, dar, severity: Severity::Synchronous }
}

/// A load's or store's storage interrupt, from HDSISR, HDAR and ASDR.
#[must_use]
#[inline]
pub fn data_fault(cause: u32, ea: u64, claim: u64) -> StorageFault {
    let cause = Hdsisr::from_bits_retain(cause);
    StorageFault {
        access: if cause.contains(Hdsisr::STORE) { Access::Write } else { Access::Read },
        ea: EffAddr::new(ea),
        claim: GuestReal::new(claim),
        table_walk: cause.contains(Hdsisr::TABLE_WALK),
        cause: Some(cause.bits()),
    }
}

/// A fetch's, from its cause bits, the address and ASDR.
#[must_use]
#[inline]
pub fn fetch_fault(cause: Option<u32>, ea: u64, claim: u64) -> StorageFault {
    StorageFault {
        access: Access::Fetch,
        ea: EffAddr::new(ea),
        claim: GuestReal::new(claim),
        table_walk: cause.is_some_and(|cause| Hdsisr::from_bits_retain(cause).contains(Hdsisr::TABLE_WALK)),
        cause,
    }
}

/// What only the CPU knows of a hash guest's access, next to the registers of the interrupt.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// AMR.
    pub amr: u64,
    /// IAMR.
    pub iamr: u64,
}

impl Keys {
    /// The CPU's own, while they are the guest's.
    #[must_use]
    #[inline]
    pub fn live() -> Self {
        Self { amr: live::AMR.get(), iamr: live::IAMR.get() }
    }
}

/// A hash guest's load or store, from HDSISR, HDAR and ASDR. Of HDSISR only the bit for stores counts: the table's entry says the rest.
#[must_use]
#[inline]
pub fn hash_data_fault(vcpu: &Vcpu, cause: u32, ea: u64, asdr: u64, keys: Keys) -> hash::Fault {
    let store = Hdsisr::from_bits_retain(cause).contains(Hdsisr::STORE);
    hash_fault(vcpu, if store { Access::Write } else { Access::Read }, ea, asdr, keys)
}

/// A hash guest's fetch, from its address and ASDR.
#[must_use]
#[inline]
pub fn hash_fetch_fault(vcpu: &Vcpu, ea: u64, asdr: u64, keys: Keys) -> hash::Fault {
    hash_fault(vcpu, Access::Fetch, ea, asdr, keys)
}

#[inline]
fn hash_fault(vcpu: &Vcpu, access: Access, ea: u64, asdr: u64, Keys { amr, iamr }: Keys) -> hash::Fault {
    let problem_state = vcpu.in_problem_state();
    hash::Fault { ea: EffAddr::new(ea), asdr: VsidWord::new(asdr), access, problem_state, amr, iamr }
}

/// What is done once a time slice: the log, and a look at the stacks.
pub fn upkeep() {
    crate::log::drain_if_filling();
    crate::panic::check_stacks();
}

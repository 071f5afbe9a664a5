//! A machine check while the guest runs: told apart, mended where it can be, and handed to who it is for.
//!
//! | severity | what is done |
//! | --- | --- |
//! | recoverable: an entry of a translation cache is there twice, or broken | this CPU's caches are emptied, and the guest goes on |
//! | synchronous: the instruction at hand met memory that is broken, or not there | the guest is told as the processor would have told it; what else runs here is not concerned |
//! | fatal: a store that was complete, or a cause that no manual lists | the guest is stopped, since its memory is not what it wrote |
//!
//! Machine checks of the hypervisor itself arrive in [`crate::interrupt`], which reports them in the same words, with a backtrace, and ends it: it keeps nothing that it could do without.

use crate::decrementer::low_word;
use crate::exits;
use hv_core::guest::{Exit, MachineError, Vcpu};
use ppc64_arch::cpu::{drop_segments, local_complete, tlbiel};
use ppc64_arch::mce::{Error, MachineCheck, Severity};
use ppc64_arch::pvr::Cpu;
use ppc64_arch::spr::live;
use ppc64_arch::tlbie::{Cached, Operands};
use tock_registers::interfaces::Readable;

/// What the machine check that ended this stay asks for.
pub fn exit(vcpu: &Vcpu, cpu: Cpu) -> Exit {
    let (srr1, dsisr, dar) = (vcpu.regs.msr, live::DSISR.get(), live::DAR.get());
    let found = MachineCheck::of(cpu, vcpu.regs.nip, srr1, low_word(dsisr), dar);
    let severity = found.severity();
    defmt::error!("machine check: {}", defmt::Display2Format(&found));
    if severity == Severity::Recoverable {
        mend(found.error, cpu);
    }
    Exit::MachineCheck(MachineError { severity, ..exits::machine_error(vcpu) })
}

/// Empties the cache that has the entry, and those that are filled from it.
fn mend(error: Error, cpu: Cpu) {
    // SAFETY: 1. hypervisor state; 2. LPIDR is the guest's, whose stay has just ended; 3. the guest is a radix guest, which has no segment entries.
    unsafe {
        match error {
            Error::Slb => drop_segments(),
            Error::Tlb => Operands::all(Cached::Everything).sets(cpu).for_each(|set| tlbiel(set)),
            _ => {}
        }
        local_complete();
    }
}

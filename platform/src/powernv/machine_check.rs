//! A machine check while the guest runs: told apart, mended where it can be, and handed to who it is for.
//!
//! | severity | what is done |
//! | --- | --- |
//! | recoverable: an entry of a translation cache is there twice, or broken | this CPU's caches are emptied, and the guest goes on |
//! | the same of a hash guest's segments | they are dropped, and the guest is told, which knows them: it fills them again |
//! | synchronous: the instruction at hand met memory that is broken, or not there | the guest is told as the processor would have told it; what else runs here is not concerned |
//! | fatal: a store that was complete, or a cause that no manual lists | the guest is stopped, since its memory is not what it wrote |
//!
//! Machine checks of the hypervisor itself arrive in [`crate::interrupt`], which reports them in the same words, with a backtrace, and ends it: it keeps nothing that it could do without.

use crate::decrementer::low_word;
use crate::exits;
use crate::partitions::Kind;
use hv_core::guest::{Exit, MachineError, Vcpu};
use ppc64_arch::cpu::{drop_segments, local_complete, tlbiel, tlbiel_hash};
use ppc64_arch::hash::tlbie as hash;
use ppc64_arch::mce::{Error, MachineCheck, Severity};
use ppc64_arch::pvr::Cpu;
use ppc64_arch::spr::live;
use ppc64_arch::tlbie::{Cached, Operands};
use tock_registers::interfaces::Readable;

/// What the machine check that ended this stay asks for.
pub fn exit(vcpu: &Vcpu, cpu: Cpu, kind: Kind) -> Exit {
    let (srr1, dsisr, dar) = (vcpu.regs.msr, live::DSISR.get(), live::DAR.get());
    let found = MachineCheck::of(cpu, vcpu.regs.nip, srr1, low_word(dsisr), dar);
    let mut severity = found.severity();
    defmt::error!("machine check: {}", defmt::Display2Format(&found));
    if severity == Severity::Recoverable {
        mend(found.error, cpu, kind);
        if kind == Kind::Hash && found.error == Error::Slb {
            // Its segments are gone, and only it knows them.
            severity = Severity::Synchronous;
        }
    }
    Exit::MachineCheck(MachineError { severity, ..exits::machine_error(vcpu) })
}

/// Empties the cache that has the entry, and those that are filled from it.
fn mend(error: Error, cpu: Cpu, kind: Kind) {
    // SAFETY: 1. hypervisor state; 2. LPIDR is the guest's, whose stay has just ended; 3. a radix guest has no segment entries, and a hash guest is told that its own are gone.
    unsafe {
        match error {
            Error::Slb => drop_segments(),
            Error::Tlb if kind == Kind::Hash => hash::Operands::all().sets(cpu).for_each(|set| tlbiel_hash(set)),
            Error::Tlb => Operands::all(Cached::Everything).sets(cpu).for_each(|set| tlbiel(set)),
            _ => {}
        }
        local_complete();
    }
}

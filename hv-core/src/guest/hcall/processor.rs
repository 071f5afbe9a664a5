//! Calls about the processor itself: its modes, its areas, its time.

use super::{Answer, Call};
use crate::guest::inject::{Interrupt, deliver};
use crate::guest::machine::Flow;
use crate::guest::processors::Processor;
use crate::guest::sched::State;
use crate::papr::Rc;
use crate::papr::hcall::{mode, proc_tbl};
use ppc64_arch::radix::pate;
use ppc64_arch::spr::LPCR;
use ppc64_arch::trap::Msr;

/// Sets SPRG0.
pub fn set_sprg0(call: &mut Call<'_>) -> Answer {
    call.vcpu.hv.sprg[0] = call.arg(0).any();
    Ok(Flow::Resume)
}

/// POWER9 and later have no DABR; the watchpoints of H_SET_MODE are what there is.
pub fn no_dabr(_: &mut Call<'_>) -> Answer {
    Err(Rc::HARDWARE)
}

/// Sets a mode (LoPAR 14.5.4.3.6). Linux calls this at nearly each context switch on POWER10, to set two watchpoints.
pub fn set_mode(call: &mut Call<'_>) -> Answer {
    let flags = call.arg(0).any();
    let (value1, value2) = (call.arg(2).any(), call.arg(3).any());
    match call.arg(1).any() {
        mode::DAWR0 => {
            let (address, extension) = watchpoint(flags, value1, value2)?;
            (call.vcpu.hv.dawr0, call.vcpu.hv.dawrx0) = (address, extension);
            call.vcpu.modes_changed = true;
        }
        mode::DAWR1 if call.machine.settings.isa_3_1 => {
            let (address, extension) = watchpoint(flags, value1, value2)?;
            (call.vcpu.hv.dawr1, call.vcpu.hv.dawrx1) = (address, extension);
            call.vcpu.modes_changed = true;
        }
        mode::CIABR => {
            call.vcpu.hv.ciabr = instruction_breakpoint(flags, value1, value2)?;
            call.vcpu.modes_changed = true;
        }
        mode::ENDIAN => set_byte_order(call, flags, value1, value2)?,
        mode::ADDR_TRANS => set_vector_place(call, flags, value1, value2)?,
        _ => return Err(Rc::P2),
    }
    Ok(Flow::Resume)
}

/// A data watchpoint that does not watch the hypervisor (DAWRX bit 61).
fn watchpoint(flags: u64, address: u64, extension: u64) -> Result<(u64, u64), Rc> {
    const HYPERVISOR: u64 = 4;
    if flags != 0 {
        return Err(Rc::UNSUPPORTED_FLAG);
    }
    if extension & HYPERVISOR != 0 { Err(Rc::P4) } else { Ok((address, extension)) }
}

/// An instruction breakpoint that does not break the hypervisor (CIABR bits 62:63 = 3).
fn instruction_breakpoint(flags: u64, value1: u64, value2: u64) -> Result<u64, Rc> {
    const PRIVILEGE: u64 = 3;
    if flags != 0 {
        return Err(Rc::UNSUPPORTED_FLAG);
    }
    if value2 != 0 {
        return Err(Rc::P4);
    }
    if value1 & PRIVILEGE == PRIVILEGE { Err(Rc::P3) } else { Ok(value1) }
}

fn set_byte_order(call: &mut Call<'_>, flags: u64, value1: u64, value2: u64) -> Result<(), Rc> {
    no_values(value1, value2)?;
    match flags {
        0 => call.vcpu.set_lpcr(LPCR::ILE::CLEAR),
        1 => call.vcpu.set_lpcr(LPCR::ILE::SET),
        _ => return Err(Rc::UNSUPPORTED_FLAG),
    }
    share_modes(call);
    Ok(())
}

/// LPCR\[AIL\]. Where the hypervisor's own interrupts would move with the guest's, no place but the low one is offered (Linux copes).
fn set_vector_place(call: &mut Call<'_>, flags: u64, value1: u64, value2: u64) -> Result<(), Rc> {
    no_values(value1, value2)?;
    let settings = call.machine.settings;
    let ail = match flags {
        0 => 0,
        2 | 3 if !settings.relocatable_vectors => return Err(Rc::P2),
        2 if settings.isa_3_1 => return Err(Rc::UNSUPPORTED_FLAG),
        2 => 2,
        3 => 3,
        _ => return Err(Rc::UNSUPPORTED_FLAG),
    };
    call.vcpu.set_lpcr(LPCR::AIL.val(ail));
    share_modes(call);
    Ok(())
}

/// Both modes are the partition's: the other processors have them from their next entry on.
fn share_modes(call: &Call<'_>) {
    call.machine.set_modes(call.vcpu.hv.lpcr);
    call.wake(u64::MAX >> (u64::BITS - call.machine.settings.cpus));
}

fn no_values(value1: u64, value2: u64) -> Result<(), Rc> {
    if value1 != 0 {
        return Err(Rc::P3);
    }
    if value2 != 0 { Err(Rc::P4) } else { Ok(()) }
}

/// log2 of the bytes of the largest process table, less 12.
const LARGEST_PROCESS_TABLE: usize = 24;

/// Registers the guest's process table, or says which kind of translation it has. A radix guest's must lie in the guest's memory as a whole.
pub fn register_process_table(call: &mut Call<'_>) -> Answer {
    let flags = call.arg(0).any();
    if flags & !proc_tbl::ALL != 0 {
        return Err(Rc::PARAMETER);
    }
    if call.memory.hash().is_some() {
        return hash_guest_registers(call, flags);
    }
    if flags & proc_tbl::MODIFY == 0 {
        return Ok(Flow::Resume);
    }
    if flags & proc_tbl::REGISTER == 0 {
        call.memory.set_process_table(0);
        return Ok(Flow::Resume);
    }
    if flags & proc_tbl::RADIX == 0 || flags & proc_tbl::HASH != 0 {
        return Err(Rc::PARAMETER);
    }
    call.memory.set_process_table(process_table(call)?);
    Ok(Flow::Resume)
}

/// A hash guest fills its SLB itself: there are no tables of its processes or segments to be registered, it cannot become another kind of guest, and it has no `tlbie`.
fn hash_guest_registers(call: &Call<'_>, flags: u64) -> Answer {
    const NEW: u64 = proc_tbl::MODIFY | proc_tbl::REGISTER;
    const LARGEST_BASE: u64 = 1 << 38;
    const PAGE_SIZES: u64 = 7;
    let [base, page_size, size] = [1, 2, 3].map(|n| call.arg(n).any());
    match flags {
        _ if flags & !NEW != 0 => Err(Rc::PARAMETER),
        NEW if base >= LARGEST_BASE => Err(Rc::P2),
        NEW if page_size & !PAGE_SIZES != 0 => Err(Rc::P3),
        NEW if size > LARGEST_PROCESS_TABLE as u64 => Err(Rc::P4),
        _ => Ok(Flow::Resume),
    }
}

/// Doubleword 1 of the partition table entry, from base, page size and log2 of the bytes less 12.
fn process_table(call: &Call<'_>) -> Result<u64, Rc> {
    if call.arg(2).any() != 0 {
        return Err(Rc::P3);
    }
    let size = call.arg(3).at_most(LARGEST_PROCESS_TABLE).map_err(|_| Rc::P4)? as u64;
    let table = call.arg(1).block(call.memory, 1 << (size + 12), 1 << 12).map_err(|_| Rc::P2)?;
    Ok(pate::process_scoped(table.start(), size))
}

/// Registers an area of a processor, or takes it back.
pub fn register_vpa(call: &mut Call<'_>) -> Answer {
    let (function, cpu, at) = (call.arg(0).any(), call.arg(1), call.arg(2));
    let processor = call.machine.processor(cpu.any()).ok_or(Rc::PARAMETER)?;
    processor.vpa.call(call.memory, function, at)?;
    Ok(Flow::Resume)
}

/// Gives up the processor, with interrupts on, until there is one.
pub fn cede(call: &mut Call<'_>) -> Answer {
    call.vcpu.regs.msr |= Msr::EE.bits();
    let prodded = call.machine.processor(u64::from(call.vcpu.id)).is_some_and(Processor::take_prod);
    Ok(if prodded { Flow::Resume } else { Flow::Idle })
}

/// Gives the processor's time to another one, or to any. A caller that waits for another one says at which dispatch count it saw that: if it has another one since, it
/// runs, or has run, and there is nothing to give.
pub fn confer(call: &mut Call<'_>) -> Answer {
    const ALL: u64 = u64::MAX;
    let (target, seen) = (call.arg(0).any(), call.arg(1).low_word());
    if target == ALL {
        let waited_for = call.machine.sched.has_queued(call.vcpu.cpu);
        return Ok(if waited_for { Flow::Confer(None) } else { Flow::Resume });
    }
    let processor = call.machine.processor(target).ok_or(Rc::PARAMETER)?;
    let unchanged = processor.vpa.yield_count().is_none_or(|count| count == seen);
    let waits = call.machine.sched.state(usize::try_from(target).unwrap_or(usize::MAX)) == State::Queued;
    Ok(if waits && unchanged { Flow::Confer(u32::try_from(target).ok()) } else { Flow::Resume })
}

/// Wakes a processor from H_CEDE, or makes its next one return at once.
pub fn prod(call: &mut Call<'_>) -> Answer {
    let target = call.arg(0).any();
    call.machine.processor(target).ok_or(Rc::PARAMETER)?.prod();
    Ok(call.call_upon(u32::try_from(target).unwrap_or(u32::MAX)))
}

/// Sends a system reset to one processor (to the caller: this one), to all, or to all others.
pub fn signal_system_reset(call: &mut Call<'_>) -> Answer {
    const ALL: u64 = u64::MAX;
    const ALL_OTHERS: u64 = u64::MAX - 1;
    let (target, me) = (call.arg(0).any(), u64::from(call.vcpu.id));
    if target < ALL_OTHERS && !call.machine.has_cpu(target) {
        return Err(Rc::PARAMETER);
    }
    let meant = |id: u32| target == u64::from(id) || target >= ALL_OTHERS;
    let others = call.machine.processors().filter(|(id, _)| meant(*id) && u64::from(*id) != me);
    let told = others.fold(0, |told, (id, processor)| {
        processor.reset();
        told | 1 << id
    });
    call.wake(told);
    if target == ALL || target == me {
        deliver(call.vcpu, Interrupt::SystemReset);
    }
    Ok(Flow::Resume)
}

/// What the processor does about speculation: the answer of whoever is below us, never a better one.
pub fn characteristics(call: &mut Call<'_>) -> Answer {
    let (character, behaviour) = call.host.cpu_characteristics().ok_or(Rc::FUNCTION)?;
    call.vcpu.set_result(0, character);
    call.vcpu.set_result(1, behaviour);
    Ok(Flow::Resume)
}

/// 64 random bits.
pub fn random(call: &mut Call<'_>) -> Answer {
    let bits = call.host.random().ok_or(Rc::HARDWARE)?;
    call.vcpu.set_result(0, bits);
    Ok(Flow::Resume)
}

//! The L0's interrupt controller as a partition sees it (PAPR chapter 14, interrupt support): the console's interrupt ends a sleep or
//! a guest's run, so that what is typed is seen at once.
//!
//! Input itself is fetched by whoever asks for it; an interrupt only says that asking is worth while.

use super::{H_SUCCESS, call, number, rtas};
use ppc64_arch::cpu;

/// Priority of what we route: lower is more favoured, 0xff is never.
const PRIORITY: u32 = 5;
/// Accept everything more favoured than "never".
const ACCEPT_ALL: u64 = 0xff;
/// Priority of a kick.
const KICK: u64 = 4;
/// The source of what H_IPI requests.
const IPI: u64 = 2;
/// The source number, in what H_XIRR answers: no interrupt was waiting if it is 0.
const SOURCE: u64 = 0x00ff_ffff;

/// Routes terminal `unit`'s interrupt `irq` to CPU `server`, and lets interrupts through; whether input will interrupt.
pub fn listen(unit: u64, irq: u32, server: u32) -> bool {
    let open = open();
    // Terminals of QEMU refuse this and interrupt all the same; others may want it.
    // SAFETY: 1. only whether this device interrupts changes.
    _ = unsafe { call(number::H_VIO_SIGNAL, &[unit, 1]) };
    open && rtas::route_interrupt(irq, server, PRIORITY)
}

/// Lets interrupts through to this CPU: kicks, and on the boot CPU the console's.
pub fn open() -> bool {
    // SAFETY: 1. only the presentation controller's priority changes; MSR[EE] is off until somebody sleeps.
    unsafe { call(number::H_CPPR, &[ACCEPT_ALL]) }.code == H_SUCCESS
}

/// Interrupts CPU `server`. The request stays until it [acknowledges](acknowledge) it.
pub fn kick(server: u32) {
    // What was stored before is seen by whoever is interrupted.
    cpu::hwsync();
    // SAFETY: 1. only that CPU's request changes.
    _ = unsafe { call(number::H_IPI, &[u64::from(server), KICK]) };
}

/// Accepts and ends what is waiting; true if something was.
pub fn acknowledge() -> bool {
    let mut any = false;
    // A source that is asserted for ever must not keep us here.
    for _ in 0..16 {
        // SAFETY: 1. answers in a register.
        let answer = unsafe { call(number::H_XIRR, &[ACCEPT_ALL]) };
        let waiting = answer.values[0];
        if answer.code != H_SUCCESS || waiting & SOURCE == 0 {
            break;
        }
        any = true;
        if waiting & SOURCE == IPI {
            // Before the end of the interrupt, or it would come again; a kick from here on does come again.
            let server = u64::from(crate::cpus::number(crate::memory::cpu()).unwrap_or(0));
            // SAFETY: 1. only this CPU's request changes.
            _ = unsafe { call(number::H_IPI, &[server, ACCEPT_ALL]) };
        }
        // SAFETY: 1. ends the interrupt just accepted, and restores the priority it came from.
        _ = unsafe { call(number::H_EOI, &[waiting]) };
    }
    any
}

//! How it ends: in what ways a vCPU can be lost, and who ends the run.
//!
//! | word on the command line | the end |
//! | --- | --- |
//! | none | every vCPU from the third on is lost in some way, the first spins for ever, and the second powers off |
//! | `end=all-stop` | all vCPUs stop themselves |
//! | `end=machine-check` | the second vCPU turns machine checks off and loads from where no memory is; the first one powers off a second later |

use core::arch::asm;

use crate::machine::Machine;
use crate::{crew, rtas, smp, trap};

/// Ends the run of a guest with several vCPUs.
pub fn run(machine: &Machine) -> ! {
    let job: crew::Job = if machine.has_word("end=all-stop") {
        |_, _| ()
    } else if machine.has_word("end=machine-check") {
        machine_check
    } else {
        lost
    };
    crew::set_job(job);
    for vcpu in 1..machine.servers().len() {
        crew::start(machine, vcpu);
    }
    if machine.has_word("end=all-stop") {
        machine.token("stop-self").map(smp::stop_self);
    } else if machine.has_word("end=machine-check") {
        let start = trap::now();
        while trap::now() - start < machine.timebase {}
        rtas::power_off(machine.power_off);
    }
    loop {
        core::hint::spin_loop();
    }
}

fn machine_check(machine: &Machine, vcpu: usize) {
    if vcpu == 1 {
        // SAFETY: 1. Nothing that runs depends on MSR[ME] (bit 0x1000); what becomes of this vCPU is what is tried.
        unsafe {
            asm!("mfmsr {msr}", "xori {msr}, {msr}, 0x1000", "mtmsrd {msr}", "isync", "ld {msr}, 0({place})",
                msr = out(reg) _, place = in(reg_nonzero) machine.end, options(nostack));
        }
    }
}

/// The second powers off, when the others had time to be lost.
fn lost(machine: &Machine, vcpu: usize) {
    match (vcpu, vcpu % 3) {
        (1, _) => {
            let start = trap::now();
            while trap::now() - start < machine.timebase / 2 {}
            rtas::power_off(machine.power_off)
        }
        (_, 0) => no_stack(),
        (_, 1) => loop {
            core::hint::spin_loop();
        },
        _ => other_byte_order(),
    }
}

/// Interrupts find no place to store to, which is an interrupt.
fn no_stack() {
    // SAFETY: 1. Nobody waits for this vCPU. 2. What its interrupts store goes to where no memory is.
    unsafe { asm!("mtspr 275, {0}", ".long 0", in(reg) 1_u64 << 50, options(nostack)) }
}

/// The instructions that follow are not those that were meant.
fn other_byte_order() {
    // SAFETY: 1. Nobody waits for this vCPU. 2. The words at 0x40 are no instructions in the other byte order, which is found at the first.
    unsafe {
        asm!("mtspr 275, {far}", "mfmsr {msr}", "xori {msr}, {msr}, 1", "mtspr 27, {msr}", "mtspr 26, {place}", "rfid",
            far = in(reg) 1_u64 << 50, msr = out(reg) _, place = in(reg) 0x40_u64, options(nostack));
    }
}

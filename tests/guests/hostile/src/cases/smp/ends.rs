//! How it ends: in what ways a vCPU can be lost, and who ends the run.
//!
//! | word on the command line | the end |
//! | --- | --- |
//! | none | the second vCPU powers off, while all others spin with interrupts off |
//! | `end=all-stop` | all vCPUs stop themselves |
//! | `end=no-stack` | the second vCPU's interrupts store to where no memory is, without an end; the first one powers off a second later |
//! | `end=byte-order` | the same, after it went on in the other byte order |
//! | `end=machine-check` | the second vCPU turns machine checks off and loads from where no memory is; the first one powers off a second later |
//! | `end=no-segment` | of a hash guest: the second vCPU's interrupts begin where no segment is, without an end; the first one powers off a second later |
//! | `end=no-entry` | the same, where a segment is, and no entry: each is the hypervisor's first |

use core::arch::asm;

use crate::machine::Machine;
use crate::{crew, hcall, rtas, slb, smp, trap};

/// A word, and what it asks for, given an address where no memory is.
type Way = (&'static str, fn(u64));

/// What becomes of the second vCPU, by the word that asks for it.
const WAYS: [Way; 5] = [
    ("end=no-stack", no_stack),
    ("end=byte-order", other_byte_order),
    ("end=machine-check", machine_check),
    ("end=no-segment", no_segment),
    ("end=no-entry", no_entry),
];

/// Ends the run of a guest with several vCPUs.
pub fn run(machine: &Machine) -> ! {
    let all_stop = machine.has_word("end=all-stop");
    crew::set_job(if all_stop { |_, _| () } else { others });
    for vcpu in 1..machine.servers().len() {
        crew::start(machine, vcpu);
    }
    if all_stop {
        machine.token("stop-self").map(smp::stop_self);
    }
    if WAYS.iter().any(|(word, _)| machine.has_word(word)) {
        wait(machine.timebase);
        rtas::power_off(machine.power_off);
    }
    spin()
}

fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

fn wait(ticks: u64) {
    let start = trap::now();
    while trap::now() - start < ticks {}
}

/// The second is lost as was asked for, or powers off when the others had time to begin.
fn others(machine: &Machine, vcpu: usize) {
    if vcpu == 1 {
        if let Some((_, lost)) = WAYS.iter().find(|(word, _)| machine.has_word(word)) {
            return lost(machine.end);
        }
        wait(machine.timebase / 2);
        rtas::power_off(machine.power_off);
    }
    spin()
}

fn machine_check(outside: u64) {
    // SAFETY: 1. Nothing that runs depends on MSR[ME] (bit 0x1000); what becomes of this vCPU is what is tried.
    unsafe {
        asm!("mfmsr {msr}", "xori {msr}, {msr}, 0x1000", "mtmsrd {msr}", "isync", "ld {msr}, 0({place})",
            msr = out(reg) _, place = in(reg_nonzero) outside, options(nostack));
    }
}

/// Interrupts find no place to store to, which is an interrupt.
fn no_stack(_: u64) {
    // SAFETY: 1. Nobody waits for this vCPU. 2. What its interrupts store goes to where no memory is.
    unsafe { asm!("mtspr 275, {0}", ".long 0", in(reg) 1_u64 << 50, options(nostack)) }
}

/// The instructions that follow are not those that were meant.
fn other_byte_order(_: u64) {
    // SAFETY: 1. Nobody waits for this vCPU. 2. The words at 0x40 are no instructions in the other byte order, which is found at the first.
    unsafe {
        asm!("mtspr 275, {far}", "mfmsr {msr}", "xori {msr}, {msr}, 1", "mtspr 27, {msr}", "mtspr 26, {place}", "rfid",
            far = in(reg) 1_u64 << 50, msr = out(reg) _, place = in(reg) 0x40_u64, options(nostack));
    }
}

/// Where interrupts begin with translation on, once H_SET_MODE said so.
const HIGH: u64 = 0xc000_0000_0000_4000;

fn no_segment(_: u64) {
    slb::clear();
    interrupts_high();
}

fn no_entry(_: u64) {
    slb::clear();
    slb::set(0, HIGH, slb::word(0x5_c000, 0));
    interrupts_high();
}

/// Has interrupts begin with translation on, and takes one. The first vCPU, which has it off, is not concerned.
fn interrupts_high() {
    hcall::call(hcall::SET_MODE, &[3, 3, 0, 0]);
    // SAFETY: 1. Nobody waits for this vCPU. 2. MSR[IR] and [DR] (0x30) come on at an address that leads to nothing.
    unsafe {
        asm!("mfmsr {msr}", "ori {msr}, {msr}, 0x30", "mtspr 27, {msr}", "mtspr 26, {place}", "rfid",
            msr = out(reg) _, place = in(reg) HIGH, options(nostack));
    }
}

//! How the hypervisor ends when it cannot go on: a message on the console, the return addresses, the log flushed, and the machine stopped as failed: on
//! pseries `ibm,os-term`, which QEMU turns into exit code 1 when it runs with `-action panic=exit-failure`.
//!
//! Several CPUs may fail at once: one report is printed whole, and the others wait, which after a fatal one is for ever. Other CPUs go on meanwhile, until the machine stops.

use crate::claim::Claim;
use crate::{below, console::Console, cpus, log, record};
use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};
use ppc64_arch::cpu;

/// Who reports.
static REPORTER: Claim = Claim::new();
/// How many faults that CPU met in its report. A fault in the report must not start another, and a fault in saying so must say nothing more.
static DEPTH: AtomicU32 = AtomicU32::new(0);

/// Claims the report; false if this CPU is at one already. The third in a row ends the machine without a word. While another CPU reports, this one waits: for ever, if that
/// was the machine's end.
pub fn begin() -> bool {
    while !REPORTER.is_mine() && !REPORTER.try_take() {
        cpu::very_low_priority();
    }
    cpu::medium_priority();
    match DEPTH.fetch_add(1, Ordering::Relaxed) {
        0 => true,
        1 => false,
        _ => below::fail(),
    }
}

/// The report is over, and the hypervisor lives on.
pub fn over() {
    DEPTH.store(0, Ordering::Relaxed);
    REPORTER.give_back();
}

/// Whether this CPU is at a report.
pub fn is_mine() -> bool {
    REPORTER.is_mine()
}

/// A panic of Rust's.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    if begin() {
        _ = writeln!(Console, "samewise: {info}");
        backtrace(crate::memory::stack_pointer());
    }
    stop("panic")
}

/// Says why, flushes what was logged, and stops the machine as failed. The report is this CPU's.
pub fn stop(why: &str) -> ! {
    _ = writeln!(Console, "samewise: stopped: {why}");
    if cpus::count() > 1 {
        (0..cpus::count()).for_each(|cpu| _ = writeln!(Console, "  {}", record::of(cpu)));
    }
    defmt::println!("end hypervisor-panic");
    log::flush();
    below::fail()
}

/// Stops if a stack grew over its end: what lies below it is no longer what it was.
pub fn check_stacks() {
    if !crate::memory::stacks_are_sound() {
        _ = begin();
        stop("a stack overflowed");
    }
}

/// Prints the return addresses above the stack pointer `r1`. In the ELFv2 ABI the doubleword at the stack pointer points to the caller's frame, and
/// the one 16 bytes into each caller's frame holds the address its callee returns to.
pub fn backtrace(mut r1: u64) {
    for _ in 0..24 {
        let Some(caller) = stack_word(r1) else { return };
        let Some(back) = caller.checked_add(16).and_then(stack_word) else { return };
        _ = writeln!(Console, "  from {back:#x}");
        r1 = caller;
    }
}

/// The doubleword at `at`, if that is on one of our stacks.
fn stack_word(at: u64) -> Option<u64> {
    let stacks = crate::memory::stacks();
    if !at.is_multiple_of(8) || !stacks.contains(&at) || at + 8 > stacks.end {
        return None;
    }
    // SAFETY: 1. the address is aligned and lies in the stacks' part of .bss, which is memory for the whole run; 2. volatile, because the compiler
    // may hold another view of what stands there.
    Some(unsafe { core::ptr::without_provenance::<u64>(crate::memory::index(at)).read_volatile() })
}

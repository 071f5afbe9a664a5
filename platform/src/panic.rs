//! How the hypervisor ends when it cannot go on: a message on the console, the return addresses, the log flushed, and the machine stopped as failed: on
//! pseries `ibm,os-term`, which QEMU turns into exit code 1 when it runs with `-action panic=exit-failure`.

use crate::{below, console::Console, log};
use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

/// How many reports are under way. A fault in the report must not start another, and a fault in saying so must say nothing more.
static REPORTING: AtomicU32 = AtomicU32::new(0);

/// Claims the report; false if one is under way. The third in a row ends the machine without a word.
pub fn begin() -> bool {
    // AcqRel: whoever comes next sees what the last reporter printed and stored.
    match REPORTING.fetch_add(1, Ordering::AcqRel) {
        0 => true,
        1 => false,
        _ => below::fail(),
    }
}

/// The report is over, and the hypervisor lives on.
pub fn over() {
    REPORTING.store(0, Ordering::Release);
}

/// A panic of Rust's.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    if begin() {
        _ = writeln!(Console, "samewise: {info}");
        backtrace(stack_pointer());
    }
    stop("panic")
}

/// Says why, flushes what was logged, and stops the machine as failed.
pub fn stop(why: &str) -> ! {
    _ = writeln!(Console, "samewise: stopped: {why}");
    defmt::println!("end hypervisor-panic");
    log::flush();
    below::fail()
}

/// Stops if a stack grew over its end: what lies below it is no longer what it was.
pub fn check_stacks() {
    if !crate::memory::stacks_are_sound() {
        stop("a stack overflowed");
    }
}

/// This function's stack pointer.
fn stack_pointer() -> u64 {
    let r1: u64;
    // SAFETY: 1. copies a register, nothing else.
    unsafe { core::arch::asm!("mr {}, 1", out(reg) r1, options(nomem, nostack, preserves_flags)) }
    r1
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

//! A guest that misbehaves, and checks that it gets the architected answer.
//!
//! It is entered like a kernel (guest real 0, device tree in r3), prints one line for each thing that it tries, and
//! powers off. Whether the hypervisor survived is seen from outside; whether the answers were right is seen here: each
//! wrong access must end in the storage or machine-check interrupt that the Power ISA names, each wrong call in a PAPR
//! return code, and neither may change memory that it was not given.
//!
//! Nothing here waits without a bound: instructions that may not come back run under a decrementer watchdog
//! ([`trap::guarded`]), loops count.
//!
//! With several vCPUs there are cases of what they do together, and the run ends in a way of its own (`cases::smp`).
//!
//! QEMU's pseries machine can be the hypervisor too (`-bios`, with the word `plain` on the kernel command line). It
//! answers some of this more laxly than a machine would; those cases then say so instead of failing.
#![no_std]
#![no_main]

mod cases;
mod console;
mod crew;
mod hcall;
mod hpt;
mod machine;
mod memory;
mod report;
mod rtas;
mod slb;
mod smp;
mod trap;

use console::say;
use machine::Machine;
use report::Report;

core::arch::global_asm!(include_str!("entry.s"));
core::arch::global_asm!(include_str!("ops.s"));

/// Where the assembly goes on, in real mode with a stack and the device tree's address.
#[unsafe(no_mangle)]
extern "C" fn guest_main(tree: u64) -> ! {
    let little = hcall::set_little_endian_interrupts();
    let machine = match Machine::discover(tree) {
        Ok(machine) => machine,
        Err(why) => give_up(why),
    };
    console::use_terminal(machine.terminal);
    if little != hcall::SUCCESS {
        say!("hostile: H_SET_MODE answered {little}");
        give_up("no little-endian interrupts");
    }
    say!("hostile: {} MiB, image {:#x}", machine.end >> 20, memory::image_end());
    if let Some(table) = machine.hash {
        hpt::has_size(table.order);
    }
    let mut report = Report::default();
    crew::set_tree(tree);
    cases::run_all(&machine, &mut report);
    say!("hostile: {} passed, {} failed", report.passed, report.failed);
    if machine.servers().len() > 1 {
        cases::smp::ends::run(&machine);
    }
    rtas::power_off(machine.power_off)
}

/// Where a vCPU that was started goes on.
#[unsafe(no_mangle)]
extern "C" fn guest_started(vcpu: usize) -> ! {
    crew::work(vcpu)
}

/// Where one goes on that was reset, and said that it begins anew then.
#[unsafe(no_mangle)]
extern "C" fn guest_anew(vcpu: usize) -> ! {
    crew::work(vcpu)
}

/// There is no machine to test. The last line still has the form that a script reads.
fn give_up(why: &str) -> ! {
    say!("hostile: start FAIL {why}");
    say!("hostile: 0 passed, 1 failed");
    rtas::power_off(None)
}

/// A panic is a bug of this guest, and counts as a failure.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    say!("hostile: guest FAIL {info}");
    say!("hostile: 0 passed, 1 failed");
    rtas::power_off(machine::known_power_off())
}

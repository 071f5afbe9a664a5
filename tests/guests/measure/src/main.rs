//! A guest that measures what its hypervisor costs, in instructions where QEMU counts them.
//!
//! It is entered like a kernel (guest real 0, device tree in r3), runs each event some thousand times between two looks at the timebase, takes off what
//! the same loop takes without the event, and prints `measure: NAME FIGURE`: nanoseconds for each event. Under `-icount shift=0` an
//! instruction is a nanosecond, so these are instructions; whose, is everybody's above the emulator. The last line is `measure: done`.
//!
//! | word on the command line | what is measured |
//! | --- | --- |
//! | none | hypervisor calls, and all that happens to pages of 4 KiB |
//! | `measure=64k`, `measure=2m` | first touch in strides of that size |
//! | `measure=page-in` | pages that the hypervisor compressed |
//! | `measure=hash` | a hash guest's calls about its table, and its storage interrupts |
//! | `smp`, or a second vCPU | calls and first touches by one vCPU, and by two at once: `smp null one COUNT ticks T` and so on |
//!
//! It runs under any PAPR hypervisor. What only Samewise offers (`samewise.bench=on`) is skipped elsewhere.
#![no_std]
#![no_main]

#[path = "../../hostile/src/console.rs"]
mod console;
mod hash;
#[allow(dead_code, reason = "the other guest makes more calls")]
#[path = "../../hostile/src/hcall.rs"]
mod hcall;
#[allow(dead_code, reason = "the other guest asks for more")]
#[path = "../../hostile/src/machine.rs"]
mod machine;
mod memory;
mod pair;
mod phases;
#[allow(dead_code, reason = "the other guest makes more calls")]
#[path = "../../hostile/src/rtas.rs"]
mod rtas;
#[allow(dead_code, reason = "the other guest stops and asks")]
#[path = "../../hostile/src/smp.rs"]
mod smp;
mod timing;
mod trap;

use console::say;
use machine::Machine;

core::arch::global_asm!(include_str!("../../hostile/src/entry.s"));
core::arch::global_asm!(include_str!("loops.s"));

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
        give_up("no little-endian interrupts");
    }
    say!("measure: {} MiB, timebase {}", machine.end >> 20, machine.timebase);
    measure(&machine);
    say!("measure: {} interrupts", trap::disturbances());
    say!("measure: done");
    rtas::power_off(machine.power_off)
}

/// Where the second vCPU goes on.
#[unsafe(no_mangle)]
extern "C" fn guest_started(_: u64) -> ! {
    pair::second()
}

/// No vCPU asks to begin anew after a system reset.
#[unsafe(no_mangle)]
extern "C" fn guest_anew(_: u64) -> ! {
    give_up("a system reset")
}

fn measure(machine: &Machine) {
    if machine.has_word("smp") || machine.servers().len() > 1 {
        pair::measure(machine);
    } else if machine.has_word("measure=64k") {
        phases::zero_pages(machine, 64 << 10, ["zero-write-64k", "second-touch-64k"]);
    } else if machine.has_word("measure=2m") {
        phases::zero_pages(machine, 2 << 20, ["zero-write-2m", "second-touch-2m"]);
    } else if machine.has_word("measure=page-in") {
        phases::page_in(machine);
    } else if machine.has_word("measure=hash") {
        hash::all(machine);
    } else {
        phases::all(machine);
    }
}

/// There is nothing to measure.
fn give_up(why: &str) -> ! {
    say!("measure: FAIL {why}");
    rtas::power_off(None)
}

/// A panic is a bug of this guest.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    say!("measure: FAIL {info}");
    rtas::power_off(machine::known_power_off())
}

//! Samewise: a hypervisor for 64-bit POWER. This is the binary: it finds out what machine it runs on, gives the machine's memory to one
//! guest page by page as the guest touches it, and says at the end how that went.
//!
//! | file | what |
//! | --- | --- |
//! | [`head`] | entry points and vectors |
//! | [`boot`] | the machine described, its memory handed out, the guest found and planned |
//! | [`guest`] | the guest started, as often as it asks |
//! | [`twins`] | two guests in turns on one CPU, for tests |
//! | [`report`] | the figures at the end |
//! | [`pseries`] | the machine below: hcalls, RTAS, consoles, interrupts, nested guests |
//! | [`log`], [`console`], [`mod@panic`], [`interrupt`] | what we say, and how we fail |
//! | [`heap`], [`memory`] | memory of our own |
#![no_std]
#![no_main]

extern crate alloc;

mod boot;
mod console;
mod guest;
mod head;
mod heap;
mod interrupt;
mod log;
mod memory;
mod panic;
mod pseries;
mod report;
mod twins;

use boot::fdt::Machine;
use boot::refusal::Refusal;
use console::Console;
use core::fmt::Write;
use hv_core::guest::{Counters, Ended, cmdline};
use hv_core::mmu::Seat;
use pseries::console::Terminal;
use pseries::host::Pseries;

/// Where every boot path arrives, with the machine's device tree at `tree`.
pub extern "C" fn start(tree: u64) -> ! {
    memory::arm_stack_guards();
    pseries::use_little_endian_interrupts();
    heap::init();
    match run(tree) {
        Ok(ended) => finish(ended),
        Err(why) => refuse(&why),
    }
}

/// From the device tree to the guest's end.
fn run(tree: u64) -> Result<Ended, Refusal> {
    let machine = describe(tree)?;
    pseries::nested::init()?;
    let options = cmdline::parse(machine.bootargs)?;
    let payload = boot::payload::find(&machine)?;
    let memory = boot::frames::pool(&machine)?;
    if options.twins {
        return twins::run(&machine, &payload, &options, &memory);
    }
    let platform = Pseries::new(guest::terminal(&machine), machine.timebase_hz);
    let mut guest = guest::Guest::plan(guest::LPID, &machine, &payload, options.clone(), &memory, &platform)?;
    let space = guest.space(&memory, &options)?;
    let seat = Seat::new(&space, guest::cpu(0)?);
    let mut counters = Counters::default();
    let start = ppc64_arch::cpu::timebase();
    let ended = guest.run(&seat, &platform, &mut counters)?;
    report::all(&seat, &counters, start, machine.timebase_hz);
    Ok(ended)
}

/// Reads the device tree and makes known what others ask for.
fn describe(tree: u64) -> Result<Machine, Refusal> {
    // SAFETY: 1. every boot path leaves a device tree in memory that nobody uses from here on; 2. it is reserved in the frame pool.
    let machine = unsafe { boot::fdt::read(tree)? };
    pseries::rtas::learn(machine.rtas);
    log::set_clock(machine.timebase_hz);
    if let Some(vty) = machine.terminals.get(1) {
        log::attach(Terminal::new(vty.unit));
    }
    defmt::info!("{=u32} CPUs, PVR {=u32:#x}", machine.cpus, machine.pvr.raw());
    Ok(machine)
}

/// The guest is gone: says so and switches the machine off. Exit code 0.
fn finish(ended: Ended) -> ! {
    if let Ended::Stopped(why) = ended {
        report::explain(&mut Console, why);
    }
    defmt::println!("end {=str}", report::word(ended));
    log::flush();
    pseries::rtas::power_off()
}

/// No guest was started: says why, and stops the machine as failed. Exit code 1.
fn refuse(why: &Refusal) -> ! {
    _ = writeln!(Console, "samewise: {why}");
    defmt::println!("end refused");
    log::flush();
    pseries::rtas::os_term()
}

//! Samewise: a hypervisor for 64-bit POWER. This is the binary: it finds out what machine it runs on, gives the machine's memory to one
//! guest page by page as the guest touches it, and says at the end how that went.
//!
//! | file | what |
//! | --- | --- |
//! | [`head`] | entry points and vectors |
//! | [`boot`] | the machine described, its memory handed out, the guest found and planned |
//! | [`guest`] | the guest started, as often as it asks |
//! | [`crew`], [`waker`] | the CPUs that run it, and who wakes its processors |
//! | [`twins`] | two guests in turns, for tests |
//! | [`report`] | the figures at the end |
//! | [`cpus`] | further processors: started, given work, kicked |
//! | [`below`] | what every platform has to offer, and which of them this is |
//! | [`pseries`] | a PAPR hypervisor below: hcalls, RTAS, consoles, interrupts, nested guests |
//! | [`powernv`] | the hardware below: OPAL, the world switch, translation |
//! | [`host`], [`hardware`], [`partitions`], [`decrementer`], [`owner`], [`modes`], [`exits`], [`record`], [`calendar`] | what both have in common |
//! | [`claim`], [`log`], [`console`], [`terminal`], [`mod@panic`], [`interrupt`] | what we say, and how we fail |
//! | [`heap`], [`memory`] | memory of our own |
#![no_std]
#![no_main]

extern crate alloc;

mod below;
mod boot;
mod calendar;
mod claim;
mod console;
mod cpus;
mod crew;
mod decrementer;
mod exits;
mod guest;
mod hardware;
mod head;
mod heap;
mod host;
mod interrupt;
mod log;
mod memory;
mod modes;
mod owner;
mod panic;
mod partitions;
mod powernv;
mod pseries;
mod record;
mod report;
mod terminal;
mod twins;
mod waker;

use below::{Kind, Platform};
use boot::fdt::Machine;
use boot::refusal::Refusal;
use console::Console;
use core::fmt::Write;
use crew::{Crew, Home};
use hv_core::guest::{Ended, cmdline};
use hv_core::hash::pool::FromPool;
use powernv::PowerNv;
use pseries::Pseries;
use waker::Waker;

/// Where every boot path arrives, with the machine's device tree at `tree`.
pub extern "C" fn start(tree: u64) -> ! {
    memory::arm_stack_guards();
    below::use_little_endian_interrupts();
    heap::init();
    match run(tree) {
        Ok(Outcome::Guest(ended)) => finish(ended),
        Ok(Outcome::SelfTest { passed }) => tested(passed),
        Err(why) => refuse(&why),
    }
}

/// What a run came to.
enum Outcome {
    /// A guest was started, and ended.
    Guest(Ended),
    /// Machine and hypervisor were checked.
    SelfTest {
        /// Nothing was wrong.
        passed: bool,
    },
}

/// From the device tree to the guest's end.
fn run(tree: u64) -> Result<Outcome, Refusal> {
    let machine = describe(tree)?;
    match below::kind() {
        Kind::Pseries => run_on::<Pseries>(&machine),
        Kind::PowerNv => run_on::<PowerNv>(&machine),
    }
}

/// The same on a platform.
fn run_on<P: Platform>(machine: &Machine) -> Result<Outcome, Refusal> {
    let options = cmdline::parse(machine.bootargs)?;
    P::init(machine, &options)?;
    if options.self_test.on {
        return P::self_test(machine, &options.self_test).map(|passed| Outcome::SelfTest { passed });
    }
    run_guest::<P>(machine, options).map(Outcome::Guest)
}

/// From a machine that is ready to the guest's end. What it keeps on the stack is large: a self-test does not pay for it.
#[inline(never)]
fn run_guest<P: Platform>(machine: &Machine, options: cmdline::Options) -> Result<Ended, Refusal> {
    let payload = boot::payload::find(machine)?;
    let memory = boot::frames::pool(machine, P::hardware())?;
    if options.twins != cmdline::Twins::Off {
        return twins::run::<P>(machine, &payload, &options, &memory);
    }
    let host = P::host(machine, P::terminal(machine));
    let room = FromPool::new(&memory);
    let mut guest = guest::Guest::<P>::plan(guest::LPID, machine, &payload, options.clone(), &room, &host)?;
    let waker = Waker::new(&host);
    let tables = guest.tables(&room)?;
    let space = guest.space(&memory, &options, tables)?;
    space.set_waker(&waker);
    let crew = Crew::<P>::gather(machine, &options)?;
    let start = ppc64_arch::cpu::timebase();
    let home = Home { space: &space, tables };
    let ended = guest.run(&crew, home, &waker, &host)?;
    let (counters, stats) = crew.counted();
    report::all(&space, &stats, &counters, crew.len(), (start, machine.timebase_hz));
    Ok(ended)
}

/// Reads the device tree and makes known what others ask for.
fn describe(tree: u64) -> Result<Machine, Refusal> {
    // SAFETY: 1. every boot path leaves a device tree in memory that nobody uses from here on; 2. it is reserved in the frame pool.
    let machine = unsafe { boot::fdt::read(tree)? };
    below::learn(&machine);
    log::set_clock(machine.timebase_hz);
    if let Some(terminal) = below::log_terminal(&machine) {
        log::attach(terminal);
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
    below::power_off()
}

/// The self-test is over: says so and switches the machine off. Exit code 0 or 1.
fn tested(passed: bool) -> ! {
    defmt::println!("end {=str}", if passed { "self-test-passed" } else { "self-test-failed" });
    log::flush();
    below::power_off()
}

/// No guest was started: says why, and stops the machine as failed. Exit code 1.
fn refuse(why: &Refusal) -> ! {
    _ = writeln!(Console, "samewise: {why}");
    defmt::println!("end refused");
    log::flush();
    below::fail()
}

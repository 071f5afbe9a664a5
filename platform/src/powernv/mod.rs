//! The powernv platform: the hardware itself, in hypervisor state, with OPAL as its firmware or with none.
//!
//! | file | what |
//! | --- | --- |
//! | [`selftest`] | the machine and ourselves, checked one by one |
//! | [`opal`] | calls to the firmware: console, clock, power; calls that end later |
//! | [`i2c`] | I2C buses, by such calls |
//! | [`delay`] | waiting, for drivers |
//! | [`uart`] | the serial port that the log goes to, and the console without firmware |
//! | [`vectors`] | where interrupts arrive, and which of them are a guest's exits |
//! | [`switch`] | into the guest and back, and the short way |
//! | [`world`] | the registers around that |
//! | [`own`], [`hashed`] | our own translation, and what hash guests need instead of it |
//! | [`machine_check`] | what is done about machine checks of the guest |
//! | [`measures`] | what is done against speculation |
//! | [`translations`], [`places`] | the partition table, `tlbie` and `tlbiel`, and which of the two |
//!
//! Addresses of the hypervisor are real addresses, with translation on or off ([`own`]).

pub mod delay;
pub mod hashed;
pub mod i2c;
pub mod machine_check;
pub mod measures;
pub mod opal;
pub mod own;
pub mod places;
pub mod selftest;
pub mod switch;
pub mod translations;
pub mod uart;
pub mod vectors;
pub mod world;

use crate::below::Platform;
use crate::boot::fdt::Machine;
use crate::boot::refusal::Refusal;
use crate::hardware;
use crate::host::Around;
use crate::modes::radix_guest;
use crate::partitions;
use crate::terminal::Terminal;
use hv_core::guest::cmdline::{Options, SelfTest};
use ppc64_arch::errata::Errata;
use ppc64_arch::pvr::Cpu;
use ppc64_arch::spr::{hypervisor, live};
use tock_registers::interfaces::Writeable;

/// The platform.
pub enum PowerNv {}

impl Platform for PowerNv {
    type World = world::Bare;
    const HASHES: bool = true;

    fn init(machine: &Machine, options: &Options) -> Result<(), Refusal> {
        if hypervisor::hrmor() != 0 {
            return Err(Refusal::Offset(hypervisor::hrmor()));
        }
        let errata = Errata::of(machine.pvr, machine.emulated);
        if options.is_ruled_out(errata) {
            return Err(Refusal::HashBesideRadix(machine.pvr));
        }
        translations::init(machine.pvr.cpu(), errata);
        vectors::install();
        measures::install(machine.features, options.measures);
        load_shared_registers();
        // SAFETY: 1. our own translation is radix, and by process table, as a guest's; no partition's entry is written yet.
        unsafe { hypervisor::set_lpcr(radix_guest(machine.decrementer_bits > 32)) }
        own::init(machine)?;
        Ok(())
    }

    fn self_test(machine: &Machine, wanted: &SelfTest) -> Result<bool, Refusal> {
        selftest::run(machine, wanted)
    }

    fn hardware() -> hardware::Machine {
        hardware::Machine(&translations::Tlbie)
    }

    fn host(machine: &Machine, terminal: Terminal) -> Around {
        // Without a word from firmware there is no answer, and the guest takes the processor for the worst there is: so does Linux.
        let characteristics = machine.features.map(|features| features.characteristics());
        Around::new(terminal, machine.timebase_hz, opal::wall_clock(), characteristics)
    }

    fn world(machine: &Machine, cpu: Cpu) -> world::Bare {
        world::Bare::new(cpu, machine.decrementer_bits)
    }

    fn terminal(_: &Machine) -> Terminal {
        Terminal::first()
    }

    /// Typing is looked for now and then: OPAL's interrupts would come through a controller that is left as firmware set it up, which is quiet.
    fn listen(_: &Machine) -> bool {
        false
    }

    /// On POWER9 the hypervisor's own interrupts would move with those of a radix guest (LPCR\[AIL\]); POWER10 has LPCR\[HAIL\] for them.
    fn relocatable_vectors(cpu: Cpu) -> bool {
        cpu.is_v31()
    }
}

/// Registers that have the same value on every CPU that runs us.
fn load_shared_registers() {
    // SAFETY: 1. the table's entries are those of guests' own memory; 2. AMOR: a guest may use all of its own keys; 3. nothing is refused by PCR; 4. no
    // watchpoint is set.
    unsafe {
        hypervisor::set_ptcr(partitions::register());
        hypervisor::set_amor(u64::MAX);
        hypervisor::set_pcr(0);
    }
}

/// What a further CPU does first: its registers become what the boot CPU's are. `lpcr` is the boot CPU's.
pub fn come(lpcr: u64) {
    vectors::be_host();
    switch::arm(crate::memory::cpu());
    load_shared_registers();
    // SAFETY: 1. under this LPCR no guest runs yet; 2. partition 0 is the hypervisor's own.
    unsafe {
        hypervisor::set_lpcr(lpcr);
        hypervisor::set_lpidr(0);
    }
    ppc64_arch::cpu::isync();
}

/// Sleeps until a doorbell rings.
pub fn rest() {
    live::DEC.set(world::LONGEST_STAY);
    // SAFETY: 1. hypervisor state; 2. both decrementers would end the sleep if they had expired, and end it some time later; 3. the doorbell has done what it is for.
    unsafe {
        hypervisor::set_hdec(world::LONGEST_STAY);
        ppc64_arch::cpu::stop();
        ppc64_arch::cpu::hush();
    }
}

/// Before anything else: little-endian interrupts.
pub fn early() {
    vectors::be_host();
}

//! The pseries platform: a partition under a PAPR hypervisor (the L0) that lets it run guests of its own by nested API v1.

pub mod console;
pub mod mediated;
pub mod nested;
pub mod number;
pub mod rtas;
pub mod world;
pub mod xics;

use crate::below::Platform;
use crate::boot::fdt::Machine;
use crate::boot::refusal::Refusal;
use crate::hardware;
use crate::host::Around;
use crate::terminal::Terminal;
use hv_core::guest::cmdline::{Options, SelfTest};
use ppc64_arch::cpu::{Hcall, hcall};
use ppc64_arch::errata::Errata;
use ppc64_arch::pvr::Cpu;
use ppc64_arch::spr::live;
use tock_registers::interfaces::Writeable;

/// The platform.
pub enum Pseries {}

impl Platform for Pseries {
    type World = world::Nested;
    /// Nested guests are radix.
    const HASHES: bool = false;
    fn init(_: &Machine, options: &Options) -> Result<(), Refusal> {
        if options.wants_hash() {
            return Err(Refusal::HashNested);
        }
        Ok(nested::init()?)
    }

    fn self_test(_: &Machine, _: &SelfTest) -> Result<bool, Refusal> {
        Err(Refusal::NoSelfTest)
    }

    fn hardware() -> hardware::Machine {
        hardware::Machine(&nested::ByL0)
    }

    fn host(machine: &Machine, terminal: Terminal) -> Around {
        Around::new(terminal, machine.timebase_hz, rtas::wall_clock(), characteristics())
    }

    fn world(machine: &Machine, cpu: Cpu) -> world::Nested {
        world::Nested::new(cpu, machine.decrementer_bits, Errata::of(machine.pvr, machine.emulated))
    }

    fn terminal(machine: &Machine) -> Terminal {
        Terminal::Vty(machine.terminals.first().map_or(console::FIRST, |vty| console::Vty::new(vty.unit)))
    }

    fn listen(machine: &Machine) -> bool {
        let vty = machine.terminals.first();
        vty.and_then(|vty| Some((vty.unit, vty.irq?)))
            .is_some_and(|(unit, irq)| xics::listen(unit, irq, machine.server))
    }

    /// The L0 keeps its own interrupts apart.
    fn relocatable_vectors(_: Cpu) -> bool {
        true
    }
}

/// What a further CPU does first. Interrupts are little-endian for the whole partition.
pub fn come() {
    xics::open();
}

/// Sleeps until an interrupt, which is ended.
pub fn rest() {
    live::DEC.set(LONGEST_SLEEP);
    // SAFETY: 1. waits with interrupts on, whose vectors return with them off and change no register; 2. no memory is involved.
    unsafe { call(number::H_CEDE, &[]) };
    live::disable_interrupts();
    xics::acknowledge();
}

/// The most that a decrementer of any size counts down from.
const LONGEST_SLEEP: u64 = 0x7fff_ffff;

/// Success, in every hcall's r3.
pub const H_SUCCESS: i64 = 0;

/// Has the L0 enter our vectors in little-endian mode (H_SET_MODE, resource 4; PAPR chapter 14). Anything that goes wrong before this is silent.
pub fn use_little_endian_interrupts() -> bool {
    // SAFETY: 1. only the mode of later interrupts changes, and the vectors are written for it.
    let answer = unsafe { hcall(number::H_SET_MODE, &[1, 4, 0, 0]) };
    answer.code == H_SUCCESS
}

/// An hcall whose effect is on the L0's side only, or that stores to a buffer which `args` owns for it.
///
/// # Safety
/// As for [`hcall`]: memory that the call writes must be the caller's to give.
#[inline]
unsafe fn call(number: u64, args: &[u64]) -> Hcall {
    // SAFETY: 1. passed on to the caller.
    unsafe { hcall(number, args) }
}

/// What the L0 says about speculation.
fn characteristics() -> Option<(u64, u64)> {
    // SAFETY: 1. answers in registers.
    let answer = unsafe { call(number::H_GET_CPU_CHARACTERISTICS, &[]) };
    (answer.code == H_SUCCESS).then_some((answer.values[0], answer.values[1]))
}

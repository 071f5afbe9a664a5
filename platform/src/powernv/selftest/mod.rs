//! The self-test (`samewise.self-test=on`): what a person who brings up a board wants to see on the serial line, one line a check, in the order in which things depend on each
//! other. BRINGUP.md says what each failing line means.
//!
//! ```text
//! self-test: ok   memory-map: 2048 MiB, 5 ranges kept, 1957 MiB in the pool
//! self-test: FAIL timebase-4: 30720000000 ticks ahead of the boot CPU
//! ```
//!
//! | part | what |
//! | --- | --- |
//! | [`firmware`] | console, clock, version of the firmware |
//! | [`cpus`] | every thread that the device tree names, found and started |
//! | [`timebase`] | in step on all of them |
//! | [`memory`] | the map, what is kept out of the pool, and patterns |
//! | [`guest`] | a guest of a few instructions, for the next two |
//! | [`storage`] | each kind of storage interrupt, raised once and resolved |
//! | [`tlbie`] | an invalidation seen on another CPU |
//! | [`i2c`] | who answers on I2C buses, and drivers |
//! | [`ring`] | the log's ring, and records in it |

mod cpus;
mod firmware;
mod guest;
mod i2c;
mod memory;
mod ring;
mod storage;
mod timebase;
mod tlbie;

use super::PowerNv;
use crate::below::Platform as _;
use crate::boot::fdt::Machine;
use crate::boot::frames;
use crate::boot::refusal::Refusal;
use crate::console::Console;
use core::fmt::{Arguments, Write};
use hv_core::guest::cmdline::SelfTest;
use hv_core::mmu::Memory;

/// The machine's memory, as this platform has it.
type Hardware = crate::hardware::Machine;

/// What was checked so far.
#[derive(Debug, Default)]
pub struct Report {
    passed: u32,
    failed: u32,
}

impl Report {
    /// Tells one check, on a line of its own.
    pub fn check(&mut self, name: &str, outcome: Result<Arguments<'_>, Arguments<'_>>) {
        let (word, count, details) = match outcome {
            Ok(details) => ("ok  ", &mut self.passed, details),
            Err(details) => ("FAIL", &mut self.failed, details),
        };
        *count += 1;
        _ = writeln!(Console, "self-test: {word} {name}: {details}");
    }

    /// The same, where both outcomes are told in the same words.
    pub fn verdict(&mut self, name: &str, passes: bool, details: Arguments<'_>) {
        self.check(name, if passes { Ok(details) } else { Err(details) });
    }

    /// The last line; whether nothing failed.
    fn end(&self) -> bool {
        let Self { passed, failed } = self;
        _ = writeln!(Console, "self-test: {passed} passed, {failed} failed");
        *failed == 0
    }
}

/// Runs all parts; whether all is well.
///
/// # Errors
/// [`Refusal`]: there is no memory to work with, or a processor that is none of ours.
#[inline(never)]
pub fn run(machine: &Machine, wanted: &SelfTest) -> Result<bool, Refusal> {
    let cpu = machine.pvr.cpu().ok_or(Refusal::Processor(machine.pvr))?;
    let mut report = Report::default();
    firmware::run(&mut report, machine);
    let others = cpus::run(&mut report, machine, wanted.expect_cpus);
    timebase::run(&mut report, machine, &others, wanted.inject);
    let (memory, kept) = frames::lay_out(machine, PowerNv::hardware())?;
    memory::run(&mut report, machine, &memory, &kept, wanted.inject);
    guests(&mut report, machine, cpu, &memory, &others)?;
    i2c::run(&mut report, machine);
    ring::run(&mut report);
    let sound = crate::memory::stacks_are_sound();
    report.verdict(
        "stacks",
        sound,
        format_args!("{}", if sound { "within their bounds" } else { "one grew over its end" }),
    );
    Ok(report.end())
}

/// The parts that need a guest. When it is gone the pool has every frame again.
fn guests(
    report: &mut Report,
    machine: &Machine,
    cpu: ppc64_arch::pvr::Cpu,
    memory: &Memory<Hardware>,
    others: &crate::cpus::All,
) -> Result<(), Refusal> {
    let before = memory.pool.free_bytes();
    let space = guest::space(memory)?;
    let seat = guest::seat(&space)?;
    let mut world = PowerNv::world(machine, cpu);
    storage::run(report, machine, &mut world, &seat);
    tlbie::run(report, machine, &seat, others);
    let cpu = guest::leave(seat);
    guest::end(space, cpu, memory);
    let after = memory.pool.free_bytes();
    report.verdict(
        "memory-returned",
        before == after && memory.pool.double_frees() == 0,
        format_args!("{} KiB before the guest, {} KiB after it", before >> 10, after >> 10),
    );
    Ok(())
}

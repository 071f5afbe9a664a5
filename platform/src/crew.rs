//! The CPUs that run a guest, each with what is its own: a world, frames, counters. Their worlds outlive a guest's reboot.

use crate::below::{GuestWorld as _, Platform};
use crate::boot::fdt::Machine as Host;
use crate::boot::refusal::Refusal;
use crate::hardware::Machine as Hardware;
use crate::host::Around;
use alloc::vec::Vec;
use hv_core::guest::cmdline::Options;
use hv_core::guest::{Counters, Ended, FaultHandler, GuestMemory, Machine, Runner, StopReason, World};
use hv_core::hash::{HashSeat, Tables};
use hv_core::mmu::stats::Stats;
use hv_core::mmu::{Cpu, Disturber, Seat, Space};
use ppc64_arch::pvr;
use spin::Mutex;

/// What one CPU brings along.
struct Share<W> {
    /// Made by the CPU itself when it first runs a guest.
    world: Option<W>,
    /// Here while it runs none.
    cpu: Option<Cpu>,
    counters: Counters,
}

/// All of them, by number.
pub struct Crew<'m, P: Platform> {
    host: &'m Host,
    design: pvr::Cpu,
    shares: Vec<Mutex<Share<P::World>>>,
    /// The guest's memory is kept moving while it runs.
    disturb: bool,
}

/// Where a guest lives: its memory, and its tables if it is a hash guest.
#[derive(Clone, Copy)]
pub struct Home<'a, 'm> {
    /// Its memory.
    pub space: &'a Space<'m, Hardware>,
    /// What hardware walks instead of the space's tree.
    pub tables: Option<&'a Tables<'m, Hardware>>,
}

/// Turns of a CPU that disturbs, at the end of each slice.
const DISTURBANCES: u32 = 4;

impl<'m, P: Platform> Crew<'m, P> {
    /// Gathers the CPUs that the command line speaks of. Without `ahead` each of their faults makes one page.
    ///
    /// # Errors
    /// [`Refusal`]: the processor is none that we know.
    pub fn gather(host: &'m Host, options: &Options) -> Result<Self, Refusal> {
        let design = host.pvr.cpu().ok_or(Refusal::Processor(host.pvr))?;
        let count = P::cpus(host, options.host_cpus.unwrap_or(usize::MAX));
        let share =
            |number| Ok(Share { world: None, cpu: Some(cpu(number, options.ahead)?), counters: Counters::default() });
        let shares = (0..count).map(|number| share(number).map(Mutex::new)).collect::<Result<_, Refusal>>()?;
        Ok(Self { host, design, shares, disturb: options.disturb })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shares.len()
    }

    /// Works as the boot CPU, before or after the guest's run.
    ///
    /// # Errors
    /// [`Refusal`]: what `work` says; or [`Refusal::NoFrames`] if the boot CPU is at work already.
    pub fn as_first<R>(
        &self,
        space: &Space<'_, Hardware>,
        work: impl FnOnce(&Seat<'_, '_, Hardware>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let mut first = self.shares.first().ok_or(Refusal::NoFrames)?.lock();
        let seat = Seat::new(space, first.cpu.take().ok_or(Refusal::NoFrames)?);
        let done = work(&seat);
        first.cpu = Some(seat.leave());
        done
    }

    /// Runs the guest's processors on all CPUs until it ends.
    pub fn run(&self, home: Home<'_, '_>, around: &Around, machine: &Machine) -> Ended {
        P::on_each(&|number| self.run_on(number, home, around, machine));
        machine.ended().unwrap_or(Ended::Stopped(StopReason::AllStopped))
    }

    fn run_on(&self, number: usize, Home { space, tables }: Home<'_, '_>, around: &Around, machine: &Machine) {
        let Some(mut share) = self.shares.get(number).map(|share| share.lock()) else { return };
        let Share { world, cpu, counters } = &mut *share;
        let Some(own) = cpu.take() else { return };
        let world = world.get_or_insert_with(|| P::world(self.host, self.design));
        world.renew(space.lpid());
        let seat = Seat::new(space, own);
        let mut disturber = Disturber::new(number as u64);
        let Some(tables) = tables.filter(|_| P::HASHES) else {
            let mut disturb = || (0..DISTURBANCES).for_each(|_| disturber.turn(&seat));
            self.run_with(Runner::new(number, world, around, &seat, machine, counters), &mut disturb);
            *cpu = Some(seat.leave());
            return;
        };
        // They are the space's, or there would be no guest.
        let Some(seat) = HashSeat::new(seat, tables) else { return };
        let mut disturb = || (0..DISTURBANCES).for_each(|_| disturber.turn(seat.seat()));
        self.run_with(Runner::new(number, world, around, &seat, machine, counters), &mut disturb);
        *cpu = Some(seat.leave());
    }

    /// Runs the guest's processors on this CPU.
    fn run_with<'a, W: World, M: GuestMemory + FaultHandler>(
        &self,
        mut runner: Runner<'a, W, Around, M>,
        disturb: &'a mut dyn FnMut(),
    ) {
        if self.disturb {
            runner = runner.with_work(disturb);
        }
        runner.run();
    }

    /// What all of them counted.
    #[must_use]
    pub fn counted(&self) -> (Counters, Stats) {
        let (mut counters, mut stats) = (Counters::default(), Stats::default());
        for share in &self.shares {
            let share = share.lock();
            counters.merge(&share.counters);
            if let Some(cpu) = &share.cpu {
                stats.merge(&cpu.counted());
            }
        }
        (counters, stats)
    }
}

/// CPU number `number` as the memory core knows it. Without `ahead` each of its faults makes one page.
///
/// # Errors
/// [`Refusal::NoFrames`]: there cannot be so many.
pub fn cpu(number: usize, ahead: bool) -> Result<Cpu, Refusal> {
    let cpu = Cpu::new(number).ok_or(Refusal::NoFrames)?;
    Ok(if ahead { cpu } else { cpu.one_page_a_fault() })
}

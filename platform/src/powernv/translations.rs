//! Guests' translations: the partition table, and `tlbie` to forget what was cached of it; or `tlbiel`, where it was cached on this CPU only ([`super::places`]).

use super::places;
use crate::hardware::Translations;
use crate::partitions::{self, Kind};
use hv_core::mmu::Flush;
use ppc64_arch::addr::{GuestReal, LeafSize};
use ppc64_arch::cpu::{
    local_complete, ptesync, tlb_complete, tlbie, tlbie_hash, tlbie_hash_all, tlbiel, tlbiel_hash, tlbiel_of_processes,
};
use ppc64_arch::errata::Errata;
use ppc64_arch::hash::tlbie as hash;
use ppc64_arch::pvr::Cpu;
use ppc64_arch::tlbie::{Cached, Operands};
use spin::Once;

/// What this machine is, and gets wrong.
static MACHINE: Once<(Option<Cpu>, Errata)> = Once::new();

/// Makes known what the machine is and gets wrong; the first call counts.
pub fn init(cpu: Option<Cpu>, errata: Errata) {
    MACHINE.call_once(|| (cpu, errata));
}

/// What this machine gets wrong.
#[must_use]
pub fn errata() -> Errata {
    MACHINE.get().map(|(_, errata)| *errata).unwrap_or_default()
}

/// The hardware's way with translations.
#[derive(Debug)]
pub struct Tlbie;

impl Translations for Tlbie {
    fn broadcasts(&self) -> bool {
        true
    }

    fn flush(&self, what: Flush) {
        let (cpu, errata) = MACHINE.get().copied().unwrap_or_default();
        // Entries as they are now before what looks them up after the flush, and before the place is read.
        ptesync();
        match cpu.filter(|_| places::is_only_here(what.lpid())) {
            Some(cpu) => here(what, cpu, errata),
            None => everywhere(what, errata),
        }
    }

    fn kick(&self, cpu: usize) {
        crate::cpus::kick(cpu);
    }

    fn forget(&self, what: &[hash::Operands]) {
        let Some(last) = hash::Operands::last(what) else { return };
        let (cpu, errata) = MACHINE.get().copied().unwrap_or_default();
        // As for radix.
        ptesync();
        let Some(cpu) = cpu.filter(|_| places::is_only_here(last.lpid())) else {
            what.iter().for_each(|operands| drop_hashed(*operands));
            return complete_hashed(errata, last);
        };
        what.iter().for_each(|operands| hashed_here(*operands, cpu));
        // SAFETY: 1. this platform is chosen in hypervisor state only.
        unsafe { local_complete() }
    }

    fn set_partition(&self, lpid: u32, scoped: u64, process: u64) {
        let Some(before) = partitions::write(lpid, scoped, process) else { return };
        let both = [before, Kind::of(scoped)];
        if both.contains(&Kind::Hash) {
            everything_hashed(lpid);
        }
        // What is cached of a partition that was none is nobody's; it goes as what it became.
        if both != [Kind::Hash; 2] {
            self.flush(Flush::Partition { lpid });
        }
    }
}

/// All of a hash partition, and what is cached of its entry, on every CPU: for the latter there is no local form that all processors have.
fn everything_hashed(lpid: u32) {
    let errata = errata();
    let all = hash::Operands::partition(lpid);
    // SAFETY: 1. this platform is chosen in hypervisor state only.
    unsafe { tlbie_hash_all(all) }
    complete_hashed(errata, all);
}

fn drop_hashed(operands: hash::Operands) {
    // SAFETY: 1. this platform is chosen in hypervisor state only.
    unsafe { tlbie_hash(operands) }
}

fn hashed_here(operands: hash::Operands, cpu: Cpu) {
    // SAFETY: 1. as above.
    let drop_here = |operands| unsafe { tlbiel_hash(operands) };
    if operands.is_partition() {
        operands.sets(cpu).for_each(drop_here);
    } else {
        drop_here(operands);
    }
}

/// Waits until every CPU is done with `tlbie`s of hash guests, the ways around POWER9's errata included. `last` is the last of them.
fn complete_hashed(errata: Errata, last: hash::Operands) {
    if errata.tlbie_repeated {
        ptesync();
        drop_hashed(last);
    }
    if errata.tlbie_misses_erat {
        ptesync();
        drop_all(hash::FOR_ERAT);
    }
    // SAFETY: 1. this platform is chosen in hypervisor state only.
    unsafe { tlb_complete() }
}

/// Drops all that this CPU has cached of the hash partition in LPIDR, which is `lpid`.
pub fn drop_hashed_here(lpid: u32, cpu: Cpu) {
    hashed_here(hash::Operands::partition(lpid), cpu);
    // SAFETY: 1. this platform is chosen in hypervisor state only.
    unsafe { local_complete() }
}

fn everywhere(what: Flush, errata: Errata) {
    match whole(what, errata) {
        Some(partition) => drop_all(partition),
        None => pages(what).for_each(drop_all),
    }
    complete(errata, what);
}

/// On this CPU, to which the errata of broadcasts do not apply. Of many pages, going through the whole TLB is less work.
fn here(what: Flush, cpu: Cpu, errata: Errata) {
    // SAFETY: 1. this platform is chosen in hypervisor state only.
    let drop_here = |operands| unsafe { tlbiel(operands) };
    let few = pages(what).take(MANY_PAGES).count() < MANY_PAGES;
    match whole(what, errata) {
        Some(partition) => partition.sets(cpu).for_each(drop_here),
        None if few => pages(what).for_each(drop_here),
        None => Operands::translations(what.lpid()).sets(cpu).for_each(drop_here),
    }
    // SAFETY: 1. as above.
    unsafe { local_complete() }
}

/// Drops all that this CPU has cached of the partition in LPIDR, which is `lpid`: its own translations and tables, and those of its processes.
pub fn drop_here(lpid: u32, cpu: Cpu) {
    // SAFETY: 1. this platform is chosen in hypervisor state only.
    unsafe {
        for operands in Operands::partition(lpid, Cached::Everything).sets(cpu) {
            tlbiel(operands);
            tlbiel_of_processes(operands);
        }
        local_complete();
    }
}

/// As many pages as POWER9's TLB has sets.
const MANY_PAGES: usize = 128;

/// The operands, if one operation does it all.
fn whole(what: Flush, errata: Errata) -> Option<Operands> {
    match what {
        Flush::Partition { lpid } => Some(Operands::partition(lpid, Cached::Everything)),
        Flush::Range { lpid, .. } if errata.tlbie_page_by_effective_address => Some(Operands::translations(lpid)),
        Flush::Range { .. } => None,
    }
}

/// The operands for each page of a range.
fn pages(what: Flush) -> impl Iterator<Item = Operands> {
    let (from, to, size) = match what {
        Flush::Range { from, to, size, .. } => (from.raw(), to.raw(), size),
        Flush::Partition { .. } => (0, 0, LeafSize::Size4K),
    };
    let step = crate::memory::index(size.bytes());
    (from..to).step_by(step).map(move |at| Operands::page(what.lpid(), GuestReal::new(at), size))
}

fn drop_all(operands: Operands) {
    // SAFETY: 1. this platform is chosen in hypervisor state only.
    unsafe { tlbie(operands) }
}

/// Waits until every CPU is done, the ways around POWER9's errata included.
fn complete(errata: Errata, what: Flush) {
    if errata.tlbie_repeated {
        // The first is done before its repetition begins, as the erratum's description has it.
        ptesync();
        drop_all(again(what));
    }
    if errata.tlbie_misses_erat {
        ptesync();
        drop_all(Operands::page(0, GuestReal::new(0), LeafSize::Size4K));
    }
    // SAFETY: 1. this platform is chosen in hypervisor state only.
    unsafe { tlb_complete() }
}

/// The last `tlbie` of a flush.
fn again(what: Flush) -> Operands {
    match what {
        Flush::Range { lpid, to, size, .. } => {
            let last = GuestReal::new(to.raw().saturating_sub(size.bytes()));
            Operands::page(lpid, last, size)
        }
        Flush::Partition { lpid } => Operands::partition(lpid, Cached::Everything),
    }
}

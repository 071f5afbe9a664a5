//! Reclaiming tables that map nothing.
//!
//! ```text
//!   table of empty entries ──► leaving ── one grace period ── still empty? ──► flush ──► freed
//!                                                             └── no ──► the table entry again
//! ```
//!
//! A fault that was on its way into such a table has put its page there by the end of the grace period, and the table stays. A fault that comes later finds it leaving, and waits.

use super::absent::{Leaving, State};
use super::discipline::Discipline;
use super::hardware::Hardware;
use super::owed::Owed;
use super::range::{self, Visit};
use super::seat::Cpu;
use super::space::Space;
use super::unlink::free_table;
use super::walk::{Place, Seen};
use ppc64_arch::addr::{GuestReal, HostReal};
use ppc64_arch::radix::{Entry, Level, Table};

/// Frees the tables that map nothing, and those that hold nothing but such. How many. Mutations are kept out.
pub(super) fn prune<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, generation: u32) -> u64 {
    let mut freed = 0;
    loop {
        let round = prune_lowest(space, cpu, generation);
        freed += round;
        if round == 0 {
            return freed;
        }
    }
}

/// One round: tables that are empty now; those above them become so by it.
fn prune_lowest<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, generation: u32) -> u64 {
    if !mark(space) {
        return 0;
    }
    space.pins().grace();
    let mut owed = Owed::nothing();
    let gone = keep_what_filled(space);
    if gone == 0 {
        return 0;
    }
    owed.tables();
    let _no_cpu_knows_them = owed.pay(space, cpu);
    sweep(space, cpu, generation);
    gone
}

/// Every empty table's entry says leaving. Whether there was one.
fn mark<H: Hardware, D: Discipline>(space: &Space<'_, H, D>) -> bool {
    let mut any = false;
    range::over(space, 0, u64::MAX, &mut |seen, _| {
        let Entry::Table(table) = seen.entry() else { return Visit::Next };
        let Some(below) = seen.place.level.below(table.bits()) else { return Visit::Next };
        if !is_empty(space, table.base(), below) {
            return Visit::Down;
        }
        let leaving = State::Leaving(Leaving::Table { base: table.base(), bits: table.bits() });
        any |= seen.place.swap(seen.entry(), Entry::Absent(leaving.encode())).is_ok();
        Visit::Next
    });
    any
}

/// Puts those back in which a page has appeared. How many are still empty.
fn keep_what_filled<H: Hardware, D: Discipline>(space: &Space<'_, H, D>) -> u64 {
    let mut gone = 0;
    over_leaving(space, &mut |seen, base, bits, below| {
        if is_empty(space, base, below) {
            gone += 1;
        } else {
            let _was = seen.place.replace(Entry::Table(Table::new(base, bits)));
        }
    });
    gone
}

fn sweep<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, generation: u32) {
    over_leaving(space, &mut |seen, base, _, below| {
        free_table(space, cpu, base, below);
        let _was = seen.place.replace(Entry::Absent(State::Empty { generation }.encode()));
    });
}

fn over_leaving<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    each: &mut impl FnMut(Seen<'_>, HostReal, u32, &'static Level),
) {
    range::over(space, 0, u64::MAX, &mut |seen, _| {
        if let Entry::Absent(absent) = seen.entry()
            && let State::Leaving(Leaving::Table { base, bits }) = State::decode(absent)
            && let Some(below) = seen.place.level.below(bits)
        {
            each(seen, base, bits, below);
            return Visit::Next;
        }
        Visit::Down
    });
}

fn is_empty<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, base: HostReal, level: &'static Level) -> bool {
    (0..level.entries() as u64).all(|index| {
        let at = GuestReal::new(index << level.shift);
        // SAFETY: 1. The table is linked or leaving, and only the caller frees it.
        let entry = unsafe { Place::in_table(&space.memory().hardware, base, level, at) }.look().entry();
        matches!(entry, Entry::Absent(absent) if matches!(State::decode(absent), State::Empty { .. }))
    })
}

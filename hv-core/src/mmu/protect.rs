//! Taking the right to store away, or to fetch.
//!
//! The leaf stays, so this is a swap a page and a debt of one flush for them all. Until that is paid a CPU may store through what it has cached; after it, and a grace period for
//! what the hypervisor stores on the guest's behalf, nobody can.

use super::discipline::Discipline;
use super::hardware::Hardware;
use super::owed::Owed;
use super::range::{self, Visit};
use super::seat::Cpu;
use super::space::Space;
use super::walk::Place;
use ppc64_arch::addr::GuestReal;
use ppc64_arch::radix::entry::Recorded;
use ppc64_arch::radix::{Entry, Rights};

/// No leaf of `from..to` permits stores when this returns, and no store that one permitted is still under way. Mutations are kept out, and every fault
/// that is on its way knows already that it may not give the right back unnoticed.
pub(super) fn forbid_stores<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, from: u64, to: u64) {
    let mut owed = Owed::nothing();
    range::over(space, from, to, &mut |seen, block| {
        forbid(cpu, seen.place, block.at, &mut owed);
        Visit::Down
    });
    let _no_cpu_stores = owed.pay(space, cpu);
    space.pins().grace();
}

/// Takes W from the leaf at `place`, if one stands there and has it. C goes as well: the page counts as unchanged until the next store.
pub(super) fn forbid(cpu: &mut Cpu, place: Place<'_>, at: GuestReal, owed: &mut Owed) {
    let Some(size) = place.level.leaf else { return };
    let mut seen = place.look();
    while let Entry::Leaf(leaf) = seen.entry()
        && leaf.rights().contains(Rights::WRITE)
    {
        let reduced = leaf.with_rights(leaf.rights() - Rights::WRITE);
        let reduced = reduced.with_recorded(leaf.recorded() - Recorded::CHANGED);
        if place.swap(seen.entry(), Entry::Leaf(reduced)).is_ok() {
            owed.page(at.align_down(size), size);
            cpu.stats.protected += 1;
            return;
        }
        seen = place.look();
    }
}

/// No leaf of `from..to` permits fetches when this returns, and no fetch that one permitted is still under way; but any fault for which a leaf is made or raised meanwhile
/// permits them again, as the next fetch does. Mutations are kept out.
pub(super) fn forbid_fetches<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, from: u64, to: u64) {
    let mut owed = Owed::nothing();
    range::over(space, from, to, &mut |seen, block| {
        forbid_fetch(seen.place, block.at, &mut owed);
        Visit::Down
    });
    let _no_cpu_fetches = owed.pay(space, cpu);
}

/// Takes X from the leaf at `place`, if one stands there and has it. R and C stay: they are not told by X.
fn forbid_fetch(place: Place<'_>, at: GuestReal, owed: &mut Owed) {
    let Some(size) = place.level.leaf else { return };
    let mut seen = place.look();
    while let Entry::Leaf(leaf) = seen.entry()
        && leaf.rights().contains(Rights::EXECUTE)
    {
        if place.swap(seen.entry(), Entry::Leaf(leaf.with_rights(leaf.rights() - Rights::EXECUTE))).is_ok() {
            owed.page(at.align_down(size), size);
            return;
        }
        seen = place.look();
    }
}

//! A partition's tables, an entry at a time.

use hv_core::mmu::{Flush, Hardware};
use machine::{ARENA_BASE, Machine};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use std::sync::atomic::Ordering;

pub const LPID: u32 = 5;
pub const MIB: u64 = 1 << 20;

/// Leaf bits: everything allowed, R and C set.
pub const FULL: u64 = 0xc000_0000_0000_0187;
/// Everything allowed, neither R nor C.
pub const FRESH: u64 = 0xc000_0000_0000_0007;
/// Loads alone.
pub const READ_ONLY: u64 = 0xc000_0000_0000_0104;

/// Where the tables stand, one after the other, in the arena.
const ROOT: u64 = ARENA_BASE.raw();
const SECOND: u64 = ROOT + 0x1_0000;
const THIRD: u64 = ROOT + 0x1_1000;
/// Two tables of 4 KiB pages and one of 64 KiB pages.
pub const PAGES: u64 = ROOT + 0x1_2000;
pub const OTHER_PAGES: u64 = ROOT + 0x1_3000;
pub const LARGE_PAGES: u64 = ROOT + 0x1_4000;

/// The frames that tests map: the `n`th 2 MiB of the arena.
pub const fn frame(n: u64) -> u64 {
    ARENA_BASE.raw() + 2 * MIB * n
}

/// 16 MiB with a tree down to one table of 4 KiB pages for the guest's first 2 MiB. No other entry is valid.
pub fn machine<const BROADCAST: bool>() -> Machine<BROADCAST> {
    let machine = Machine::build(16 * MIB, 2, 2 * MIB);
    put(&machine, ROOT, 0x8000_0000_0000_0009 | SECOND);
    put(&machine, SECOND, 0x8000_0000_0000_0009 | THIRD);
    put(&machine, THIRD, table(PAGES, 9));
    machine.set_partition(LPID, 0xc000_0000_0000_00ad | ROOT, 0);
    machine
}

/// A table entry.
pub const fn table(base: u64, bits: u64) -> u64 {
    0x8000_0000_0000_0000 | base | bits
}

/// Writes an entry where it stands.
pub fn put<const BROADCAST: bool>(machine: &Machine<BROADCAST>, at: u64, entry: u64) {
    machine.arena().words(HostReal::new(at), 1)[0].store(entry.to_be(), Ordering::Release);
}

/// Reads one.
pub fn get<const BROADCAST: bool>(machine: &Machine<BROADCAST>, at: u64) -> u64 {
    u64::from_be(machine.arena().words(HostReal::new(at), 1)[0].load(Ordering::Acquire))
}

/// The entry for the guest's first 2 MiB.
pub const REGION: u64 = THIRD;

/// The flush of one leaf.
pub fn leaf(at: u64, size: LeafSize) -> Flush {
    let from = GuestReal::new(at);
    Flush::Range { lpid: LPID, from, to: from.checked_add(size.bytes()).unwrap(), size }
}

/// Where CPU `cpu` loads from.
pub fn load<const BROADCAST: bool>(machine: &Machine<BROADCAST>, cpu: usize, at: u64) -> Option<u64> {
    let host = machine.access(cpu, LPID, GuestReal::new(at), hv_core::mmu::Access::Read);
    host.ok().map(HostReal::raw)
}

/// Where CPU `cpu` stores to.
pub fn store<const BROADCAST: bool>(machine: &Machine<BROADCAST>, cpu: usize, at: u64) -> Option<u64> {
    let host = machine.access(cpu, LPID, GuestReal::new(at), hv_core::mmu::Access::Write);
    host.ok().map(HostReal::raw)
}

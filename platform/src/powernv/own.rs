//! The hypervisor's own translation: each address of memory is translated to itself, by a radix tree of process 0 in partition 0.
//!
//! In hypervisor state with translation off all storage is guarded: nothing is loaded before it is certain to be needed, and nothing is prefetched. So the run loop, and with
//! it all that takes long (device trees, the console, zeroing, compressing), runs with translation on. The short way of the world switch does not: it is a few hundred
//! instructions, most loads of which depend on the one before, and there and back is two context synchronisations and an exchange of four registers.
//!
//! Addresses are the same in both states, so pointers are good in both. They lie in quadrant 0, where hypervisor state translates for partition 0 whatever LPIDR says, but
//! for the process in PIDR (Power ISA 3.1B Book III 6.7.5.1). A guest's PIDR, and the keys in AMR and IAMR, which hold for privileged accesses too, are put aside meanwhile.

use crate::boot::fdt::Machine;
use crate::boot::refusal::Refusal;
use crate::partitions;
use alloc::alloc::{Layout, alloc_zeroed};
use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use ppc64_arch::addr::{GuestReal, HostReal};
use ppc64_arch::cpu;
use ppc64_arch::radix::geometry::ROOT;
use ppc64_arch::radix::identity::{self, Tables};
use ppc64_arch::radix::{Entry, Rights, pate};
use ppc64_arch::spr::live;
use ppc64_arch::trap::Msr;
use tock_registers::interfaces::{Readable, Writeable};

/// The partition that is the hypervisor itself.
const OWN: u32 = 0;
/// Bytes of the process table: the least there can be.
const PROCESS_TABLE: u64 = 4096;

/// Whether there is a tree to run with.
static READY: AtomicBool = AtomicBool::new(false);

/// A guest's registers that are in the way of our own translation.
#[derive(Clone, Copy, Debug)]
pub struct Aside {
    /// PIDR.
    pub process: u64,
    /// AMR and IAMR.
    pub keys: [u64; 2],
}

/// Makes the tree: our image may be executed, the rest of memory may be read and written.
///
/// # Errors
/// [`Refusal::NoFrames`]: there is no room for tables.
pub fn init(machine: &Machine) -> Result<(), Refusal> {
    let root = Heap.make(ROOT.table_bytes()).ok_or(Refusal::NoFrames)?;
    let data = Rights::PRIVILEGED | Rights::READ | Rights::WRITE;
    let image = crate::memory::image();
    for memory in &machine.memory {
        let split = memory.end.min(memory.start.max(image.end));
        let ours = (memory.start..split, data | Rights::EXECUTE);
        for (range, rights) in [ours, (split..memory.end, data)] {
            identity::map(&mut Heap, root, &ROOT, range, rights).ok_or(Refusal::NoFrames)?;
        }
    }
    let processes = Heap.make(PROCESS_TABLE).ok_or(Refusal::NoFrames)?;
    // An entry of the process table has the tree's root and size where a partition's has them; the bit that says "radix" there is reserved here.
    const HOST_RADIX: u64 = ppc64_arch::bits::bit(0);
    let scoped = pate::partition_scoped(root, &ROOT);
    Heap::cell(processes, 0).store((scoped & !HOST_RADIX).to_be(), Ordering::Relaxed);
    let written = partitions::write(OWN, scoped, pate::process_scoped(GuestReal::new(processes.raw()), 0));
    READY.store(written.is_some(), Ordering::Release);
    Ok(())
}

/// Turns translation on, if there is a tree. What the guest had is put aside.
#[must_use]
pub fn on() -> Option<Aside> {
    if !READY.load(Ordering::Acquire) {
        return None;
    }
    let aside = Aside { process: live::PIDR.get(), keys: [live::AMR.get(), live::IAMR.get()] };
    live::AMR.set(0);
    live::IAMR.set(0);
    live::PIDR.set(0);
    cpu::isync();
    // SAFETY: 1. the tree translates all memory to itself, the image for execution; 2. keys and process were just made ours.
    unsafe { translate(true) }
    Some(aside)
}

/// Turns it off again and gives the guest back what was put aside.
pub fn off(aside: Option<Aside>) {
    let Some(Aside { process, keys: [data, fetch] }) = aside else { return };
    // SAFETY: 1. with translation off every address is the same.
    unsafe { translate(false) }
    live::PIDR.set(process);
    live::AMR.set(data);
    live::IAMR.set(fetch);
    cpu::isync();
}

/// Runs `work` with translation off: cache-inhibited accesses to devices need that.
pub fn in_real_mode<R>(work: impl FnOnce() -> R) -> R {
    if !live::msr().contains(Msr::DR) {
        return work();
    }
    // SAFETY: 1. addresses are the same in both states; 2. the tree and its process are still ours afterwards.
    unsafe { translate(false) }
    let done = work();
    // SAFETY: 1. as above.
    unsafe { translate(true) }
    done
}

/// Sets or clears MSR\[IR\] and MSR\[DR\].
///
/// # Safety
/// Where it is on, the tree of process 0 in partition 0 is ours, and the CPU holds process 0 and no keys.
#[inline]
unsafe fn translate(on: bool) {
    let both = Msr::IR | Msr::DR;
    let state = if on { live::msr() | both } else { live::msr() - both };
    // SAFETY: 1. passed on to the caller: instructions and data stay where they are.
    unsafe { asm!("mtmsrd {}", "isync", in(reg) state.bits(), options(nostack, preserves_flags)) }
}

/// Tables from the heap; they stay for good.
struct Heap;

impl Heap {
    fn cell(table: HostReal, index: usize) -> &'static AtomicU64 {
        let first: *const AtomicU64 = core::ptr::with_exposed_provenance(crate::memory::index(table.raw()));
        // SAFETY: 1. the table was made by `make`, has this entry, and is never freed.
        unsafe { &*first.add(index) }
    }
}

impl Tables for Heap {
    fn make(&mut self, bytes: u64) -> Option<HostReal> {
        let bytes = crate::memory::index(bytes);
        let layout = Layout::from_size_align(bytes, bytes).ok()?;
        // SAFETY: 1. a table has a size.
        let at = unsafe { alloc_zeroed(layout) };
        (!at.is_null()).then(|| HostReal::new(at.expose_provenance() as u64))
    }

    fn read(&self, table: HostReal, index: usize) -> Entry {
        Entry::decode(u64::from_be(Self::cell(table, index).load(Ordering::Relaxed)))
    }

    fn write(&mut self, table: HostReal, index: usize, entry: Entry) {
        Self::cell(table, index).store(entry.encode().to_be(), Ordering::Relaxed);
    }
}

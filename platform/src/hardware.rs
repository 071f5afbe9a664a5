//! The machine that the tables are made of: memory by its real address (an effective address of ours is the real one, with translation on or off), and the
//! flush, which each platform has its own way for.

use core::sync::atomic::AtomicU64;
use hv_core::hash;
use hv_core::mmu::{Flush, Hardware};
use ppc64_arch::addr::HostReal;
use ppc64_arch::cpu;
use ppc64_arch::hash::tlbie::Operands;

/// How translations of guests are made known, and forgotten.
pub trait Translations: Sync {
    /// Whether a flush reaches every CPU.
    fn broadcasts(&self) -> bool;
    /// Completes the flush before it returns.
    fn flush(&self, what: Flush);
    /// The same for translations of hash guests. Where there can be none there is nothing to do.
    fn forget(&self, what: &[Operands]) {
        debug_assert!(what.is_empty(), "a hash guest on a platform that has none");
    }
    /// Makes a CPU leave the guest soon.
    fn kick(&self, cpu: usize);
    /// Writes a partition's entry and makes every CPU forget the old one.
    fn set_partition(&self, lpid: u32, scoped: u64, process: u64);
}

/// Memory and translation of this machine. One type for both platforms, so that the memory core is in the binary once: what differs is off the fault path.
pub struct Machine(pub &'static dyn Translations);

/// Memory at a host real address. Frames are not memory of Rust's allocator or of any static, so their provenance is the machine's.
fn pointer<T>(at: HostReal) -> *mut T {
    core::ptr::with_exposed_provenance_mut(crate::memory::index(at.raw()))
}

/// How many of `bytes` bytes at `at` come before the first aligned doubleword, and how many doublewords follow.
fn split(at: HostReal, bytes: usize) -> (usize, usize) {
    let head = (crate::memory::index(at.raw()).wrapping_neg() & 7).min(bytes);
    (head, (bytes - head) / 8)
}

// SAFETY: 1. an effective address of ours is the real address, so the accessors reach the frame itself; 2. the platform completes flushes before it returns;
// 3. nothing here unwinds: panics abort.
unsafe impl Hardware for Machine {
    unsafe fn entries(&self, table: HostReal, count: usize) -> &[AtomicU64] {
        // SAFETY: 1. the caller says that this many doublewords of a live table stand there; 2. a table is aligned to its size; 3. everyone
        // reaches them by atomics.
        unsafe { core::slice::from_raw_parts(pointer(table), count) }
    }

    unsafe fn zero(&self, at: HostReal, bytes: u64) {
        // SAFETY: 1. the range is the caller's alone; 2. multiples of 4 KiB are multiples of a cache line.
        unsafe { cpu::zero(pointer(at), bytes) }
    }

    unsafe fn copy(&self, to: HostReal, from: HostReal, bytes: u64) {
        // SAFETY: 1. the caller vouches for both ranges.
        unsafe { cpu::copy(pointer(from), pointer(to), crate::memory::index(bytes)) }
    }

    unsafe fn make_executable(&self, at: HostReal, bytes: u64) {
        cpu::sync_instructions(pointer(at), bytes);
    }

    unsafe fn read(&self, at: HostReal, into: &mut [u8]) {
        let from: *const u8 = pointer(at);
        let (head, words) = split(at, into.len());
        // SAFETY: 1. the range lies in one frame that lives, by the caller; 2. volatile: the guest may write meanwhile, and each byte is read once;
        // 3. `split` aligned the words.
        unsafe {
            let bytes = |into: &mut [u8], from: *const u8| {
                into.iter_mut().enumerate().for_each(|(offset, byte)| *byte = from.add(offset).read_volatile());
            };
            bytes(&mut into[..head], from);
            let (whole, rest) = into[head..].split_at_mut(words * 8);
            for (offset, word) in whole.chunks_exact_mut(8).enumerate() {
                word.copy_from_slice(&from.add(head).cast::<u64>().add(offset).read_volatile().to_ne_bytes());
            }
            bytes(rest, from.add(head + words * 8));
        }
    }

    unsafe fn write(&self, at: HostReal, from: &[u8]) {
        let to: *mut u8 = pointer(at);
        let (head, words) = split(at, from.len());
        // SAFETY: 1. the range lies in one frame that lives, by the caller; 2. volatile: the guest may look meanwhile; 3. `split` aligned the words.
        unsafe {
            let bytes = |to: *mut u8, from: &[u8]| {
                from.iter().enumerate().for_each(|(offset, byte)| to.add(offset).write_volatile(*byte));
            };
            bytes(to, &from[..head]);
            let (whole, rest) = from[head..].split_at(words * 8);
            for (offset, word) in whole.as_chunks::<8>().0.iter().enumerate() {
                to.add(head).cast::<u64>().add(offset).write_volatile(u64::from_ne_bytes(*word));
            }
            bytes(to.add(head + words * 8), rest);
        }
    }

    unsafe fn bytes(&self, at: HostReal, bytes: usize) -> &[u8] {
        // SAFETY: 1. the caller has the frame to itself while the slice lives.
        unsafe { core::slice::from_raw_parts(pointer(at), bytes) }
    }

    unsafe fn bytes_mut(&self, at: HostReal, bytes: usize) -> &mut [u8] {
        // SAFETY: 1. as above, and no other slice of the frame lives.
        unsafe { core::slice::from_raw_parts_mut(pointer(at), bytes) }
    }

    fn sets_reference(&self) -> bool {
        // Under QEMU's TCG nobody does, and a real machine below loses little by it.
        false
    }

    fn broadcasts(&self) -> bool {
        self.0.broadcasts()
    }

    fn flush(&self, what: Flush) {
        self.0.flush(what);
    }

    fn kick(&self, cpu: usize) {
        self.0.kick(cpu);
    }

    fn stuck(&self, cpu: usize) {
        defmt::error!("a CPU does not answer its kick: {}", defmt::Display2Format(&crate::record::of(cpu)));
    }

    fn set_partition(&self, lpid: u32, scoped: u64, process: u64) {
        self.0.set_partition(lpid, scoped, process);
    }
}

// SAFETY: 1. the platform completes the flush before it returns; 2. where nobody can walk a hashed table, nobody has such a translation.
unsafe impl hash::Translations for Machine {
    fn forget(&self, what: &[Operands]) {
        self.0.forget(what);
    }
}

//! The machine as hv-core sees it.

use crate::recording::Recording;
use crate::{CPU, FLUSHES, Machine, held};
use hv_core::mmu::{Flush, Hardware};
use hv_core::sync::{AtomicU64, Ordering};
use ppc64_arch::addr::HostReal;

impl<const BROADCAST: bool> Machine<BROADCAST> {
    /// What `flush` does on one CPU.
    fn flush_cpu(&self, cpu: usize, what: &Flush) {
        let (Flush::Range { lpid, .. } | Flush::Partition { lpid }) = *what;
        let partition = self.partition(lpid);
        held(&self.cpus[cpu]).flush(partition, what, self.speculates.load(Ordering::Relaxed) != 0);
    }

    fn remember(&self, what: Flush) {
        let mut flushes = held(&self.flushes);
        if flushes.len() < FLUSHES {
            flushes.push(what);
        }
    }
}

impl<const BROADCAST: bool> Machine<BROADCAST> {
    /// Doubleword 0 of the partition's entry in the partition table, if it has one.
    #[must_use]
    pub fn scoped(&self, lpid: u32) -> Option<u64> {
        held(&self.partitions).get(&lpid).map(|(scoped, _)| *scoped)
    }
}

fn check_range(what: &Flush) {
    if let Flush::Range { from, to, size, .. } = what {
        assert!(from.is_aligned(*size) && to.is_aligned(*size), "{what:x?} is not aligned");
        assert!(from <= to, "{what:x?} ends before it begins");
    }
}

// SAFETY: 1. Addresses of the arena reach the arena, others panic. 2. `flush` has every CPU, or the calling one, forget the translations before it returns; an
// access holds its CPU's lock until it is done. 3. A panic ends the test.
unsafe impl<const BROADCAST: bool> Hardware for Machine<BROADCAST> {
    fn broadcasts(&self) -> bool {
        BROADCAST
    }

    unsafe fn entries(&self, table: HostReal, count: usize) -> &[AtomicU64] {
        self.arena.words(table, count)
    }

    unsafe fn zero(&self, at: HostReal, bytes: u64) {
        self.arena.fill(at, bytes, 0);
    }

    unsafe fn copy(&self, to: HostReal, from: HostReal, bytes: u64) {
        self.arena.copy(to, from, bytes);
    }

    unsafe fn make_executable(&self, _at: HostReal, _bytes: u64) {}

    unsafe fn read(&self, at: HostReal, into: &mut [u8]) {
        self.arena.read(at, into);
    }

    unsafe fn write(&self, at: HostReal, from: &[u8]) {
        self.arena.write(at, from);
    }

    unsafe fn bytes(&self, at: HostReal, bytes: usize) -> &[u8] {
        // SAFETY: 1. The words are in the arena. 2. The caller has the frame to itself while the slice lives.
        unsafe { core::slice::from_raw_parts(self.arena.words(at, bytes / 8).as_ptr().cast(), bytes) }
    }

    unsafe fn bytes_mut(&self, at: HostReal, bytes: usize) -> &mut [u8] {
        let words: *const AtomicU64 = self.arena.words(at, bytes / 8).as_ptr();
        // SAFETY: 1. and 2. as in `bytes`. 3. Atomics may be written through a shared reference.
        unsafe { core::slice::from_raw_parts_mut(words.cast_mut().cast(), bytes) }
    }

    fn sets_reference(&self) -> bool {
        Recording::from_raw(self.recording.load(Ordering::Relaxed)) != Recording::Software
    }

    fn flush(&self, what: Flush) {
        check_range(&what);
        self.remember(what);
        if BROADCAST {
            (0..self.cpus.len()).for_each(|cpu| self.flush_cpu(cpu, &what));
        } else {
            self.flush_cpu(CPU.get(), &what);
        }
    }

    fn kick(&self, cpu: usize) {
        assert!(!BROADCAST, "nobody has to leave the guest where flushes reach every CPU");
        if let Some(kicked) = self.kicked.get(cpu) {
            kicked.store(1, Ordering::Relaxed);
        }
    }

    fn set_partition(&self, lpid: u32, scoped: u64, process: u64) {
        held(&self.partitions).insert(lpid, (scoped, process));
        let partition = self.partition(lpid);
        for cpu in &self.cpus {
            held(cpu).flush(partition, &Flush::Partition { lpid }, false);
        }
    }
}

//! Hardware that searches the table, keeps what it found, and records late; and frames.

use crate::hash::Translations;
use crate::sync::{AtomicU64, Ordering};
use core::sync::atomic::AtomicBool;
use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use ppc64_arch::hash::tlbie::Operands;
use ppc64_arch::hash::{Entry, Key, Word0, Word1};

/// CPUs of a model.
const CPUS: usize = 2;
/// Frames: the first is the page's in the beginning.
pub const FRAMES: usize = 3;
/// What stands in each.
pub const CONTENTS: [u64; FRAMES] = [7, 8, 9];
/// What somebody else writes into a frame that is free.
const FREED: u64 = 0xdead;
/// Where they begin, 64 KiB each.
pub const BASE: u64 = 1 << 40;

/// What one CPU has found: the name, and doubleword 1 with what was recorded for it.
#[derive(Clone, Copy, Debug)]
struct Cached {
    name: Word0,
    word1: Word1,
}

/// One doubleword of memory. Whoever uses it looks at the watch, its next owner writes it: loom finds out whether these two meet. CPUs of the guest may well access it at the same time.
struct Frame {
    watch: UnsafeCell<()>,
    contents: AtomicU64,
}

impl Frame {
    fn new(contents: u64) -> Self {
        Self { watch: UnsafeCell::new(()), contents: AtomicU64::new(contents) }
    }

    fn used<T>(&self, access: impl FnOnce(&AtomicU64) -> T) -> T {
        self.watch.with(|_| access(&self.contents))
    }
}

/// The machine.
pub struct Machine {
    tables: [&'static [AtomicU64]; 2],
    /// Which of them it searches, if that changes.
    present: Option<AtomicU64>,
    /// Nobody is to search it any more.
    gone: [AtomicBool; 2],
    /// Held by a CPU for as long as an access takes, and by a flush that waits for it.
    cpus: [Mutex<Vec<Cached>>; CPUS],
    frames: [Frame; FRAMES],
}

// SAFETY: 1. Frames are accessed by loom's cells, which find every race; a model runs on one thread of the host.
unsafe impl Sync for Machine {}

impl Machine {
    pub fn new(entries: &'static [AtomicU64]) -> Self {
        let cpus = core::array::from_fn(|_| Mutex::new(Vec::new()));
        let gone = core::array::from_fn(|_| AtomicBool::new(false));
        Self { tables: [entries; 2], present: None, gone, cpus, frames: CONTENTS.map(Frame::new) }
    }

    /// One that searches the first of these tables, until it is [told](Self::search_other) to search the other one.
    pub fn with_tables(tables: [&'static [AtomicU64]; 2]) -> Self {
        Self { tables, present: Some(AtomicU64::new(0)), ..Self::new(tables[0]) }
    }

    /// From now on the second table is searched; what was found is forgotten.
    pub fn search_other(&self) {
        if let Some(present) = &self.present {
            present.store(1, Ordering::Release);
        }
        self.forget(&[]);
    }

    /// The memory of a table is somebody else's.
    pub fn take_back(&self, table: usize) {
        self.gone[table].store(true, core::sync::atomic::Ordering::Relaxed);
    }

    fn entries(&self) -> &'static [AtomicU64] {
        let which = self.present.as_ref().map_or(0, |present| present.load(Ordering::Acquire)) as usize;
        assert!(!self.gone[which].load(core::sync::atomic::Ordering::Relaxed), "a table that is no more is searched");
        self.tables[which]
    }

    /// The doublewords in place `index`.
    pub fn raw(&self, index: usize) -> Entry {
        let entries = self.entries();
        let word = |at: usize| u64::from_be(entries[at].load(Ordering::Acquire));
        let word0 = Word0::from_bits_retain(word(2 * index));
        Entry { word0, word1: Word1::from_bits_retain(word(2 * index + 1)) }
    }

    /// An access of CPU `cpu` to the page of this name: what it loads, or stores. `None` is a storage interrupt.
    pub fn access(&self, cpu: usize, name: Word0, store: Option<u64>) -> Option<u64> {
        let mut cached = self.cpus[cpu].lock().expect("no panic");
        let known = cached.iter().find(|cached| {
            cached.name == name && (store.is_none() || cached.word1.stores() && cached.word1.contains(Word1::CHANGED))
        });
        let word1 = match known.copied() {
            Some(known) => known.word1,
            None => {
                let entries = self.entries();
                let (index, word1) = search(entries, name, store.is_some())?;
                let word1 = record(entries, index, word1, store.is_some());
                cached.push(Cached { name, word1 });
                word1
            }
        };
        let frame = self.frame(word1);
        Some(frame.used(|contents| {
            if let Some(value) = store {
                contents.store(value, Ordering::Relaxed);
            }
            contents.load(Ordering::Relaxed)
        }))
    }

    fn frame(&self, word1: Word1) -> &Frame {
        let at = word1.bits() & 0x01ff_ffff_ffff_0000;
        assert!(at >= BASE, "a frame that was never shown: {word1:?}");
        &self.frames[((at - BASE) >> 16) as usize]
    }

    /// Somebody else gets the frame.
    pub fn reuse(&self, frame: usize) {
        self.frames[frame].watch.with_mut(|_| self.frames[frame].contents.store(FREED, Ordering::Relaxed));
    }

    /// What is in the frame, for the hypervisor.
    pub fn contents(&self, frame: usize) -> u64 {
        self.frames[frame].used(|contents| contents.load(Ordering::Relaxed))
    }
}

fn search(entries: &[AtomicU64], name: Word0, store: bool) -> Option<(usize, Word1)> {
    (0..entries.len() / 2).find_map(|index| {
        let word0 = Word0::from_bits_retain(u64::from_be(entries[2 * index].load(Ordering::Acquire)));
        if !word0.contains(Word0::VALID) || word0 & Word0::NAME != name {
            return None;
        }
        let word1 = Word1::from_bits_retain(u64::from_be(entries[2 * index + 1].load(Ordering::Acquire)));
        let allowed = if store { word1.stores() } else { word1.readable(Key::Zero) };
        allowed.then_some((index, word1))
    })
}

/// R and C, each by a byte of what was read before.
fn record(entries: &[AtomicU64], index: usize, read: Word1, store: bool) -> Word1 {
    let mut now = read;
    if !read.contains(Word1::REFERENCED) {
        now |= Word1::REFERENCED;
        store_byte(entries, index, now, 0xff00);
    }
    if store && !read.contains(Word1::CHANGED) {
        now |= Word1::CHANGED;
        store_byte(entries, index, now, 0xff);
    }
    now
}

fn store_byte(entries: &[AtomicU64], index: usize, value: Word1, byte: u64) {
    let merged = |old: u64| (u64::from_be(old) & !byte | value.bits() & byte).to_be();
    let stored = entries[2 * index + 1].fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| Some(merged(old)));
    assert!(stored.is_ok());
}

// SAFETY: 1. Each CPU's list is emptied, whatever is named; who is in the middle of an access is waited for.
unsafe impl Translations for Machine {
    fn forget(&self, _what: &[Operands]) {
        for cpu in &self.cpus {
            cpu.lock().expect("no panic").clear();
        }
    }
}

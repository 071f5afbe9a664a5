//! Hardware as hostile as it may be: what it has found it uses until it is told to forget it, and R and C are recorded as the emulator does, by the store of one byte from the copy of doubleword 1 that the search
//! read, which may come as late as the flush that waits for it.

use super::LPID;
use crate::hash::Translations;
use crate::sync::{AtomicU64, Ordering};
use ppc64_arch::hash::table::Hashed;
use ppc64_arch::hash::tlbie::Operands;
use ppc64_arch::hash::{Entry, Key, PageSize, Segment, Shape, VirtualAddress, Word0, Word1};
use std::sync::Mutex;

/// A translation that a CPU has.
#[derive(Clone, Copy, Debug)]
struct Cached {
    at: VirtualAddress,
    segment: Segment,
    entry: Entry,
    named: Operands,
    /// C has been taken care of: stores may go by it.
    changed: bool,
}

/// A store of R or C that has not happened yet.
#[derive(Clone, Copy, Debug)]
struct Late {
    index: usize,
    named: Operands,
    /// The byte of doubleword 1, and what it will be.
    byte: usize,
    value: u8,
}

#[derive(Debug, Default)]
struct State {
    cached: Vec<Cached>,
    late: Vec<Late>,
    flushes: usize,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    shape: Shape,
    entries: &'static [AtomicU64],
    state: Mutex<State>,
}

/// An access that the hardware is to make.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub at: VirtualAddress,
    pub segment: Segment,
    pub base: PageSize,
    pub store: bool,
}

impl Machine {
    pub fn new(shape: Shape, entries: &'static [AtomicU64]) -> Self {
        Self { shape, entries, state: Mutex::default() }
    }

    fn entry(&self, index: usize) -> Entry {
        let word = |at: usize| u64::from_be(self.entries[at].load(Ordering::Relaxed));
        Entry { word0: Word0::from_bits_retain(word(2 * index)), word1: Word1::from_bits_retain(word(2 * index + 1)) }
    }

    /// Doublewords as they stand there.
    pub fn raw(&self, index: u64) -> Entry {
        self.entry(index as usize)
    }

    /// How many flushes there were.
    pub fn flushes(&self) -> usize {
        self.state.lock().expect("no panic").flushes
    }

    /// The host real address that an access goes to; `None` is a storage interrupt. Key 0.
    pub fn access(&self, access: Access) -> Option<u64> {
        let mut state = self.state.lock().expect("no panic");
        let cached = state.cached.iter().find(|cached| cached.serves(access));
        if let Some(cached) = cached {
            return cached.real(access);
        }
        let (index, entry) = self.search(access)?;
        let pages = entry.pages()?;
        if !entry.word1.readable(Key::Zero) || access.store && !entry.word1.writable(Key::Zero) {
            return None;
        }
        let named = Operands::page(LPID, access.at, access.segment, pages);
        state.record(index, named, entry.word1, access.store);
        let changed = access.store || entry.word1.contains(Word1::CHANGED);
        let cached = Cached { at: access.at, segment: access.segment, entry, named, changed };
        state.cached.push(cached);
        cached.real(access)
    }

    fn search(&self, access: Access) -> Option<(usize, Entry)> {
        let hash = Hashed::of(access.at, access.segment, access.base);
        let base = access.at.align_down(access.base);
        [false, true].into_iter().find_map(|secondary| {
            let first = self.shape.group(hash, secondary) as usize;
            (first..first + 8).map(|index| (index, self.entry(index))).find(|(_, entry)| {
                entry.word0.contains(Word0::VALID)
                    && entry.word0.contains(Word0::SECONDARY) == secondary
                    && entry.word0 & Word0::AVA == Word0::naming(base)
                    && entry.word1.segment() == Some(access.segment)
                    && entry.pages().is_some_and(|pages| pages.base() == access.base)
            })
        })
    }

    /// Lets one of the late stores happen.
    pub fn settle(&self, which: usize) {
        let mut state = self.state.lock().expect("no panic");
        if !state.late.is_empty() {
            let which = which % state.late.len();
            let late = state.late.swap_remove(which);
            self.store(late);
        }
    }

    /// A byte of doubleword 1, and nothing else of it.
    fn store(&self, late: Late) {
        let word = &self.entries[2 * late.index + 1];
        let mut bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        bytes[late.byte] = late.value;
        word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
    }
}

impl Cached {
    fn serves(&self, access: Access) -> bool {
        let Some(pages) = self.entry.pages() else { return false };
        let same = self.segment == access.segment && pages.base() == access.base;
        let page = self.at.align_down(pages.base()) == access.at.align_down(pages.base());
        same && page && (!access.store || self.changed && self.entry.word1.writable(Key::Zero))
    }

    fn real(&self, access: Access) -> Option<u64> {
        let pages = self.entry.pages()?;
        Some(self.entry.word1.real(pages) | access.at.low() & pages.actual().offset_mask())
    }
}

impl State {
    /// R at once or later, C at once or later, each from what the search read.
    fn record(&mut self, index: usize, named: Operands, read: Word1, store: bool) {
        let bytes = read.bits().to_be_bytes();
        if !read.contains(Word1::REFERENCED) {
            self.late.push(Late { index, named, byte: 6, value: bytes[6] | 1 });
        }
        if store && !read.contains(Word1::CHANGED) {
            self.late.push(Late { index, named, byte: 7, value: bytes[7] | 0x80 });
        }
    }
}

// SAFETY: 1. What is named is dropped from the one list of cached translations, and its late stores happen, before this returns.
unsafe impl Translations for Machine {
    fn forget(&self, what: &[Operands]) {
        let mut state = self.state.lock().expect("no panic");
        state.flushes += 1;
        let all = what.contains(&Operands::partition(LPID));
        let named = |operands: &Operands| all || what.contains(operands);
        state.cached.retain(|cached| !named(&cached.named));
        let (now, later) = state.late.iter().partition(|late| named(&late.named));
        state.late = later;
        let now: Vec<Late> = now;
        now.into_iter().for_each(|late| self.store(late));
    }
}

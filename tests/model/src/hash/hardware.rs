//! Hardware as hostile as it may be: what it has found it uses until it is told to forget it, and R and C are recorded as the emulator does, by the store of one byte from the copy of doubleword 1 that the search
//! read, which may come as late as the flush that waits for it. And memory for the tables that it searches.

use super::LPID;
use super::pte::{CHANGED, REFERENCED};
use hv_core::hash::{HptMemory, Parts, Translations};
use hv_core::sync::{AtomicU64, Ordering};
use ppc64_arch::addr::HostReal;
use ppc64_arch::hash::table::Hashed;
use ppc64_arch::hash::tlbie::Operands;
use ppc64_arch::hash::{Entry, Key, PageSize, Segment, Shape, VirtualAddress, Word0, Word1};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// log2 of the bytes of the smallest table.
pub const SMALLEST: u32 = 18;
/// log2 of the bytes of the largest one that there is memory for.
pub const LARGEST: u32 = 20;
/// Tables of one size that there may be at once: the present one, and the one that takes its place.
const OF_A_SIZE: usize = 2;
const SIZES: usize = (LARGEST - SMALLEST + 1) as usize;

/// Memory for tables, each made when it is first needed.
#[derive(Debug, Default)]
pub struct Shelf([OnceLock<Slab>; SIZES * OF_A_SIZE]);

/// Memory for one table.
#[derive(Debug)]
struct Slab {
    entries: Box<[AtomicU64]>,
    sides: Box<[AtomicU64]>,
    heads: Box<[AtomicU64]>,
}

impl Slab {
    fn new(shape: Shape, heads: usize) -> Self {
        let words = |many: usize| core::iter::repeat_with(|| AtomicU64::new(0)).take(many).collect::<Box<[_]>>();
        let many = 2 * shape.entries() as usize;
        Self { entries: words(many), sides: words(many), heads: words(heads) }
    }

    /// What nobody may rely on.
    fn fill(&self, rubbish: u64) {
        let words = self.entries.iter().chain(&self.sides).chain(&self.heads);
        words.for_each(|word| word.store(rubbish, Ordering::Relaxed));
    }
}

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
struct Late<'s> {
    index: u64,
    word1: &'s AtomicU64,
    named: Operands,
    /// What it is to set.
    bit: u64,
    /// The byte of doubleword 1, and what it will be.
    byte: usize,
    value: u8,
}

#[derive(Debug, Default)]
struct State<'s> {
    /// By where they are, tables that were taken; and which place of the shelf each has.
    tables: BTreeMap<u64, (usize, Parts<'s>)>,
    /// Doubleword 0 of the partition table entry.
    scoped: u64,
    cached: Vec<Cached>,
    late: Vec<Late<'s>>,
    flushes: usize,
}

/// The machine.
#[derive(Debug)]
pub struct Hardware<'s> {
    shelf: &'s Shelf,
    state: Mutex<State<'s>>,
}

/// An access that the hardware is to make.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Where.
    pub at: VirtualAddress,
    /// In a segment of this size,
    pub segment: Segment,
    /// with pages of this one.
    pub base: PageSize,
    /// It stores.
    pub store: bool,
}

impl<'s> Hardware<'s> {
    /// A machine that searches no table yet.
    #[must_use]
    pub fn new(shelf: &'s Shelf) -> Self {
        Self { shelf, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State<'s>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partition table entry is written, and all that was found is forgotten.
    ///
    /// # Panics
    /// If it names no table that was taken, or another size than that one has.
    pub fn search_in(&self, scoped: u64) {
        self.state().scoped = scoped;
        let order = self.state().present().shape.order();
        assert_eq!(scoped & 0x1f, u64::from(order - SMALLEST), "another size");
        self.forget(&[Operands::partition(LPID)]);
    }

    /// The doublewords in place `index` of the table that is searched, as they stand there.
    #[must_use]
    pub fn raw(&self, index: u64) -> Entry {
        self.state().entry(index)
    }

    /// Every place of the table in which there is something.
    #[must_use]
    pub fn used(&self) -> Vec<u64> {
        let state = self.state();
        let (places, _) = state.present().entries.as_chunks::<2>();
        let used = |place: &[AtomicU64; 2]| place.iter().any(|word| word.load(Ordering::Relaxed) != 0);
        (0..).zip(places).filter(|(_, place)| used(place)).map(|(index, _)| index).collect()
    }

    /// Which of R and C late stores will still set in an entry.
    #[must_use]
    pub fn owed(&self, index: u64) -> u64 {
        let state = self.state();
        let late = state.late.iter().filter(|late| late.index == index).fold(0, |all, late| all | late.bit);
        late & !state.entry(index).word1.bits()
    }

    /// How many tables were taken, and not given back.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.state().tables.len()
    }

    /// How many flushes there were.
    #[must_use]
    pub fn flushes(&self) -> usize {
        self.state().flushes
    }

    /// The host real address that an access goes to; `None` is a storage interrupt. Key 0.
    #[must_use]
    pub fn access(&self, access: Access) -> Option<u64> {
        let mut state = self.state();
        if let Some(cached) = state.cached.iter().find(|cached| cached.serves(access)) {
            return cached.real(access);
        }
        let (index, entry) = state.search(access)?;
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

    /// Lets one of the late stores happen.
    pub fn settle(&self, which: usize) {
        let mut state = self.state();
        if !state.late.is_empty() {
            let which = which % state.late.len();
            state.late.swap_remove(which).happen();
        }
    }
}

impl<'s> State<'s> {
    /// The table that is searched (Power ISA 3.1B Book III 6.7.6.1: its address, aligned to its size).
    fn present(&self) -> &Parts<'s> {
        let (_, parts) = self.tables.get(&(self.scoped & 0x0fff_ffff_fffc_0000)).expect("a table that is there");
        parts
    }

    fn words(&self, index: u64) -> &'s [AtomicU64] {
        &self.present().entries[2 * index as usize..][..2]
    }

    fn entry(&self, index: u64) -> Entry {
        let words = self.words(index);
        let word = |at: usize| u64::from_be(words[at].load(Ordering::Relaxed));
        Entry { word0: Word0::from_bits_retain(word(0)), word1: Word1::from_bits_retain(word(1)) }
    }

    fn search(&self, access: Access) -> Option<(u64, Entry)> {
        let hash = Hashed::of(access.at, access.segment, access.base);
        let base = access.at.align_down(access.base);
        [false, true].into_iter().find_map(|secondary| {
            let first = self.present().shape.group(hash, secondary);
            (first..first + 8).map(|index| (index, self.entry(index))).find(|(_, entry)| {
                entry.word0.contains(Word0::VALID)
                    && entry.word0.contains(Word0::SECONDARY) == secondary
                    && entry.word0 & Word0::AVA == Word0::naming(base)
                    && entry.word1.segment() == Some(access.segment)
                    && entry.pages().is_some_and(|pages| pages.base() == access.base)
            })
        })
    }

    /// R at once or later, C at once or later, each from what the search read.
    fn record(&mut self, index: u64, named: Operands, read: Word1, store: bool) {
        let (bytes, word1) = (read.bits().to_be_bytes(), &self.words(index)[1]);
        let late = |bit, byte: usize, value: u8| Late { index, word1, named, bit, byte, value: bytes[byte] | value };
        if !read.contains(Word1::REFERENCED) {
            self.late.push(late(REFERENCED, 6, 1));
        }
        if store && !read.contains(Word1::CHANGED) {
            self.late.push(late(CHANGED, 7, 0x80));
        }
    }
}

impl Late<'_> {
    /// A byte of doubleword 1, and nothing else of it.
    fn happen(self) {
        let mut bytes = self.word1.load(Ordering::Relaxed).to_ne_bytes();
        bytes[self.byte] = self.value;
        self.word1.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
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

// SAFETY: 1. What is named is dropped from the one list of cached translations, and its late stores happen, before this returns.
unsafe impl Translations for Hardware<'_> {
    fn forget(&self, what: &[Operands]) {
        let mut state = self.state();
        state.flushes += 1;
        let all = what.contains(&Operands::partition(LPID));
        let named = |operands: &Operands| all || what.contains(operands);
        state.cached.retain(|cached| !named(&cached.named));
        let (now, later) = state.late.iter().partition::<Vec<_>, _>(|late| named(&late.named));
        state.late = later;
        now.into_iter().for_each(Late::happen);
    }
}

impl<'m, 's: 'm> HptMemory<'m> for Hardware<'s> {
    fn take(&self, shape: Shape, heads: usize) -> Option<Parts<'m>> {
        let mut state = self.state();
        let size = (shape.order() as usize).checked_sub(SMALLEST as usize).filter(|size| *size < SIZES)?;
        let free = |place: &usize| state.tables.values().all(|(taken, _)| taken != place);
        let place = (OF_A_SIZE * size..OF_A_SIZE * (size + 1)).find(free)?;
        let slab = self.shelf.0[place].get_or_init(|| Slab::new(shape, heads));
        slab.fill(u64::MAX);
        let at = HostReal::new((1 << 50) + ((place as u64) << LARGEST));
        let Slab { entries, sides, heads } = slab;
        let parts = Parts { shape, at, entries, sides, heads };
        state.tables.insert(at.raw(), (place, parts));
        Some(parts)
    }

    fn give(&self, parts: Parts<'m>) {
        let mut state = self.state();
        let (place, _) = state.tables.remove(&parts.at.raw()).expect("given back once");
        // Whoever still believes in it finds out.
        self.shelf.0[place].get().expect("it was taken").fill(u64::MAX);
    }
}

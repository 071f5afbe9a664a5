//! A hash guest on the space's real memory: a processor that searches the table, keeps what it found until it is told to forget it, and goes to whatever frame that names.
//!
//! The guest's kernel is simple: it makes an entry for a page when it is told that there is none, with the effective address's own number as the page's guest real address.

use hv_core::hash::calls::flags;
use hv_core::hash::seat::sizes;
use hv_core::hash::{
    Bulk, Calls, Fault, HashSeat, HptMemory, Outcome, Parts, Refusal, Tables, Translations, Unresized,
};
use hv_core::mmu::{
    Access, Config, Cpu, Granule, Hardware, Hashed, Memory, Reflect, Resolution, Seat, SlotSpec, Source, Space,
};
use hv_core::sync::{AtomicU64, Ordering};
use machine::{ARENA_BASE, Machine, on_cpu};
use ppc64_arch::addr::{EffAddr, GuestReal, HostReal, LeafSize};
use ppc64_arch::hash::table::Hashed as Hash;
use ppc64_arch::hash::tlbie::Operands;
use ppc64_arch::hash::{
    Entry, Key, PageSize, Pages, PaprEntry, Segment, Shape, VirtualAddress, VsidWord, Word0, Word1,
};
use ppc64_arch::trap::Dsisr;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

const LPID: u32 = 3;
const CPUS: usize = 3;
const VSID: u64 = 0x123;
/// The guest's memory ends here.
const END: u64 = 8 << 20;
/// So much of it is made of an image.
const IMAGE: u64 = 64 << 10;
const PAGE: u64 = 4096;

/// What a CPU found.
#[derive(Clone, Copy)]
struct Cached {
    named: Operands,
    at: VirtualAddress,
    base: PageSize,
    entry: Entry,
}

/// Memory for tables, and the processors that search them.
struct Processors {
    memory: &'static Memory<Machine>,
    tables: Mutex<BTreeMap<u64, Parts<'static>>>,
    /// How many were taken, ever.
    taken: AtomicU64,
    /// Held by a CPU for as long as an access takes.
    cached: [Mutex<Vec<Cached>>; CPUS],
}

impl core::fmt::Debug for Processors {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Processors")
    }
}

impl HptMemory<'static> for Processors {
    fn take(&self, shape: Shape, heads: usize) -> Option<Parts<'static>> {
        let words =
            |many: usize| -> &'static [AtomicU64] { (0..many).map(|_| AtomicU64::new(!0)).collect::<Vec<_>>().leak() };
        let many = 2 * shape.entries() as usize;
        let at = HostReal::new((self.taken.fetch_add(1, Ordering::Relaxed) + 1) << 40);
        let parts = Parts { shape, at, entries: words(many), sides: words(many), heads: words(heads) };
        self.tables.lock().expect("no panic").insert(at.raw(), parts);
        Some(parts)
    }

    fn give(&self, parts: Parts<'static>) {
        let was = self.tables.lock().expect("no panic").remove(&parts.at.raw());
        assert!(was.is_some(), "given back twice");
        // Whoever still believes in it finds out.
        parts.entries.iter().for_each(|word| word.store(!0, Ordering::Relaxed));
    }
}

// SAFETY: 1. Each CPU's list is under its lock, which it holds while it accesses memory.
unsafe impl Translations for Processors {
    fn forget(&self, what: &[Operands]) {
        let all = what.contains(&Operands::partition(LPID));
        for cached in &self.cached {
            cached.lock().expect("no panic").retain(|cached| !all && !what.contains(&cached.named));
        }
    }
}

impl Processors {
    fn new(memory: &'static Memory<Machine>) -> &'static Self {
        let cached = core::array::from_fn(|_| Mutex::default());
        Box::leak(Box::new(Self { memory, tables: Mutex::default(), taken: AtomicU64::new(0), cached }))
    }

    /// What the word at `ea` is, or was made. `None`: a storage interrupt.
    fn access(&self, cpu: usize, ea: u64, base: PageSize, store: Option<u64>) -> Option<u64> {
        let mut cached = self.cached[cpu].lock().expect("no panic");
        let at = address(ea, base);
        let serves = |cached: &&Cached| {
            let may = store.is_none() || cached.entry.word1.writable(Key::Zero);
            may && cached.base == base && cached.at == at.align_down(base)
        };
        let entry = match cached.iter().find(serves) {
            Some(cached) => cached.entry,
            None => {
                let entry = self.search(at, base, store.is_some())?;
                let pages = entry.pages().expect("a size");
                let named = Operands::page(LPID, at, Segment::Size1T, pages);
                cached.push(Cached { named, at: at.align_down(base), base, entry });
                entry
            }
        };
        let pages = entry.pages().expect("a size");
        let host = HostReal::new(entry.word1.real(pages) | at.low() & pages.actual().offset_mask());
        let mut bytes = [0; 8];
        // SAFETY: 1. Frames of the arena are never gone; that it is the guest's is what these tests find out.
        unsafe {
            if let Some(value) = store {
                self.memory.hardware.write(host, &value.to_ne_bytes());
            }
            self.memory.hardware.read(host, &mut bytes);
        }
        Some(u64::from_ne_bytes(bytes))
    }

    fn search(&self, at: VirtualAddress, base: PageSize, store: bool) -> Option<Entry> {
        let scoped = self.memory.hardware.scoped(LPID).expect("a partition");
        let tables = self.tables.lock().expect("no panic");
        let parts = *tables.get(&(scoped & 0x0fff_ffff_fffc_0000)).expect("a table that is there");
        assert_eq!(scoped & 0x1f, u64::from(parts.shape.order() - 18));
        let hash = Hash::of(at, Segment::Size1T, base);
        let places = [false, true].into_iter().flat_map(|secondary| {
            let first = parts.shape.group(hash, secondary);
            (first..first + 8).map(move |index| (index as usize, secondary))
        });
        let word = |at: usize| u64::from_be(parts.entries[at].load(Ordering::Acquire));
        for (index, secondary) in places {
            let word0 = Word0::from_bits_retain(word(2 * index));
            let entry = Entry { word0, word1: Word1::from_bits_retain(word(2 * index + 1)) };
            let named = word0 & (Word0::AVA | Word0::SECONDARY)
                == Word0::naming(at.align_down(base)) | if secondary { Word0::SECONDARY } else { Word0::empty() };
            if word0.contains(Word0::VALID) && named && entry.pages().is_some_and(|pages| pages.base() == base) {
                let may = if store { entry.word1.writable(Key::Zero) } else { entry.word1.readable(Key::Zero) };
                let recorded = if store { Word1::RECORDED } else { Word1::REFERENCED };
                parts.entries[2 * index + 1].fetch_or(recorded.bits().to_be(), Ordering::Relaxed);
                return may.then_some(entry);
            }
        }
        None
    }
}

fn segment(base: PageSize) -> VsidWord {
    VsidWord::of(Segment::Size1T, VSID + base.shift() as u64, base)
}

fn address(ea: u64, base: PageSize) -> VirtualAddress {
    segment(base).translate(EffAddr::new(ea)).expect("68 bits")
}

/// A guest.
struct Guest {
    memory: &'static Memory<Machine>,
    processors: &'static Processors,
    tables: &'static Tables<'static, Processors>,
    space: &'static Space<'static, Machine>,
}

type Seated = HashSeat<'static, 'static, Machine, Processors>;

impl Guest {
    /// One with memory of zeros, its last 64 KiB an image.
    fn new(granule: Granule, budget: Option<u64>) -> Self {
        let memory: &'static Memory<Machine> = Machine::with_pool(64 << 20, CPUS, 2 << 20);
        // SAFETY: 1. The part of the arena that is in no pool.
        unsafe { memory.hardware.write(ARENA_BASE, &[7; IMAGE as usize]) };
        let processors = Processors::new(memory);
        let shape = Shape::new(18).expect("a size");
        let tables = Tables::new(processors, processors, LPID, shape, END).expect("memory for it");
        let tables: &'static _ = Box::leak(Box::new(tables));
        let config = Config { granule, budget, hashed: Some(tables), ..Config::default() };
        let space: &'static _ = Box::leak(Box::new(Space::build(memory, LPID, &config).expect("a space")));
        let slot = |base, bytes, source| SlotSpec { base: GuestReal::new(base), bytes, source, read_only: false };
        let image = Source::Image { at: ARENA_BASE, bytes: IMAGE };
        for spec in [slot(0, END - IMAGE, Source::Zero), slot(END - IMAGE, IMAGE, image)] {
            // SAFETY: 1. Nobody writes the image.
            unsafe { space.add_slot(&spec) }.expect("room");
        }
        Self { memory, processors, tables, space }
    }

    fn seat(&self, cpu: usize) -> Seated {
        on_cpu(cpu);
        let seat = Seat::new(self.space, Cpu::new(cpu).expect("a number"));
        HashSeat::new(seat, self.tables).expect("its tables")
    }

    /// The guest's kernel makes an entry for the page at `ea`.
    fn enter(&self, seat: &Seated, ea: u64, pages: Pages, more: u64) -> Result<u64, Refusal> {
        let at = address(ea, pages.base()).align_down(pages.base());
        let large = if pages.large() { Word0::LARGE.bits() } else { 0 };
        for secondary in [false, true] {
            let group = self.tables.shape().group(Hash::of(at, Segment::Size1T, pages.base()), secondary);
            let side = if secondary { Word0::SECONDARY.bits() } else { 0 };
            let word0 = Word0::naming(at).bits() | 1 << 62 | large | side | more | 1;
            let word1 = Word1::from_bits_retain(0x12).with_real(pages, ea & !pages.actual().offset_mask()).bits();
            match patiently(|| seat.enter(0, group, PaprEntry { word0, word1 })) {
                Err(Refusal::GroupFull) => {}
                entered => return entered,
            }
        }
        Err(Refusal::GroupFull)
    }

    /// The guest loads, or stores, a word; its kernel makes entries where there are none.
    fn access(&self, cpu: usize, seat: &Seated, ea: u64, pages: Pages, store: Option<u64>) -> Result<u64, Outcome> {
        loop {
            if let Some(value) = self.processors.access(cpu, ea, pages.base(), store) {
                return Ok(value);
            }
            let access = if store.is_some() { Access::Write } else { Access::Read };
            let asdr = segment(pages.base());
            let fault = Fault { ea: EffAddr::new(ea), asdr, access, problem_state: false, amr: 0, iamr: 0 };
            match seat.fault(&fault) {
                Outcome::Resume => {}
                Outcome::Busy | Outcome::Memory(Resolution::Wait(_)) => std::thread::yield_now(),
                Outcome::Reflect(why) if why.contains(Dsisr::NO_TRANSLATION) => {
                    self.enter(seat, ea, pages, 0).map_err(|_| Outcome::Busy)?;
                }
                other => return Err(other),
            }
        }
    }
}

fn patiently<R>(call: impl Fn() -> Result<R, Refusal>) -> Result<R, Refusal> {
    loop {
        match call() {
            Err(Refusal::Busy) => std::thread::yield_now(),
            done => return done,
        }
    }
}

const SMALL: Granule = Granule::Fixed(LeafSize::Size4K);

#[test]
fn memory_is_made_by_storage_interrupts_and_pages_that_were_taken_out_come_back() {
    let guest = Guest::new(Granule::Auto, Some(2 << 20));
    let seat = guest.seat(0);
    let pages = || (0..(END - IMAGE) / PAGE).map(|page| page * PAGE);
    for at in pages() {
        assert_eq!(guest.access(0, &seat, at, Pages::SMALL, Some(at ^ 0x5555)), Ok(at ^ 0x5555));
    }
    for at in pages() {
        assert_eq!(guest.access(0, &seat, at, Pages::SMALL, None), Ok(at ^ 0x5555));
    }
    let counted = seat.seat().counted();
    assert!(counted.paged_out > 1000 && counted.paged_in > 1000, "{} out", counted.paged_out);
}

#[test]
fn a_page_of_an_image_is_shared_until_it_is_stored_to() {
    let guest = Guest::new(Granule::Auto, None);
    let seat = guest.seat(0);
    let at = END - IMAGE + 8;
    assert_eq!(guest.access(0, &seat, at, Pages::MEDIUM, None), Ok(0x0707_0707_0707_0707));
    assert_eq!(guest.access(0, &seat, at, Pages::MEDIUM, Some(1)), Ok(1));
    assert_eq!(guest.access(0, &seat, at, Pages::MEDIUM, None), Ok(1));
    let mut bytes = [0; 8];
    // SAFETY: 1. The part of the arena that is in no pool.
    unsafe { guest.memory.hardware.read(ARENA_BASE.checked_add(8).expect("small"), &mut bytes) };
    assert_eq!(bytes, [7; 8], "the image is as it was");
}

#[test]
fn a_guest_is_offered_the_pages_that_its_space_has_in_one_piece() {
    let roomy = Guest::new(Granule::Auto, None);
    assert_eq!(roomy.space.granule(), Granule::Fixed(LeafSize::Size64K));
    assert_eq!(sizes(true), [Pages::SMALL, Pages::MEDIUM]);
    let seat = roomy.seat(0);
    assert_eq!(roomy.access(0, &seat, 0x5_4320, Pages::MEDIUM, Some(9)), Ok(9));
    assert_eq!(roomy.access(0, &seat, 0x5_4320, Pages::SMALL, None), Ok(9));
    for tight in [Guest::new(SMALL, None), Guest::new(Granule::Fixed(LeafSize::Size64K), Some(4 << 20))] {
        let seat = tight.seat(0);
        assert_eq!(tight.enter(&seat, 0, Pages::MEDIUM, 0), Err(Refusal::Parameter));
        assert_eq!(tight.access(0, &seat, 0x5_4320, Pages::SMALL, Some(9)), Ok(9));
    }
}

#[test]
fn what_is_outside_or_read_only_is_the_guests_own_interrupt() {
    let guest = Guest::new(SMALL, None);
    let seat = guest.seat(0);
    let claim = |word1| PaprEntry { word0: Word0::naming(address(0, PageSize::Size4K)).bits() | 1 << 62 | 1, word1 };
    assert_eq!(seat.enter(0, 0, claim(END | 0x12)), Err(Refusal::Parameter), "no memory");
    assert_eq!(seat.enter(0, 0, claim(END | 0x2a)), Ok(0), "a device that is not there");
    assert_eq!(guest.access(0, &seat, 0x1000, Pages::SMALL, Some(1)), Ok(1));
    seat.seat().with_cpu(|space, cpu| space.set_read_only(cpu, GuestReal::new(0), true)).expect("a slot");
    assert_eq!(guest.access(0, &seat, 0x1000, Pages::SMALL, None), Ok(1));
    let refused = Outcome::Memory(Resolution::Reflect(Reflect::ReadOnly));
    assert_eq!(guest.access(0, &seat, 0x1000, Pages::SMALL, Some(2)), Err(refused));
}

#[test]
fn every_store_is_in_a_harvest() {
    let guest = Guest::new(SMALL, None);
    let seat = guest.seat(0);
    let base = GuestReal::new(0);
    for page in 0..8 {
        assert_eq!(guest.access(0, &seat, page * PAGE, Pages::SMALL, Some(page)), Ok(page));
    }
    seat.seat().with_cpu(|space, cpu| space.start_log(cpu, base)).expect("a slot");
    for page in [1, 5] {
        assert_eq!(guest.access(0, &seat, page * PAGE, Pages::SMALL, Some(0)), Ok(0));
    }
    for pages in [vec![1, 5], vec![], vec![5]] {
        let mut found = Vec::new();
        let mut each = |first: GuestReal, bits: u64| {
            found.extend((0..64).filter(|bit| bits >> bit & 1 != 0).map(|bit| first.raw() / PAGE + bit));
        };
        seat.seat().with_cpu(|space, cpu| space.harvest(cpu, base, &mut each)).expect("a log");
        assert_eq!(found, pages);
        if pages.is_empty() {
            assert_eq!(guest.access(0, &seat, 5 * PAGE, Pages::SMALL, Some(3)), Ok(3));
        }
    }
}

/// Asks until it is ready.
fn prepared(seat: &Seated, shift: u64) -> u32 {
    let mut asked = 1;
    while seat.prepare_resize(0, shift) == Err(Unresized::LongBusy) {
        asked += 1;
    }
    asked
}

/// Goes over to a table that was prepared, when nobody asks for the present one's shape (as the other CPUs of the tests do for each walk).
fn committed(seat: &Seated, shift: u64) -> Result<(), Unresized> {
    loop {
        match seat.commit_resize(0, shift) {
            Err(Unresized::Busy) => std::thread::yield_now(),
            answer => return answer,
        }
    }
}

#[test]
fn the_table_grows_and_shrinks_and_what_is_bolted_stays() {
    let guest = Guest::new(SMALL, None);
    let seat = guest.seat(0);
    for page in 0..64 {
        let more = if page % 2 == 0 { Word0::SW2.bits() } else { 0 };
        assert!(guest.enter(&seat, page * PAGE, Pages::SMALL, more).is_ok());
        assert_eq!(guest.access(0, &seat, page * PAGE, Pages::SMALL, Some(page)), Ok(page));
    }
    for shift in [19, 18] {
        assert!(prepared(&seat, shift) > 1);
        assert_eq!(seat.commit_resize(0, shift), Ok(()));
        assert_eq!(u64::from(guest.tables.shape().order()), shift);
        assert_eq!(guest.processors.tables.lock().expect("no panic").len(), 1, "the other one is given back");
        for page in 0..64 {
            let (asdr, access) = (segment(PageSize::Size4K), Access::Read);
            let ea = EffAddr::new(page * PAGE);
            let fault = Fault { ea, asdr, access, problem_state: false, amr: 0, iamr: 0 };
            let bolted = page % 2 == 0;
            assert_eq!(seat.fault(&fault) == Outcome::Resume, bolted, "{page}");
            assert_eq!(guest.processors.access(0, page * PAGE, PageSize::Size4K, None).is_some(), bolted);
        }
    }
    for page in 0..64 {
        assert_eq!(guest.access(0, &seat, page * PAGE, Pages::SMALL, None), Ok(page));
    }
}

#[test]
fn a_size_is_asked_for_and_given_up_as_often_as_the_guest_likes() {
    let guest = Guest::new(SMALL, None);
    let seat = guest.seat(0);
    let tables = || guest.processors.tables.lock().expect("no panic").len();
    for bad in [1, 17, 47, 64, u64::MAX, 1 << 32 | 18] {
        assert_eq!(seat.prepare_resize(0, bad), Err(Unresized::Parameter));
    }
    assert_eq!(seat.prepare_resize(0, 20), Err(Unresized::Resource), "four times what is recommended");
    assert_eq!(seat.commit_resize(0, 19), Err(Unresized::Closed));
    assert_eq!(seat.prepare_resize(0, 0), Ok(()));
    assert_eq!(seat.prepare_resize(0, 19), Err(Unresized::LongBusy));
    assert_eq!(tables(), 2);
    assert_eq!(seat.commit_resize(0, 18), Err(Unresized::Closed));
    assert_eq!(seat.prepare_resize(0, 18), Err(Unresized::LongBusy));
    assert_eq!(tables(), 2, "one takes the other's place");
    assert_eq!(prepared(&seat, 18), 1);
    assert_eq!(seat.commit_resize(0, 18), Ok(()));
    assert_eq!(seat.commit_resize(0, 18), Err(Unresized::Closed));
    assert_eq!(seat.prepare_resize(0, 19), Err(Unresized::LongBusy));
    assert_eq!(seat.prepare_resize(0, 0), Ok(()));
    assert_eq!(tables(), 1);
}

#[test]
fn a_table_without_room_for_what_is_bolted_is_refused_and_all_is_as_it_was() {
    let guest = Guest::new(SMALL, None);
    let seat = guest.seat(0);
    assert!(prepared(&seat, 19) > 1 && seat.commit_resize(0, 19) == Ok(()));
    // Two groups of the larger table are one of the smaller: the virtual pages differ in the bit that it does not have.
    let bit = 1 << (18 - 7 + 12);
    let bolt = |n: u64| {
        let at =
            VirtualAddress::new(address(0, PageSize::Size4K).raw() + u128::from((n >> 3) * bit + (n & 7) * (bit << 4)));
        let group = guest.tables.shape().group(Hash::of(at, Segment::Size1T, PageSize::Size4K), false);
        let word0 = Word0::naming(at).bits() | 1 << 62 | Word0::SW2.bits() | 1;
        (group, seat.enter(0, group, PaprEntry { word0, word1: 0x12 }))
    };
    let groups: Vec<_> = (0..16).map(bolt).collect();
    assert!(groups.iter().all(|(_, entered)| entered.is_ok()), "{groups:?}");
    prepared(&seat, 18);
    assert_eq!(seat.commit_resize(0, 18), Err(Unresized::GroupFull));
    assert_eq!(guest.tables.shape().order(), 19);
    for (_, index) in groups {
        let index = index.expect("entered");
        assert_eq!(seat.read(0, index).expect("in the table").entries()[0].word1 & 0x12, 0x12);
    }
}

#[test]
fn what_the_hypervisor_made_for_real_mode_does_not_keep_a_table_from_shrinking() {
    let guest = Guest::new(SMALL, None);
    let seat = guest.seat(0);
    assert!(prepared(&seat, 19) > 1 && seat.commit_resize(0, 19) == Ok(()));
    // Eight entries in two groups of the larger table, which are one of the smaller.
    let virtual_page = |n: u64| VirtualAddress::new(address(0, PageSize::Size4K).raw() + u128::from(n << 23));
    let hash = |at| Hash::of(at, Segment::Size1T, PageSize::Size4K);
    for (place, at) in (0..8).map(|n| (n, virtual_page(n))) {
        let word0 = Word0::naming(at).bits() | 1 << 62 | Word0::SW2.bits() | 1;
        let group = guest.tables.shape().group(hash(at), false);
        assert!(seat.enter(flags::EXACT, group + place, PaprEntry { word0, word1: 0x12 }).is_ok());
    }
    // And the one page of real mode that would be the ninth there.
    let asdr = VsidWord::real_mode(PageSize::Size4K);
    let real = |page: u64| asdr.translate(EffAddr::new(page * PAGE)).expect("68 bits");
    let small = Shape::new(18).expect("a table");
    let crowded = small.group(hash(virtual_page(0)), false);
    let page =
        (0..END / PAGE).find(|page| small.group(hash(real(*page)), false) == crowded).expect("each group has one");
    let ea = EffAddr::new(page * PAGE);
    let fault = Fault { ea, asdr, access: Access::Read, problem_state: false, amr: 0, iamr: 0 };
    assert_eq!(seat.fault(&fault), Outcome::Resume);
    prepared(&seat, 18);
    assert_eq!(seat.commit_resize(0, 18), Ok(()));
    assert_eq!(seat.fault(&fault), Outcome::Resume, "in its other group");
}

#[test]
fn a_guest_that_begins_anew_finds_an_empty_table() {
    let guest = Guest::new(SMALL, None);
    let seat = guest.seat(0);
    assert_eq!(guest.access(0, &seat, 0x1000, Pages::SMALL, Some(5)), Ok(5));
    let index = guest.enter(&seat, 0x2000, Pages::SMALL, 0).expect("room");
    guest.tables.forget_resize();
    seat.seat().with_cpu(|space, cpu| space.empty(cpu));
    assert_eq!(guest.processors.access(0, 0x1000, PageSize::Size4K, None), None);
    assert_eq!(seat.remove(0, index, 0), Err(Refusal::NotFound));
    assert_eq!(guest.access(0, &seat, 0x1000, Pages::SMALL, None), Ok(0));
}

#[test]
fn a_list_that_names_an_entry_twice_does_not_wait_for_itself() {
    let guest = Guest::new(SMALL, None);
    let seat = guest.seat(0);
    let index = guest.enter(&seat, PAGE, Pages::SMALL, 0).expect("room");
    let mut bulk = Bulk::new([1 << 62 | index, 0, 1 << 62 | index, 0, 3 << 62, 0, 0, 0]);
    assert_eq!(seat.bulk_remove(&mut bulk), Ok(()), "not busy: nobody else is there");
    assert_eq!([bulk.words[0] >> 60, bulk.words[2] >> 60], [8, 9]);
}

#[test]
fn many_are_removed_at_once() {
    let guest = Guest::new(SMALL, None);
    let seat = guest.seat(0);
    let index = |page: u64| guest.enter(&seat, page * PAGE, Pages::SMALL, 0).expect("room");
    let [first, second] = [index(1), index(2)];
    assert_eq!(guest.access(0, &seat, PAGE, Pages::SMALL, Some(5)), Ok(5));
    let mut bulk = Bulk::new([1 << 62 | first, 0, 1 << 62 | second, 0, 3 << 62, 0, 0, 0]);
    assert_eq!(seat.bulk_remove(&mut bulk), Ok(()));
    assert_eq!([bulk.words[0] >> 60, bulk.words[2] >> 60], [8, 8]);
    assert_eq!(guest.processors.access(0, PAGE, PageSize::Size4K, None), None);
    assert_eq!(seat.protect(flags::AVPN, first, 0), Err(Refusal::NotFound));
}

#[test]
fn tables_are_its_spaces_own() {
    let (one, other) = (Guest::new(SMALL, None), Guest::new(SMALL, None));
    let seat = Seat::new(one.space, Cpu::new(0).expect("a number"));
    assert!(HashSeat::new(seat, other.tables).is_none());
    assert!(one.space.is_hashed_by(one.tables) && one.tables.scoped(true) & 0xe0 == 0xa0);
}

/// Two CPUs of the guest count in words of their own, while a third one takes memory away, forbids stores, and has the table in another size.
#[test]
fn nothing_is_lost_while_pages_go_and_the_table_changes() {
    const ROUNDS: u64 = 300;
    const SPAN: u64 = 64;
    let guest = Guest::new(SMALL, Some(2 << 20));
    let over = AtomicBool::new(false);
    let base = GuestReal::new(0);
    std::thread::scope(|scope| {
        let workers = [0, 1].map(|cpu| {
            let guest = &guest;
            scope.spawn(move || {
                let seat = guest.seat(cpu);
                for round in 1..=ROUNDS {
                    for page in 0..SPAN {
                        let at = page * PAGE + 8 * cpu as u64;
                        assert_eq!(guest.access(cpu, &seat, at, Pages::SMALL, None), Ok(round - 1), "page {page}");
                        assert_eq!(guest.access(cpu, &seat, at, Pages::SMALL, Some(round)), Ok(round));
                    }
                }
            })
        });
        let (guest, over) = (&guest, &over);
        scope.spawn(move || {
            let seat = guest.seat(2);
            let mut shift = 19;
            seat.seat().with_cpu(|space, cpu| space.start_log(cpu, base)).expect("a slot");
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                seat.seat().with_cpu(|space, cpu| {
                    space.page_out_range(cpu, base, GuestReal::new(SPAN / 2 * PAGE));
                    space.harvest(cpu, base, |_, _| {}).expect("a log");
                });
                prepared(&seat, shift);
                assert_eq!(committed(&seat, shift), Ok(()));
                shift ^= 18 ^ 19;
            }
        });
        workers.into_iter().for_each(|worker| worker.join().expect("no panic"));
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

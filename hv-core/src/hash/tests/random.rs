//! Random sequences of the guest's calls, of its accesses, and of memory that comes and goes, each argument good or at its extremes.

use super::machine::{Access, Machine};
use super::memory::{DEVICE, END, Memory};
use super::model::{Model, RECORDED, real, sizes};
use super::table;
use crate::hash::{Backing, Bulk, Fault, Hpt, Outcome, Recorded, Refusal};
use crate::mmu;
use ppc64_arch::addr::{EffAddr, GuestReal};
use ppc64_arch::hash::table::Hashed;
use ppc64_arch::hash::{Pages, PaprEntry, Segment, VirtualAddress, VsidWord, Word0};
use proptest::prelude::*;

/// An entry of the guest's, or a number.
#[derive(Clone, Copy, Debug)]
enum Target {
    Live(usize),
    Number(u64),
}

/// What a condition compares with.
#[derive(Clone, Copy, Debug)]
enum Value {
    Right,
    Number(u64),
}

#[derive(Clone, Debug)]
enum Step {
    Enter { page: usize, at: usize, pages: usize, large: bool, secondary: bool, slot: u64, flags: u64, word1: u64 },
    EnterRaw { index: u64, flags: u64, word0: u64, word1: u64 },
    Remove { target: Target, flags: u64, value: Value },
    Bulk { targets: [(Target, u64, Value); 4] },
    Read { target: Target, flags: u64 },
    Protect { target: Target, flags: u64, value: Value },
    Clear { target: Target, changed: bool },
    Touch { which: usize, store: bool, offset: u64 },
    Real { at: u64, store: bool },
    Settle(usize),
    Take(u64),
    Forbid(u64),
}

fn extreme() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(1 << 63),
        Just(1 << 62),
        Just(3 << 62),
        Just(16383),
        Just(16384),
        Just(1 << 56),
        Just(u64::MAX >> 1),
        (0_u32..64).prop_map(|bit| 1 << bit),
        0_u64..16400,
        any::<u64>(),
    ]
}

fn flags() -> impl Strategy<Value = u64> {
    let bits = prop_oneof![Just(0), Just(1 << 39), Just(1 << 31), Just(1 << 30), Just(1 << 37), Just(3 << 30)];
    prop_oneof![6 => bits.clone(), 4 => (bits, 0_u64..0x4000).prop_map(|(high, low)| high | low), 1 => extreme()]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![6 => (0_usize..64).prop_map(Target::Live), 1 => extreme().prop_map(Target::Number)]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![3 => Just(Value::Right), 1 => extreme().prop_map(Value::Number)]
}

/// Doubleword 1 but for its sizes and address: mostly memory.
fn word1() -> impl Strategy<Value = u64> {
    let pp = prop_oneof![Just(2), Just(0), Just(1), Just(3), Just(1 << 63 | 2)];
    let recorded = prop_oneof![Just(0), Just(0x100), Just(0x180)];
    prop_oneof![8 => (pp, recorded).prop_map(|(pp, recorded)| pp | recorded | 0x10), 1 => Just(0x2a), 1 => extreme()]
}

fn enter() -> impl Strategy<Value = Step> {
    let place = (0_usize..6, 0_usize..8, 0_usize..6, any::<bool>(), any::<bool>());
    (place, 0_u64..8, flags(), word1()).prop_map(|((page, at, pages, large, secondary), slot, flags, word1)| {
        Step::Enter { page, at, pages, large, secondary, slot, flags, word1 }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let raw = (extreme(), flags(), extreme(), extreme());
    let bulk = proptest::array::uniform4((
        target(),
        prop_oneof![4 => Just(1_u64 << 62), 1 => Just(5 << 60), 2 => Just(0x42 << 56), 1 => Just(0x41 << 56), 1 => extreme()],
        value(),
    ));
    prop_oneof![
        6 => enter(),
        1 => raw.prop_map(|(index, flags, word0, word1)| Step::EnterRaw { index, flags, word0, word1 }),
        2 => (target(), flags(), value()).prop_map(|(target, flags, value)| Step::Remove { target, flags, value }),
        1 => bulk.prop_map(|targets| Step::Bulk { targets }),
        2 => (target(), flags()).prop_map(|(target, flags)| Step::Read { target, flags }),
        2 => (target(), flags(), value()).prop_map(|(target, flags, value)| Step::Protect { target, flags, value }),
        2 => (target(), any::<bool>()).prop_map(|(target, changed)| Step::Clear { target, changed }),
        8 => (any::<usize>(), any::<bool>(), 0_u64..1 << 24).prop_map(|(which, store, offset)| Step::Touch { which, store, offset }),
        1 => (prop_oneof![0..END, Just(END), extreme()], any::<bool>()).prop_map(|(at, store)| Step::Real { at, store }),
        2 => any::<usize>().prop_map(Step::Settle),
        2 => (0..END).prop_map(Step::Take),
        1 => (0..END).prop_map(Step::Forbid),
    ]
}

struct Run {
    machine: &'static Machine,
    table: Hpt<'static, Machine>,
    memory: Memory,
    model: Model,
}

impl Run {
    fn new() -> Self {
        let (machine, table) = table(18);
        let model = Model { many: table.shape().entries(), ..Model::default() };
        Self { machine, table, memory: Memory::default(), model }
    }

    fn index(&self, target: Target) -> u64 {
        match target {
            Target::Number(number) => number,
            Target::Live(which) => {
                let keys: Vec<_> = self.model.entries.keys().copied().collect();
                if keys.is_empty() { which as u64 } else { keys[which % keys.len()] }
            }
        }
    }

    fn value(&self, value: Value, index: u64) -> u64 {
        match value {
            Value::Number(number) => number,
            Value::Right => self.model.entries.get(&index).map_or(0, |entry| entry.word0 & !0x7f),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Enter { page, at, pages, large, secondary, slot, flags, word1 } => {
                let (segment, pages) = (Segment::ALL[usize::from(large)], Pages::ALL[pages]);
                let at = VirtualAddress::new((0x1234 << 40) + ((at as u128) << 22) + ((at as u128) << 12));
                let at = at.align_down(pages.base());
                let group = self.table.shape().group(Hashed::of(at, segment, pages.base()), secondary);
                let real =
                    [0, 1 << 12, 17 << 16, 1 << 24, END - (1 << 16), DEVICE][page] & !pages.actual().offset_mask();
                let mark = |is, bit| if is { bit } else { 0 };
                let name =
                    Word0::naming(at).bits() | mark(pages.large(), 4) | mark(secondary, 2) | segment.field() << 62;
                let word1 = word1 & !0x01ff_ffff_ffff_f000 | real | pages.field();
                self.enter(flags, group + slot, PaprEntry { word0: name | 0x11, word1 });
            }
            Step::EnterRaw { index, flags, word0, word1 } => self.enter(flags, index, PaprEntry { word0, word1 }),
            Step::Remove { target, flags, value } => self.remove(target, flags, value),
            Step::Bulk { targets } => self.bulk(targets),
            Step::Read { target, flags } => self.read(self.index(target), flags),
            Step::Protect { target, flags, value } => {
                let index = self.index(target);
                let value = self.value(value, index);
                let expected = self.model.named(flags & 1 << 31, index, value).map(drop);
                assert_eq!(self.table.protect(flags, index, value), expected);
                if expected.is_ok() {
                    self.model.protect(index, flags);
                }
            }
            Step::Clear { target, changed } => self.clear(self.index(target), changed),
            Step::Touch { which, store, offset } => self.touch(which, store, offset),
            Step::Real { at, store } => self.real(at, store),
            Step::Settle(which) => self.machine.settle(which),
            Step::Take(at) => {
                let (from, to) = self.memory.take(at);
                self.table.evict(from, to);
            }
            Step::Forbid(at) => {
                let (from, to) = self.memory.protect(at);
                self.table.evict(from, to);
            }
        }
        self.check();
    }

    fn enter(&mut self, flags: u64, index: u64, entry: PaprEntry) {
        match (self.table.enter(&self.memory, flags, index, entry), self.model.enter(flags, index, entry)) {
            (Ok(place), Ok(free)) => {
                assert!(free.contains(&place), "{place} of {free:?}");
                self.model.entered(place, entry);
            }
            (Err(Refusal::GroupFull), Ok(free)) => assert_eq!(free, []),
            (answer, expected) => assert_eq!(answer.map(|_| vec![]), expected),
        }
    }

    fn remove(&mut self, target: Target, flags: u64, value: Value) {
        let index = self.index(target);
        let value = self.value(value, index);
        let expected = self.model.named(flags, index, value);
        assert_eq!(self.table.remove(flags, index, value), expected);
        if expected.is_ok() {
            self.model.entries.remove(&index);
        }
    }

    fn bulk(&mut self, targets: [(Target, u64, Value); 4]) {
        let mut words = [0; 8];
        for (pair, (target, head, value)) in words.chunks_exact_mut(2).zip(targets) {
            let index = self.index(target);
            pair.copy_from_slice(&[head | index, self.value(value, index)]);
        }
        let mut bulk = Bulk::new(words);
        let answer = self.table.bulk_remove(&mut bulk);
        let (mut expected, mut end) = (words, Ok(()));
        for pair in expected.chunks_exact_mut(2) {
            let (kind, flags, index) = (pair[0] >> 62, pair[0] >> 56 & 3, pair[0] & ((1 << 56) - 1));
            if kind == 3 {
                break;
            }
            let rest = pair[0] & 0x03ff_ffff_ffff_ffff;
            if kind != 1 || flags == 3 || index >= self.model.many {
                pair[0] = rest | 0xa << 60;
                end = Err(Refusal::Parameter);
                break;
            }
            let condition = [0, 1 << 30, 1 << 31][flags as usize];
            pair[0] = match self.model.named(condition, index, pair[1]) {
                Ok(entry) => {
                    self.model.entries.remove(&index);
                    rest | 8 << 60 | (entry.word1 & RECORDED) << 51
                }
                Err(_) => rest | 9 << 60,
            };
        }
        assert_eq!((answer, bulk.words), (end, expected));
    }

    fn read(&self, index: u64, flags: u64) {
        let four = flags >> 37 & 1 != 0;
        let numbers = if four { index & !3..(index & !3).saturating_add(4) } else { index..index.saturating_add(1) };
        let read = self.table.read(flags, index);
        if index >= self.model.many {
            return assert_eq!(read, Err(Refusal::Parameter));
        }
        let read = read.expect("in the table");
        assert_eq!(read.entries().len(), numbers.clone().count());
        for (number, entry) in numbers.zip(read.entries()) {
            self.agrees(number, *entry);
        }
    }

    /// The same but for what hardware is late with.
    fn agrees(&self, index: u64, seen: PaprEntry) {
        let expected = self.model.entries.get(&index).copied().unwrap_or(PaprEntry { word0: 0, word1: 0 });
        assert_eq!(seen.word0, expected.word0, "{index}");
        assert_eq!(seen.word1 & !RECORDED, expected.word1 & !RECORDED, "{index}");
        assert_eq!(seen.word1 & RECORDED & !expected.word1, 0, "{index}");
    }

    fn clear(&mut self, index: u64, changed: bool) {
        let (what, bit) = if changed { (Recorded::Changed, 0x80) } else { (Recorded::Referenced, 0x100) };
        match (self.table.clear(what, index), self.model.named(0, index, 0)) {
            (Ok(word1), Ok(expected)) => {
                self.agrees(index, PaprEntry { word1, ..expected });
                // What was not there yet comes later: that access was after.
                if word1 & bit != 0 {
                    self.model.entries.get_mut(&index).expect("an entry").word1 &= !bit;
                }
            }
            (answer, expected) => assert_eq!(answer.map(drop), expected.map(drop)),
        }
    }

    /// The guest's program accesses what one of its entries is about.
    fn touch(&mut self, which: usize, store: bool, offset: u64) {
        let index = self.index(Target::Live(which));
        let Some(claim) = self.model.entries.get(&index).copied() else { return };
        let (entry, segment, pages) = claim.check().expect("it was taken");
        let at = self.table.shape().page_of(index, entry, segment, pages);
        let twin = self.model.entries.iter().any(|(place, other)| *place != index && is_twin(claim, *other));
        if twin {
            return;
        }
        let offset = offset & pages.base().offset_mask();
        let access =
            Access { at: VirtualAddress::new(at.raw() | u128::from(offset)), segment, base: pages.base(), store };
        let asdr = VsidWord::of(segment, at.vsid(segment), pages.base());
        let group =
            self.table.shape().group(Hashed::of(at, segment, pages.base()), entry.word0.contains(Word0::SECONDARY));
        let reached = self.reach(access, asdr);
        let pp = claim.word1 >> 63 << 2 | claim.word1 & 3;
        let allowed = if store { pp <= 2 } else { pp <= 3 || pp == 6 };
        match reached {
            Reached::Interrupt => assert!(group != index & !7 || !allowed || asdr.is_real_mode(), "{claim:x?}"),
            Reached::Device(found) => {
                assert_eq!(found, real(claim, pages.actual().shift()) | access.at.low() & pages.actual().offset_mask())
            }
            Reached::Host(host) => {
                assert!(group == index & !7 && allowed);
                let guest = real(claim, pages.actual().shift()) | access.at.low() & pages.actual().offset_mask();
                self.is_at(host, guest, store);
                let recorded = if store { 0x180 } else { 0x100 };
                self.model.entries.get_mut(&index).expect("an entry").word1 |= recorded;
            }
        }
    }

    /// The guest's firmware accesses real memory.
    fn real(&mut self, at: u64, store: bool) {
        let base = ppc64_arch::hash::PageSize::Size4K;
        let asdr = VsidWord::real_mode(base);
        let Some(va) = asdr.translate(EffAddr::new(at)) else { return };
        let access = Access { at: va, segment: Segment::Size1T, base, store };
        let at = at & ((1 << 40) - 1);
        let reached = self.reach(access, asdr);
        self.adopt(va, at >= END);
        // Nobody but the hypervisor makes entries in that segment here.
        let entry = self.model.entries.values_mut().find(|entry| {
            entry.word0 >> 24 & 0xff_ffff_ffff == 0x40_01ff_ffff && entry.word1 & 0x01ff_ffff_ffff_f000 == at & !0xfff
        });
        match (reached, entry) {
            (Reached::Host(host), Some(entry)) => {
                entry.word1 |= if store { RECORDED } else { 0x100 };
                self.is_at(host, at, store);
            }
            (Reached::Interrupt, None) => assert!(at >= END),
            // The guest has taken rights away from it.
            (Reached::Interrupt, Some(entry)) => assert!(entry.word1 & 3 == 3 || entry.word1 >> 63 != 0),
            _ => panic!("in real mode"),
        }
    }

    /// The hypervisor's entry for real mode, if it made one, is the guest's from now on.
    fn adopt(&mut self, va: VirtualAddress, none: bool) {
        let base = ppc64_arch::hash::PageSize::Size4K;
        let hash = Hashed::of(va, Segment::Size1T, base);
        for first in [false, true].map(|secondary| self.table.shape().group(hash, secondary)) {
            for index in first..first + 8 {
                let entry = self.table.read(0, index).expect("in the table").entries()[0];
                let ours = entry.word0 & 1 != 0 && !self.model.entries.contains_key(&index);
                if ours {
                    assert!(!none);
                    assert_eq!(entry.word0 & 0x4001_ffff_ff00_0000, 0x4001_ffff_ff00_0000);
                    self.model.entries.insert(index, PaprEntry { word1: entry.word1 | RECORDED, ..entry });
                }
            }
        }
    }

    /// The byte that was reached is the one that the guest's memory has there now.
    fn is_at(&self, host: u64, guest: u64, store: bool) {
        let region = self.memory.region(guest).expect("it was accessed");
        assert_eq!(host, region.frame + guest % (16 << 20), "a stale translation");
        assert!(!store || region.stores, "a store that nobody noticed");
    }

    fn reach(&self, access: Access, asdr: VsidWord) -> Reached {
        let kind = if access.store { mmu::Access::Write } else { mmu::Access::Read };
        let ea = EffAddr::new(access.at.low());
        let fault = Fault { ea, asdr, access: kind, problem_state: false, amr: 0, iamr: 0 };
        for _ in 0..3 {
            if let Some(host) = self.machine.access(access) {
                return Reached::Host(host);
            }
            match self.table.fault(&self.memory, &fault) {
                Outcome::Resume => {}
                Outcome::Reflect(_) => return Reached::Interrupt,
                Outcome::Device(at) => return Reached::Device(at.raw()),
                other => panic!("{other:?} with nobody else there"),
            }
        }
        panic!("it was resumed again and again: {access:x?}");
    }

    /// What holds after each step: hardware's doublewords are what view and memory make of them.
    fn check(&self) {
        for index in 0..self.model.many {
            let raw = self.machine.raw(index);
            let Some(claim) = self.model.entries.get(&index) else {
                assert_eq!((raw.word0.bits(), raw.word1.bits()), (0, 0), "{index} is free");
                continue;
            };
            assert_eq!(raw.word0.bits() & 0x40, 0, "{index} is still locked");
            let valid = raw.word0.contains(Word0::VALID);
            assert_eq!(raw.word0.bits() & 0x20 == 0, valid, "{index} is shown or absent");
            if valid {
                self.check_shown(index, *claim, raw.word1.bits());
            }
        }
    }

    fn check_shown(&self, index: u64, claim: PaprEntry, word1: u64) {
        let (_, actual) = sizes(claim).expect("it was taken");
        let below = (1 << actual) - 1;
        let guest = real(claim, actual);
        let page = self.memory.look(GuestReal::new(guest), Pages::ALL[0].actual()).expect("shown without memory");
        assert_eq!(word1 & 0x01ff_ffff_ffff_f000 & !below, page.frame.raw() & !below, "{index}: another frame");
        let pp = word1 >> 63 << 2 | word1 & 3;
        assert!(page.stores || pp > 2, "{index}: stores are to be noticed");
        let kept = 0x3000_0000_0000_0e7c | below & 0xff000;
        assert_eq!(word1 & kept, claim.word1 & kept, "{index}: a late store undid a change");
        let same_pp = pp == (claim.word1 >> 63 << 2 | claim.word1 & 3);
        assert!(same_pp || pp > 2, "{index}: more than the guest allows");
    }
}

fn is_twin(one: PaprEntry, other: PaprEntry) -> bool {
    let base = |entry| sizes(entry).map(|(base, _)| base);
    (one.word0 ^ other.word0) & 0xc00f_ffff_ffff_ff80 == 0 && base(one) == base(other)
}

enum Reached {
    Host(u64),
    Device(u64),
    Interrupt,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 1000, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_calls_and_accesses_is_what_a_plain_map_makes_of_it(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
    }
}

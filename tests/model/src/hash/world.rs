//! The model and the real thing side by side.

use super::checks::INTERVAL;
use super::guest::{Processor, Seat};
use super::hardware::{Hardware, LARGEST, SMALLEST, Shelf};
use super::model::*;
use super::op::{Argument, Op, Wish};
use super::pte::{BOLTED, CHANGED, LARGE, Pte, RECORDED, REFERENCED, SECONDARY, VALID};
use super::regions::{DEVICE, END, REGION};
use ppc64_arch::hash::Pages;
use std::ops::AddAssign;

/// What a run came across: whether sequences do what they are meant to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Operations.
    pub operations: u64,
    /// Calls that were done.
    pub done: u64,
    /// Calls that were refused, rightly.
    pub refused: u64,
    /// Entries that were made.
    pub entered: u64,
    /// Entries that were made away with, one by one or up to four at once.
    pub removed: u64,
    /// Tables that took another one's place,
    pub exchanged: u64,
    /// with so many entries in them,
    pub moved: u64,
    /// and those that did not, for want of room.
    pub crowded: u64,
    /// Accesses that reached memory.
    pub reached: u64,
    /// Accesses that reached a device.
    pub devices: u64,
    /// Accesses that ended in the guest's own interrupt.
    pub interrupts: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.done += other.done;
        self.refused += other.refused;
        self.entered += other.entered;
        self.removed += other.removed;
        self.exchanged += other.exchanged;
        self.moved += other.moved;
        self.crowded += other.crowded;
        self.reached += other.reached;
        self.devices += other.devices;
        self.interrupts += other.interrupts;
    }
}

/// Runs a sequence on both.
///
/// # Panics
/// Where they differ.
pub fn run(ops: impl IntoIterator<Item = Op>) -> Tally {
    let shelf = Shelf::default();
    let hardware = Hardware::new(&shelf);
    let tally = {
        let mut world = World::new(&hardware);
        for op in ops {
            world.step(op);
        }
        world.check_all();
        world.tally
    };
    assert_eq!(hardware.tables(), 0, "tables are left when the guest has gone");
    tally
}

/// Both, in the middle of a sequence.
pub(super) struct World<'a, 's> {
    pub seat: Seat<'a, 's>,
    processor: Processor,
    pub model: Model,
    pub tally: Tally,
}

impl<'a, 's> World<'a, 's> {
    fn new(hardware: &'a Hardware<'s>) -> Self {
        let promise = Promise { end: END, devices: DEVICE..DEVICE + REGION, largest_page: 24, largest_table: LARGEST };
        let (seat, model) = (Seat::new(hardware, SMALLEST), Model::new(SMALLEST, promise));
        Self { seat, processor: Processor::default(), model, tally: Tally::default() }
    }

    /// One operation on both.
    fn step(&mut self, op: Op) {
        match op {
            Op::Enter { flags, wish } => {
                let (place, Pte { word0, word1 }) = self.wished(wish);
                self.call(H_ENTER, false, [flags, place, word0, word1, 5, 6, 7, 8, 9]);
            }
            Op::Call { number, problem_state, args } => self.call(number, problem_state, self.arguments(args)),
            Op::Touch { which, store, offset } => self.touch(which, store, offset),
            Op::Real { at, store } => self.real(at, store),
            Op::Settle { which } => self.seat.hardware.settle(which),
            Op::Take { at } => self.seat.take(at),
            Op::Forbid { at } => self.seat.forbid(at),
            Op::BeginAnew => {
                self.seat.begin_anew();
                self.model.begin_anew();
            }
        }
        self.tally.operations += 1;
        self.check_known();
        if self.tally.operations.is_multiple_of(INTERVAL) {
            self.check_all();
        }
    }

    /// The place of the guest's `which`th entry; of any, if it has none.
    pub fn live(&self, which: usize) -> u64 {
        let entries = &self.model.entries;
        let place = which.checked_rem(entries.len()).and_then(|which| entries.keys().nth(which));
        place.copied().unwrap_or(which as u64)
    }

    fn arguments(&self, args: [Argument; 9]) -> Registers {
        const PLACE: u64 = (1 << 56) - 1;
        let mut before = 0;
        args.map(|argument| {
            before = match argument {
                Argument::Number(number) => number,
                Argument::Place { which, bits } => bits | self.live(which),
                Argument::Avpn => self.model.entries.get(&(before & PLACE)).map_or(0, |pte| pte.avpn()),
                Argument::Asked => self.model.asked().map_or(0, u64::from),
            };
            before
        })
    }

    /// What H_ENTER is told of a wish, for the table that there is now.
    fn wished(&self, wish: Wish) -> (u64, Pte) {
        // Pages of one group, of groups that are one in a smaller table, and of none of these.
        const NEAR: [u64; 8] = [0, 1 << 11, 1 << 12, 3 << 11, 1 << 14, 1 << 14 | 1 << 11, 1, 2];
        const REAL: [u64; 8] = [0, 1 << 12, 17 << 16, 1 << 24, END - (1 << 16), DEVICE, DEVICE + REGION - (1 << 16), 0];
        let pages = Pages::ALL[wish.sizes % Pages::ALL.len()];
        let set = |is, bit| if is { bit } else { 0 };
        let number = (0x1234 << 20) + NEAR[wish.page % 8] + ((wish.page as u64 / 8) << 20);
        let at = u128::from(number) << pages.base().shift();
        let name = ((at >> 23) as u64) << 7 | set(wish.large_segment, 1 << 62);
        let flags = set(pages.large(), LARGE) | set(wish.secondary, SECONDARY) | set(wish.bolted, BOLTED) | VALID;
        let real = REAL[wish.real % 8] & !pages.actual().offset_mask();
        let word1 = wish.word1 & !0x01ff_ffff_ffff_f000 | real | pages.field();
        let word1 = if REAL[wish.real % 8] >= DEVICE { word1 & !0x78 | 0x28 } else { word1 };
        let pte = Pte { word0: name | flags, word1 };
        (pte.group(at, self.model.order) + wish.slot % 8, pte)
    }

    fn call(&mut self, number: u64, problem_state: bool, args: Registers) {
        let late = self.late(number, &args);
        let (code, results) = self.processor.call(&self.seat, number, problem_state, args);
        let before = self.model.clone();
        let ok = if problem_state {
            code == rc::PRIVILEGE && results == args
        } else {
            self.agrees(number, args, (code, results), late)
        };
        assert!(ok, "call {number:#x} of {args:#x?}\nanswered {code} with {results:#x?}\nfor {before:#x?}");
        self.count(number, code, results);
    }

    /// Whether the call may have been answered so; and the model does it.
    fn agrees(&mut self, number: u64, args: Registers, (code, results): (i64, Registers), late: [u64; 9]) -> bool {
        let answer = match number {
            H_ENTER => self.model.enter(args),
            H_REMOVE => self.model.remove(args),
            H_BULK_REMOVE => self.model.bulk_remove(args),
            H_READ => self.model.read(args),
            H_PROTECT => self.model.protect(args),
            H_CLEAR_REF | H_CLEAR_MOD => {
                let answer = self.model.clear(args);
                if code == rc::SUCCESS {
                    let bit = if number == H_CLEAR_REF { REFERENCED } else { CHANGED };
                    self.model.cleared(args, bit, results[0]);
                }
                answer
            }
            H_REGISTER_PROC_TBL => self.model.register(args),
            H_RESIZE_HPT_PREPARE => return self.model.prepare(args, code) && results == args,
            H_RESIZE_HPT_COMMIT => return self.model.commit(args, code) && results == args,
            _ => unreachable!("no operation makes it"),
        };
        let mut expected = args;
        expected[..answer.results.len()].copy_from_slice(&answer.results);
        let same = |n: usize| results[n] & !late[n] == expected[n] & !late[n] && results[n] & !expected[n] == 0;
        code == answer.rc && (0..9).all(same)
    }

    /// R and C that hardware is late with, by the result that would have them.
    fn late(&self, number: u64, args: &Registers) -> [u64; 9] {
        let mut late = [0; 9];
        let [flags, index, ..] = *args;
        if index < self.model.places() {
            let owed = |place| self.seat.hardware.owed(place) & RECORDED;
            match number {
                H_CLEAR_REF | H_CLEAR_MOD => late[0] = owed(index),
                H_READ if flags >> 37 & 1 == 0 => late[1] = owed(index),
                H_READ => (0..4).for_each(|n| late[2 * n + 1] = owed((index & !3) + n as u64)),
                _ => {}
            }
        }
        late
    }

    fn count(&mut self, number: u64, code: i64, results: Registers) {
        let done = u64::from(code == rc::SUCCESS);
        self.tally.done += done;
        self.tally.refused += 1 - done;
        match number {
            H_ENTER => self.tally.entered += done,
            H_REMOVE => self.tally.removed += done,
            H_BULK_REMOVE => {
                self.tally.removed += [0, 2, 4, 6].map(|n| u64::from(results[n] >> 60 == 8)).iter().sum::<u64>()
            }
            H_RESIZE_HPT_COMMIT => {
                self.tally.exchanged += done;
                self.tally.moved += done * self.model.entries.len() as u64;
                self.tally.crowded += u64::from(code == rc::PTEG_FULL);
            }
            _ => {}
        }
    }
}

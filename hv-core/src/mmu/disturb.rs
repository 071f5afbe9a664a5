//! Keeps a guest's memory moving while the guest runs: for stress, on request.
//!
//! Whoever runs the guest takes a [`turn`](Disturber::turn) now and then. Each does one thing to the largest slot, most of them to one block of 2 MiB of it, and the blocks go round:
//!
//! ```text
//!   log on ─► split the block ─► harvest ─► harvest ─► age ─► page out ─► page out what is old ─► prune ─► log off ─► promote ─► split ─► promote ─► next block
//! ```
//!
//! Of a guest that has less memory than it uses hardly a block is there as a whole, as it has to be to become one leaf: room is made for every fourth one and its copy, and it is brought back just before. Pages of it that
//! another CPU put to rest meanwhile are brought back once more.
//!
//! In a build with delays each step ends with a load from the page at which another CPU is being delayed, if there is one: that CPU loses a race.
//!
//! Nothing here changes what the guest finds in its memory. What cannot be done just then, because of the log, of a page that rests, of another CPU that disturbs as well, is left out.

use super::discipline::Discipline;
use super::hardware::Hardware;
use super::seat::Seat;
use crate::delays::delayed_at;
use ppc64_arch::addr::{GuestReal, LeafSize};

const BLOCK: u64 = LeafSize::Size2M.bytes();
const PAGE: u64 = LeafSize::Size4K.bytes();
/// Of a block, what is aged and paged out at a time: the guest pays a fault for each page of it.
const PART: u64 = BLOCK / 16;
/// From block to block. Odd, so that every block of a slot of 2^n comes round; and not one, so that a guest that walks upwards is not followed.
const STRIDE: u64 = 5 * BLOCK;

/// One block in so many is brought back.
const BROUGHT_BACK: u64 = 4;

/// How often a block is brought back before it is left as it is.
const TRIES: usize = 4;

/// How often room is asked for: each time some pages.
const ROUNDS: usize = 64;

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    StartLog,
    SplitLogged,
    Harvest,
    HarvestAgain,
    Age,
    PageOut,
    PageOutOld,
    Prune,
    StopLog,
    Promote,
    Split,
    PromoteAgain,
}

impl Step {
    const fn next(self) -> Self {
        match self {
            Self::StartLog => Self::SplitLogged,
            Self::SplitLogged => Self::Harvest,
            Self::Harvest => Self::HarvestAgain,
            Self::HarvestAgain => Self::Age,
            Self::Age => Self::PageOut,
            Self::PageOut => Self::PageOutOld,
            Self::PageOutOld => Self::Prune,
            Self::Prune => Self::StopLog,
            Self::StopLog => Self::Promote,
            Self::Promote => Self::Split,
            Self::Split => Self::PromoteAgain,
            Self::PromoteAgain => Self::StartLog,
        }
    }
}

/// One that disturbs. Several CPUs may have one each.
#[derive(Debug, Default)]
pub struct Disturber {
    step: Step,
    /// How far the block is from the slot's beginning.
    offset: u64,
}

impl Disturber {
    /// One that has done nothing yet. `number` tells several at one guest apart: each begins at another block.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self { step: Step::StartLog, offset: number.wrapping_mul(STRIDE) }
    }

    /// Does the next thing: some hundred microseconds; a log that goes on or off for longer, by the size of its slot, and a block that is brought back, by what it lacks. The CPU is not inside the guest.
    ///
    /// ```
    /// # use hv_core::mmu::*;
    /// # use ppc64_arch::addr::{GuestReal, LeafSize};
    /// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
    /// # let space = Space::new(memory, 1, Granule::Auto).unwrap();
    /// # let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
    /// # unsafe { space.add_slot(&spec) }.unwrap();
    /// # let seat = Seat::new(&space, Cpu::new(0).unwrap());
    ///
    /// seat.write(GuestReal::new(0), b"as before").unwrap();
    /// let mut disturber = Disturber::new(0);
    /// (0..12).for_each(|_| disturber.turn(&seat));
    /// let counted = seat.counted();
    /// assert_eq!((counted.toggled, counted.splits, counted.promotions), (2, 2, 2));
    /// # let mut bytes = [0; 9];
    /// # seat.read(GuestReal::new(0), &mut bytes).unwrap();
    /// # assert_eq!(&bytes, b"as before");
    /// ```
    pub fn turn<H: Hardware, D: Discipline>(&mut self, seat: &Seat<'_, '_, H, D>) {
        let Some((base, end)) = seat.space().largest_slot() else { return };
        let at = base.raw() + self.offset % (end.raw() - base.raw());
        let block = GuestReal::new(at & !(BLOCK - 1));
        let is_whole = (self.offset / STRIDE).is_multiple_of(BROUGHT_BACK);
        match self.step {
            Step::Promote | Step::PromoteAgain if is_whole => promote_whole(seat, block),
            // What became one leaf rests as one: the guest may come to it while the log is on.
            Step::PageOut if is_whole => {}
            step => disturb(seat, step, base, block),
        }
        if let Some(page) = delayed_at() {
            // What this load makes of the page is not enough for a store that the log is to see.
            _ = seat.read(page, &mut [0]);
        }
        self.step = self.step.next();
        if self.step == Step::StartLog {
            self.offset = self.offset.wrapping_add(STRIDE);
        }
    }
}

/// Promotes a block of which anything may be missing.
fn promote_whole<H: Hardware, D: Discipline>(seat: &Seat<'_, '_, H, D>, block: GuestReal) {
    for _ in 0..TRIES {
        bring_back(seat, block);
        if seat.with_cpu(|space, cpu| space.promote(cpu, block)).is_ok() {
            break;
        }
    }
}

/// Has each page of a block there, and room for as much again, if that can be: a leaf is made of a copy.
fn bring_back<H: Hardware, D: Discipline>(seat: &Seat<'_, '_, H, D>, block: GuestReal) {
    for _ in 0..ROUNDS {
        if has_room(seat) || seat.with_cpu(|space, cpu| space.page_out(cpu)) == 0 {
            break;
        }
    }
    let pages = (block.raw()..block.raw() + BLOCK).step_by(PAGE as usize);
    pages.for_each(|page| _ = seat.read(GuestReal::new(page), &mut [0]));
}

/// Whether two blocks more are within the guest's budget.
fn has_room<H: Hardware, D: Discipline>(seat: &Seat<'_, '_, H, D>) -> bool {
    let ledger = seat.space().ledger();
    ledger.budget().saturating_sub(ledger.drawn()) >= 2 * BLOCK / PAGE
}

/// One step: what it returns, and whether it could be done, is all the same.
fn disturb<H: Hardware, D: Discipline>(seat: &Seat<'_, '_, H, D>, step: Step, slot: GuestReal, block: GuestReal) {
    let part = GuestReal::new(block.raw() + PART);
    seat.with_cpu(|space, cpu| match step {
        Step::StartLog => drop(space.start_log(cpu, slot)),
        Step::Harvest | Step::HarvestAgain => drop(space.harvest(cpu, slot, |_, _| {})),
        Step::StopLog => drop(space.stop_log(cpu, slot)),
        Step::SplitLogged | Step::Split => drop(space.split(cpu, block)),
        Step::Promote | Step::PromoteAgain => drop(space.promote(cpu, block)),
        Step::Age => drop(space.age(cpu, block, part)),
        Step::PageOut => drop(space.page_out_range(cpu, block, part)),
        Step::PageOutOld => drop(space.page_out(cpu)),
        Step::Prune => drop(space.prune(cpu)),
    });
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_a_slot_comes_round() {
        const BLOCKS: u64 = 512;
        let mut disturber = Disturber::new(0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..BLOCKS {
            seen.insert(disturber.offset % (BLOCKS * BLOCK));
            disturber.offset += STRIDE;
        }
        assert_eq!(seen.len() as u64, BLOCKS);
    }

    #[test]
    fn after_the_last_step_comes_the_first() {
        let mut step = Step::default();
        let steps = core::iter::from_fn(|| {
            step = step.next();
            (step != Step::StartLog).then_some(step)
        });
        assert_eq!(steps.take(100).count(), 11);
    }
}

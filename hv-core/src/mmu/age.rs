//! Ageing: which pages were used since the last time.
//!
//! Where hardware sets R by itself, R is cleared and looked at the next time. One flush serves a whole table, and R is read again once that is complete: until then hardware may still
//! set it. Where hardware leaves R to software, a page *rests* instead: its entry is absent, and the next access faults and is noticed.

use super::absent::State;
use super::discipline::Discipline;
use super::hardware::Hardware;
use super::owed::Owed;
use super::range::{self, Visit};
use super::seat::Cpu;
use super::space::Space;
use super::stats::Made;
use super::walk::Seen;
use ppc64_arch::addr::GuestReal;
use ppc64_arch::radix::entry::Recorded;
use ppc64_arch::radix::{Entry, Leaf};

/// Leaves of a range, told apart by whether they were used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aged {
    /// Used since the last time, or before this time's flush was complete.
    pub young: u64,
    /// Not used.
    pub old: u64,
}

/// Ages the leaves of `from..to`. Mutations are kept out.
pub(super) fn age<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, from: u64, to: u64) -> Aged {
    let mut aged = Aged::default();
    let mut group = Group::default();
    range::over(space, from, to, &mut |seen, block| {
        if seen.place.level.leaf.is_none() || matches!(seen.entry(), Entry::Table(_)) {
            return Visit::Down;
        }
        if !group.holds(seen, block.at) {
            core::mem::take(&mut group).end(space, cpu, &mut aged);
            group = Group::begin(seen, block.at);
        }
        if space.sets_reference() {
            group.clear(cpu, seen, block.at);
        } else {
            group.lay_down(cpu, seen, block.at, &mut aged);
        }
        Visit::Down
    });
    group.end(space, cpu, &mut aged);
    aged
}

/// Entries of one table, as many as the words of a bitmap.
#[derive(Debug, Default)]
struct Group {
    /// Where its first entry's block begins, and how much each maps.
    first: u64,
    span: u64,
    /// A leaf stands at that index; it was used.
    leaves: [u64; WORDS],
    young: [u64; WORDS],
    owed: Owed,
}

const WORDS: usize = 8;
const ENTRIES: u64 = WORDS as u64 * 64;

impl Group {
    fn begin(seen: Seen<'_>, at: GuestReal) -> Self {
        let span = seen.place.level.entry_span();
        Self { first: at.raw() & !(span * ENTRIES - 1), span, ..Self::default() }
    }

    fn holds(&self, seen: Seen<'_>, at: GuestReal) -> bool {
        self.span == seen.place.level.entry_span() && at.raw() & !(self.span * ENTRIES - 1) == self.first
    }

    fn clear(&mut self, cpu: &mut Cpu, mut seen: Seen<'_>, at: GuestReal) {
        while let Entry::Leaf(leaf) = seen.entry() {
            if !leaf.recorded().contains(Recorded::REFERENCED) {
                return self.note(at, false);
            }
            let aged = leaf.with_recorded(leaf.recorded() - Recorded::REFERENCED);
            if seen.place.swap(seen.entry(), Entry::Leaf(aged)).is_ok() {
                cpu.stats.aged += 1;
                self.owe(seen, at);
                return self.note(at, true);
            }
            seen = seen.place.look();
        }
    }

    /// Only pages of the guest's own rest; what shares an image costs nothing while it stands.
    fn lay_down(&mut self, cpu: &mut Cpu, seen: Seen<'_>, at: GuestReal, aged: &mut Aged) {
        match seen.entry() {
            Entry::Leaf(leaf) if Made::of(leaf) != Made::Shared => {
                // An entry that changes under us is in use.
                if seen.place.swap(seen.entry(), resting(leaf)).is_ok() {
                    cpu.stats.aged += 1;
                    self.owe(seen, at);
                }
                aged.young += 1;
            }
            Entry::Absent(absent) if matches!(State::decode(absent), State::Resting { .. }) => aged.old += 1,
            _ => {}
        }
    }

    fn owe(&mut self, seen: Seen<'_>, at: GuestReal) {
        if let Some(size) = seen.place.level.leaf {
            self.owed.page(at, size);
        }
    }

    fn note(&mut self, at: GuestReal, young: bool) {
        let index = ((at.raw() - self.first) / self.span) as usize;
        self.leaves[index / 64] |= 1 << (index % 64);
        self.young[index / 64] |= u64::from(young) << (index % 64);
    }

    /// Pays the flush; then a leaf that has R after all is young as well.
    fn end<H: Hardware, D: Discipline>(self, space: &Space<'_, H, D>, cpu: &mut Cpu, aged: &mut Aged) {
        let _r_is_final = self.owed.pay(space, cpu);
        for index in 0..ENTRIES as usize {
            let of = |words: &[u64; WORDS]| words[index / 64] >> (index % 64) & 1 != 0;
            if of(&self.leaves) {
                let at = GuestReal::new(self.first + index as u64 * self.span);
                if of(&self.young) || is_used(space, at) {
                    aged.young += 1;
                } else {
                    aged.old += 1;
                }
            }
        }
    }
}

fn is_used<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, at: GuestReal) -> bool {
    // SAFETY: 1. Mutations are kept out by `age`'s caller, and with them every table alive.
    let seen = unsafe { space.walk(at) };
    matches!(seen.entry(), Entry::Leaf(leaf) if leaf.recorded().contains(Recorded::REFERENCED))
}

pub(super) fn resting(leaf: Leaf) -> Entry {
    let resting = State::Resting { frame: leaf.frame(), copied: Made::of(leaf) == Made::Copied };
    Entry::Absent(resting.encode())
}

//! What a CPU counts on the fault path: plain words of its own, summed up by whoever prints them.

use super::request::Access;
use ppc64_arch::addr::LeafSize;
use ppc64_arch::radix::Leaf;
use ppc64_arch::radix::entry::Software;

/// What a mapped page is made of. Kept in two of the four software bits of its leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Made {
    /// A frame of the guest's own that began as zeros.
    Zero = 0,
    /// The image itself, read-only.
    Shared = 1,
    /// A frame of the guest's own that began as a copy of the image.
    Copied = 2,
}

impl Made {
    const SHARED: Software = Software::SW0;
    const COPIED: Software = Software::SW1;
    const NAMES: [&'static str; 3] = ["zero", "image-shared", "image-copied"];

    /// The software bits of a leaf made so.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> Software {
        match self {
            Self::Zero => Software::empty(),
            Self::Shared => Self::SHARED,
            Self::Copied => Self::COPIED,
        }
    }

    /// What a leaf is made of.
    #[must_use]
    #[inline]
    pub const fn of(leaf: Leaf) -> Self {
        let bits = leaf.software();
        if bits.contains(Self::SHARED) {
            Self::Shared
        } else if bits.contains(Self::COPIED) {
            Self::Copied
        } else {
            Self::Zero
        }
    }
}

/// How one fault ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Outcome {
    /// A page was put there.
    Installed = 0,
    /// A shared page was replaced by a copy.
    Unshared = 1,
    /// Rights, R or C were added.
    Upgraded = 2,
    /// The entry allowed the access already: a stale translation, or somebody was faster.
    Spurious = 3,
    /// Lost the race, and what the winner left is enough.
    NotSame = 4,
    /// A page in transit.
    Wait = 5,
    /// The guest's own error.
    Reflected = 6,
    /// No frame was left.
    OutOfMemory = 7,
    /// The tables are broken.
    MachineError = 8,
    /// A page was brought back from the store.
    PagedIn = 9,
    /// A page that was resting was used again.
    Revived = 10,
    /// A huge leaf was split, and the part that was stored to permits it.
    Split = 11,
}

/// Why an attempt was begun again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// The slots were changing.
    SlotBusy = 0,
    /// Lost the race, and what the winner left is not enough.
    NotSame = 1,
    /// The serialised path gave up its turn; the guest tries again.
    GaveWay = 2,
    /// The serialised path was taken.
    Serialised = 3,
    /// A huge leaf had to be split first.
    Split = 4,
    /// The table had been unlinked. A table is only unlinked when no fault is in it any more, so this is none of the reasons that occur: whoever counts one
    /// has found a grace period that does not hold. To look again from the root is safe even then.
    Detached = 5,
}

const SIZES: usize = LeafSize::ALL.len();
const KINDS: [&str; 3] = ["read", "write", "fetch"];
const OUTCOMES: [&str; 12] = [
    "installed",
    "unshared",
    "upgraded",
    "spurious",
    "not-same",
    "wait",
    "reflected",
    "out-of-memory",
    "machine-error",
    "paged-in",
    "revived",
    "split",
];
/// Those that occur.
const REASONS: [&str; 5] = ["slot-busy", "not-same", "gave-way", "serialised", "split"];

/// Counted by kind of page and size of leaf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages([[u64; SIZES]; 3]);

impl Pages {
    /// One more.
    #[inline]
    pub fn add(&mut self, made: Made, size: LeafSize) {
        self.add_many(made, size, 1);
    }

    /// So many more.
    #[inline]
    pub fn add_many(&mut self, made: Made, size: LeafSize, many: u64) {
        self.0[made as usize][size_index(size)] += many;
    }

    /// The sum of both.
    pub fn merge(&mut self, other: &Self) {
        self.each(other, |a, b| a + b);
    }

    /// What is left of these without those.
    pub fn subtract(&mut self, other: &Self) {
        self.each(other, u64::wrapping_sub);
    }

    fn each(&mut self, other: &Self, op: impl Fn(u64, u64) -> u64) {
        for (mine, theirs) in self.0.as_flattened_mut().iter_mut().zip(other.0.as_flattened()) {
            *mine = op(*mine, *theirs);
        }
    }

    /// Each count with the names of its kind and size.
    pub fn for_each(&self, mut each: impl FnMut(&'static str, &'static str, u64)) {
        for (made, sizes) in Made::NAMES.iter().zip(&self.0) {
            for (size, count) in LeafSize::ALL.iter().zip(sizes) {
                each(made, size.name(), *count);
            }
        }
    }
}

const fn size_index(size: LeafSize) -> usize {
    match size {
        LeafSize::Size4K => 0,
        LeafSize::Size64K => 1,
        LeafSize::Size2M => 2,
        LeafSize::Size1G => 3,
    }
}

/// Everything that one CPU counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    faults: [[u64; OUTCOMES.len()]; KINDS.len()],
    own: [u64; OUTCOMES.len()],
    reasons: [u64; Reason::Detached as usize + 1],
    /// Pages put into tables.
    pub made: Pages,
    /// Pages taken out of them.
    pub unmapped: Pages,
    /// Frames that became tables.
    pub tables_made: u64,
    /// Tables that became frames again.
    pub tables_freed: u64,
    /// Image pages mapped beside the one that was touched.
    pub around: u64,
    /// Pages made ahead of faults that walk upwards.
    pub ahead: u64,
    /// Frames prepared for a race that was lost.
    pub discarded: u64,
    /// Pages that went to the store.
    pub paged_out: u64,
    /// Pages that came back from it.
    pub paged_in: u64,
    /// Pages that the store would not take.
    pub kept: u64,
    /// Pages put to the test by the second chance: R cleared, or the entry taken away.
    pub aged: u64,
    /// Huge leaves that became tables.
    pub splits: u64,
    /// Tables that became huge leaves.
    pub promotions: u64,
    /// Leaves that lost the right to store, for a dirty log or a slot made read-only.
    pub protected: u64,
    /// Flushes asked of the hardware.
    pub flushes: u64,
    /// Dirty logs that went on or off.
    pub toggled: u64,
    /// Locks of the guest's memory that faults took: the one that keeps mutations out, and the store's. The common fault takes none.
    pub locks: u64,
    /// Times the lock of the machine's free frames was taken, to draw some or to give some back ([`Seat::counted`](super::Seat::counted)).
    pub draws: u64,
}

impl Stats {
    /// The sum of both.
    pub fn merge(&mut self, other: &Self) {
        add_each(self.faults.as_flattened_mut(), other.faults.as_flattened());
        add_each(&mut self.own, &other.own);
        add_each(&mut self.reasons, &other.reasons);
        self.made.merge(&other.made);
        self.unmapped.merge(&other.unmapped);
        self.tables_made += other.tables_made;
        self.tables_freed += other.tables_freed;
        self.around += other.around;
        self.ahead += other.ahead;
        self.discarded += other.discarded;
        self.paged_out += other.paged_out;
        self.paged_in += other.paged_in;
        self.kept += other.kept;
        self.aged += other.aged;
        self.splits += other.splits;
        self.promotions += other.promotions;
        self.protected += other.protected;
        self.flushes += other.flushes;
        self.toggled += other.toggled;
        self.locks += other.locks;
        self.draws += other.draws;
    }

    #[inline]
    pub(super) fn fault(&mut self, access: Access, own: bool, outcome: Outcome) {
        if own {
            self.own[outcome as usize] += 1;
        } else {
            self.faults[access as usize][outcome as usize] += 1;
        }
    }

    #[inline]
    pub(super) fn again(&mut self, reason: Reason) {
        self.reasons[reason as usize] += 1;
    }

    /// How often `reason` was counted.
    #[must_use]
    pub const fn retries(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize]
    }

    /// How many guest faults ended so.
    #[must_use]
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.faults.iter().map(|kind| kind[outcome as usize]).sum()
    }

    /// How many guest faults there were.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults.as_flattened().iter().sum()
    }

    /// Guest faults: each count with its kind and outcome.
    pub fn for_each_fault(&self, mut each: impl FnMut(&'static str, &'static str, u64)) {
        for (kind, outcomes) in KINDS.iter().zip(&self.faults) {
            for (outcome, count) in OUTCOMES.iter().zip(outcomes) {
                each(kind, outcome, *count);
            }
        }
        for (outcome, count) in OUTCOMES.iter().zip(&self.own) {
            each("own", outcome, *count);
        }
    }

    /// Attempts begun again: each count with its reason, [`Reason::Detached`] left out.
    pub fn for_each_retry(&self, mut each: impl FnMut(&'static str, u64)) {
        for (reason, count) in REASONS.iter().zip(&self.reasons) {
            each(reason, *count);
        }
    }
}

fn add_each(sums: &mut [u64], more: &[u64]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// Each count another number, and none 0. There is no `..` here: whoever adds a field comes by.
    fn counted() -> Stats {
        let mut next = 0;
        let mut number = || {
            next += 1;
            next
        };
        let mut pages = || Pages(core::array::from_fn(|_| core::array::from_fn(|_| number())));
        let (made, unmapped) = (pages(), pages());
        Stats {
            faults: core::array::from_fn(|_| core::array::from_fn(|_| number())),
            own: core::array::from_fn(|_| number()),
            reasons: core::array::from_fn(|_| number()),
            made,
            unmapped,
            tables_made: number(),
            tables_freed: number(),
            around: number(),
            ahead: number(),
            discarded: number(),
            paged_out: number(),
            paged_in: number(),
            kept: number(),
            aged: number(),
            splits: number(),
            promotions: number(),
            protected: number(),
            flushes: number(),
            toggled: number(),
            locks: number(),
            draws: number(),
        }
    }

    fn numbers(stats: &Stats) -> Vec<u64> {
        let text = format!("{stats:?}");
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    }

    #[test]
    fn a_sum_is_one_of_each_count() {
        let mut sum = counted();
        sum.merge(&counted());
        let twice = numbers(&counted()).into_iter().map(|count| 2 * count).collect::<Vec<_>>();
        assert_eq!(numbers(&sum), twice);
        assert!(!twice.contains(&0));
    }
}

//! Kinds of faults, as lists that are made beforehand and then taken one after the other.
//!
//! A list holds only faults that the guest would take: where one fault maps several pages, the others are left out. So lists are made by trying them on a twin of
//! the guest.

use crate::guest::{self, IMAGE_SLOT, Size};
use crate::hardware::Bench;
use hv_core::mmu::stats::Outcome;
use hv_core::mmu::{Access, Cpu, Discipline, Granule, Hardware, Resolution, Seat, Space, StorageFault};
use ppc64_arch::addr::{EffAddr, GuestReal, LeafSize};
use std::ops::Range;

/// How many pages the faults of one measurement are on.
pub const PAGES: u64 = 4096;

const PAGE: u64 = LeafSize::Size4K.bytes();

/// What kind of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The page is there already: a stale translation, or another CPU was faster.
    Spurious,
    /// First stores to pages of zeros, from the last one down, so that none is made ahead.
    Zero,
    /// First stores to pages of zeros, from the first one up: most are made ahead.
    Ahead,
    /// First loads from pages of an image, whose neighbours are mapped with them.
    Image,
    /// First stores to pages of an image that are mapped and shared: each is copied.
    Unshare,
    /// First stores, since the dirty log is on, to pages that are mapped.
    Upgrade,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Spurious, Self::Zero, Self::Ahead, Self::Image, Self::Unshare, Self::Upgrade];

    /// What it is called in figures.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Spurious => "spurious",
            Self::Zero => "zero",
            Self::Ahead => "ahead",
            Self::Image => "image",
            Self::Unshare => "unshare",
            Self::Upgrade => "upgrade",
        }
    }

    /// What it is called in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spurious => "spurious",
            Self::Zero => "zero page",
            Self::Ahead => "zeros upwards",
            Self::Image => "image pages",
            Self::Unshare => "image copy",
            Self::Upgrade => "store under log",
        }
    }

    /// A guest with room for `pages` of them.
    #[must_use]
    pub const fn size(self, pages: u64) -> Size {
        match self {
            Self::Spurious | Self::Zero | Self::Ahead | Self::Upgrade => {
                Size { zeros: pages * PAGE, image: 0, copies: 0 }
            }
            Self::Image | Self::Unshare => Size { zeros: 0, image: pages * PAGE, copies: 0 },
        }
    }

    const fn access(self) -> Access {
        match self {
            Self::Spurious | Self::Image => Access::Read,
            Self::Zero | Self::Ahead | Self::Unshare | Self::Upgrade => Access::Write,
        }
    }

    const fn slot(self) -> u64 {
        match self {
            Self::Spurious | Self::Zero | Self::Ahead | Self::Upgrade => 0,
            Self::Image | Self::Unshare => IMAGE_SLOT,
        }
    }

    /// What has to be there beforehand.
    const fn before(self) -> Option<Self> {
        match self {
            Self::Spurious | Self::Upgrade => Some(Self::Zero),
            Self::Unshare => Some(Self::Image),
            Self::Zero | Self::Ahead | Self::Image => None,
        }
    }

    /// Faults on each of the pages `from..to`, whether or not one before maps it as well, in the order of this kind.
    #[must_use]
    pub fn every(self, from: u64, to: u64) -> Vec<StorageFault> {
        let pages: Vec<u64> = match self {
            Self::Zero => (from..to).rev().collect(),
            _ => (from..to).collect(),
        };
        pages.into_iter().map(|page| fault(self.slot() + page * PAGE, self.access())).collect()
    }

    /// The faults of this kind on pages `from..to`, in a guest where those that come before were taken ([`prepare`](Self::prepare)).
    #[must_use]
    pub fn faults<D: Discipline>(self, from: u64, to: u64) -> Vec<StorageFault> {
        let memory = guest::machine(self.size(to));
        let twin = guest::guest::<D>(&memory, self.size(to), Granule::Fixed(LeafSize::Size4K));
        let seat = seat(&twin, 0);
        self.prepare(&seat, std::slice::from_ref(&(from..to)));
        let all = self.every(from, to);
        if self == Self::Spurious {
            return all;
        }
        let spurious = || seat.with_cpu(|_, cpu| cpu.stats.outcome(Outcome::Spurious));
        let taken = |fault: &StorageFault| {
            let before = spurious();
            take(&seat, std::slice::from_ref(fault));
            spurious() == before
        };
        all.into_iter().filter(taken).collect()
    }

    /// Does what comes before this kind's faults on pages of these ranges.
    ///
    /// # Panics
    /// If that fails.
    pub fn prepare<D: Discipline>(self, seat: &Seat<'_, '_, Bench, D>, ranges: &[Range<u64>]) {
        if let Some(before) = self.before() {
            ranges.iter().for_each(|range| take(seat, &before.every(range.start, range.end)));
        }
        if self == Self::Upgrade {
            seat.with_cpu(|space, cpu| space.start_log(cpu, GuestReal::new(0))).expect("a log that was off");
        }
    }
}

/// A storage interrupt for an access to `at`.
#[must_use]
pub const fn fault(at: u64, access: Access) -> StorageFault {
    StorageFault { access, ea: EffAddr::new(at), claim: GuestReal::new(at), table_walk: false, cause: None }
}

/// CPU number `id` at a guest.
///
/// # Panics
/// If there is no such CPU.
#[must_use]
pub fn seat<'a, 'm, H: Hardware, D: Discipline>(space: &'a Space<'m, H, D>, id: usize) -> Seat<'a, 'm, H, D> {
    Seat::new(space, Cpu::new(id).expect("a CPU's number"))
}

/// Takes a fault until it needs no more waiting for another CPU.
///
/// # Panics
/// If it does not end well.
#[inline]
pub fn take_waiting<H: Hardware, D: Discipline>(seat: &Seat<'_, '_, H, D>, fault: &StorageFault) {
    loop {
        match seat.fault(fault) {
            Resolution::Resume => return,
            Resolution::Wait(_) => std::hint::spin_loop(),
            other => panic!("a fault that cannot fail ended otherwise: {other:?}"),
        }
    }
}

/// Takes faults that all have to end well, with nobody to wait for.
///
/// # Panics
/// If one does not.
#[inline]
pub fn take<H: Hardware, D: Discipline>(seat: &Seat<'_, '_, H, D>, faults: &[StorageFault]) {
    for fault in faults {
        let resolution = seat.fault(fault);
        assert!(resolution == Resolution::Resume, "a fault that cannot fail ended otherwise");
    }
}

/// A guest and faults that it is about to take. It lives as long as the program, so that its end is not part of anything that is measured.
pub struct Work<D: Discipline + 'static> {
    seat: Seat<'static, 'static, Bench, D>,
    faults: &'static [StorageFault],
}

impl<D: Discipline> Work<D> {
    /// A guest in which the faults of `kind` on [`PAGES`] pages can be taken.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        let size = kind.size(PAGES);
        let memory = Box::leak(Box::new(guest::machine(size)));
        let space = Box::leak(Box::new(guest::guest(memory, size, Granule::Fixed(LeafSize::Size4K))));
        let seat = seat(space, 0);
        kind.prepare(&seat, std::slice::from_ref(&(0..PAGES)));
        Self { seat, faults: kind.faults::<D>(0, PAGES).leak() }
    }

    /// Takes them.
    pub fn run(&self) {
        take(&self.seat, self.faults);
    }
}

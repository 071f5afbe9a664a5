//! What stands at two neighbouring pages before two CPUs meet there.

use super::account::Seat;
use super::guest::{Outcome, contents, fetch, load, read, store, write};
use super::machine::{IMAGE, PAGE};
use super::world::{HUGE, IMAGE_PAGE, SMALL, Setup, ZERO_PAGE};
use crate::mmu::audit::Audit;
use ppc64_arch::addr::GuestReal;

/// What the page says before, where it says anything.
pub const OLD: u64 = 7;
/// What its neighbour says.
pub const BESIDE: u64 = 5;
/// What the racer stores.
pub const NEW: u64 = 9;

/// The beginning of a model. The racer is at the page; the neighbour shares its table or its huge leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Neither page was touched: there is no table.
    Bare,
    /// The same where a fault makes a huge leaf.
    BareHuge,
    /// The neighbour is there, the page was not touched.
    Empty,
    /// Both are there.
    Small,
    /// Both are pages of the image, mapped as they are.
    Shared,
    /// Both are in one huge leaf.
    Huge,
    /// The page is in the store, the neighbour is there.
    Stored,
    /// Both are there, and the racer is at the second, which is the last of its slot.
    Last,
    /// The slot ends before the racer's page; the one before it is there.
    Behind,
    /// The slot of the image is not there; the racer is where it would be.
    Nowhere,
    /// Both are in the frame of a huge leaf that was split.
    Split,
    /// A table is there, and maps nothing any more.
    Emptied,
}

impl Scene {
    pub fn setup(self) -> Setup {
        match self {
            Self::Huge | Self::BareHuge | Self::Split => HUGE,
            Self::Shared => Setup { image: 2, ..SMALL },
            Self::Behind => Setup { zeros: 1, ..SMALL },
            Self::Nowhere => Setup { image: 0, ..SMALL },
            Self::Bare | Self::Empty | Self::Small | Self::Stored | Self::Last | Self::Emptied => SMALL,
        }
    }

    /// The racer's page.
    pub fn page(self) -> u64 {
        match self {
            Self::Last | Self::Behind => self.base() + PAGE,
            _ => self.base(),
        }
    }

    /// The one beside it.
    pub fn beside(self) -> u64 {
        self.page() ^ PAGE
    }

    /// Where their slot begins.
    pub fn base(self) -> u64 {
        if matches!(self, Self::Shared | Self::Nowhere) { IMAGE_PAGE } else { ZERO_PAGE }
    }

    /// Makes it so, on one CPU.
    pub fn before<const B: bool>(self, seat: &Seat<B>) {
        let at = |page| GuestReal::new(page);
        match self {
            Self::Bare | Self::BareHuge | Self::Nowhere => {}
            Self::Empty | Self::Behind => put(seat, self.beside(), BESIDE),
            Self::Small | Self::Huge | Self::Last => self.put_both(seat),
            Self::Shared => assert_eq!(contents(seat, self.beside()), IMAGE[1]),
            Self::Stored => {
                put(seat, self.page(), OLD);
                seat.with_cpu(|space, cpu| while space.page_out(cpu) == 0 {});
                assert_eq!(Audit::of(seat.space()).stored, 1);
                put(seat, self.beside(), BESIDE);
            }
            Self::Split => {
                self.put_both(seat);
                seat.with_cpu(|space, cpu| space.split(cpu, at(self.page()))).expect("a huge leaf");
            }
            Self::Emptied => {
                self.put_both(seat);
                // One by one: both at once would take the table along.
                for page in [self.page(), self.beside()] {
                    seat.with_cpu(|space, cpu| space.unmap(cpu, at(page), at(page + PAGE))).expect("no split");
                }
                assert_eq!(Audit::of(seat.space()).tables, 1);
            }
        }
    }

    fn put_both<const B: bool>(self, seat: &Seat<B>) {
        put(seat, self.page(), OLD);
        put(seat, self.beside(), BESIDE);
    }

    /// What the page and its neighbour say then.
    pub fn old(self) -> (u64, u64) {
        match self {
            Self::Bare | Self::BareHuge | Self::Emptied => (0, 0),
            Self::Empty | Self::Behind => (0, BESIDE),
            Self::Shared | Self::Nowhere => self.source(),
            Self::Small | Self::Huge | Self::Stored | Self::Last | Self::Split => (OLD, BESIDE),
        }
    }

    /// What their slot's source says.
    pub fn source(self) -> (u64, u64) {
        if self.base() == IMAGE_PAGE { (IMAGE[0], IMAGE[1]) } else { (0, 0) }
    }
}

/// The hypervisor writes, and succeeds.
pub fn put<const B: bool>(seat: &Seat<B>, at: u64, value: u64) {
    assert_eq!(write(seat, at, value), Outcome::Stored(value));
}

/// What runs against a mutation, or against another racer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Racer {
    /// The guest loads.
    Load,
    /// The guest stores.
    Store,
    /// The guest fetches.
    Fetch,
    /// The hypervisor reads.
    Read,
    /// The hypervisor writes.
    Write,
}

impl Racer {
    /// Does it at `at`.
    pub fn run<const B: bool>(self, seat: &Seat<B>, at: u64) -> Outcome {
        match self {
            Self::Load => load(seat, at),
            Self::Store => store(seat, at, NEW),
            Self::Fetch => fetch(seat, at),
            Self::Read => read(seat, at),
            Self::Write => write(seat, at, NEW),
        }
    }
}

//! Delays at named points of the protocols, for stress: with the `delays` feature each point spins now and then for a few microseconds, and seldom for much longer, so that what other CPUs do
//! falls into gaps that are a few instructions wide otherwise. Without it the macro is nothing.
//!
//! The fault path's bounds on looking again are 0 now and then, so that what lies behind them is reached.

#[cfg(feature = "delays")]
use core::sync::atomic::{AtomicU64, Ordering};
use ppc64_arch::addr::GuestReal;
#[cfg(feature = "delays")]
use ppc64_arch::addr::LeafSize;

/// A delay at a [`Point`], if the build has them; others can tell the page meanwhile, if it is given.
macro_rules! delay {
    ($point:ident, $page:expr) => {{
        #[cfg(feature = "delays")]
        $crate::delays::at_page($crate::delays::Point::$point, $page);
    }};
    ($point:ident) => {{
        #[cfg(feature = "delays")]
        $crate::delays::at($crate::delays::Point::$point);
    }};
}
pub(crate) use delay;

/// Where CPUs are delayed.
#[cfg(feature = "delays")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Point {
    /// A fault knows its slot, and has not walked.
    SlotSeen,
    /// It knows the entry, has prepared what belongs there, and has not swapped.
    BeforeCommit,
    /// The same, of a page that rests or is in the store. It is long, so that another CPU has the time to come there on purpose.
    BeforeReturn,
    /// It has swapped, and is pinned still.
    AfterCommit,
    /// A mutation has its lock, and has closed nothing.
    Locked,
    /// A slot's sequence is odd, and the grace period has not begun.
    Closed,
    /// Everything is edited, and the sequence is odd still.
    BeforeOpen,
    /// The sequence is even again, and the mutation goes on.
    Opened,
    /// An entry is in transit.
    InTransit,
    /// Pages are about to be taken out of tables.
    BeforeUnlink,
    /// They are out, and may be cached.
    BeforeFlush,
    /// They are not cached any more, and not free.
    BeforeFree,
    /// No delay: a bound on attempts is drawn.
    Bound,
}

/// One point in so many is delayed, unless it says otherwise.
#[cfg(feature = "delays")]
const SELDOM: u64 = 8;

#[cfg(feature = "delays")]
impl Point {
    /// It is delayed once in so many times, and of that once in so many for long.
    const fn seldom(self) -> (u64, u64) {
        match self {
            Self::BeforeReturn => (4, 1),
            _ => (SELDOM, SELDOM * SELDOM),
        }
    }
}

/// Turns of a short delay at most, and how many times more those of a long one are.
#[cfg(feature = "delays")]
const TURNS: u64 = 256;
#[cfg(feature = "delays")]
const LONGER: u64 = 256;

/// A delay, or none.
#[cfg(feature = "delays")]
#[inline(never)]
pub fn at(point: Point) {
    let (drawn, (seldom, seldom_long)) = (draw(point), point.seldom());
    if !drawn.is_multiple_of(seldom) {
        return;
    }
    let turns = (drawn >> 32) % TURNS;
    let factor = if (drawn >> 16).is_multiple_of(seldom_long) { LONGER } else { 1 };
    // Not the hint for such loops: it is nothing on POWER, and a loop of nothing is left out.
    (0..turns * factor).for_each(|turn| _ = core::hint::black_box(turn));
}

/// A delay during which other CPUs know the page.
#[cfg(feature = "delays")]
pub fn at_page(point: Point, page: GuestReal) {
    DELAYED_AT.store(page.align_down(LeafSize::Size4K).raw() | 1, Ordering::Relaxed);
    at(point);
    DELAYED_AT.store(0, Ordering::Relaxed);
}

/// A page, and the lowest bit set. One word for all CPUs: of two that are delayed at the same time it may know neither.
#[cfg(feature = "delays")]
static DELAYED_AT: AtomicU64 = AtomicU64::new(0);

/// A page at which another CPU is delayed just now: whoever goes there is likely to be faster.
#[cfg_attr(not(feature = "mmu"), allow(dead_code, reason = "the memory core's"))]
pub(crate) fn delayed_at() -> Option<GuestReal> {
    #[cfg(feature = "delays")]
    if let page @ 1.. = DELAYED_AT.load(Ordering::Relaxed) {
        return Some(GuestReal::new(page - 1));
    }
    None
}

/// Random bits. Which CPU draws what is as random as their order.
#[cfg(feature = "delays")]
fn draw(point: Point) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // An odd constant far from all patterns.
    mixed(NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) ^ point as u64)
}

/// A bound on attempts, as it is.
#[cfg(not(feature = "delays"))]
#[cfg_attr(not(feature = "mmu"), allow(dead_code, reason = "the memory core's"))]
#[inline(always)]
pub(crate) const fn bound(many: u32) -> u32 {
    many
}

/// A bound on attempts; now and then there is to be none at all.
#[cfg(feature = "delays")]
pub(crate) fn bound(many: u32) -> u32 {
    if draw(Point::Bound).is_multiple_of(SELDOM) { 0 } else { many }
}

/// Spreads every bit over all of them.
#[cfg(feature = "delays")]
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 31)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits = (bits ^ (bits >> 29)).wrapping_mul(0xa5a3_5625_e81d_9b1d);
    bits ^ (bits >> 32)
}

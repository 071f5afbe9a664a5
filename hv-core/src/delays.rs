//! Delays at named points of the protocols, for stress: with the `delays` feature each point spins now and then for a few microseconds, and seldom for much longer, so that what other CPUs do
//! falls into gaps that are a few instructions wide otherwise. Without it the macro is nothing.
//!
//! The fault path's bounds on looking again are 0 now and then, so that what lies behind them is reached.

#[cfg(feature = "delays")]
use core::sync::atomic::{AtomicU64, Ordering};

/// A delay at a [`Point`], if the build has them.
macro_rules! delay {
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

/// One point in so many is delayed, one in so many of those for long.
#[cfg(feature = "delays")]
const SELDOM: u64 = 8;
/// Turns of a short delay at most, and how many times more those of a long one are.
#[cfg(feature = "delays")]
const TURNS: u64 = 256;
#[cfg(feature = "delays")]
const LONGER: u64 = 256;

/// A delay, or none.
#[cfg(feature = "delays")]
#[inline(never)]
pub fn at(point: Point) {
    let drawn = draw(point);
    if !drawn.is_multiple_of(SELDOM) {
        return;
    }
    let turns = (drawn >> 32) % TURNS;
    let factor = if (drawn >> 16).is_multiple_of(SELDOM * SELDOM) { LONGER } else { 1 };
    (0..turns * factor).for_each(|_| core::hint::spin_loop());
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

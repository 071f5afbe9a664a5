//! The decrementer: one register for the guest and for us.
//!
//! In the guest it counts for the guest, and an exit leaves it running. So it is read back when a stay ends as the time at which it will expire, and
//! written again only if somebody changed that time or borrowed the register for a sleep. An expired decrementer stays negative and pending, and the guest
//! takes its interrupt by itself when it enables it.
//!
//! Of two vCPUs that share a CPU, neither may take the other's interrupt: see [`Errata::stale_decrementer`].

use ppc64_arch::cpu;
use ppc64_arch::errata::Errata;
use ppc64_arch::spr::live;
use tock_registers::interfaces::{Readable, Writeable};

/// What is known of the register on one CPU.
#[derive(Debug)]
pub struct Decrementer {
    /// The expiry that it counts to, if it is known to.
    loaded: Option<u64>,
    /// The largest value that it counts down from.
    longest: u64,
    /// It is to be set twice.
    twice: bool,
}

impl Decrementer {
    /// A decrementer of `bits` bits, of which nothing is known.
    #[must_use]
    pub fn new(bits: u32, errata: Errata) -> Self {
        Self { loaded: None, longest: (1 << (bits.clamp(32, 63) - 1)) - 1, twice: errata.stale_decrementer }
    }

    /// Whether it has more than 32 bits, so that a guest's LPCR\[LD\] is to be set.
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.longest >> 31 != 0
    }

    /// Somebody else may have used it.
    pub fn forget(&mut self) {
        self.loaded = None;
    }

    /// Has it expire at `expiry`, a timebase, unless it does so already.
    pub fn ensure(&mut self, expiry: u64) {
        if self.loaded != Some(expiry) {
            self.count_to(expiry);
        }
    }

    /// Has it expire at `expiry`, or a moment ago if that is past.
    pub fn count_to(&mut self, expiry: u64) {
        let left = expiry.wrapping_sub(cpu::timebase()).cast_signed();
        let longest = self.longest.cast_signed();
        let left = left.clamp(-longest, longest).cast_unsigned();
        live::DEC.set(left);
        if self.twice {
            live::DEC.set(left);
        }
        self.loaded = Some(expiry);
    }

    /// When it expires, or has.
    pub fn expiry(&mut self) -> u64 {
        let value = live::DEC.get();
        // A small decrementer reads as 32 bits without a sign.
        let left = if self.is_large() { value.cast_signed() } else { i64::from(low_word(value).cast_signed()) };
        let expiry = cpu::timebase().wrapping_add_signed(left);
        self.loaded = Some(expiry);
        expiry
    }
}

/// The low half of a doubleword.
#[must_use]
pub const fn low_word(value: u64) -> u32 {
    let [.., a, b, c, d] = value.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

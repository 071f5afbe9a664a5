//! Whom a change of the controller concerns.

use core::ops::{BitOr, BitOrAssign};

/// The servers that have something to present now which they may not have had before: their processors are to be woken. Servers and vCPUs have the
/// same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a processor that is not woken sleeps on while its interrupt waits"]
pub struct Wakes(u64);

impl Wakes {
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// One server; nobody, if its number has no bit.
    pub const fn one(server: u32) -> Self {
        match 1_u64.checked_shl(server) {
            Some(mask) => Self(mask),
            None => Self::NONE,
        }
    }

    /// A bit a server; bit 0 (the least significant) is server 0.
    #[must_use]
    pub const fn mask(self) -> u64 {
        self.0
    }
}

impl BitOr for Wakes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Wakes {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

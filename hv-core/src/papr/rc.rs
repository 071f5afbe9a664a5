//! What a hypervisor call answers in r3.

/// A return code: zero is success, positive ones are outcomes, negative ones errors (LoPAR 14.5, table of return codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Rc(i64);

impl Rc {
    /// Done.
    pub const SUCCESS: Self = Self(0);
    /// Not now; ask again.
    pub const BUSY: Self = Self(1);
    /// Not in this state: what it asks to end has not begun.
    pub const CLOSED: Self = Self(2);
    /// It takes longer: to be asked again after a millisecond or so.
    pub const LONG_BUSY_1_MSEC: Self = Self(9900);
    /// What was asked for is not to be had at this time.
    pub const NOT_AVAILABLE: Self = Self(3);
    /// The hardware failed, or does not have it.
    pub const HARDWARE: Self = Self(-1);
    /// No such call.
    pub const FUNCTION: Self = Self(-2);
    /// The caller was in problem state.
    pub const PRIVILEGE: Self = Self(-3);
    /// A parameter (mostly the first) is bad.
    pub const PARAMETER: Self = Self(-4);
    /// Not in this mode.
    pub const BAD_MODE: Self = Self(-5);
    /// The group of hash entries is full.
    pub const PTEG_FULL: Self = Self(-6);
    /// No such entry.
    pub const NOT_FOUND: Self = Self(-7);
    /// The caller has not the authority.
    pub const AUTHORITY: Self = Self(-10);
    /// A resource is in use, or used up.
    pub const RESOURCE: Self = Self(-16);
    /// The second parameter is bad.
    pub const P2: Self = Self(-55);
    /// The third parameter is bad.
    pub const P3: Self = Self(-56);
    /// The fourth parameter is bad.
    pub const P4: Self = Self(-57);
    /// The fifth parameter is bad.
    pub const P5: Self = Self(-58);
    /// A flag is not supported.
    pub const UNSUPPORTED_FLAG: Self = Self(-256);

    /// A flag is not supported: the one with this bit number, 0 to 63 (LoPAR 14.5: one code for each).
    #[must_use]
    pub const fn unsupported_flag(bit: u32) -> Self {
        Self(Self::UNSUPPORTED_FLAG.0 - bit as i64)
    }

    /// The code in r3.
    #[must_use]
    pub const fn from_register(r3: u64) -> Self {
        Self(r3.cast_signed())
    }

    /// As it goes to r3.
    #[must_use]
    pub const fn register(self) -> u64 {
        self.0.cast_unsigned()
    }

    /// Its number.
    #[must_use]
    pub const fn raw(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_goes_through_a_register_unchanged() {
        for rc in [Rc::SUCCESS, Rc::PARAMETER, Rc::P5, Rc::UNSUPPORTED_FLAG] {
            assert_eq!(Rc::from_register(rc.register()), rc);
        }
        assert_eq!(Rc::FUNCTION.register(), 0xffff_ffff_ffff_fffe);
    }
}

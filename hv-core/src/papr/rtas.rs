//! The argument block of a call to RTAS, the run-time abstraction services, and what it answers (LoPAR 7.2, RTAS calls).
//!
//! ```text
//!  0  token    4  nargs    8  nret    12  args[nargs], then rets[nret]      each a big-endian 32-bit word
//! ```

/// Bytes before the first argument.
pub const HEADER_BYTES: usize = 12;
/// The most arguments and results together.
pub const MAX_WORDS: usize = 16;
/// Bytes of a block with every word in use.
pub const MAX_BYTES: usize = HEADER_BYTES + 4 * MAX_WORDS;

/// What `rets[0]` says: a signed 32-bit word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Status(i32);

impl Status {
    /// Done.
    pub const SUCCESS: Self = Self(0);
    /// event-scan, check-exception, rtas-last-error: there is nothing to report.
    pub const NOTHING_FOUND: Self = Self(1);
    /// The hardware failed, or is absent.
    pub const HARDWARE: Self = Self(-1);
    /// Ask again.
    pub const BUSY: Self = Self(-2);
    /// A parameter is bad; of a system parameter, that it does not exist.
    pub const PARAMETER: Self = Self(-3);
    /// System parameters: not to be changed by this guest.
    pub const NOT_AUTHORIZED: Self = Self(-9002);
    /// System parameters: the buffer is too short, or lies outside memory.
    pub const BAD_BUFFER: Self = Self(-9999);

    /// As it is written to `rets[0]`.
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// The status in a word of a block.
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        Self(word.cast_signed())
    }
}

/// Numbers of system parameters (LoPAR 7.3.16.1).
pub mod parameter {
    /// Characteristics of a partition with shared processors: a string of `Name=value` pairs.
    pub const SPLPAR_CHARACTERISTICS: u32 = 20;
    /// How much diagnosis the platform does by itself: one byte.
    pub const DIAGNOSTICS_RUN_MODE: u32 = 42;
    /// The partition's name: a string.
    pub const LPAR_NAME: u32 = 55;
}

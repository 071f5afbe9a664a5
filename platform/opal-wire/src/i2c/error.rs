//! Why a transfer failed. That nobody answered and that nothing happened in time are told apart: the first says that a bus works.

use core::fmt;
use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The device did not acknowledge its address or a byte; the firmware does not say which.
    NoAcknowledge,
    /// The bus did not finish in the firmware's time.
    TimedOut,
    /// The firmware itself did not answer in ours.
    NoAnswer,
    /// Another master won the bus.
    ArbitrationLost,
    /// The controller lost bytes.
    Overrun,
    /// The bus or the way to its controller misbehaved: no stop condition, or a parity error.
    Bus,
    /// The firmware has no request for this transaction: it knows a write, a read, and a write of one to four bytes and then a read.
    Shape,
    /// More bytes than a controller's length field holds ([`Shape::MOST_BYTES`](super::Shape::MOST_BYTES)).
    TooLong,
    /// An address of more than seven bits.
    Address,
    /// No memory for the bytes.
    NoMemory,
    /// The firmware refused, with this code.
    Refused(i64),
}

/// The firmware's codes (skiboot, `opal-api.h`).
mod code {
    pub const SUCCESS: i64 = 0;
    pub const TIMEOUT: i64 = -17;
    pub const PARITY: i64 = -19;
    pub const OVERRUN: i64 = -20;
    pub const ARBITRATION_LOST: i64 = -22;
    pub const NO_ACKNOWLEDGE: i64 = -23;
    pub const STOP: i64 = -24;
}

impl Error {
    /// What a code of the firmware's means.
    ///
    /// # Errors
    /// For every code but success.
    pub const fn check(code: i64) -> Result<(), Self> {
        Err(match code {
            code::SUCCESS => return Ok(()),
            code::NO_ACKNOWLEDGE => Self::NoAcknowledge,
            code::TIMEOUT => Self::TimedOut,
            code::ARBITRATION_LOST => Self::ArbitrationLost,
            code::OVERRUN => Self::Overrun,
            code::PARITY | code::STOP => Self::Bus,
            other => Self::Refused(other),
        })
    }

    /// Whether a further request to this bus would wait as long again.
    #[must_use]
    pub const fn is_slow(self) -> bool {
        matches!(self, Self::TimedOut | Self::NoAnswer)
    }
}

impl embedded_hal::i2c::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoAcknowledge => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown),
            Self::ArbitrationLost => ErrorKind::ArbitrationLoss,
            Self::Overrun => ErrorKind::Overrun,
            Self::Bus => ErrorKind::Bus,
            _ => ErrorKind::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAcknowledge => "nobody acknowledged",
            Self::TimedOut => "the bus did not finish in time",
            Self::NoAnswer => "the firmware did not answer in time",
            Self::ArbitrationLost => "another master won the bus",
            Self::Overrun => "the controller lost bytes",
            Self::Bus => "the bus misbehaved",
            Self::Shape => "the firmware has no request for this transaction",
            Self::TooLong => "more bytes than the controller transfers at once",
            Self::Address => "an address of more than seven bits",
            Self::NoMemory => "no memory for the bytes",
            Self::Refused(code) => return write!(f, "the firmware refused with code {code}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal::i2c::Error as _;

    #[test]
    fn nobody_there_is_not_the_same_as_nothing_in_time() {
        assert_eq!(Error::check(0), Ok(()));
        assert_eq!(Error::check(-23), Err(Error::NoAcknowledge));
        assert_eq!(Error::check(-17), Err(Error::TimedOut));
        assert_eq!(Error::NoAcknowledge.kind(), ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown));
        for slow in [Error::TimedOut, Error::NoAnswer] {
            assert!(slow.is_slow() && slow.kind() == ErrorKind::Other, "{slow}");
        }
        assert!(!Error::NoAcknowledge.is_slow());
    }

    #[test]
    fn codes_that_drivers_have_a_kind_for_keep_it() {
        let kinds = [
            (-22, ErrorKind::ArbitrationLoss),
            (-20, ErrorKind::Overrun),
            (-19, ErrorKind::Bus),
            (-24, ErrorKind::Bus),
            (-1, ErrorKind::Other),
            (1, ErrorKind::Other),
        ];
        for (code, kind) in kinds {
            assert_eq!(Error::check(code).map_err(|error| error.kind()), Err(kind), "{code}");
        }
        assert_eq!(Error::check(-1), Err(Error::Refused(-1)));
    }
}

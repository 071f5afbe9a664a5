//! A terminal of the machine below, of whatever kind: the guest's console and our own words, or the log.

mod io;

pub use io::Typed;

use crate::powernv::{opal, uart};
use crate::pseries::console::{self, Vty};

/// Where bytes can be written to, and perhaps read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// A virtual terminal of a PAPR hypervisor.
    Vty(Vty),
    /// A console of OPAL's, by its number.
    Opal(u64),
    /// A UART on the LPC bus that OPAL leaves alone, reached through OPAL or directly.
    Uart(uart::Uart),
}

impl Terminal {
    /// Our console before anything is known of the machine.
    #[must_use]
    pub fn first() -> Self {
        match crate::below::kind() {
            crate::below::Kind::Pseries => Self::Vty(console::FIRST),
            crate::below::Kind::PowerNv if opal::is_there() => Self::Opal(0),
            crate::below::Kind::PowerNv => Self::Uart(uart::CONSOLE),
        }
    }

    /// Writes what the terminal takes now; how many bytes that were.
    pub fn write(self, bytes: &[u8]) -> usize {
        match self {
            Self::Vty(vty) => vty.write(bytes),
            Self::Opal(number) => opal::console_write(number, bytes),
            Self::Uart(uart) => uart.write(bytes),
        }
    }

    /// Writes everything, trying again while the terminal is busy, but not for ever: a terminal that takes nothing loses the rest.
    pub fn write_all(mut self, bytes: &[u8]) {
        _ = embedded_io::Write::write_all(&mut self, bytes);
    }

    /// Reads what was typed; how many bytes. `into` has room for 16.
    pub fn read(self, into: &mut [u8]) -> usize {
        match self {
            Self::Vty(vty) => vty.read(into),
            Self::Opal(number) => opal::console_read(number, into),
            Self::Uart(uart) => uart.read(into),
        }
    }
}

//! A 16550 UART on the LPC bus of chip 0: the log's, when firmware has another one for its console, and our console where there is no firmware.
//!
//! With OPAL it is reached by OPAL's calls, a byte each; without, by cache-inhibited accesses to where QEMU's chip has the bus, which are allowed in real mode only.

use super::{opal, own};
use crate::boot::fdt::Machine;
use core::arch::asm;

/// A UART, by its port on the LPC bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uart {
    port: u32,
}

/// Without firmware: the console, as the second serial port of the machine. The first is the log's.
pub const CONSOLE: Uart = Uart { port: 0x2f8 };
/// The log's.
const LOG: Uart = Uart { port: 0x3f8 };

/// Where the LPC bus's I/O space stands on chip 0 of QEMU's POWER9 and POWER10.
const IO_SPACE: u64 = 0x6_0300_d001_0000;

/// Registers and bits of a 16550.
mod register {
    /// Receive and transmit.
    pub const DATA: u32 = 0;
    /// Line status.
    pub const LINE_STATUS: u32 = 5;
    /// Line status: a byte was received.
    pub const RECEIVED: u8 = 1;
    /// Line status: room for a byte.
    pub const ROOM: u8 = 0x20;
}

/// The UART for the log: 0x3f8, if the machine has a further one, which is then the firmware's console.
#[must_use]
pub fn log(machine: &Machine) -> Option<Uart> {
    (machine.uarts.len() > 1 && machine.uarts.contains(&LOG.port)).then_some(LOG)
}

impl Uart {
    /// Writes bytes until there is no room; how many.
    pub fn write(self, bytes: &[u8]) -> usize {
        let sent = bytes.iter().take_while(|byte| self.send(**byte));
        sent.count()
    }

    /// Reads what was received; how many bytes.
    pub fn read(self, into: &mut [u8]) -> usize {
        let mut count = 0;
        while count < into.len() && self.load(register::LINE_STATUS) & register::RECEIVED != 0 {
            into[count] = self.load(register::DATA);
            count += 1;
        }
        count
    }

    fn send(self, byte: u8) -> bool {
        let room = self.load(register::LINE_STATUS) & register::ROOM != 0;
        if room {
            self.store(register::DATA, byte);
        }
        room
    }

    fn load(self, register: u32) -> u8 {
        if opal::is_there() {
            return opal::lpc_read(self.port + register);
        }
        own::in_real_mode(|| {
            let value: u64;
            // SAFETY: 1. hypervisor real mode, where lbzcix is allowed; 2. the address is a device's, whose registers change no memory.
            unsafe { asm!("lbzcix {}, 0, {}", out(reg) value, in(reg) self.address(register), options(nostack)) }
            value.to_le_bytes()[0]
        })
    }

    fn store(self, register: u32, byte: u8) {
        if opal::is_there() {
            return opal::lpc_write(self.port + register, byte);
        }
        own::in_real_mode(|| {
            // SAFETY: 1. and 2. as above.
            unsafe {
                asm!("stbcix {}, 0, {}", in(reg) u64::from(byte), in(reg) self.address(register), options(nostack))
            }
        });
    }

    const fn address(self, register: u32) -> u64 {
        IO_SPACE + (self.port + register) as u64
    }
}

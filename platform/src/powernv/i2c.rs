//! The machine's I2C buses, by the firmware's calls. What a bus is for drivers is `opal_wire::i2c`.

use super::opal::completion::{Mailbox, Waited, next_token};
use super::opal::{self, code};
use crate::boot::fdt::Machine;
use alloc::vec::Vec;
use core::mem;
use opal_wire::i2c::{Bus, Error, Firmware, Request, Wire};

/// Seconds after which a transfer is given up. The firmware gives up after four at most, and its word is better.
const PATIENCE: u64 = 5;

/// Carries requests out, one at a time.
pub struct Requests {
    mailbox: Mailbox,
    /// Ticks of the timebase that a transfer may take.
    patience: u64,
}

impl Requests {
    /// By this machine's firmware; `None` if it has none, or there is no memory for its messages.
    #[must_use]
    pub fn new(machine: &Machine) -> Option<Self> {
        let mailbox = Mailbox::new(machine.opal?)?;
        Some(Self { mailbox, patience: machine.timebase_hz.saturating_mul(PATIENCE) })
    }

    /// The bus of this number.
    pub const fn bus(&mut self, number: u32) -> Bus<&mut Self> {
        Bus::new(number, self)
    }
}

impl Firmware for Requests {
    fn transfer(&mut self, request: &Request, mut data: Vec<u8>) -> Result<Vec<u8>, Error> {
        let token = next_token();
        let wire = request.wire(data.as_mut_ptr().expose_provenance() as u64);
        match begin(token, request.bus, &wire) {
            code::ASYNC_COMPLETION => {}
            other => return Error::check(other).map(|()| data),
        }
        match self.mailbox.wait(token, self.patience) {
            Ok(code) => Error::check(code).map(|()| data),
            Err(why) => {
                // The firmware may still write to them, at any time.
                mem::forget(data);
                Err(match why {
                    Waited::TooLong => Error::NoAnswer,
                    Waited::Refused(code) => Error::Refused(code),
                })
            }
        }
    }
}

/// Has the firmware begin.
fn begin(token: u64, bus: u32, wire: &Wire) -> i64 {
    let wire = core::ptr::from_ref(wire).expose_provenance() as u64;
    // SAFETY: 1. the firmware copies the request; 2. the bytes it names are on the heap, nobody reads or writes them until it says that it is done, and if it
    // does not they are never anybody else's.
    unsafe { opal::call(opal::token::I2C_REQUEST, &[token, u64::from(bus), wire]) }
}

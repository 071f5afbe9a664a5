//! An I2C bus of the machine, as drivers know one ([`embedded_hal::i2c::I2c`]), over `OPAL_I2C_REQUEST`.
//!
//! The firmware does a whole transfer or none: it writes, reads, or writes one to four bytes and reads after a repeated start (its *sub-address*). Other transactions
//! are refused by name before anything moves, see [`Shape`].
//!
//! A transfer's bytes are on the heap and change hands: a firmware that did not answer in time may still write to them, so they are never a caller's.

mod error;
mod expected;
mod request;
mod shape;

pub use error::Error;
pub use expected::{Driver, Expected, Malformed, expected};
pub use request::{Request, Wire};
pub use shape::Shape;

use alloc::vec::Vec;
use embedded_hal::i2c::{ErrorType, I2c, Operation};

/// What carries requests out.
pub trait Firmware {
    /// Carries out `request`: what it writes is in `data`, what it reads comes there. Gives the bytes back, as many as they were.
    ///
    /// # Errors
    /// [`Error`]; the bytes are gone.
    fn transfer(&mut self, request: &Request, data: Vec<u8>) -> Result<Vec<u8>, Error>;
}

impl<F: Firmware> Firmware for &mut F {
    fn transfer(&mut self, request: &Request, data: Vec<u8>) -> Result<Vec<u8>, Error> {
        F::transfer(self, request, data)
    }
}

/// A bus.
#[derive(Debug)]
pub struct Bus<F> {
    firmware: F,
    /// The firmware's number for it (`ibm,opal-id`).
    number: u32,
}

impl<F> Bus<F> {
    /// The bus that the firmware knows by `number`.
    pub const fn new(number: u32, firmware: F) -> Self {
        Self { firmware, number }
    }
}

impl<F> ErrorType for Bus<F> {
    type Error = Error;
}

impl<F: Firmware> I2c for Bus<F> {
    /// One request of the firmware's. Operations of the same kind that follow each other are one; none at all are nothing.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Shape`] for what the firmware has no request for.
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Error> {
        if operations.is_empty() {
            return Ok(());
        }
        if address > 0x7f {
            return Err(Error::Address);
        }
        let shape = Shape::of(operations)?;
        let data = shape.reserve()?;
        let data = if shape.is_write() { gather(data, operations) } else { zeroed(data, shape.bytes()) };
        let data = self.firmware.transfer(&Request { bus: self.number, address, shape }, data)?;
        scatter(&data, operations);
        Ok(())
    }
}

/// Zeros, for the firmware to write over.
fn zeroed(mut data: Vec<u8>, bytes: usize) -> Vec<u8> {
    data.resize(bytes, 0);
    data
}

/// What is written, one after the other.
fn gather(mut data: Vec<u8>, operations: &[Operation<'_>]) -> Vec<u8> {
    for operation in operations {
        if let Operation::Write(bytes) = operation {
            data.extend_from_slice(bytes);
        }
    }
    data
}

/// Gives each reader its part. A write has none.
fn scatter(data: &[u8], operations: &mut [Operation<'_>]) {
    let mut rest = data.iter();
    for operation in operations {
        if let Operation::Read(into) = operation {
            into.iter_mut().zip(&mut rest).for_each(|(into, byte)| *into = *byte);
        }
    }
}

//! Devices under their drivers. Each check writes, reads back, and puts back what was there.
//!
//! There is no driver for the PCA9552 among the crates that speak embedded-hal 1.0, so its registers are used as its data sheet has them.

use super::super::Report;
use crate::powernv::delay::Delay;
use crate::powernv::i2c::Requests;
use core::fmt;
use eeprom24x::{Eeprom24x, SlaveAddr, Storage};
use embedded_hal::i2c::I2c;
use embedded_storage::{ReadStorage, Storage as _};
use opal_wire::i2c::{Driver, Error, Expected};
use port_expander::PinError;
use port_expander::dev::pca9554::Pca9554;

/// Why a device does not get on with its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// A transfer failed.
    Transfer(Error),
    /// What was read is not what was written.
    Differs,
    /// Its driver does not know it by this address, or not so large.
    Place,
}

/// Checks `device` under the driver that is named for it, if one is.
pub fn drive(report: &mut Report, requests: &mut Requests, device: Expected, timebase_hz: u64) {
    let Expected { bus, address, driver: Some(driver) } = device else { return };
    let (name, outcome) = match driver {
        Driver::Eeprom24c32 => ("i2c-24c32", eeprom(requests, device, Delay::new(timebase_hz))),
        Driver::Pca9552 => ("i2c-pca9552", leds(requests, device)),
        Driver::Pca9554 => ("i2c-pca9554", port(requests, device)),
    };
    match outcome {
        Ok(()) => report.check(name, Ok(format_args!("{bus:02x}:{address:02x} written, read back, put back"))),
        Err(wrong) => report.check(name, Err(format_args!("{bus:02x}:{address:02x}: {wrong}"))),
    }
}

/// An EEPROM: bytes on both sides of a page's end, inverted.
fn eeprom(requests: &mut Requests, device: Expected, delay: Delay) -> Result<(), Wrong> {
    /// The middle of it ends the last page but one.
    const AT: u32 = 4096 - 32 - 8;
    let [a0, a1, a2] = strapped(device, 0x50)?;
    let eeprom = Eeprom24x::new_24x32(requests.bus(device.bus), SlaveAddr::Alternative(a2, a1, a0));
    let mut storage = Storage::new(eeprom, delay);
    let (mut before, mut found) = ([0; 16], [0; 16]);
    storage.read(AT, &mut before)?;
    let inverted = before.map(|byte: u8| !byte);
    let written = storage.write(AT, &inverted).and_then(|()| storage.read(AT, &mut found));
    storage.write(AT, &before)?;
    written?;
    same(found == inverted)
}

/// An LED driver: its last four outputs are switched on, which draws them low, and off.
fn leds(requests: &mut Requests, device: Expected) -> Result<(), Wrong> {
    const INPUTS: u8 = 1;
    const LAST_SELECTOR: u8 = 9;
    const ON: u8 = 0;
    const OFF: u8 = 0x55;
    let before = register(requests, device, LAST_SELECTOR)?;
    let switched = [ON, OFF].map(|value| {
        set_register(requests, device, LAST_SELECTOR, value)?;
        let kept = register(requests, device, LAST_SELECTOR)? == value;
        let low = register(requests, device, INPUTS)? & 0xf0 == 0;
        same(kept && (low || value == OFF))
    });
    set_register(requests, device, LAST_SELECTOR, before)?;
    switched.into_iter().collect::<Result<(), Wrong>>()?;
    first_byte_first(requests, device)
}

/// That a sub-address of two bytes goes out with its first byte first, as EEPROMs want it. This chip takes the second for the register that the first one names
/// (here the duty cycle of a blinking rate), and gives back that register.
fn first_byte_first(requests: &mut Requests, device: Expected) -> Result<(), Wrong> {
    const DUTY: u8 = 5;
    let before = register(requests, device, DUTY)?;
    let mut found = [0];
    requests.bus(device.bus).write_read(device.address, &[DUTY, !before], &mut found)?;
    set_register(requests, device, DUTY, before)?;
    same(found[0] == !before)
}

/// A port: its last pin is driven low and high. The driver begins with all outputs high; inputs do not care.
fn port(requests: &mut Requests, device: Expected) -> Result<(), Wrong> {
    const INPUTS: u8 = 0;
    const OUTPUTS: u8 = 1;
    const DIRECTIONS: u8 = 3;
    let before = [OUTPUTS, DIRECTIONS].map(|number| register(requests, device, number).map(|value| (number, value)));
    let driven = [false, true].map(|high| {
        drive_pin(requests, device, high)?;
        same((register(requests, device, INPUTS)? & 0x80 != 0) == high)
    });
    for saved in before {
        let (number, value) = saved?;
        set_register(requests, device, number, value)?;
    }
    driven.into_iter().collect()
}

fn drive_pin(requests: &mut Requests, device: Expected, high: bool) -> Result<(), Wrong> {
    let [a0, a1, a2] = strapped(device, 0x20)?;
    let mut port = Pca9554::new(requests.bus(device.bus), a0, a1, a2);
    let pin = port.split().io7;
    let driven = if high { pin.into_output_high() } else { pin.into_output() };
    driven.map(drop).map_err(Wrong::from)
}

/// The three lowest bits of the address, if the others are those of `base`.
fn strapped(device: Expected, base: u8) -> Result<[bool; 3], Wrong> {
    if device.address & !7 == base { Ok([1, 2, 4].map(|bit| device.address & bit != 0)) } else { Err(Wrong::Place) }
}

fn register(requests: &mut Requests, device: Expected, number: u8) -> Result<u8, Wrong> {
    let mut value = [0];
    requests.bus(device.bus).write_read(device.address, &[number], &mut value)?;
    Ok(value[0])
}

fn set_register(requests: &mut Requests, device: Expected, number: u8, value: u8) -> Result<(), Wrong> {
    Ok(requests.bus(device.bus).write(device.address, &[number, value])?)
}

const fn same(same: bool) -> Result<(), Wrong> {
    if same { Ok(()) } else { Err(Wrong::Differs) }
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Transfer(error)
    }
}

impl From<eeprom24x::Error<Error>> for Wrong {
    fn from(error: eeprom24x::Error<Error>) -> Self {
        match error {
            eeprom24x::Error::I2C(error) => Self::Transfer(error),
            eeprom24x::Error::TooMuchData | eeprom24x::Error::InvalidAddr => Self::Place,
        }
    }
}

impl From<PinError<Error>> for Wrong {
    fn from(error: PinError<Error>) -> Self {
        Self::Transfer(*error.driver_error())
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transfer(error) => error.fmt(f),
            Self::Differs => f.write_str("what was read is not what was written"),
            Self::Place => f.write_str("the driver knows no device of this kind there"),
        }
    }
}

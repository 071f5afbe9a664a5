//! A firmware with devices on its buses, as far as drivers can tell.

use opal_wire::i2c::{Error, Firmware, Request, Shape};
use std::collections::BTreeMap;

/// What a device does with bytes.
pub trait Device {
    /// Bytes after its address and before a stop or repeated start.
    fn write(&mut self, bytes: &[u8]);
    /// The next byte for a reader.
    fn read(&mut self) -> u8;
}

/// A board: devices by bus and address. Bus [`STUCK`](Self::STUCK) never finishes.
#[derive(Default)]
pub struct Board {
    pub devices: BTreeMap<(u32, u8), Box<dyn Device>>,
    /// Every request.
    pub seen: Vec<Request>,
}

impl Board {
    pub const STUCK: u32 = 9;

    /// A board with one device.
    pub fn with(bus: u32, address: u8, device: impl Device + 'static) -> Self {
        let devices = BTreeMap::from([((bus, address), Box::new(device) as Box<dyn Device>)]);
        Self { devices, seen: Vec::new() }
    }
}

impl Firmware for Board {
    fn transfer(&mut self, request: &Request, mut data: Vec<u8>) -> Result<Vec<u8>, Error> {
        self.seen.push(*request);
        assert_eq!(data.len(), request.shape.bytes());
        if request.bus == Self::STUCK {
            return Err(Error::TimedOut);
        }
        let device = self.devices.get_mut(&(request.bus, request.address)).ok_or(Error::NoAcknowledge)?;
        match request.shape {
            Shape::Write { .. } => device.write(&data),
            Shape::Read { .. } => data.fill_with(|| device.read()),
            Shape::ReadAt { width, sub_address, .. } => {
                device.write(&sub_address.to_be_bytes()[4 - usize::from(width)..]);
                data.fill_with(|| device.read());
            }
        }
        Ok(data)
    }
}

/// A 24c32: two bytes of address, and a write that does not leave its page of 32 bytes.
pub struct Eeprom {
    bytes: Vec<u8>,
    at: usize,
}

impl Eeprom {
    pub fn new() -> Self {
        Self { bytes: vec![0xff; 4096], at: 0 }
    }
}

impl Device for Eeprom {
    fn write(&mut self, bytes: &[u8]) {
        let [high, low, data @ ..] = bytes else { return };
        self.at = usize::from(u16::from_be_bytes([*high, *low])) % self.bytes.len();
        for byte in data {
            self.bytes[self.at] = *byte;
            self.at = (self.at & !31) | ((self.at + 1) & 31);
        }
    }

    fn read(&mut self) -> u8 {
        let byte = self.bytes[self.at];
        self.at = (self.at + 1) % self.bytes.len();
        byte
    }
}

/// A PCA9554: input, output, polarity and configuration registers of eight pins; an output pin reads as it is driven, an input as 1.
pub struct Port {
    registers: [u8; 4],
    at: usize,
}

impl Port {
    pub fn new() -> Self {
        Self { registers: [0xff, 0xff, 0, 0xff], at: 0 }
    }
}

impl Device for Port {
    fn write(&mut self, bytes: &[u8]) {
        let [register, data @ ..] = bytes else { return };
        self.at = usize::from(*register & 3);
        if let Some(value) = data.last() {
            self.registers[self.at] = *value;
        }
        let [input, output, _, inputs] = &mut self.registers;
        *input = *output | *inputs;
    }

    fn read(&mut self) -> u8 {
        self.registers[self.at]
    }
}

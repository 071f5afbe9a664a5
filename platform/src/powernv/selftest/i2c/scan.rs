//! Every address of every bus, as far as the time goes: an address where nobody is costs skiboot 10 ms, as it resets the controller.

use super::super::Report;
use crate::powernv::i2c::Requests;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;
use embedded_hal::i2c::I2c;
use opal_wire::i2c::Error;
use ppc64_arch::cpu;

/// Addresses that devices have; the others mean something to the bus itself (UM10204, reserved addresses).
const ADDRESSES: RangeInclusive<u8> = 0x08..=0x77;
/// Seconds for all buses.
const PATIENCE: u64 = 10;

/// A bus and an address on it.
pub type Place = (u32, u8);

/// Who answered.
pub struct Scan {
    buses: usize,
    /// Buses that were not looked at, for lack of time.
    left_out: usize,
    devices: Vec<Place>,
    /// Where something else came than an answer or none. The rest of such a bus was left alone.
    broken: Vec<(Place, Error)>,
    /// An address where nobody is.
    pub silent: Option<Place>,
}

impl Scan {
    /// Scans `buses`.
    pub fn of(buses: &[u32], requests: &mut Requests, timebase_hz: u64) -> Self {
        let (start, patience) = (cpu::timebase(), timebase_hz.saturating_mul(PATIENCE));
        let in_time = || cpu::timebase().wrapping_sub(start) < patience;
        let mut scan = Self { buses: 0, left_out: 0, devices: Vec::new(), broken: Vec::new(), silent: None };
        for &bus in buses {
            if in_time() {
                scan.look_at(bus, requests);
            } else {
                scan.left_out += 1;
            }
        }
        scan
    }

    fn look_at(&mut self, bus: u32, requests: &mut Requests) {
        self.buses += 1;
        for address in ADDRESSES {
            match requests.bus(bus).read(address, &mut [0]) {
                Ok(()) => self.devices.push((bus, address)),
                Err(Error::NoAcknowledge) => self.silent = Some((bus, address)),
                Err(other) => return self.broken.push(((bus, address), other)),
            }
        }
    }

    /// Says what was found. None of it is a failure: what has to be there is checked by name, and a bus that does not work may be a connector where nothing is plugged in.
    pub fn report(&self, report: &mut Report) {
        report.check("i2c-scan", Ok(format_args!("{self}")));
    }
}

impl fmt::Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} buses, {} devices", self.buses, self.devices.len())?;
        for (bus, address) in &self.devices {
            write!(f, " {bus:02x}:{address:02x}")?;
        }
        for ((bus, address), error) in &self.broken {
            write!(f, "; {bus:02x}:{address:02x}: {error}")?;
        }
        if self.left_out > 0 {
            write!(f, "; {} buses left out after {PATIENCE} s", self.left_out)?;
        }
        Ok(())
    }
}

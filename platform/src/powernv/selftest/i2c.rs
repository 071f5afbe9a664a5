//! I2C buses: who answers, and, where the command line names a driver, whether a driver gets on with it.
//!
//! `samewise.expect-i2c=BUS:ADDRESS[:DRIVER]` names devices that must be there. A scan reads one byte from each address, which disturbs next to nothing; only a
//! device with a driver is written to, and what was written over is put back.

mod drivers;
mod scan;

use super::Report;
use crate::boot::fdt::Machine;
use crate::powernv::delay::Delay;
use crate::powernv::i2c::Requests;
use alloc::vec::Vec;
use embedded_hal::delay::DelayNs as _;
use embedded_hal::i2c::{Error as _, ErrorKind, I2c};
use hv_core::guest::cmdline;
use opal_wire::i2c::{Expected, Malformed, expected};
use ppc64_arch::cpu;
use scan::Scan;

/// Everything about I2C.
pub fn run(report: &mut Report, machine: &Machine) {
    let options = cmdline::parse(machine.bootargs);
    let list = options.as_ref().map_or("", |options| options.expect_i2c.as_str());
    let wanted = match expected(list) {
        Ok(wanted) => wanted,
        Err(Malformed(item)) => {
            return report.check("i2c-expected", Err(format_args!("{item:?} is no BUS:ADDRESS[:DRIVER]")));
        }
    };
    let Some(mut requests) = Requests::new(machine) else {
        return nothing(report, machine, &wanted);
    };
    report.check("i2c-buses", Ok(format_args!("{}", machine.i2c_buses.len())));
    delay(report, machine.timebase_hz);
    let scan = Scan::of(&in_order(&machine.i2c_buses, &wanted), &mut requests, machine.timebase_hz);
    scan.report(report);
    if let Some(place) = scan.silent {
        silence(report, &mut requests, place);
    }
    for device in &wanted {
        presence(report, &mut requests, *device);
        drivers::drive(report, &mut requests, *device, machine.timebase_hz);
    }
}

/// Drivers wait while a device is busy: as long as they ask for, and not for ever.
fn delay(report: &mut Report, timebase_hz: u64) {
    const MICROSECONDS: u32 = 5000;
    let start = cpu::timebase();
    Delay::new(timebase_hz).delay_us(MICROSECONDS);
    let waited = cpu::timebase().wrapping_sub(start).saturating_mul(1_000_000) / timebase_hz.max(1);
    let (asked, longest) = (u64::from(MICROSECONDS), 1_000_000);
    if (asked..longest).contains(&waited) {
        report.check("i2c-delay", Ok(format_args!("{asked} us asked, {waited} us waited")));
    } else {
        report.check("i2c-delay", Err(format_args!("{asked} us asked, {waited} us waited")));
    }
}

/// Buses on which devices are expected first: there may not be time for all.
fn in_order(buses: &[u32], wanted: &[Expected]) -> Vec<u32> {
    let mut buses = buses.to_vec();
    buses.sort_by_key(|bus| !wanted.iter().any(|device| device.bus == *bus));
    buses
}

/// A machine without firmware, or one whose firmware's messages are too large.
fn nothing(report: &mut Report, machine: &Machine, wanted: &[Expected]) {
    let reached = machine.opal.is_none() && wanted.is_empty();
    if reached {
        report.check("i2c-buses", Ok(format_args!("none without a firmware")));
    } else {
        report.check("i2c-buses", Err(format_args!("no firmware reaches them, or its messages are too large")));
    }
}

/// A driver has to be able to tell that nobody is there.
fn silence(report: &mut Report, requests: &mut Requests, (bus, address): (u32, u8)) {
    const NAME: &str = "i2c-nobody";
    match requests.bus(bus).read(address, &mut [0]) {
        Err(error) if matches!(error.kind(), ErrorKind::NoAcknowledge(_)) => {
            report.check(NAME, Ok(format_args!("{bus:02x}:{address:02x}: {error}")));
        }
        Err(error) => report.check(NAME, Err(format_args!("{bus:02x}:{address:02x}: {error}"))),
        Ok(()) => report.check(NAME, Err(format_args!("{bus:02x}:{address:02x} answers now"))),
    }
}

/// A device that must be there.
fn presence(report: &mut Report, requests: &mut Requests, Expected { bus, address, .. }: Expected) {
    const NAME: &str = "i2c-expected";
    match requests.bus(bus).read(address, &mut [0]) {
        Ok(()) => report.check(NAME, Ok(format_args!("{bus:02x}:{address:02x} answers"))),
        Err(error) => report.check(NAME, Err(format_args!("{bus:02x}:{address:02x}: {error}"))),
    }
}

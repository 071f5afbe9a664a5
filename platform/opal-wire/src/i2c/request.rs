//! A request as the firmware reads it (skiboot, `opal-api.h`, the structure of `OPAL_I2C_REQUEST`).

use super::Shape;
use core::mem::{offset_of, size_of};

/// One transfer on a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The firmware's number for the bus.
    pub bus: u32,
    /// The device's address, seven bits.
    pub address: u8,
    /// What is done.
    pub shape: Shape,
}

/// The same in memory: every field big-endian, the bytes by their real address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Wire {
    kind: u8,
    flags: u8,
    sub_address_bytes: u8,
    reserved: u8,
    address: u16,
    reserved_too: u16,
    sub_address: u32,
    bytes: u32,
    buffer: u64,
}

const _: () = assert!(size_of::<Wire>() == 24);
const _: () = assert!(offset_of!(Wire, address) == 4 && offset_of!(Wire, sub_address) == 8);
const _: () = assert!(offset_of!(Wire, bytes) == 12 && offset_of!(Wire, buffer) == 16);

/// Kinds of request. There is a fourth, 3: a write whose first bytes are given apart, which is a write.
mod kind {
    pub const READ: u8 = 0;
    pub const WRITE: u8 = 1;
    pub const READ_AT: u8 = 2;
}

impl Request {
    /// In memory, with the bytes at real address `buffer`.
    #[must_use]
    pub fn wire(&self, buffer: u64) -> Wire {
        let (kind, sub_address_bytes, sub_address, bytes) = match self.shape {
            Shape::Write { bytes } => (kind::WRITE, 0, 0, bytes),
            Shape::Read { bytes } => (kind::READ, 0, 0, bytes),
            Shape::ReadAt { width, sub_address, bytes } => (kind::READ_AT, width, sub_address, bytes),
        };
        Wire {
            kind,
            flags: 0,
            sub_address_bytes,
            reserved: 0,
            address: u16::from(self.address).to_be(),
            reserved_too: 0,
            sub_address: sub_address.to_be(),
            bytes: u32::from(bytes).to_be(),
            buffer: buffer.to_be(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_the_firmware_reads_it() {
        let shape = Shape::ReadAt { width: 2, sub_address: 0x0fe0, bytes: 0x120 };
        let wire = Request { bus: 0x1e, address: 0x50, shape }.wire(0x1234_5678);
        assert_eq!((wire.kind, wire.flags, wire.sub_address_bytes), (2, 0, 2));
        assert_eq!(wire.address.to_ne_bytes(), [0, 0x50]);
        assert_eq!(wire.sub_address.to_ne_bytes(), [0, 0, 0x0f, 0xe0]);
        assert_eq!(wire.bytes.to_ne_bytes(), [0, 0, 1, 0x20]);
        assert_eq!(wire.buffer.to_ne_bytes(), [0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78]);
    }

    #[test]
    fn reads_and_writes_have_no_sub_address() {
        for (shape, kind) in [(Shape::Read { bytes: 1 }, 0), (Shape::Write { bytes: 1 }, 1)] {
            let wire = Request { bus: 1, address: 8, shape }.wire(0);
            assert_eq!((wire.kind, wire.sub_address_bytes, wire.sub_address), (kind, 0, 0));
        }
    }
}

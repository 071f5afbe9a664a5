//! What a transaction becomes: one of three shapes, or nothing that the firmware knows.

use super::Error;
use alloc::vec::Vec;
use embedded_hal::i2c::Operation;

/// A transaction that the firmware has a request for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Start, address, bytes, stop.
    Write {
        /// How many bytes.
        bytes: u16,
    },
    /// Start, address, bytes, stop.
    Read {
        /// How many bytes.
        bytes: u16,
    },
    /// The sub-address is written, then bytes are read after a repeated start.
    ReadAt {
        /// Bytes of the sub-address, 1 to 4.
        width: u8,
        /// The sub-address; its most significant byte goes first.
        sub_address: u32,
        /// How many bytes are read.
        bytes: u16,
    },
}

impl Shape {
    /// Most bytes of a transfer: the controller counts them in 16 bits.
    pub const MOST_BYTES: usize = u16::MAX as usize;
    /// Most bytes that are written before a read.
    pub const MOST_SUB_ADDRESS_BYTES: usize = 4;

    /// The shape of these operations.
    ///
    /// # Errors
    /// * [`Error::Shape`]: a write after a read; more than four bytes, or none, written before a read; no byte at all in what is written or read.
    /// * [`Error::TooLong`].
    pub fn of(operations: &[Operation<'_>]) -> Result<Self, Error> {
        let first_read = operations.iter().position(|operation| matches!(operation, Operation::Read(_)));
        let (writes, reads) = operations.split_at(first_read.unwrap_or(operations.len()));
        if reads.iter().any(|operation| matches!(operation, Operation::Write(_))) {
            return Err(Error::Shape);
        }
        match (writes.is_empty(), reads.is_empty()) {
            (false, true) => Ok(Self::Write { bytes: length(writes)? }),
            (true, false) => Ok(Self::Read { bytes: length(reads)? }),
            (false, false) => Self::read_at(writes, reads),
            (true, true) => Err(Error::Shape),
        }
    }

    fn read_at(writes: &[Operation<'_>], reads: &[Operation<'_>]) -> Result<Self, Error> {
        let width = length(writes)?;
        if usize::from(width) > Self::MOST_SUB_ADDRESS_BYTES {
            return Err(Error::Shape);
        }
        let written = writes.iter().flat_map(|operation| match operation {
            Operation::Write(bytes) => bytes,
            Operation::Read(_) => &[][..],
        });
        let sub_address = written.fold(0, |value, byte| value << 8 | u32::from(*byte));
        Ok(Self::ReadAt { width: width.to_le_bytes()[0], sub_address, bytes: length(reads)? })
    }

    /// Bytes that are written, or read.
    #[must_use]
    pub fn bytes(self) -> usize {
        let (Self::Write { bytes } | Self::Read { bytes } | Self::ReadAt { bytes, .. }) = self;
        usize::from(bytes)
    }

    /// Whether it only writes.
    #[must_use]
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Write { .. })
    }

    /// Room for its bytes.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    pub(super) fn reserve(self) -> Result<Vec<u8>, Error> {
        let mut data = Vec::new();
        data.try_reserve_exact(self.bytes()).map_err(|_| Error::NoMemory)?;
        Ok(data)
    }
}

/// Bytes of all these together, at least one.
fn length(operations: &[Operation<'_>]) -> Result<u16, Error> {
    let lengths = operations.iter().map(|operation| match operation {
        Operation::Write(bytes) => bytes.len(),
        Operation::Read(bytes) => bytes.len(),
    });
    match lengths.fold(0, usize::saturating_add) {
        0 => Err(Error::Shape),
        bytes => u16::try_from(bytes).map_err(|_| Error::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::Operation::{Read, Write};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_of_the_three_shapes_is_found() {
        assert_eq!(Shape::of(&[Write(&[1, 2, 3])]), Ok(Shape::Write { bytes: 3 }));
        assert_eq!(Shape::of(&[Read(&mut [0; 4])]), Ok(Shape::Read { bytes: 4 }));
        let read_at = Shape::ReadAt { width: 2, sub_address: 0x0fe0, bytes: 32 };
        assert_eq!(Shape::of(&[Write(&[0x0f, 0xe0]), Read(&mut [0; 32])]), Ok(read_at));
    }

    #[test]
    fn neighbours_of_one_kind_are_one() {
        assert_eq!(Shape::of(&[Write(&[1]), Write(&[]), Write(&[2, 3])]), Ok(Shape::Write { bytes: 3 }));
        let both = [Write(&[0x12]), Write(&[0x34]), Read(&mut [0; 1]), Read(&mut [0; 2])];
        assert_eq!(Shape::of(&both), Ok(Shape::ReadAt { width: 2, sub_address: 0x1234, bytes: 3 }));
    }

    #[test]
    fn four_bytes_may_go_before_a_read_and_five_may_not() {
        let widest = Shape::ReadAt { width: 4, sub_address: 0xfedc_ba98, bytes: 1 };
        assert_eq!(Shape::of(&[Write(&[0xfe, 0xdc, 0xba, 0x98]), Read(&mut [0])]), Ok(widest));
        assert_eq!(Shape::of(&[Write(&[0; 5]), Read(&mut [0])]), Err(Error::Shape));
    }

    #[test]
    fn what_the_firmware_has_no_request_for_is_refused() {
        assert_eq!(Shape::of(&[]), Err(Error::Shape));
        assert_eq!(Shape::of(&[Write(&[])]), Err(Error::Shape), "an address and nothing else");
        assert_eq!(Shape::of(&[Read(&mut [])]), Err(Error::Shape));
        assert_eq!(Shape::of(&[Write(&[]), Read(&mut [0])]), Err(Error::Shape));
        assert_eq!(Shape::of(&[Write(&[1]), Read(&mut [])]), Err(Error::Shape));
        assert_eq!(Shape::of(&[Read(&mut [0]), Write(&[1])]), Err(Error::Shape));
        assert_eq!(Shape::of(&[Write(&[1]), Read(&mut [0]), Write(&[1]), Read(&mut [0])]), Err(Error::Shape));
    }

    #[test]
    fn what_the_controller_cannot_count_is_refused() {
        assert_eq!(Shape::of(&[Write(&[0; 0xffff])]), Ok(Shape::Write { bytes: 0xffff }));
        assert_eq!(Shape::of(&[Write(&[0; 0xffff]), Write(&[0])]), Err(Error::TooLong));
        assert_eq!(Shape::of(&[Write(&[0]), Read(&mut [0; 0x1_0000])]), Err(Error::TooLong));
    }

    proptest! {
        #[test]
        fn a_shape_has_as_many_bytes_as_its_operations(parts in prop::collection::vec((any::<bool>(), 0..7_usize), 0..5)) {
            let mut memory = [[0_u8; 7]; 5];
            let operations: Vec<_> = parts
                .iter()
                .zip(&mut memory)
                .map(|((reads, length), bytes)| if *reads { Read(&mut bytes[..*length]) } else { Write(&[9; 7][..*length]) })
                .collect();
            let count = |kind: bool| parts.iter().filter(|part| part.0 == kind).map(|part| part.1).sum::<usize>();
            let (written, read) = (count(false), count(true));
            match Shape::of(&operations) {
                Ok(Shape::Write { bytes }) => prop_assert_eq!((usize::from(bytes), 0), (written, read)),
                Ok(Shape::Read { bytes }) => prop_assert_eq!((0, usize::from(bytes)), (written, read)),
                Ok(Shape::ReadAt { width, bytes, .. }) => {
                    prop_assert!((1..=4).contains(&width));
                    prop_assert_eq!((usize::from(width), usize::from(bytes)), (written, read));
                }
                Err(error) => prop_assert_eq!(error, Error::Shape),
            }
        }
    }
}

//! A number that a guest gave is a claim. Here, and nowhere else, it becomes a number in range or a block of the
//! guest's own memory.

use super::host::{GuestMemory, MemoryError};
use ppc64_arch::addr::GuestReal;

/// A number as the guest gave it: 64 bits, anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Claim(u64);

/// Why a claim was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The number is above what can be.
    TooLarge,
    /// The address is not a multiple of what it must be a multiple of.
    Unaligned,
    /// Part of the block lies outside the guest's memory, or wraps.
    Outside,
}

impl Claim {
    /// What the guest gave.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The number itself, for a use in which each of the 2^64 values is legal.
    #[must_use]
    pub const fn any(self) -> u64 {
        self.0
    }

    /// The low byte; the manual says that the other bits are ignored.
    #[must_use]
    pub const fn low_byte(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    /// The low word; the manual says that the other bits are ignored.
    #[must_use]
    pub const fn low_word(self) -> u32 {
        let b = self.0.to_le_bytes();
        u32::from_le_bytes([b[0], b[1], b[2], b[3]])
    }

    /// A 32-bit number.
    ///
    /// # Errors
    /// [`Refused::TooLarge`].
    pub fn word(self) -> Result<u32, Refused> {
        u32::try_from(self.0).map_err(|_| Refused::TooLarge)
    }

    /// A number of at most `most`, which fits a `usize`.
    ///
    /// # Errors
    /// [`Refused::TooLarge`].
    pub fn at_most(self, most: usize) -> Result<usize, Refused> {
        usize::try_from(self.0).ok().filter(|n| *n <= most).ok_or(Refused::TooLarge)
    }

    /// A block of `bytes` bytes of the guest's memory that begins at this address, a multiple of `align` (a power of
    /// two).
    ///
    /// # Errors
    /// [`Refused::Unaligned`], [`Refused::Outside`].
    pub fn block(self, memory: &dyn GuestMemory, bytes: u64, align: u64) -> Result<Block, Refused> {
        if self.0 & (align - 1) != 0 {
            return Err(Refused::Unaligned);
        }
        let start = GuestReal::new(self.0);
        let whole = start.checked_add(bytes).is_some() && memory.contains(start, bytes);
        if whole { Ok(Block { start, bytes }) } else { Err(Refused::Outside) }
    }
}

/// A block that lay inside the guest's memory when it was checked. Slots may go since, so each access can still fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    start: GuestReal,
    bytes: u64,
}

impl Block {
    /// Its first byte.
    #[must_use]
    pub const fn start(self) -> GuestReal {
        self.start
    }

    /// How long it is.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Reads `into.len()` bytes from `offset` bytes into the block.
    ///
    /// # Errors
    /// [`MemoryError::Outside`] if that leaves the block, else what the memory says.
    pub fn read(self, memory: &dyn GuestMemory, offset: u64, into: &mut [u8]) -> Result<(), MemoryError> {
        memory.read(self.address(offset, into.len())?, into)
    }

    /// Writes `from` at `offset` bytes into the block.
    ///
    /// # Errors
    /// As [`Block::read`].
    pub fn write(self, memory: &dyn GuestMemory, offset: u64, from: &[u8]) -> Result<(), MemoryError> {
        memory.write(self.address(offset, from.len())?, from)
    }

    /// Reads a big-endian 16-bit number.
    ///
    /// # Errors
    /// As [`Block::read`].
    pub fn read_be16(self, memory: &dyn GuestMemory, offset: u64) -> Result<u16, MemoryError> {
        let mut bytes = [0; 2];
        self.read(memory, offset, &mut bytes)?;
        Ok(u16::from_be_bytes(bytes))
    }

    /// Reads a big-endian 32-bit number.
    ///
    /// # Errors
    /// As [`Block::read`].
    pub fn read_be32(self, memory: &dyn GuestMemory, offset: u64) -> Result<u32, MemoryError> {
        let mut bytes = [0; 4];
        self.read(memory, offset, &mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn address(self, offset: u64, len: usize) -> Result<GuestReal, MemoryError> {
        let end = offset.checked_add(len as u64).ok_or(MemoryError::Outside)?;
        if end > self.bytes {
            return Err(MemoryError::Outside);
        }
        self.start.checked_add(offset).ok_or(MemoryError::Outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Ram;

    #[test]
    fn a_block_is_refused_unless_all_of_it_is_memory() {
        let ram = Ram::new(0x1_0000);
        let block = |at: u64, bytes| Claim::new(at).block(&ram, bytes, 8);
        assert!(block(0xfff8, 8).is_ok());
        assert_eq!(block(0xfff8, 9), Err(Refused::Outside));
        assert_eq!(block(0x1_0000, 8), Err(Refused::Outside));
        assert_eq!(block(u64::MAX - 7, 8), Err(Refused::Outside));
        assert_eq!(block(u64::MAX - 7, 16), Err(Refused::Outside));
        assert_eq!(block(4, 8), Err(Refused::Unaligned));
    }

    #[test]
    fn an_access_cannot_leave_its_block() {
        let ram = Ram::new(0x1_0000);
        let block = Claim::new(0x100).block(&ram, 16, 1).expect("inside");
        let mut eight = [0; 8];
        assert_eq!(block.read(&ram, 8, &mut eight), Ok(()));
        assert_eq!(block.read(&ram, 9, &mut eight), Err(MemoryError::Outside));
        assert_eq!(block.write(&ram, u64::MAX, &eight), Err(MemoryError::Outside));
    }

    #[test]
    fn numbers_are_kept_in_range() {
        assert_eq!(Claim::new(16).at_most(16), Ok(16));
        assert_eq!(Claim::new(17).at_most(16), Err(Refused::TooLarge));
        assert_eq!(Claim::new(u64::MAX).at_most(16), Err(Refused::TooLarge));
        assert_eq!(Claim::new(1 << 32).word(), Err(Refused::TooLarge));
        assert_eq!(Claim::new(0x1122_3344_5566_7788).low_word(), 0x5566_7788);
    }
}

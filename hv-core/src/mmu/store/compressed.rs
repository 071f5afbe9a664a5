//! Compressed memory: pages that a guest has not used for a while, in a fraction of their size.
//!
//! A page is compressed (LZ4 blocks) in pieces of 4 KiB, outside the lock, into a buffer of the caller's CPU; under the lock its bytes go into a chain of
//! fragments. The chain begins with a [`Record`] that has a checksum, so that memory that went bad is noticed and never shown to a guest; its tag is the generation that
//! the page's [`Handle`] must agree with.
//!
//! # Who may do what
//! [`keep`](PageStore::keep): whoever has the page in transit and to itself. [`fetch`](PageStore::fetch): whoever has the entry in transit that held the handle; the
//! page is gone from the store only with [`forget`](PageStore::forget), so a page-in that fails can be tried again and loses nothing.

use super::fragments::{Fragments, TAGS};
use super::{Frames, Handle, Page, PageStore, StoreError};
use crate::mmu::frame::{Frame, Memory};
use crate::mmu::hardware::Hardware;
use crate::mmu::stats::Made;
use crate::sync::Lock;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use ppc64_arch::addr::LeafSize;
use twox_hash::XxHash64;

/// What is compressed at a time. A model's page is its first few words: its stacks are small.
const PIECE: usize = if cfg!(loom) { 64 } else { LeafSize::Size4K.bytes() as usize };
const WORST: usize = get_maximum_output_size(PIECE);
/// Stands before the compressed bytes of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    checksum: u32,
    length: u32,
}

const RECORD: usize = 8;

/// The low half of XXH64: as good at noticing memory that went bad as a CRC of that width, and it needs no table.
fn checksum(bytes: &[u8]) -> u32 {
    XxHash64::oneshot(0, bytes) as u32
}

impl Record {
    fn to_bytes(self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[0..4].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; RECORD]) -> Self {
        let field = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { checksum: field(0), length: field(4) }
    }
}

/// Where a CPU compresses and decompresses: one page's worth. Each CPU has one of its own, off its stack.
#[derive(Debug)]
pub struct Reader {
    /// A record and the worst case of a page.
    bytes: [u8; RECORD + WORST],
}

impl Default for Reader {
    fn default() -> Self {
        Self { bytes: [0; RECORD + WORST] }
    }
}

/// A guest's compressed pages, each 4 KiB before.
#[derive(Debug)]
pub struct Compressed {
    inner: Lock<Inner>,
}

#[derive(Debug)]
struct Inner {
    fragments: Fragments,
    generation: u32,
    pages: u64,
    compressed_bytes: u64,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Pages.
    pub pages: u64,
    /// What they compressed to, records included.
    pub compressed_bytes: u64,
    /// Host memory that they take, what fragments waste included.
    pub memory_bytes: u64,
}

impl Default for Compressed {
    fn default() -> Self {
        Self::new()
    }
}

impl Compressed {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner { fragments: Fragments::new(), generation: 0, pages: 0, compressed_bytes: 0 };
        Self { inner: Lock::new(inner) }
    }

    /// How much it holds.
    #[must_use]
    pub fn held(&self) -> Held {
        let inner = self.inner.lock();
        let (pages, compressed_bytes) = (inner.pages, inner.compressed_bytes);
        Held { pages, compressed_bytes, memory_bytes: inner.fragments.bytes() }
    }

    fn record<H: Hardware>(memory: &Memory<H>, handle: Handle) -> Result<Record, StoreError> {
        let mut bytes = [0; RECORD];
        Fragments::load(memory, handle.generation, handle.place, &mut bytes)?;
        let record = Record::from_bytes(&bytes);
        if record.length as usize > WORST { Err(StoreError::Corrupt) } else { Ok(record) }
    }
}

impl PageStore for Compressed {
    /// A page that does not compress to three quarters is not worth it.
    fn keep<H: Hardware>(
        &self,
        memory: &Memory<H>,
        frames: &mut impl Frames,
        buffer: &mut Reader,
        page: &Frame,
    ) -> Result<Handle, StoreError> {
        // SAFETY: 1. The frame is owned, and the caller has taken it away from the guest.
        let contents = unsafe { memory.hardware.bytes(page.at(), PIECE) };
        let length = compress_into(contents, &mut buffer.bytes[RECORD..]).map_err(|_| StoreError::NotWorth)?;
        if length > PIECE / 4 * 3 {
            return Err(StoreError::NotWorth);
        }
        let checksum = checksum(contents);
        let mut inner = self.inner.lock();
        inner.generation = (inner.generation + 1) % TAGS;
        let generation = inner.generation;
        let record = Record { checksum, length: length as u32 };
        buffer.bytes[..RECORD].copy_from_slice(&record.to_bytes());
        let place = inner.fragments.store(memory, frames, generation, &buffer.bytes[..RECORD + length])?;
        inner.pages += 1;
        inner.compressed_bytes += (RECORD + length) as u64;
        Ok(Handle { place, generation })
    }

    fn fetch<H: Hardware>(
        &self,
        memory: &Memory<H>,
        buffer: &mut Reader,
        page: Page,
        frame: &mut Frame,
    ) -> Result<Made, StoreError> {
        let Page::Kept(handle) = page else { return Err(StoreError::Gone) };
        let record = {
            let _inner = self.inner.lock();
            let record = Self::record(memory, handle)?;
            Fragments::load(
                memory,
                handle.generation,
                handle.place,
                &mut buffer.bytes[..RECORD + record.length as usize],
            )?;
            record
        };
        // SAFETY: 1. The frame is owned and no entry names it yet.
        let contents = unsafe { memory.hardware.bytes_mut(frame.at(), PIECE) };
        let compressed = &buffer.bytes[RECORD..RECORD + record.length as usize];
        match decompress_into(compressed, contents) {
            Ok(PIECE) if checksum(contents) == record.checksum => {}
            _ => return Err(StoreError::Corrupt),
        }
        // SAFETY: 1. The frame is owned.
        unsafe { memory.hardware.make_executable(frame.at(), PIECE as u64) };
        Ok(Made::Zero)
    }

    fn forget<H: Hardware>(
        &self,
        memory: &Memory<H>,
        frames: &mut impl Frames,
        handle: Handle,
    ) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        let record = Self::record(memory, handle)?;
        inner.pages -= 1;
        inner.compressed_bytes -= (RECORD as u32 + record.length) as u64;
        inner.fragments.release(memory, frames, handle.generation, handle.place);
        Ok(())
    }
}

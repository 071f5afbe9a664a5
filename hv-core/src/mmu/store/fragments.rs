//! Host memory in fragments of 256 bytes, chained: what a compressed page is kept in.
//!
//! ```text
//!   frame    | header | 1 | 2 | ... | 15 |        frames with a free fragment are linked through their headers
//!   fragment | next (8) | payload (248) |         free ones are linked through `next`, as are those of one chain
//! ```
//!
//! A fragment's number is its host real address divided by 256. A chain wastes less than one fragment, whatever its length, and no memory is ever moved;
//! a frame whose fragments are all free goes back to where it came from.
//!
//! Everything is read and written through [`Hardware`], so the fake machine checks each access.

use super::{Frames, StoreError};
use crate::mmu::frame::{Frame, FramePool, Memory};
use crate::mmu::hardware::Hardware;
use ppc64_arch::addr::{HostReal, LeafSize};

/// log2 of a fragment's size.
const SHIFT: u32 = 8;
const FRAGMENT: usize = 1 << SHIFT;
/// Bytes of a fragment that carry something.
pub const PAYLOAD: usize = FRAGMENT - size_of::<u64>();
/// Fragments of a frame that can be handed out; the first is the frame's header.
const USABLE: u64 = (LeafSize::Size4K.bytes() >> SHIFT) - 1;
/// No fragment, no frame: host real address 0 is never in a pool.
const NONE: u64 = 0;

/// A frame's header: four doublewords.
#[derive(Clone, Copy)]
struct Header {
    /// The next and previous frame with something free.
    next: u64,
    previous: u64,
    /// The first free fragment.
    free: u64,
    /// How many are handed out.
    used: u64,
}

/// All fragments of a store.
#[derive(Debug, Default)]
pub struct Fragments {
    /// The first frame with a free fragment.
    partial: u64,
    frames: u64,
}

impl Fragments {
    /// None yet.
    pub const fn new() -> Self {
        Self { partial: NONE, frames: 0 }
    }

    /// Bytes of host memory that they take.
    pub const fn bytes(&self) -> u64 {
        self.frames * LeafSize::Size4K.bytes()
    }

    /// Puts `pieces`, one after the other, into a new chain, and returns its first fragment. On an error everything is as it was.
    pub fn store<H: Hardware>(
        &mut self,
        memory: &Memory<H>,
        frames: &mut impl Frames,
        bytes: &[u8],
    ) -> Result<u64, StoreError> {
        let hardware = &memory.hardware;
        let mut next = NONE;
        // From the end, so that each fragment knows its successor when it is written.
        for piece in bytes.chunks(PAYLOAD).rev() {
            let Some(fragment) = self.take(hardware, frames) else {
                self.release(memory, frames, next);
                return Err(StoreError::Full);
            };
            write(hardware, fragment, 0, &next.to_le_bytes());
            write(hardware, fragment, size_of::<u64>(), piece);
            next = fragment;
        }
        Ok(next)
    }

    /// Reads a chain, as many bytes as `into` has. A link that leads out of the pool is memory that went bad, and is not followed.
    pub fn load<H: Hardware>(memory: &Memory<H>, first: u64, into: &mut [u8]) -> Result<(), StoreError> {
        let mut fragment = first;
        for piece in into.chunks_mut(PAYLOAD) {
            if !is_fragment(&memory.pool, fragment) {
                return Err(StoreError::Corrupt);
            }
            read(&memory.hardware, fragment, size_of::<u64>(), piece);
            fragment = word(&memory.hardware, fragment, 0);
        }
        Ok(())
    }

    /// Gives a chain's fragments back, and the frames that this leaves empty. What lies behind a link that went bad is lost to the store.
    pub fn release<H: Hardware>(&mut self, memory: &Memory<H>, frames: &mut impl Frames, first: u64) {
        let hardware = &memory.hardware;
        let mut fragment = first;
        while is_fragment(&memory.pool, fragment) {
            let next = word(hardware, fragment, 0);
            self.put(hardware, frames, fragment);
            fragment = next;
        }
    }

    fn take<H: Hardware>(&mut self, hardware: &H, frames: &mut impl Frames) -> Option<u64> {
        if self.partial == NONE {
            self.add_frame(hardware, frames.take()?);
        }
        let frame = self.partial;
        let mut header = Header::of(hardware, frame);
        let fragment = header.free;
        header.free = word(hardware, fragment, 0);
        header.used += 1;
        header.write(hardware, frame);
        if header.free == NONE {
            self.unlink(hardware, frame);
        }
        Some(fragment)
    }

    fn put<H: Hardware>(&mut self, hardware: &H, frames: &mut impl Frames, fragment: u64) {
        let frame = frame_of(fragment);
        let mut header = Header::of(hardware, frame);
        let was_full = header.free == NONE;
        write(hardware, fragment, 0, &header.free.to_le_bytes());
        header.free = fragment;
        header.used -= 1;
        header.write(hardware, frame);
        if was_full {
            self.link(hardware, frame);
        }
        if header.used == 0 {
            self.unlink(hardware, frame);
            self.frames -= 1;
            // SAFETY: 1. The frame came from `frames` in `add_frame`. 2. None of its fragments is in a chain, and it is in no list.
            frames.put(unsafe { Frame::from_entry(HostReal::new(frame << SHIFT), LeafSize::Size4K) });
        }
    }

    fn add_frame<H: Hardware>(&mut self, hardware: &H, frame: Frame) {
        let first = frame.into_entry().raw() >> SHIFT;
        for fragment in first + 1..=first + USABLE {
            let next = if fragment == first + USABLE { NONE } else { fragment + 1 };
            write(hardware, fragment, 0, &next.to_le_bytes());
        }
        Header { next: NONE, previous: NONE, free: first + 1, used: 0 }.write(hardware, first);
        self.frames += 1;
        self.link(hardware, first);
    }

    fn link<H: Hardware>(&mut self, hardware: &H, frame: u64) {
        let mut header = Header::of(hardware, frame);
        header.next = core::mem::replace(&mut self.partial, frame);
        header.previous = NONE;
        header.write(hardware, frame);
        Header::change(hardware, header.next, |next| next.previous = frame);
    }

    fn unlink<H: Hardware>(&mut self, hardware: &H, frame: u64) {
        let header = Header::of(hardware, frame);
        if header.previous == NONE {
            self.partial = header.next;
        }
        Header::change(hardware, header.previous, |previous| previous.next = header.next);
        Header::change(hardware, header.next, |next| next.previous = header.previous);
    }
}

impl Header {
    fn of<H: Hardware>(hardware: &H, frame: u64) -> Self {
        let field = |index| word(hardware, frame, index * size_of::<u64>());
        Self { next: field(0), previous: field(1), free: field(2), used: field(3) }
    }

    fn write<H: Hardware>(self, hardware: &H, frame: u64) {
        for (index, field) in [self.next, self.previous, self.free, self.used].iter().enumerate() {
            write(hardware, frame, index * size_of::<u64>(), &field.to_le_bytes());
        }
    }

    fn change<H: Hardware>(hardware: &H, frame: u64, change: impl FnOnce(&mut Self)) {
        if frame != NONE {
            let mut header = Self::of(hardware, frame);
            change(&mut header);
            header.write(hardware, frame);
        }
    }
}

/// Whether a number read from memory can be that of a fragment: not a frame's header, and inside the pool.
fn is_fragment(pool: &FramePool, fragment: u64) -> bool {
    fragment & USABLE != 0
        && fragment.checked_shl(SHIFT).is_some_and(|at| at >> SHIFT == fragment && pool.spans(HostReal::new(at)))
}

/// The number of the frame (of its first fragment) that a fragment lies in.
const fn frame_of(fragment: u64) -> u64 {
    fragment & !USABLE
}

const _: () = assert!((USABLE + 1).is_power_of_two());

fn word<H: Hardware>(hardware: &H, fragment: u64, offset: usize) -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    read(hardware, fragment, offset, &mut bytes);
    u64::from_le_bytes(bytes)
}

fn read<H: Hardware>(hardware: &H, fragment: u64, offset: usize, into: &mut [u8]) {
    let at = HostReal::new((fragment << SHIFT) + offset as u64);
    // SAFETY: 1. The fragment lies in a frame of this store, which gives it back only when no fragment is used. 2. Nobody else accesses it: the caller has the
    // fragments to itself.
    unsafe { hardware.read(at, into) }
}

fn write<H: Hardware>(hardware: &H, fragment: u64, offset: usize, from: &[u8]) {
    let at = HostReal::new((fragment << SHIFT) + offset as u64);
    // SAFETY: 1. and 2. as for `read`; the frame is the store's own.
    unsafe { hardware.write(at, from) }
}

//! Host memory in fragments of 256 bytes, chained: what a compressed page is kept in.
//!
//! ```text
//!   frame    | header | 1 | 2 | ... | 15 |        frames with a free fragment are linked through their headers
//!   fragment | link (8) | payload (248) |         free ones are linked, as are those of one chain
//! ```
//!
//! A link carries the *tag* of the chain that its fragment belongs to, and a header a seal over its fields. Both are looked at before they are followed, so memory that went bad
//! costs what stood in it, and never makes one chain run into another or into a frame that is not the store's.
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

/// Bits of a link that name a fragment; the tag stands above.
const NEXT_BITS: u32 = 44;
/// The tag of fragments that are free. No chain has it.
const FREE: u32 = 0xf_ffff;
/// Tags of chains are below this.
pub const TAGS: u32 = FREE;

/// The first doubleword of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    tag: u32,
    next: u64,
}

impl Link {
    fn of<H: Hardware>(hardware: &H, fragment: u64) -> Self {
        let word = word(hardware, fragment, 0);
        Self { tag: (word >> NEXT_BITS) as u32, next: word & ((1 << NEXT_BITS) - 1) }
    }

    fn write<H: Hardware>(self, hardware: &H, fragment: u64) {
        let word = u64::from(self.tag) << NEXT_BITS | self.next;
        write(hardware, fragment, 0, &word.to_le_bytes());
    }
}

/// A frame's header: four doublewords and their seal.
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

    /// Puts `bytes` into a new chain of tag `tag`, and returns its first fragment. On an error everything is as it was.
    pub fn store<H: Hardware>(
        &mut self,
        memory: &Memory<H>,
        frames: &mut impl Frames,
        tag: u32,
        bytes: &[u8],
    ) -> Result<u64, StoreError> {
        let hardware = &memory.hardware;
        let mut next = NONE;
        // From the end, so that each fragment knows its successor when it is written.
        for piece in bytes.chunks(PAYLOAD).rev() {
            let Some(fragment) = self.take(hardware, frames) else {
                self.release(memory, frames, tag, next);
                return Err(StoreError::Full);
            };
            Link { tag, next }.write(hardware, fragment);
            write(hardware, fragment, size_of::<u64>(), piece);
            next = fragment;
        }
        Ok(next)
    }

    /// Reads a chain, as many bytes as `into` has: [`StoreError::Gone`] if none of that tag begins there, [`StoreError::Corrupt`] if it leads elsewhere.
    pub fn load<H: Hardware>(memory: &Memory<H>, tag: u32, first: u64, into: &mut [u8]) -> Result<(), StoreError> {
        let mut fragment = first;
        for piece in into.chunks_mut(PAYLOAD) {
            let link = Self::link_in(memory, tag, fragment);
            let missing = if fragment == first { StoreError::Gone } else { StoreError::Corrupt };
            fragment = {
                let link = link.ok_or(missing)?;
                read(&memory.hardware, fragment, size_of::<u64>(), piece);
                link.next
            };
        }
        Ok(())
    }

    /// Gives a chain's fragments back, and the frames that this leaves empty. What lies behind a link that went bad is lost to the store.
    pub fn release<H: Hardware>(&mut self, memory: &Memory<H>, frames: &mut impl Frames, tag: u32, first: u64) {
        let mut fragment = first;
        while let Some(link) = Self::link_in(memory, tag, fragment) {
            self.put(&memory.hardware, frames, fragment);
            fragment = link.next;
        }
    }

    /// The link of a fragment, if that is one of the chain's.
    fn link_in<H: Hardware>(memory: &Memory<H>, tag: u32, fragment: u64) -> Option<Link> {
        is_fragment(&memory.pool, fragment).then(|| Link::of(&memory.hardware, fragment)).filter(|link| link.tag == tag)
    }

    fn take<H: Hardware>(&mut self, hardware: &H, frames: &mut impl Frames) -> Option<u64> {
        if let Some(fragment) = self.take_partial(hardware) {
            return Some(fragment);
        }
        // None was there, or what was there cannot be trusted and is lost.
        self.partial = NONE;
        self.add_frame(hardware, frames.take()?);
        self.take_partial(hardware)
    }

    /// A fragment of the first frame that has a free one.
    fn take_partial<H: Hardware>(&mut self, hardware: &H) -> Option<u64> {
        let frame = self.partial;
        let mut header = Header::of(hardware, frame)?;
        let fragment = header.free;
        if frame_of(fragment) != frame || fragment == frame {
            return None;
        }
        let link = Some(Link::of(hardware, fragment)).filter(|link| link.tag == FREE)?;
        header.free = link.next;
        header.used += 1;
        header.write(hardware, frame);
        if header.free == NONE {
            self.unlink(hardware, frame);
        }
        Some(fragment)
    }

    fn put<H: Hardware>(&mut self, hardware: &H, frames: &mut impl Frames, fragment: u64) {
        let frame = frame_of(fragment);
        // A header that went bad keeps its frame from being used again.
        let Some(mut header) = Header::of(hardware, frame) else { return };
        let was_full = header.free == NONE;
        Link { tag: FREE, next: header.free }.write(hardware, fragment);
        header.free = fragment;
        header.used = header.used.saturating_sub(1);
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
            Link { tag: FREE, next }.write(hardware, fragment);
        }
        Header { next: NONE, previous: NONE, free: first + 1, used: 0 }.write(hardware, first);
        self.frames += 1;
        self.link(hardware, first);
    }

    fn link<H: Hardware>(&mut self, hardware: &H, frame: u64) {
        let next = core::mem::replace(&mut self.partial, frame);
        Header::change(hardware, frame, |header| (header.next, header.previous) = (next, NONE));
        Header::change(hardware, next, |next| next.previous = frame);
    }

    fn unlink<H: Hardware>(&mut self, hardware: &H, frame: u64) {
        let Some(header) = Header::of(hardware, frame) else { return };
        if header.previous == NONE {
            self.partial = header.next;
        }
        Header::change(hardware, header.previous, |previous| previous.next = header.next);
        Header::change(hardware, header.next, |next| next.previous = header.previous);
    }
}

impl Header {
    /// What a seal differs from the sum of its fields by, so that a frame of zeros has none.
    const SEAL: u64 = 0x5361_6d65_7769_7365;

    /// The header of a frame, if there is one and it is as it was written.
    fn of<H: Hardware>(hardware: &H, frame: u64) -> Option<Self> {
        if frame == NONE {
            return None;
        }
        let field = |index| word(hardware, frame, index * size_of::<u64>());
        let header = Self { next: field(0), previous: field(1), free: field(2), used: field(3) };
        (field(4) == header.seal(frame)).then_some(header)
    }

    fn write<H: Hardware>(self, hardware: &H, frame: u64) {
        let fields = [self.next, self.previous, self.free, self.used, self.seal(frame)];
        for (index, field) in fields.iter().enumerate() {
            write(hardware, frame, index * size_of::<u64>(), &field.to_le_bytes());
        }
    }

    /// Each field turned by another amount, so that one that stands in another's place is noticed as well.
    const fn seal(self, frame: u64) -> u64 {
        self.next
            ^ self.previous.rotate_left(13)
            ^ self.free.rotate_left(26)
            ^ self.used.rotate_left(39)
            ^ frame.rotate_left(52)
            ^ Self::SEAL
    }

    fn change<H: Hardware>(hardware: &H, frame: u64, change: impl FnOnce(&mut Self)) {
        if let Some(mut header) = Self::of(hardware, frame) {
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

//! Lays the guest's memory out in slots: the kernel's and the initrd's pages are served from where they were loaded, everything else is zeros.
//!
//! ```text
//!   guest real   0                                                                    memory_bytes
//!                | kernel image | zeros: bss, RTAS, tree | initrd image | zeros ...            |
//! ```
//!
//! A part of the kernel that does not begin on a 64 KiB boundary shares a page with something else: it is written there instead, before the guest starts.

use super::payload::Payload;
use super::refusal::Refusal;
use heapless::Vec;
use hv_core::guest::layout::Layout;
use hv_core::mmu::{Hardware, SlotSpec, Source, Space};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

/// Slots' ends are multiples of this, whatever the granule.
const ALIGN: LeafSize = LeafSize::Size64K;
/// Parts of the kernel, and the initrd.
const MOST: usize = hv_core::guest::image::MAX_SEGMENTS + 1;

/// Loaded bytes that are to stand at a guest real address.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Where.
    pub guest: GuestReal,
    /// What.
    pub bytes: &'static [u8],
}

/// How the guest's memory is made.
#[derive(Debug, Default)]
pub struct Plan {
    slots: Vec<SlotSpec, { 2 * MOST + 1 }>,
    /// To be written before each start.
    pub written: Vec<Part, MOST>,
}

impl Plan {
    /// The plan for a guest of `memory_bytes`.
    ///
    /// # Errors
    /// [`Refusal::Slot`]: more parts than a kernel can have.
    pub fn new(payload: &Payload, layout: &Layout, memory_bytes: u64) -> Result<Self, Refusal> {
        let mut plan = Self::default();
        let mut next = 0;
        for segment in &payload.image.segments {
            let range = segment.file_offset..segment.file_offset + segment.file_bytes;
            let bytes = payload.file.get(range).unwrap_or_default();
            let part = Part { guest: GuestReal::new(segment.guest), bytes };
            if part.guest.is_aligned(ALIGN) && segment.guest >= next {
                plan.image(&mut next, part)?;
            } else {
                plan.written.push(part).map_err(|_| TOO_MANY)?;
            }
        }
        if let (Some((start, _)), Some(bytes)) = (layout.initrd, payload.initrd) {
            // Nothing else lies in the initrd's first and last page (`layout` sees to it), so whole pages around it can show
            // what surrounds it where it was loaded.
            plan.image(&mut next, Part { guest: GuestReal::new(start), bytes })?;
        }
        plan.zeros(&mut next, memory_bytes)?;
        Ok(plan)
    }

    /// Adds the slots to `space`.
    ///
    /// # Errors
    /// [`Refusal::Slot`].
    pub fn add_to<H: Hardware>(&self, space: &Space<'_, H>) -> Result<(), Refusal> {
        for slot in &self.slots {
            // SAFETY: 1. images lie in memory that was kept out of the frame pool for good (`frames`), and nobody writes it.
            unsafe { space.add_slot(slot)? }
        }
        Ok(())
    }

    /// A slot with `part` in it, whole pages; zeros before it.
    fn image(&mut self, next: &mut u64, part: Part) -> Result<(), Refusal> {
        let lead = part.guest.offset_in(ALIGN);
        let base = part.guest.align_down(ALIGN);
        let bytes = lead + part.bytes.len() as u64;
        let end = GuestReal::new(base.raw() + bytes).align_up(ALIGN).ok_or(TOO_MANY)?;
        if part.bytes.is_empty() {
            return Ok(());
        }
        self.zeros(next, base.raw())?;
        let at = HostReal::new(part.bytes.as_ptr().addr() as u64 - lead);
        self.slot(base, end.raw() - base.raw(), Source::Image { at, bytes })?;
        *next = end.raw();
        Ok(())
    }

    /// Zeros from `next` to `end`.
    fn zeros(&mut self, next: &mut u64, end: u64) -> Result<(), Refusal> {
        if *next < end {
            self.slot(GuestReal::new(*next), end - *next, Source::Zero)?;
            *next = end;
        }
        Ok(())
    }

    fn slot(&mut self, base: GuestReal, bytes: u64, source: Source) -> Result<(), Refusal> {
        self.slots.push(SlotSpec { base, bytes, source, read_only: false }).map_err(|_| TOO_MANY)
    }
}

/// More parts than there is room for.
const TOO_MANY: Refusal = Refusal::Slot(hv_core::mmu::SlotError::TooMany);

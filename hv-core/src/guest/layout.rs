//! Where things stand in the guest's memory at its first instruction.
//!
//! ```text
//!   0            kernel's end     64 KiB    2 MiB + as in the host
//!   | kernel, bss | RTAS | tree ... | initrd                    | free ... memory's end
//! ```
//!
//! The kernel stays at 0. The initrd's guest and host addresses are congruent modulo 2 MiB, so that its pages, even the largest ones, can be mapped where
//! they were loaded.

use ppc64_arch::addr::LeafSize;

/// What has to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Bytes of guest memory.
    pub memory_bytes: u64,
    /// The first address that the kernel leaves free ([`Image::end`](super::image::Image::end)).
    pub kernel_end: u64,
    /// Bytes that the device tree may take.
    pub tree_bytes: u64,
    /// Host address and bytes of the initrd.
    pub initrd: Option<(u64, u64)>,
}

/// Where it goes: guest real addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The RTAS blob, [`RTAS_BYTES`] of them.
    pub rtas: u32,
    /// The device tree.
    pub tree: u64,
    /// First byte of the initrd and the one after its last.
    pub initrd: Option<(u64, u64)>,
    /// The first address after all of it.
    pub end: u64,
}

/// Something has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoesNotFit {
    /// What it is.
    pub what: Piece,
    /// Bytes of memory that would have been enough for it and what stands below it; `u64::MAX` if no memory is.
    pub needed: u64,
    /// Bytes of memory that there are.
    pub memory_bytes: u64,
}

/// A thing in the guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The kernel and the memory it clears.
    Kernel,
    /// The RTAS blob.
    Rtas,
    /// The device tree.
    Tree,
    /// The initial file system.
    Initrd,
    /// What a kernel needs to begin with.
    FreeMemory,
}

/// How much the RTAS blob is given: a page of the largest ordinary size, which then is nothing else's.
pub const RTAS_BYTES: u32 = 1 << 16;
/// How much memory must be free at first. Below it a kernel dies before it can say so.
const FREE_BYTES: u64 = 16 << 20;

/// Places everything.
///
/// # Errors
/// [`DoesNotFit`], with the first thing that has no room.
pub fn arrange(wanted: &Wanted) -> Result<Layout, DoesNotFit> {
    let mut next = Next { at: 0, memory_bytes: wanted.memory_bytes };
    next.take(Piece::Kernel, wanted.kernel_end, LeafSize::Size64K)?;
    let rtas = next.take(Piece::Rtas, u64::from(RTAS_BYTES), LeafSize::Size64K)?;
    let rtas = u32::try_from(rtas).map_err(|_| next.no_room(Piece::Rtas, u64::MAX))?;
    let tree = next.take(Piece::Tree, wanted.tree_bytes, LeafSize::Size64K)?;
    let initrd = match wanted.initrd {
        None => None,
        Some((host, bytes)) => {
            next.align_like(host)?;
            let start = next.take_here(Piece::Initrd, bytes)?;
            Some((start, start + bytes))
        }
    };
    let end = next.at;
    next.take(Piece::FreeMemory, FREE_BYTES, LeafSize::Size64K)?;
    Ok(Layout { rtas, tree, initrd, end })
}

/// The lowest address that is still free.
struct Next {
    at: u64,
    memory_bytes: u64,
}

impl Next {
    fn take(&mut self, what: Piece, bytes: u64, align: LeafSize) -> Result<u64, DoesNotFit> {
        let mask = align.offset_mask();
        let start = self.at.checked_add(mask).ok_or_else(|| self.no_room(what, u64::MAX))?;
        self.at = start & !mask;
        self.take_here(what, bytes)
    }

    fn take_here(&mut self, what: Piece, bytes: u64) -> Result<u64, DoesNotFit> {
        let start = self.at;
        let end = start.checked_add(bytes).ok_or_else(|| self.no_room(what, u64::MAX))?;
        if end > self.memory_bytes {
            return Err(self.no_room(what, end));
        }
        self.at = end;
        Ok(start)
    }

    /// Moves up to the next address that is congruent to `host` modulo 2 MiB.
    fn align_like(&mut self, host: u64) -> Result<(), DoesNotFit> {
        let mask = LeafSize::Size2M.offset_mask();
        let up = host.wrapping_sub(self.at) & mask;
        self.at = self.at.checked_add(up).ok_or_else(|| self.no_room(Piece::Initrd, u64::MAX))?;
        Ok(())
    }

    fn no_room(&self, what: Piece, needed: u64) -> DoesNotFit {
        DoesNotFit { what, needed, memory_bytes: self.memory_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WANTED: Wanted = Wanted {
        memory_bytes: 1 << 30,
        kernel_end: 0x3b1_2345,
        tree_bytes: 0x8000,
        initrd: Some((0x1234_5678, 0x50_0000)),
    };

    #[test]
    fn the_initrd_lies_in_its_large_page_as_in_the_host() {
        let layout = arrange(&WANTED).expect("room");
        let (start, end) = layout.initrd.expect("wanted");
        assert_eq!(start & 0x1f_ffff, 0x1234_5678 & 0x1f_ffff);
        assert_eq!(end - start, 0x50_0000);
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_numbers() {
        let arranged = |memory_bytes, kernel_end| arrange(&Wanted { memory_bytes, kernel_end, ..WANTED });
        let refused = |memory, kernel| arranged(memory, kernel).expect_err("no room");
        assert_eq!(
            refused(1 << 20, 1 << 24),
            DoesNotFit { what: Piece::Kernel, needed: 1 << 24, memory_bytes: 1 << 20 }
        );
        assert_eq!(refused(1 << 24, 1 << 24).what, Piece::Rtas);
        assert_eq!(refused(0x101_0000, 1 << 24).what, Piece::Tree);
        assert_eq!(refused(0x104_0000, 1 << 24).what, Piece::Initrd);
        assert_eq!(refused(0x200_0000, 1 << 24).what, Piece::FreeMemory);
        assert_eq!(refused(u64::MAX, 1 << 32).what, Piece::Rtas);
        assert_eq!(refused(u64::MAX, u64::MAX).needed, u64::MAX);
    }

    proptest! {
        #[test]
        fn no_two_things_overlap(
            memory_bytes in 0..1_u64 << 33, kernel_end: u32, tree_bytes in 0..1_u64 << 24,
            host: u64, bytes in 0..1_u64 << 32,
        ) {
            let kernel_end = u64::from(kernel_end);
            let wanted = Wanted { memory_bytes, kernel_end, tree_bytes, initrd: Some((host, bytes)) };
            if let Ok(layout) = arrange(&wanted) {
                let (start, end) = layout.initrd.expect("wanted");
                let rtas = u64::from(layout.rtas);
                prop_assert!(kernel_end <= rtas && rtas + u64::from(RTAS_BYTES) <= layout.tree);
                prop_assert!(layout.tree + tree_bytes <= start && end <= layout.end && layout.end <= memory_bytes);
                prop_assert_eq!((start ^ host) & 0x1f_ffff, 0);
            }
        }

        #[test]
        fn no_numbers_make_it_panic(memory_bytes: u64, kernel_end: u64, tree_bytes: u64, initrd: Option<(u64, u64)>) {
            let _ = arrange(&Wanted { memory_bytes, kernel_end, tree_bytes, initrd });
        }
    }
}

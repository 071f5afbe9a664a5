//! A hash guest's table: where a page's entry belongs, what it says, and the calls about it (Power ISA 3.1B Book III 6.7.9; PAPR, H_ENTER and those around it).
//!
//! Nothing here is shared with the hypervisor, whose answers are tried.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::hcall::{self, SUCCESS, call, call_whole};
use crate::report::{Verdict, Why, fail};

/// Doubleword 0: hardware may use it.
pub const VALID: u64 = 1;
/// Doubleword 0: it stands in its secondary group.
pub const SECONDARY: u64 = 2;
/// Doubleword 0: LP counts.
pub const LARGE: u64 = 4;
/// Doubleword 0: the guest's two software bits. An entry with the second one stays when the table gets another size.
pub const SOFTWARE: u64 = 0x18;
/// Doubleword 0: that one.
pub const BOLTED: u64 = 0x10;

/// Doubleword 1: who may store. Without it supervisor state with key 0 may do everything.
pub const READ_ONLY: u64 = 3;
/// Doubleword 1: nothing is executed.
pub const NO_EXECUTE: u64 = 4;
/// Doubleword 1: guarded, coherent, caching-inhibited, write-through.
pub const GUARDED: u64 = 8;
pub const COHERENT: u64 = 0x10;
pub const INHIBITED: u64 = 0x20;
pub const WRITE_THROUGH: u64 = 0x40;
/// Doubleword 1: what hardware records.
pub const CHANGED: u64 = 0x80;
pub const REFERENCED: u64 = 0x100;
/// Doubleword 1: the sizes of pages that begin with L=1.
pub const MEDIUM: u64 = 1 << 12;
pub const MEDIUM_OF_SMALL: u64 = 7 << 12;

/// H_ENTER: this place and no other.
pub const EXACT: u64 = 1 << 39;
/// H_READ: four.
pub const READ_4: u64 = 1 << 37;
/// H_REMOVE, H_PROTECT: only the entry of this name.
pub const NAMED: u64 = 1 << 31;
/// H_REMOVE: only an entry with none of these bits.
pub const NONE_OF: u64 = 1 << 30;

/// Entries in a group.
pub const GROUP: u64 = 8;
/// log2 of the present table's bytes.
static ORDER: AtomicU32 = AtomicU32::new(0);

/// The table has this size from now on.
pub fn has_size(order: u32) {
    ORDER.store(order, Ordering::Release);
}

/// log2 of its bytes.
pub fn order() -> u32 {
    ORDER.load(Ordering::Acquire)
}

/// How many entries it has.
pub fn entries() -> u64 {
    1 << (order() - 4)
}

/// A page of virtual memory.
#[derive(Clone, Copy)]
pub struct Virtual {
    /// Its segment's number, and where in the segment it begins.
    pub vsid: u64,
    pub offset: u64,
    /// log2 of the segment's size: 28 or 40.
    segment: u32,
    /// log2 of the segment's base page size.
    base: u32,
}

impl Virtual {
    /// A page of 4 KiB in a segment of 256 MiB.
    pub const fn small(vsid: u64, offset: u64) -> Self {
        Self { vsid, offset, segment: 28, base: 12 }
    }

    /// A page of 64 KiB in a segment of 256 MiB.
    pub const fn medium(vsid: u64, offset: u64) -> Self {
        Self { base: 16, ..Self::small(vsid, offset) }
    }

    /// The page of the virtual real mode area at `offset`; pages have `1 << base` bytes there.
    pub const fn real_mode(offset: u64, base: u32) -> Self {
        Self { vsid: 0x1ff_ffff, offset, segment: 40, base }
    }

    /// Doubleword 0 of its entry: B, AVA, V.
    pub const fn word0(self) -> u64 {
        // The virtual address without its low 23 bits, seven bits from the right.
        let address = self.vsid << (self.segment - 16) | self.offset >> 23 << 7;
        let size = if self.segment == 40 { 1 << 62 } else { 0 };
        let large = if self.base == 12 { 0 } else { LARGE };
        size | address | large | VALID
    }

    /// What names it to H_REMOVE.
    pub const fn name(self) -> u64 {
        self.word0() & !0x7f
    }

    const fn hash(self) -> u64 {
        let segment = if self.segment == 40 { self.vsid ^ self.vsid << 25 } else { self.vsid };
        segment ^ self.offset >> self.base
    }

    /// The first place of its group in a table of `1 << order` bytes.
    pub const fn group_in(self, order: u32, secondary: bool) -> u64 {
        let hash = if secondary { !self.hash() } else { self.hash() };
        (hash & ((1 << (order - 7)) - 1)) * GROUP
    }

    /// The first place of its primary group.
    pub fn primary(self) -> u64 {
        self.group_in(order(), false)
    }

    /// The first place of its secondary group.
    pub fn secondary(self) -> u64 {
        self.group_in(order(), true)
    }
}

/// An entry, as calls have it.
pub type Words = [u64; 2];

/// The entry in a place.
pub fn read(place: u64) -> Result<Words, Why> {
    match call_whole(hcall::READ, &[0, place]) {
        (SUCCESS, [word0, word1, ..]) => Ok([word0, word1]),
        (code, _) => Err(Why::new(format_args!("H_READ of {place:#x} answered {code}"))),
    }
}

/// Enters what must be taken; its place.
pub fn enter(flags: u64, place: u64, words: Words) -> Result<u64, Why> {
    let answer = call(hcall::ENTER, &[flags, place, words[0], words[1]]);
    if answer.code == SUCCESS {
        return Ok(answer.value);
    }
    Err(Why::new(format_args!("H_ENTER {flags:#x} {place:#x} {words:x?} answered {}", answer.code)))
}

/// Maps a page to a frame of the guest's memory, with these bits of doubleword 1; the entry's place.
pub fn map(page: Virtual, frame: u64, bits: u64) -> Result<u64, Why> {
    enter(0, page.primary(), [page.word0(), frame | COHERENT | bits])
}

/// Takes an entry away that must be there: what it was.
pub fn remove(place: u64) -> Result<Words, Why> {
    match call_whole(hcall::REMOVE, &[0, place, 0]) {
        (SUCCESS, [word0, word1, ..]) => Ok([word0, word1]),
        (code, _) => Err(Why::new(format_args!("H_REMOVE of {place:#x} answered {code}"))),
    }
}

/// Removes every entry that there is, four at a time.
pub fn remove_all() -> Verdict {
    const REQUEST: u64 = 1 << 62;
    for first in (0..entries()).step_by(4) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|nth| REQUEST | (first + nth));
        expect(hcall::BULK_REMOVE, &[a, 0, b, 0, c, 0, d, 0], SUCCESS)?;
    }
    Ok(())
}

/// Has the entry allow what these flags of H_PROTECT say.
pub fn protect(place: u64, bits: u64) -> Verdict {
    expect(hcall::PROTECT, &[bits, place, 0], SUCCESS)
}

/// The call answers with this code.
pub fn expect(number: u64, args: &[u64], code: i64) -> Verdict {
    match call(number, args).code {
        found if found == code => Ok(()),
        found => fail!("{number:#x} {args:x?} answered {found}, not {code}"),
    }
}

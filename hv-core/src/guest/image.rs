//! Looks at a kernel image without trusting it: which bytes of the file go where, and where it begins.

use elf::ElfBytes;
use elf::abi;
use elf::endian::{AnyEndian, EndianParse};
use elf::file::Class;
use heapless::Vec;

/// The most parts of an image that are loaded.
pub const MAX_SEGMENTS: usize = 8;
/// An image may not reach further than this above 0.
pub const MOST_BYTES: u64 = 1 << 30;
/// How much memory a raw image is given beyond its last byte: nothing says how much it clears for itself.
const RAW_ROOM: u64 = 32 << 20;
/// ppc64 kernels are linked at 0xc000_0000_0000_0000: the linear map of real memory. The top four bits only say so.
const REAL_MASK: u64 = u64::MAX >> 4;

/// A part of the file that goes to the guest's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins in the file.
    pub file_offset: usize,
    /// How much of it is in the file.
    pub file_bytes: usize,
    /// Where it goes, guest real.
    pub guest: u64,
    /// How much memory it takes; what is not in the file is zero.
    pub memory_bytes: u64,
    /// It holds instructions.
    pub executable: bool,
    /// It is written to.
    pub writable: bool,
}

/// An image that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its parts, by rising guest address, none overlapping another.
    pub segments: Vec<Segment, MAX_SEGMENTS>,
    /// The first instruction, guest real.
    pub entry: u64,
    /// It begins little-endian.
    pub little_endian: bool,
    /// The first guest real address that it does not need.
    pub end: u64,
}

/// Why an image is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// No byte in it.
    Empty,
    /// An ELF file of another machine, or a PC's boot executable.
    NotPowerPc,
    /// An ELF file, but not of 64 bits.
    NotElf64,
    /// An ELF file that is neither a program nor a position-independent one.
    NotProgram,
    /// Compressed (gzip, xz or zstd): it is to be unpacked first.
    Compressed,
    /// The file ends before what its headers promise.
    Truncated,
    /// It reaches beyond [`MOST_BYTES`], or wraps.
    TooLarge,
    /// Two parts claim the same memory.
    Overlapping,
    /// More than [`MAX_SEGMENTS`] parts.
    TooManySegments,
    /// An ELF file with nothing to load.
    NoLoadSegment,
    /// The first instruction lies in no part of it.
    BadEntry,
}

/// Looks at `file`.
///
/// An ELF file is loaded as its program headers say; anything else is a raw image that goes to 0 and begins at its first byte,
/// little-endian (Linux's first instructions work in either order).
///
/// # Errors
/// [`ImageError`].
pub fn inspect(file: &[u8]) -> Result<Image, ImageError> {
    match Kind::of(file) {
        Kind::Empty => Err(ImageError::Empty),
        Kind::Compressed => Err(ImageError::Compressed),
        Kind::PcExecutable => Err(ImageError::NotPowerPc),
        Kind::Elf => inspect_elf(file),
        Kind::Raw => inspect_raw(file),
    }
}

/// What the first bytes say.
enum Kind {
    Empty,
    Compressed,
    PcExecutable,
    Elf,
    Raw,
}

impl Kind {
    fn of(file: &[u8]) -> Self {
        const COMPRESSED: [&[u8]; 3] = [&[0x1f, 0x8b], &[0xfd, b'7', b'z', b'X', b'Z'], &[0x28, 0xb5, 0x2f, 0xfd]];
        if file.is_empty() {
            Self::Empty
        } else if COMPRESSED.iter().any(|magic| file.starts_with(magic)) {
            Self::Compressed
        } else if file.starts_with(b"MZ") {
            Self::PcExecutable
        } else if file.starts_with(b"\x7fELF") {
            Self::Elf
        } else {
            Self::Raw
        }
    }
}

fn inspect_raw(file: &[u8]) -> Result<Image, ImageError> {
    let memory_bytes = file.len() as u64;
    if memory_bytes > MOST_BYTES {
        return Err(ImageError::TooLarge);
    }
    let whole =
        Segment { file_offset: 0, file_bytes: file.len(), guest: 0, memory_bytes, executable: true, writable: true };
    let segments = Vec::from_slice(&[whole]).map_err(|_| ImageError::TooManySegments)?;
    Ok(Image { segments, entry: 0, little_endian: true, end: memory_bytes + RAW_ROOM })
}

fn inspect_elf(file: &[u8]) -> Result<Image, ImageError> {
    let elf = ElfBytes::<AnyEndian>::minimal_parse(file).map_err(|_| ImageError::Truncated)?;
    if elf.ehdr.e_machine != abi::EM_PPC64 {
        return Err(ImageError::NotPowerPc);
    }
    if elf.ehdr.class != Class::ELF64 {
        return Err(ImageError::NotElf64);
    }
    if !matches!(elf.ehdr.e_type, abi::ET_EXEC | abi::ET_DYN) {
        return Err(ImageError::NotProgram);
    }
    let mut segments = Vec::new();
    let headers = elf.segments().ok_or(ImageError::NoLoadSegment)?;
    for header in headers.iter().filter(|h| h.p_type == abi::PT_LOAD && h.p_memsz > 0) {
        segments.push(segment(file, &header)?).map_err(|_| ImageError::TooManySegments)?;
    }
    let end = arrange(&mut segments)?;
    let entry = elf.ehdr.e_entry & REAL_MASK;
    let inside = |s: &Segment| (s.guest..s.guest + s.memory_bytes).contains(&entry);
    if !segments.iter().any(inside) {
        return Err(ImageError::BadEntry);
    }
    Ok(Image { segments, entry, little_endian: elf.ehdr.endianness.is_little(), end })
}

/// Checks one program header against the file.
fn segment(file: &[u8], header: &elf::segment::ProgramHeader) -> Result<Segment, ImageError> {
    let file_offset = usize::try_from(header.p_offset).map_err(|_| ImageError::Truncated)?;
    let file_bytes = usize::try_from(header.p_filesz).map_err(|_| ImageError::Truncated)?;
    let file_end = file_offset.checked_add(file_bytes).ok_or(ImageError::Truncated)?;
    if file_end > file.len() || header.p_filesz > header.p_memsz {
        return Err(ImageError::Truncated);
    }
    let guest = header.p_paddr & REAL_MASK;
    let end = guest.checked_add(header.p_memsz).filter(|end| *end <= MOST_BYTES);
    end.ok_or(ImageError::TooLarge)?;
    Ok(Segment {
        file_offset,
        file_bytes,
        guest,
        memory_bytes: header.p_memsz,
        executable: header.p_flags & abi::PF_X != 0,
        writable: header.p_flags & abi::PF_W != 0,
    })
}

/// Sorts the parts, and says where the last one ends.
fn arrange(segments: &mut [Segment]) -> Result<u64, ImageError> {
    sort(segments);
    if segments.windows(2).any(|pair| pair[0].guest + pair[0].memory_bytes > pair[1].guest) {
        return Err(ImageError::Overlapping);
    }
    segments.last().map(|s| s.guest + s.memory_bytes).ok_or(ImageError::NoLoadSegment)
}

/// By rising address. There are eight at most, for which the library's sort brings along 4 KiB of code.
fn sort(segments: &mut [Segment]) {
    for last in 1..segments.len() {
        let falls = |at: &usize| segments[at - 1].guest > segments[last].guest;
        let place = (1..=last).rev().take_while(falls).last().map_or(last, |at| at - 1);
        segments[place..=last].rotate_right(1);
    }
}

#[cfg(test)]
mod tests;

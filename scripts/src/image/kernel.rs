//! The guest's kernel, looked at before QEMU starts: what it is, how much memory it takes, or why it cannot be run.

use elf::ElfBytes;
use elf::abi::{EM_386, EM_AARCH64, EM_PPC, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64, PT_LOAD};
use elf::endian::AnyEndian;
use elf::file::Class;
use elf::segment::ProgramHeader;
use thiserror::Error;

/// What a kernel file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// A ppc64 ELF file that needs this much memory once loaded.
    Elf { memory: u64 },
    /// Bytes to be put into memory as they are.
    Raw { memory: u64 },
}

/// Why a file cannot be a guest's kernel.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoKernel {
    #[error("is empty")]
    Empty,
    #[error("is an ELF file for {0}, not for 64-bit POWER")]
    Foreign(String),
    #[error("is a truncated ELF file: segment {segment} ends at byte {end}, the file at byte {len}")]
    Truncated { segment: usize, end: u64, len: usize },
    #[error("is a damaged ELF file: {0}")]
    Damaged(String),
    #[error("is an ELF file with nothing to load (an object or debug file?)")]
    NothingToLoad,
}

impl Kernel {
    /// Finds out what `bytes` are.
    pub fn inspect(bytes: &[u8]) -> Result<Self, NoKernel> {
        if bytes.is_empty() {
            return Err(NoKernel::Empty);
        }
        match bytes.starts_with(b"\x7fELF") {
            true => inspect_elf(bytes),
            false => Ok(Self::Raw { memory: bytes.len() as u64 }),
        }
    }

    /// How much guest memory it takes.
    pub fn memory(self) -> u64 {
        match self {
            Self::Elf { memory } | Self::Raw { memory } => memory,
        }
    }
}

fn inspect_elf(bytes: &[u8]) -> Result<Kernel, NoKernel> {
    let damaged = |error: elf::ParseError| NoKernel::Damaged(error.to_string());
    let Some((ident, tail)) = bytes.split_at_checked(elf::abi::EI_NIDENT) else {
        return Err(NoKernel::Damaged("it ends within its first header".into()));
    };
    let (endian, class, ..) = elf::file::parse_ident::<AnyEndian>(ident).map_err(damaged)?;
    let header = elf::file::FileHeader::parse_tail((endian, class, 0, 0), tail).map_err(damaged)?;
    if class != Class::ELF64 || header.e_machine != EM_PPC64 {
        return Err(NoKernel::Foreign(machine(header.e_machine)));
    }
    let elf = ElfBytes::<AnyEndian>::minimal_parse(bytes).map_err(damaged)?;
    let segments: Vec<_> = elf.segments().into_iter().flatten().collect();
    segments.iter().enumerate().try_for_each(|(index, segment)| whole(index, segment, bytes.len()))?;
    span(&segments).map(|memory| Kernel::Elf { memory }).ok_or(NoKernel::NothingToLoad)
}

fn whole(segment: usize, header: &ProgramHeader, len: usize) -> Result<(), NoKernel> {
    let end = header.p_offset.saturating_add(header.p_filesz);
    match end <= len as u64 {
        true => Ok(()),
        false => Err(NoKernel::Truncated { segment, end, len }),
    }
}

/// From the lowest to the highest address loaded.
fn span(segments: &[ProgramHeader]) -> Option<u64> {
    let loaded = || segments.iter().filter(|segment| segment.p_type == PT_LOAD && segment.p_memsz > 0);
    let start = loaded().map(|segment| segment.p_paddr).min()?;
    let end = loaded().map(|segment| segment.p_paddr.saturating_add(segment.p_memsz)).max()?;
    Some(end - start)
}

fn machine(number: u16) -> String {
    let known = [
        (EM_386, "x86"),
        (EM_X86_64, "x86-64"),
        (EM_AARCH64, "AArch64"),
        (EM_PPC, "32-bit PowerPC"),
        (EM_RISCV, "RISC-V"),
        (EM_S390, "s390"),
    ];
    let name = known.iter().find(|(known, _)| *known == number).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("machine number {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header with one segment of `filesz` bytes at offset 120.
    fn elf(machine: u16, filesz: u64) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend([2, 0]);
        bytes.extend(machine.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        [0u64, 64, 0].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
        bytes.extend(0u32.to_le_bytes());
        [64u16, 56, 1, 64, 0, 0].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
        bytes.extend(PT_LOAD.to_le_bytes());
        bytes.extend(7u32.to_le_bytes());
        [120, 0, 0x10_0000, filesz, filesz + 8, 4].iter().for_each(|field: &u64| bytes.extend(field.to_le_bytes()));
        bytes
    }

    #[test]
    fn a_whole_power_elf_tells_the_memory_it_spans() {
        let mut bytes = elf(EM_PPC64, 16);
        bytes.resize(136, 0);
        assert_eq!(Kernel::inspect(&bytes), Ok(Kernel::Elf { memory: 24 }));
    }

    #[test]
    fn an_elf_for_another_machine_is_named() {
        assert_eq!(Kernel::inspect(&elf(EM_X86_64, 0)), Err(NoKernel::Foreign("x86-64".into())));
    }

    #[test]
    fn a_truncated_elf_says_where_it_should_have_ended() {
        let bytes = elf(EM_PPC64, 100);
        assert_eq!(Kernel::inspect(&bytes), Err(NoKernel::Truncated { segment: 0, end: 220, len: 120 }));
    }

    #[test]
    fn no_prefix_of_an_elf_is_taken_for_a_kernel() {
        let mut bytes = elf(EM_PPC64, 16);
        bytes.resize(136, 0);
        for len in 4..bytes.len() {
            assert!(Kernel::inspect(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn an_empty_file_is_no_kernel() {
        assert_eq!(Kernel::inspect(&[]), Err(NoKernel::Empty));
    }

    #[test]
    fn anything_else_is_a_raw_image() {
        assert_eq!(Kernel::inspect(b"\x00\x01\x02"), Ok(Kernel::Raw { memory: 3 }));
    }
}

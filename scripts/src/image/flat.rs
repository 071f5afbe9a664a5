//! The hypervisor as the bytes that lie in memory, for QEMU's `-bios`; and what it weighs.

use anyhow::{Context, Result, ensure};
use elf::ElfBytes;
use elf::abi::{PT_LOAD, SHF_ALLOC, SHT_NOBITS};
use elf::endian::LittleEndian;

type Elf<'a> = ElfBytes<'a, LittleEndian>;

/// A flat image larger than this was linked at the wrong place.
const LIMIT: usize = 64 << 20;

/// The loadable segments, each at its address; uninitialised memory at the end is left out.
pub fn flatten(bytes: &[u8]) -> Result<Vec<u8>> {
    let elf = Elf::minimal_parse(bytes).context("the hypervisor is no ELF file")?;
    let mut image = Vec::new();
    for segment in elf.segments().context("the hypervisor has no segments")? {
        if segment.p_type == PT_LOAD && segment.p_filesz > 0 {
            place(&mut image, usize::try_from(segment.p_paddr)?, elf.segment_data(&segment)?)?;
        }
    }
    Ok(image)
}

fn place(image: &mut Vec<u8>, start: usize, contents: &[u8]) -> Result<()> {
    let end = start.checked_add(contents.len()).context("a segment wraps around")?;
    ensure!(end <= LIMIT, "a segment of the hypervisor ends at {end:#x}: linked at the wrong place");
    image.resize(image.len().max(end), 0);
    image[start..end].copy_from_slice(contents);
    Ok(())
}

/// Bytes of text and data: what is allocated and stored in the file.
pub fn text_and_data(bytes: &[u8]) -> Result<u64> {
    let elf = Elf::minimal_parse(bytes)?;
    let sections = elf.section_headers().context("the hypervisor has no sections")?;
    let stored =
        sections.iter().filter(|section| section.sh_flags & u64::from(SHF_ALLOC) != 0 && section.sh_type != SHT_NOBITS);
    Ok(stored.map(|section| section.sh_size).sum())
}

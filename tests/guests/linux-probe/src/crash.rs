//! What is left of a kernel that died: a second one, loaded while the first was well, finds the registers of each processor that the first could
//! still stop. All of them, if the hypervisor brings a system reset to each.

use crate::sys::{self, memory};
use crate::{Outcome, cpus, out::say};

/// The beginning of the dead one's memory, with headers and notes in pages of the largest size.
const HEAD: usize = 1 << 20;

/// Offsets in an ELF header of 64 bits, and in a program header.
const PHOFF: usize = 32;
const PHENTSIZE: usize = 54;
const PHNUM: usize = 56;
const OFFSET: usize = 8;
const FILESZ: usize = 32;
/// A program header of notes, and a note of a processor's registers.
const PT_NOTE: u32 = 4;
const NT_PRSTATUS: u32 = 1;

/// The kernel dies on its first processor. On another one the next kernel would have to start there, and not all manage.
pub fn die() -> Outcome {
    let died = cpus::pin(0).and_then(|_| sys::write_file(c"/proc/sysrq-trigger", b"c"));
    say!("crash FAIL: {}", if died.is_ok() { "the kernel lives on" } else { "no way to make it die" });
    Outcome::Bad
}

/// In the second kernel: counts the processors whose registers the first one left.
pub fn count() -> Outcome {
    let read = memory::map(HEAD).and_then(|start| {
        // SAFETY: 1. It was mapped just now, nothing else refers to it, and it is never unmapped.
        sys::read_file(c"/proc/vmcore", unsafe { core::slice::from_raw_parts_mut(start.cast(), HEAD) })
    });
    match read.map(processors) {
        Ok(Some(count)) => {
            say!("vmcore: {count} processors");
            Outcome::Good
        }
        Ok(None) => {
            say!("vmcore FAIL: not an ELF file with notes");
            Outcome::Bad
        }
        Err(errno) => {
            say!("vmcore FAIL: errno {}", errno.0);
            Outcome::Bad
        }
    }
}

/// Notes of registers in an ELF file.
fn processors(file: &[u8]) -> Option<usize> {
    let (first, size) = (usize::try_from(long(file, PHOFF)?).ok()?, usize::from(short(file, PHENTSIZE)?));
    let headers = (0..usize::from(short(file, PHNUM)?)).map(|n| first + n * size);
    let notes = headers.into_iter().find(|&at| word(file, at) == Some(PT_NOTE))?;
    let start = usize::try_from(long(file, notes + OFFSET)?).ok()?;
    let length = usize::try_from(long(file, notes + FILESZ)?).ok()?;
    let mut rest = file.get(start..start.checked_add(length)?)?;
    let mut count = 0;
    while let (Some(name), Some(contents), Some(kind)) = (word(rest, 0), word(rest, 4), word(rest, 8)) {
        count += usize::from(kind == NT_PRSTATUS);
        let padded = |size: u32| usize::try_from(size).ok()?.checked_next_multiple_of(4);
        rest = rest.get(12usize.checked_add(padded(name)?)?.checked_add(padded(contents)?)?..)?;
    }
    Some(count)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

//! What a program asks the kernel to do with its memory.

use super::{CLOCK_GETTIME, CLOCK_MONOTONIC, Errno, call};

const MMAP: usize = 90;
const MUNMAP: usize = 91;
const MPROTECT: usize = 125;
const MADVISE: usize = 205;

const PROT_READ: usize = 1;
const PROT_READ_WRITE: usize = 3;
const MAP_SHARED_ANONYMOUS: usize = 0x21;
const MAP_PRIVATE_ANONYMOUS: usize = 0x22;
const MADV_DONTNEED: usize = 4;
/// The address is not what it has to be for that.
const EFAULT: Errno = Errno(14);

/// Fresh zeroed memory: nothing stands behind it until it is touched.
pub fn map(bytes: usize) -> Result<*mut u64, Errno> {
    map_as(bytes, MAP_PRIVATE_ANONYMOUS)
}

/// The same, which processes that are forked from this one have in common.
pub fn map_shared(bytes: usize) -> Result<*mut u64, Errno> {
    map_as(bytes, MAP_SHARED_ANONYMOUS)
}

fn map_as(bytes: usize, kind: usize) -> Result<*mut u64, Errno> {
    // SAFETY: 1. Without MAP_FIXED a new mapping replaces none.
    let address = unsafe { call(MMAP, [0, bytes, PROT_READ_WRITE, kind, usize::MAX, 0])? };
    Ok(address as *mut u64)
}

/// Gives memory back.
///
/// # Safety
/// The range must be whole pages of one `map`, and nothing may refer to that memory any more.
pub unsafe fn unmap(start: *mut u64, bytes: usize) -> Result<(), Errno> {
    // SAFETY: 1. The caller says that the range is whole and unused.
    unsafe { call(MUNMAP, [start as usize, bytes, 0, 0, 0, 0]).map(|_| ()) }
}

/// Makes memory read-only, or writable again.
///
/// # Safety
/// The range must be whole pages of one `map`; nothing may write to it while it is read-only.
pub unsafe fn protect(start: *mut u64, bytes: usize, writable: bool) -> Result<(), Errno> {
    let rights = if writable { PROT_READ_WRITE } else { PROT_READ };
    // SAFETY: 1. The caller says so.
    unsafe { call(MPROTECT, [start as usize, bytes, rights, 0, 0, 0]).map(|_| ()) }
}

/// Forgets what stands in private memory: it reads as zero after it.
///
/// # Safety
/// The range must be whole pages of one `map`, and no reference may point there.
pub unsafe fn forget(start: *mut u64, bytes: usize) -> Result<(), Errno> {
    // SAFETY: 1. The caller says so.
    unsafe { call(MADVISE, [start as usize, bytes, MADV_DONTNEED, 0, 0, 0]).map(|_| ()) }
}

/// Whether the kernel finds two doublewords there that this process may write; if so it has written to them.
///
/// # Safety
/// If something is there, nothing else may refer to it.
pub unsafe fn is_writable(address: *mut u64) -> Result<bool, Errno> {
    // SAFETY: 1. The caller gives the memory away, if it is any; the kernel looks before it writes.
    match unsafe { call(CLOCK_GETTIME, [CLOCK_MONOTONIC, address as usize, 0, 0, 0, 0]) } {
        Ok(_) => Ok(true),
        Err(EFAULT) => Ok(false),
        Err(other) => Err(other),
    }
}

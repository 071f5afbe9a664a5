//! Processes, and the processors that they run on.

use super::{Errno, call};

const FORK: usize = 2;
const WAIT4: usize = 114;
const SCHED_SETAFFINITY: usize = 222;
const SCHED_GETAFFINITY: usize = 223;
const GETCPU: usize = 302;

/// Doublewords of a set of processors as the kernel knows them: Debian's kernels count up to 2048.
const SET: usize = 32;

/// A set of processors; those from 64 on are left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Set(pub u64);

/// Makes a copy of this process, in which the answer is 0; here it is the copy's number.
///
/// # Safety
/// The copy must end by [`exit`](super::exit), and everything that both refer to must bear it.
pub unsafe fn fork() -> Result<usize, Errno> {
    // SAFETY: 1. The caller says so; memory is copied as it is written.
    unsafe { call(FORK, [0; 6]) }
}

/// Waits for a process made by `fork`, and tells whether it ended well.
pub fn wait(process: usize) -> Result<bool, Errno> {
    let mut status = 0i32;
    // SAFETY: 1. The kernel writes one `i32`; the place for what was used is null.
    unsafe { call(WAIT4, [process, &raw mut status as usize, 0, 0, 0, 0])? };
    Ok(status == 0)
}

/// The processors that this process may run on.
pub fn allowed() -> Result<Set, Errno> {
    let mut set = [0u64; SET];
    // SAFETY: 1. `set` is as long as said.
    unsafe { call(SCHED_GETAFFINITY, [0, size_of_val(&set), &raw mut set as usize, 0, 0, 0])? };
    Ok(Set(set[0]))
}

/// From now on this process runs on these processors only; it is there when the call returns.
pub fn allow(processors: Set) -> Result<(), Errno> {
    let mut set = [0u64; SET];
    set[0] = processors.0;
    // SAFETY: 1. The kernel only reads, and `set` is as long as said.
    unsafe { call(SCHED_SETAFFINITY, [0, size_of_val(&set), &raw const set as usize, 0, 0, 0]).map(|_| ()) }
}

/// The processor that this process runs on.
pub fn current() -> Result<u32, Errno> {
    let mut processor = 0u32;
    // SAFETY: 1. The kernel writes one `u32`; the places for the rest are null.
    unsafe { call(GETCPU, [&raw mut processor as usize, 0, 0, 0, 0, 0])? };
    Ok(processor)
}

//! The system calls that the probe makes: `sc` with the number in r0 and the arguments from r3 on; an error sets CR0[SO]
//! and leaves the positive errno in r3.

pub mod memory;
pub mod process;

use core::arch::asm;

/// A failed system call's errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub usize);

const EXIT: usize = 1;
const READ: usize = 3;
const WRITE: usize = 4;
const OPEN: usize = 5;
const CLOSE: usize = 6;
/// Also called from the register check's assembly.
pub const SCHED_YIELD: usize = 158;
const CLOCK_GETTIME: usize = 246;
const CLOCK_NANOSLEEP: usize = 248;

const O_WRONLY: usize = 1;
const CLOCK_MONOTONIC: usize = 1;
/// Seconds and nanoseconds as the kernel passes them.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanos: i64,
}

/// Makes one system call.
///
/// # Safety
/// The call must be one that leaves memory which Rust owns intact: buffers as long as said, no mapping in use removed.
unsafe fn call(number: usize, args: [usize; 6]) -> Result<usize, Errno> {
    let (value, cr): (usize, usize);
    // SAFETY: 1. The caller answers for what the call does to memory.
    //         2. Everything that `sc` does not preserve is named: r0, r3-r12, CTR, XER and the condition fields.
    unsafe {
        asm!("sc", "mfcr 0",
            inout("r0") number => cr,
            inout("r3") args[0] => value,
            inout("r4") args[1] => _, inout("r5") args[2] => _, inout("r6") args[3] => _,
            inout("r7") args[4] => _, inout("r8") args[5] => _,
            out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("ctr") _, out("xer") _,
            out("cr0") _, out("cr1") _, out("cr5") _, out("cr6") _, out("cr7") _,
            options(nostack));
    }
    if cr & (1 << 28) == 0 { Ok(value) } else { Err(Errno(value)) }
}

/// Ends the process.
pub fn exit(code: usize) -> ! {
    loop {
        // SAFETY: 1. The process is gone after it; nothing is left to be broken.
        let _ = unsafe { call(EXIT, [code, 0, 0, 0, 0, 0]) };
    }
}

/// Writes to standard output; returns how many bytes went.
pub fn write(bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: 1. The kernel only reads, and `bytes` is as long as said.
    unsafe { call(WRITE, [1, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) }
}

/// Reads the beginning of a file, as much as fits.
pub fn read_file<'b>(path: &core::ffi::CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    // SAFETY: 1. `path` is terminated, by its type. 2. The kernel only reads it.
    let file = unsafe { call(OPEN, [path.as_ptr() as usize, 0, 0, 0, 0, 0])? };
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        // SAFETY: 1. `rest` is exclusively ours and as long as said.
        let got = unsafe { call(READ, [file, rest.as_mut_ptr() as usize, rest.len(), 0, 0, 0])? };
        if got == 0 {
            break;
        }
        filled += got;
    }
    close(file)?;
    Ok(&buffer[..filled])
}

/// Writes to a file that is there, at its beginning.
pub fn write_file(path: &core::ffi::CStr, bytes: &[u8]) -> Result<(), Errno> {
    // SAFETY: 1. `path` is terminated, by its type. 2. The kernel only reads it.
    let file = unsafe { call(OPEN, [path.as_ptr() as usize, O_WRONLY, 0, 0, 0, 0])? };
    // SAFETY: 1. The kernel only reads, and `bytes` is as long as said.
    let written = unsafe { call(WRITE, [file, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) };
    close(file)?;
    written.map(|_| ())
}

fn close(file: usize) -> Result<(), Errno> {
    // SAFETY: 1. It touches no memory.
    unsafe { call(CLOSE, [file, 0, 0, 0, 0, 0]).map(|_| ()) }
}

/// Lets another thread, or the hypervisor's idle loop, have the CPU.
pub fn sched_yield() {
    // SAFETY: 1. It touches no memory.
    let _ = unsafe { call(SCHED_YIELD, [0; 6]) };
}

/// Nanoseconds of the monotonic clock. Asked of the kernel, not of the vDSO, which this program does not look for.
pub fn monotonic() -> u64 {
    let mut now = Timespec { seconds: 0, nanos: 0 };
    // SAFETY: 1. The kernel writes one `Timespec` and nothing beyond.
    let _ = unsafe { call(CLOCK_GETTIME, [CLOCK_MONOTONIC, &raw mut now as usize, 0, 0, 0, 0]) };
    now.seconds.unsigned_abs() * 1_000_000_000 + now.nanos.unsigned_abs()
}

/// Sleeps for whole seconds.
pub fn sleep(seconds: u64) -> Result<(), Errno> {
    nap(Timespec { seconds: seconds.cast_signed(), nanos: 0 })
}

/// Sleeps for less than a second.
pub fn sleep_millis(millis: u16) -> Result<(), Errno> {
    nap(Timespec { seconds: 0, nanos: i64::from(millis % 1000) * 1_000_000 })
}

fn nap(time: Timespec) -> Result<(), Errno> {
    // SAFETY: 1. The kernel only reads `time`, and writes no remainder: that pointer is null.
    unsafe { call(CLOCK_NANOSLEEP, [CLOCK_MONOTONIC, 0, &raw const time as usize, 0, 0, 0]).map(|_| ()) }
}

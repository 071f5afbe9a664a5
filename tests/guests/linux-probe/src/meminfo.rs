//! What the kernel says about its memory, in /proc/meminfo.

use crate::{args, sys};

/// Two of its lines, in bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    /// All that the kernel manages.
    pub total: u64,
    /// What can be had without the kernel killing somebody for it.
    pub available: u64,
}

/// Asks the kernel; nothing if /proc is not mounted or reads otherwise.
pub fn read() -> Option<Memory> {
    let mut buffer = [0; 2048];
    let text = sys::read_file(c"/proc/meminfo", &mut buffer).ok()?;
    Some(Memory { total: field(text, b"MemTotal:")?, available: field(text, b"MemAvailable:")? })
}

/// The value of the line that begins with `name`.
fn field(text: &[u8], name: &[u8]) -> Option<u64> {
    let line = text.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(name))?;
    let digits = line.trim_ascii().strip_suffix(b" kB")?;
    args::number(digits)?.checked_mul(1024)
}

//! Finds the guest's kernel and initrd in the machine's memory.
//!
//! | started by | kernel | initrd |
//! | --- | --- | --- |
//! | `-bios` us `-kernel` guest | laid out by QEMU, as it is to stand in memory | as it is |
//! | `-kernel` us (SLOF, VOF) | in the bundle that is our initrd | in the same |

use super::fdt::Machine;
use super::refusal::Refusal;
use core::ops::Range;
use hv_core::guest::bundle;
use hv_core::guest::image::{self, Image};

/// What the guest is started from. Nobody writes any of it for as long as we run: its memory is kept out of the frame pool.
#[derive(Debug)]
pub struct Payload {
    /// The file or memory image of the kernel.
    pub file: &'static [u8],
    /// Its parts.
    pub image: Image,
    /// The initrd.
    pub initrd: Option<&'static [u8]>,
}

/// Finds it.
///
/// # Errors
/// [`Refusal`]: there is none, it lies where it cannot, or it is no kernel.
pub fn find(machine: &Machine) -> Result<Payload, Refusal> {
    let initrd = machine.initrd.as_ref().map(|range| bytes(machine, range, "initrd")).transpose()?;
    let kernel = machine.kernel.as_ref().map(|range| bytes(machine, range, "kernel")).transpose()?;
    let (file, initrd) = match (kernel, initrd) {
        (Some(kernel), initrd) => (kernel, initrd),
        (None, Some(file)) if bundle::is_bundle(file) => {
            let parts = bundle::open(file)?;
            (parts.kernel, parts.initrd)
        }
        (None, _) => return Err(Refusal::NoKernel),
    };
    Ok(Payload { file, image: image::inspect(file)?, initrd: initrd.filter(|bytes| !bytes.is_empty()) })
}

/// The bytes of a range, if it lies in memory and beside us.
fn bytes(machine: &Machine, range: &Range<u64>, what: &'static str) -> Result<&'static [u8], Refusal> {
    let in_memory = machine.memory.iter().any(|memory| memory.start <= range.start && range.end <= memory.end);
    if !in_memory || range.start < crate::memory::image().end || range.end < range.start {
        return Err(Refusal::Misplaced(what));
    }
    let at: *const u8 = core::ptr::with_exposed_provenance(crate::memory::index(range.start));
    // SAFETY: 1. the range is memory, and none of it is ours; 2. it is reserved in the frame pool, so nobody writes it.
    Ok(unsafe { core::slice::from_raw_parts(at, crate::memory::index(range.end - range.start)) })
}

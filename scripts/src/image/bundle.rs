//! What SLOF and VOF hand on as one initrd: the guest's kernel and initrd, as an archive.
//!
//! Firmware loads the hypervisor and a single further file. Contents start at multiples of 64 KiB, so that the
//! hypervisor maps their pages to the guest as they lie.

use super::archive::Archive;
use anyhow::Result;

const ALIGN: usize = 1 << 16;

/// Packs a kernel and an initrd.
pub fn pack(kernel: &[u8], initrd: &[u8]) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.aligned("kernel", kernel, ALIGN)?;
    archive.aligned("initrd", initrd, ALIGN)?;
    archive.finish()
}

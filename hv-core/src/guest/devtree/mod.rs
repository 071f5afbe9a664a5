//! The device tree that a PAPR kernel is given in place of Open Firmware (LoPAR appendix B; Devicetree Specification 0.4 for the flat
//! form). It promises only what [`hcall`](super::hcall) and [`rtas`](super::rtas) keep.

mod cpus;
mod features;
mod longname;
mod nodes;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use ppc64_arch::hash::{Pages, Shape};
use ppc64_arch::pvr::Pvr;
use vm_fdt::{FdtReserveEntry, FdtWriter};

/// What the tree says about the guest.
#[derive(Clone, Debug)]
pub struct GuestConfig {
    /// Bytes of memory, which begins at 0.
    pub memory_bytes: u64,
    /// Processors, numbered from 0.
    pub cpus: u32,
    /// Which processor the guest sees.
    pub pvr: Pvr,
    /// How its addresses are translated.
    pub translation: Translation,
    /// Bits of the decrementer: 32, or more with LPCR\[LD\].
    pub decrementer_bits: u32,
    /// Timebase ticks a second.
    pub timebase_hz: u32,
    /// Processor cycles a second.
    pub clock_hz: u32,
    /// The kernel's command line.
    pub bootargs: String,
    /// The initial file system: first byte and the one after the last, guest real.
    pub initrd: Option<(u64, u64)>,
    /// Where the RTAS blob stands, guest real, below 4 GiB.
    pub rtas_base: u32,
    /// How much stands reserved there.
    pub rtas_bytes: u32,
    /// Whether the terminal interrupts. Otherwise Linux polls it.
    pub console_interrupt: bool,
    /// Whether H_RANDOM has a source.
    pub has_random: bool,
    /// Randomness for the kernel's own generator.
    pub rng_seed: Option<[u8; 32]>,
}

/// What the tree says of translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translation {
    /// Radix trees.
    Radix,
    /// A hashed table.
    Hash {
        /// The table's size as it is at the start.
        shape: Shape,
        /// The sizes of page that entries may have.
        sizes: &'static [Pages],
    },
}

/// Why there is no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeError {
    /// The command line or a name holds a zero byte.
    BadString,
    /// The RTAS reservation lies outside 4 GiB or wraps.
    BadReservation,
    /// The processor is not one of ours.
    UnknownProcessor,
    /// The tree is nested, or its properties are placed, as the flat form does not allow: a mistake of this code.
    Malformed,
    /// It does not fit the 32-bit sizes of the flat form.
    TooLarge,
}

impl From<vm_fdt::Error> for TreeError {
    fn from(error: vm_fdt::Error) -> Self {
        match error {
            vm_fdt::Error::InvalidString => Self::BadString,
            vm_fdt::Error::InvalidMemoryReservation | vm_fdt::Error::OverlappingMemoryReservations => {
                Self::BadReservation
            }
            vm_fdt::Error::PropertyValueTooLarge | vm_fdt::Error::TotalSizeTooLarge => Self::TooLarge,
            _ => Self::Malformed,
        }
    }
}

/// Phandle of the interrupt controller.
const PHANDLE_XICS: u32 = 1;

/// Writes the tree: a flattened device tree, version 17.
///
/// # Errors
/// [`TreeError`].
pub fn build(config: &GuestConfig) -> Result<Vec<u8>, TreeError> {
    longname::complete(write(config)?)
}

/// The tree with all names but one as they are to be.
fn write(config: &GuestConfig) -> Result<Vec<u8>, TreeError> {
    let rtas = FdtReserveEntry::new(u64::from(config.rtas_base), u64::from(config.rtas_bytes))?;
    let mut fdt = FdtWriter::new_with_mem_reserv(&[rtas])?;
    fdt.set_boot_cpuid_phys(0);
    let root = fdt.begin_node("")?;
    fdt.property_string("device_type", "chrp")?;
    fdt.property_string("model", "Samewise guest")?;
    fdt.property_string("compatible", "samewise,guest")?;
    fdt.property_u32("#address-cells", 2)?;
    fdt.property_u32("#size-cells", 2)?;
    fdt.property_u32("interrupt-parent", PHANDLE_XICS)?;
    nodes::chosen(&mut fdt, config)?;
    nodes::memory(&mut fdt, config)?;
    nodes::rtas(&mut fdt, config)?;
    nodes::hypervisor(&mut fdt)?;
    nodes::interrupt_controller(&mut fdt, config)?;
    nodes::virtual_devices(&mut fdt, config)?;
    if config.has_random {
        nodes::random(&mut fdt)?;
    }
    cpus::all(&mut fdt, config)?; // last: see longname
    fdt.end_node(root)?;
    Ok(fdt.finish()?)
}

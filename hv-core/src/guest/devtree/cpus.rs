//! `/cpus`: one node for each processor (LoPAR C.6.4).

use super::features::pa_features;
use super::longname::RADIX_ENCODINGS;
use super::{GuestConfig, Translation, TreeError};
use alloc::format;
use alloc::vec::Vec;
use ppc64_arch::hash::{PageSize, Pages};
use ppc64_arch::pvr::Cpu;
use vm_fdt::FdtWriter;

/// Page sizes of radix tables: log2 in the low bits, the code that tlbie's AP field wants in bits 29 to 31 (4K, 64K, 2M, 1G).
const RADIX_SIZES: [u32; 4] = [0x0000_000c, 0xa000_0010, 0x2000_0015, 0x4000_001e];
/// Segment sizes that there are, as log2; a radix guest has no use for them, but tools ask.
const SEGMENT_SIZES: [u32; 4] = [28, 40, u32::MAX, u32::MAX];

/// One cache, as the processor's node describes it.
struct Cache {
    names: [&'static str; 3],
    bytes: u32,
}

/// A block, and a line, of either first-level cache.
const CACHE_LINE: u32 = 128;

/// All processors.
pub fn all(fdt: &mut FdtWriter, config: &GuestConfig) -> Result<(), TreeError> {
    let node = fdt.begin_node("cpus")?;
    fdt.property_u32("#address-cells", 1)?;
    fdt.property_u32("#size-cells", 0)?;
    for id in 0..config.cpus {
        one(fdt, config, id)?;
    }
    Ok(fdt.end_node(node)?)
}

fn one(fdt: &mut FdtWriter, config: &GuestConfig, id: u32) -> Result<(), TreeError> {
    let cpu = config.pvr.cpu().ok_or(TreeError::UnknownProcessor)?;
    let node = fdt.begin_node(&format!("PowerPC,{}@{id:x}", cpu.name()))?;
    fdt.property_string("device_type", "cpu")?;
    fdt.property_u32("reg", id)?;
    fdt.property_string("status", "okay")?;
    fdt.property_u32("cpu-version", config.pvr.raw())?;
    fdt.property_null("64-bit")?;
    fdt.property_u32("timebase-frequency", config.timebase_hz)?;
    fdt.property_u32("clock-frequency", config.clock_hz)?;
    fdt.property_u32("ibm,dec-bits", config.decrementer_bits)?;
    fdt.property_array_u32("ibm,ppc-interrupt-server#s", &[id])?;
    fdt.property_array_u32("ibm,ppc-interrupt-gserver#s", &[id, 0])?;
    caches(fdt, cpu)?;
    segments(fdt)?;
    if let Translation::Hash { shape, sizes } = config.translation {
        fdt.property_array_u32("ibm,pft-size", &[0, shape.order()])?; // on node 0
        fdt.property_array_u32("ibm,segment-page-sizes", &segment_page_sizes(sizes))?;
    }
    fdt.property("ibm,pa-features", &pa_features(cpu, config.translation))?;
    fdt.property_u32("ibm,vmx", 2)?; // 1 would be VMX alone, 2 is VSX as well
    fdt.property_u32("ibm,dfp", 1)?;
    fdt.property_u32("ibm,purr", 1)?;
    fdt.property_u32("ibm,spurr", 1)?;
    fdt.property_array_u32(RADIX_ENCODINGS, &RADIX_SIZES)?; // the last new name
    Ok(fdt.end_node(node)?)
}

fn caches(fdt: &mut FdtWriter, cpu: Cpu) -> Result<(), TreeError> {
    let instruction = if cpu.is_v31() { 48 << 10 } else { 32 << 10 };
    let caches = [
        Cache { names: ["d-cache-size", "d-cache-line-size", "d-cache-block-size"], bytes: 32 << 10 },
        Cache { names: ["i-cache-size", "i-cache-line-size", "i-cache-block-size"], bytes: instruction },
    ];
    for cache in caches {
        for (name, value) in cache.names.into_iter().zip([cache.bytes, CACHE_LINE, CACHE_LINE]) {
            fdt.property_u32(name, value)?;
        }
    }
    Ok(())
}

/// For each base page size: log2 of it, what an SLB entry says of it, how many actual sizes; for each of these log2, and its encoding in an entry (LoPAR C.6.4).
fn segment_page_sizes(sizes: &[Pages]) -> Vec<u32> {
    let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let mut cells = Vec::new();
    for base in PageSize::ALL {
        let of_base = sizes.iter().filter(|pages| pages.base() == base);
        let many = of_base.clone().count();
        if many != 0 {
            cells.extend([base.shift(), word(base.segment_encoding()), word(many as u64)]);
            cells.extend(of_base.flat_map(|pages| [pages.actual().shift(), word(pages.encoding())]));
        }
    }
    cells
}

fn segments(fdt: &mut FdtWriter) -> Result<(), TreeError> {
    fdt.property_array_u32("ibm,processor-segment-sizes", &SEGMENT_SIZES)?;
    fdt.property_u32("slb-size", 32)?;
    fdt.property_u32("ibm,slb-size", 32)?;
    Ok(())
}

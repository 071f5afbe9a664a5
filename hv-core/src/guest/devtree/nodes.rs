//! The nodes, in the order in which they stand in the tree, but for `/cpus`.

use super::{GuestConfig, PHANDLE_XICS, Translation, TreeError};
use crate::guest::rtas;
use crate::guest::vty;
use crate::guest::xics::VTY_SOURCE;
use alloc::format;
use alloc::vec::Vec;
use vm_fdt::FdtWriter;

type Written = Result<(), TreeError>;

/// Where the terminal stands.
const VTY_PATH: &str = "/vdevice/vty@71000000";
const _: () = assert!(vty::UNIT == 0x7100_0000);

/// `ibm,architecture-vec-5`, the answer to a negotiation that did not take place: its length less one, then option vector 5
/// (LoPAR B.6.2.3). Linux takes it as it stands.
const VECTOR_5: [u8; 27] = {
    let mut vector = [0; 27];
    vector[0] = 25; // 26 bytes follow
    vector[24] = 0x40; // translation: radix
    vector[26] = 0x40; // the guest issues tlbie itself (GTSE)
    vector
};

/// The same of a hash guest: every byte of the vector zero.
const VECTOR_5_HASH: [u8; 27] = {
    let mut vector = [0; 27];
    vector[0] = 25;
    vector
};

/// `ibm,arch-vec-5-platform-support`, what firmware's negotiation could choose from, pairs of a byte's number in option vector 5 and its value: emulated interrupts, a hashed table, none of its extensions, none of
/// radix. The choice is made already; who reads the tree finds nothing else in it.
const SUPPORT_HASH: [u8; 8] = [23, 0, 24, 0, 25, 0, 26, 0];

/// Sets of calls that are offered, by the names of LoPAR table 192. `hcall-splpar` stands for the virtual processor area, cede,
/// confer and prod; `hcall-copy` for H_PAGE_INIT.
const CALL_SETS: [&str; 7] =
    ["hcall-term", "hcall-interrupt", "hcall-splpar", "hcall-sprg0", "hcall-copy", "hcall-set-mode", "hcall-debug"];

/// Those of a hash guest on top: entries of the table, many removed at once, another size of the table.
const HASH_CALL_SETS: [&str; 3] = ["hcall-pft", "hcall-bulk", "hcall-hpt-resize"];

/// `/chosen`: what a boot loader says to the kernel.
pub fn chosen(fdt: &mut FdtWriter, config: &GuestConfig) -> Written {
    let node = fdt.begin_node("chosen")?;
    fdt.property_string("bootargs", &config.bootargs)?;
    fdt.property_string("linux,stdout-path", VTY_PATH)?;
    fdt.property_string("stdout-path", VTY_PATH)?;
    if let Some((start, end)) = config.initrd {
        fdt.property_u64("linux,initrd-start", start)?;
        fdt.property_u64("linux,initrd-end", end)?;
    }
    match config.translation {
        Translation::Radix => fdt.property("ibm,architecture-vec-5", &VECTOR_5)?,
        Translation::Hash { .. } => {
            fdt.property("ibm,architecture-vec-5", &VECTOR_5_HASH)?;
            fdt.property("ibm,arch-vec-5-platform-support", &SUPPORT_HASH)?;
        }
    }
    if let Some(seed) = &config.rng_seed {
        fdt.property("rng-seed", seed)?;
    }
    Ok(fdt.end_node(node)?)
}

/// `/memory@0`: all of it.
pub fn memory(fdt: &mut FdtWriter, config: &GuestConfig) -> Written {
    let node = fdt.begin_node("memory@0")?;
    fdt.property_string("device_type", "memory")?;
    fdt.property_array_u64("reg", &[0, config.memory_bytes])?;
    Ok(fdt.end_node(node)?)
}

/// `/rtas`: where the blob is, the tokens, and which hypervisor calls there are.
pub fn rtas(fdt: &mut FdtWriter, config: &GuestConfig) -> Written {
    let node = fdt.begin_node("rtas")?;
    for (name, token) in rtas::tokens() {
        fdt.property_u32(name, token)?;
    }
    fdt.property_u32("linux,rtas-base", config.rtas_base)?;
    fdt.property_u32("linux,rtas-entry", config.rtas_base)?;
    fdt.property_u32("rtas-size", config.rtas_bytes)?;
    fdt.property_u32("rtas-version", 1)?;
    fdt.property_u32("rtas-error-log-max", 1024)?;
    fdt.property_u32("rtas-event-scan-rate", 1)?;
    fdt.property_null("ibm,extended-os-term")?;
    let more: &[&str] = match config.translation {
        Translation::Radix => &[],
        Translation::Hash { .. } => &HASH_CALL_SETS,
    };
    let names: Vec<_> = CALL_SETS.iter().chain(more).map(|name| (*name).into()).collect();
    fdt.property_string_list("ibm,hypertas-functions", names)?;
    Ok(fdt.end_node(node)?)
}

/// `/hypervisor`: lets tools tell where they are. (It is not KVM, so it does not say so.)
pub fn hypervisor(fdt: &mut FdtWriter) -> Written {
    let node = fdt.begin_node("hypervisor")?;
    fdt.property_string("compatible", "samewise,hypervisor")?;
    Ok(fdt.end_node(node)?)
}

/// The presentation half of XICS; sources have no node of their own.
pub fn interrupt_controller(fdt: &mut FdtWriter, config: &GuestConfig) -> Written {
    let node = fdt.begin_node("interrupt-controller")?;
    fdt.property_string("device_type", "PowerPC-External-Interrupt-Presentation")?;
    fdt.property_string("compatible", "IBM,ppc-xicp")?;
    fdt.property_null("interrupt-controller")?;
    fdt.property_u32("#address-cells", 0)?;
    fdt.property_u32("#interrupt-cells", 2)?;
    fdt.property_array_u32("ibm,interrupt-server-ranges", &[0, config.cpus])?;
    fdt.property_phandle(PHANDLE_XICS)?;
    Ok(fdt.end_node(node)?)
}

/// `/vdevice`: the terminal.
pub fn virtual_devices(fdt: &mut FdtWriter, config: &GuestConfig) -> Written {
    const EDGE: u32 = 0;
    let bus = fdt.begin_node("vdevice")?;
    fdt.property_string("device_type", "vdevice")?;
    fdt.property_string("compatible", "IBM,vdevice")?;
    fdt.property_u32("#address-cells", 1)?;
    fdt.property_u32("#size-cells", 0)?;
    fdt.property_u32("#interrupt-cells", 2)?;
    fdt.property_null("interrupt-controller")?;
    let node = fdt.begin_node(&format!("vty@{:x}", vty::UNIT))?;
    fdt.property_string("device_type", "serial")?;
    fdt.property_string("compatible", "hvterm1")?;
    fdt.property_u32("reg", vty::UNIT)?;
    if config.console_interrupt {
        fdt.property_array_u32("interrupts", &[VTY_SOURCE, EDGE])?;
        fdt.property_u32("interrupt-parent", PHANDLE_XICS)?;
    }
    fdt.end_node(node)?;
    Ok(fdt.end_node(bus)?)
}

/// `/ibm,platform-facilities/ibm,random-v1`: says that H_RANDOM has a source (LoPAR 12.3).
pub fn random(fdt: &mut FdtWriter) -> Written {
    let bus = fdt.begin_node("ibm,platform-facilities")?;
    fdt.property_string("device_type", "ibm,platform-facilities")?;
    fdt.property_u32("#address-cells", 1)?;
    fdt.property_u32("#size-cells", 0)?;
    let node = fdt.begin_node("ibm,random-v1")?;
    fdt.property_string("device_type", "ibm,random-v1")?;
    fdt.property_string("compatible", "ibm,random")?;
    fdt.property_u32("reg", 0)?;
    fdt.end_node(node)?;
    Ok(fdt.end_node(bus)?)
}

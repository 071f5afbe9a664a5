//! Where this vCPU's patterns begin: another place for each CPU number, and for each `seed=` on the command line.

use dtoolkit::fdt::Fdt;
use dtoolkit::{Node, Property};

use crate::set::Numbers;

/// The seed of the vCPU of this number, from the device tree at `address`, which `Machine::discover` has looked at.
pub fn of(address: u64, server: u32) -> u64 {
    let start = core::ptr::with_exposed_provenance::<u8>(usize::try_from(address).unwrap_or(0));
    // SAFETY: 1. The tree has been read at this address before, and nobody has written it since.
    let tree = unsafe { Fdt::from_raw_unchecked(start) };
    let asked = asked(tree).unwrap_or(0);
    Numbers::new(u64::from(server) << 32 ^ asked).next()
}

/// `seed=NUMBER`.
fn asked(tree: Fdt) -> Option<u64> {
    let chosen = tree.find_node("/chosen")?;
    let args = chosen.property("bootargs")?;
    let word = args.value().split(|&b| b == b' ' || b == 0).find_map(|word| word.strip_prefix(b"seed="))?;
    core::str::from_utf8(word).ok()?.parse().ok()
}

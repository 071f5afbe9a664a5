//! Where this vCPU's patterns begin: another place for each CPU number, and for each `seed=` on the command line.

use dtoolkit::fdt::Fdt;
use dtoolkit::{Node, Property};

use crate::set::Numbers;

/// The seed, from the device tree at `address`, which `Machine::discover` has looked at.
pub fn of(address: u64) -> u64 {
    let start = core::ptr::with_exposed_provenance::<u8>(usize::try_from(address).unwrap_or(0));
    // SAFETY: 1. The tree has been read at this address before, and nobody has written it since.
    let tree = unsafe { Fdt::from_raw_unchecked(start) };
    let cpu = cpu(tree).unwrap_or(0);
    let asked = asked(tree).unwrap_or(0);
    Numbers::new(cpu << 32 ^ asked).next()
}

/// The number of the first CPU, which is the one that was started.
fn cpu(tree: Fdt) -> Option<u64> {
    let cpus = tree.find_node("/cpus")?;
    let node = cpus.children().find(|node| node.property("reg").is_some())?;
    let reg: [u8; 4] = node.property("reg")?.value().get(..4)?.try_into().ok()?;
    Some(u32::from_be_bytes(reg).into())
}

/// `seed=NUMBER`.
fn asked(tree: Fdt) -> Option<u64> {
    let chosen = tree.find_node("/chosen")?;
    let args = chosen.property("bootargs")?;
    let word = args.value().split(|&b| b == b' ' || b == 0).find_map(|word| word.strip_prefix(b"seed="))?;
    core::str::from_utf8(word).ok()?.parse().ok()
}

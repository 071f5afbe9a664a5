//! The machine, as its flattened device tree describes it (Devicetree Specification 0.4 chapter 5; PAPR appendix B for the nodes).
//!
//! The tree comes from outside and is a claim until it was checked here: size first, then structure (by the parser, in one pass over everything), then
//! each number that is used. What is missing or makes no sense is named, so that a person can act on it.

use crate::powernv::opal::Opal;
use crate::pseries::rtas::Tokens;
use core::fmt;
use core::ops::Range;
use heapless::Vec;
use hv_core::papr::tree::{self, Tree};
use ppc64_arch::measures::Firmware;
use ppc64_arch::pvr::Pvr;

type Node = tree::Node<'static>;

/// Largest tree that is read. QEMU makes at most 1 MiB.
const LARGEST: u32 = 2 * 1024 * 1024;
/// Memory nodes that are used; further ones are left alone.
const MEMORY_NODES: usize = 32;
/// Virtual terminals that are looked at.
const TERMINALS: usize = 8;
/// Ranges that firmware keeps; a machine that has more is refused, since the rest would be taken from it.
pub const RESERVATIONS: usize = 32;
/// Processor cores that are looked at.
const CORES: usize = 64;
/// Threads of a core.
const THREADS: usize = 8;
/// UARTs that are looked at.
const UARTS: usize = 4;

/// I2C buses that are looked at: two sockets of 46.
const I2C_BUSES: usize = 128;

/// A virtual terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vty {
    /// Its unit address.
    pub unit: u64,
    /// Its interrupt source number, if it has one.
    pub irq: Option<u32>,
}

/// What the platform needs to know about the machine.
#[derive(Debug)]
pub struct Machine {
    /// Memory, as the tree's memory nodes list it.
    pub memory: Vec<Range<u64>, MEMORY_NODES>,
    /// Where the tree itself lies.
    pub tree: Range<u64>,
    /// A guest's kernel that was loaded beside us.
    pub kernel: Option<Range<u64>>,
    /// An initrd that was loaded beside us.
    pub initrd: Option<Range<u64>>,
    /// The command line.
    pub bootargs: &'static str,
    /// What firmware keeps for itself.
    pub reserved: Vec<Range<u64>, RESERVATIONS>,
    /// Virtual terminals, lowest unit address first.
    pub terminals: Vec<Vty, TERMINALS>,
    /// UARTs on the LPC bus, by their port; lowest first.
    pub uarts: Vec<u32, UARTS>,
    /// I2C buses, by the firmware's numbers for them.
    pub i2c_buses: Vec<u32, I2C_BUSES>,
    /// Ticks of the timebase a second.
    pub timebase_hz: u64,
    /// Processor version.
    pub pvr: Pvr,
    /// Bits of the decrementer.
    pub decrementer_bits: u32,
    /// Processor cycles a second.
    pub clock_hz: u32,
    /// Processors there are.
    pub cpus: u32,
    /// Interrupt server numbers of each core's threads (PIRs where there is no hypervisor below).
    pub cores: Vec<Vec<u32, THREADS>, CORES>,
    /// The interrupt server number of the first processor.
    pub server: u32,
    /// RTAS calls that the machine offers.
    pub rtas: Tokens,
    /// The firmware of a machine without a hypervisor below.
    pub opal: Option<Opal>,
    /// What firmware says about speculation, if it says anything.
    pub features: Option<Firmware>,
    /// What the firmware calls its version (`/ibm,opal/firmware/version`).
    pub firmware: Option<&'static str>,
    /// Whether the machine is QEMU's model of one, its processors included.
    pub emulated: bool,
}

/// Why the device tree is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeError {
    /// No address was given, or it is not aligned to 8.
    Nowhere(u64),
    /// The first word is not the magic number.
    NotATree(u32),
    /// The size in the header is above [`LARGEST`], or less than a header.
    Oversized(u32),
    /// The structure is broken.
    Malformed(tree::Malformed),
    /// A node or property that is needed is missing.
    Missing(&'static str),
    /// A property has a length or value that makes no sense.
    Invalid(&'static str),
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the machine's device tree ")?;
        match self {
            Self::Nowhere(at) => write!(f, "was announced at {at:#x}, where none can be"),
            Self::NotATree(word) => write!(f, "starts with {word:#x} instead of 0xd00dfeed"),
            Self::Oversized(size) => write!(f, "claims {size} bytes; at most {LARGEST} are read"),
            Self::Malformed(why) => write!(f, "is malformed: {why:?}"),
            Self::Missing(what) => write!(f, "lacks {what}"),
            Self::Invalid(what) => write!(f, "has no sensible {what}"),
        }?;
        f.write_str("; start the machine with its own device tree (no -dtb)")
    }
}

/// Reads the tree at `at`.
///
/// # Errors
/// See [`TreeError`].
///
/// # Safety
/// `at`, if it is an address of a tree at all, is that of memory which nobody writes from now on.
pub unsafe fn read(at: u64) -> Result<Machine, TreeError> {
    // SAFETY: 1. passed on to the caller.
    let bytes = unsafe { bytes_of_tree(at) }?;
    let tree = Tree::new(bytes).map_err(TreeError::Malformed)?;
    describe(tree, at..at + bytes.len() as u64)
}

/// The tree's bytes, as many as its header says.
///
/// # Safety
/// As for [`read`].
unsafe fn bytes_of_tree(at: u64) -> Result<&'static [u8], TreeError> {
    if at == 0 || !at.is_multiple_of(8) {
        return Err(TreeError::Nowhere(at));
    }
    let words: *const u32 = core::ptr::with_exposed_provenance(crate::memory::index(at));
    // SAFETY: 1. aligned; 2. the caller says this is memory, and the first two words of any tree exist.
    let [magic, size] = unsafe { [u32::from_be(words.read()), u32::from_be(words.add(1).read())] };
    if magic != 0xd00d_feed {
        return Err(TreeError::NotATree(magic));
    }
    if !(40..=LARGEST).contains(&size) {
        return Err(TreeError::Oversized(size));
    }
    // SAFETY: 1. the header says that the tree has this many bytes, bounded above; 2. they stay as they are, by the caller.
    Ok(unsafe { core::slice::from_raw_parts(words.cast(), size as usize) })
}

/// Collects everything.
fn describe(tree: Tree<'static>, place: Range<u64>) -> Result<Machine, TreeError> {
    let root = tree.root();
    let chosen = root.child("chosen").ok_or(TreeError::Missing("/chosen"))?;
    let cpu = first_cpu(&root)?;
    Ok(Machine {
        memory: memory(&root)?,
        tree: place,
        kernel: pair(&chosen, "qemu,boot-kernel")?.map(|(at, bytes)| at..at.saturating_add(bytes)),
        initrd: initrd(&chosen)?,
        bootargs: string(&chosen, "bootargs")?.unwrap_or(""),
        reserved: reserved(&root)?,
        terminals: terminals(&root)?,
        uarts: uarts(&root),
        i2c_buses: i2c_buses(&root),
        timebase_hz: u64::from(cell(&cpu, "timebase-frequency")?.ok_or(TreeError::Missing("timebase-frequency"))?),
        pvr: Pvr::new(cell(&cpu, "cpu-version")?.ok_or(TreeError::Missing("cpu-version"))?),
        decrementer_bits: cell(&cpu, "ibm,dec-bits")?.unwrap_or(32),
        clock_hz: cell(&cpu, "clock-frequency")?.unwrap_or(1_000_000_000),
        cpus: u32::try_from(cpu_nodes(&root).count()).unwrap_or(u32::MAX),
        // One for each thread of the core.
        server: first_cell(&cpu, "ibm,ppc-interrupt-server#s").unwrap_or(0),
        cores: cores(&root),
        rtas: tokens(&root)?,
        opal: opal(&root)?,
        features: features(&root),
        firmware: firmware(&root),
        emulated: is_emulated(&root),
    })
}

/// QEMU says that it is QEMU; only under KVM is there a hypervisor to be told about.
fn is_emulated(root: &Node) -> bool {
    root.property("compatible").is_some_and(|names| names.starts_with(b"qemu,")) && root.child("hypervisor").is_none()
}

/// Nodes of processors.
fn cpu_nodes(root: &Node) -> impl Iterator<Item = Node> {
    root.child("cpus").into_iter().flat_map(|cpus| cpus.children()).filter(|node| is_type(node, "cpu"))
}

/// The first processor's node.
fn first_cpu(root: &Node) -> Result<Node, TreeError> {
    cpu_nodes(root).next().ok_or(TreeError::Missing("a processor node"))
}

/// The memory nodes' ranges, empty ones left out.
fn memory(root: &Node) -> Result<Vec<Range<u64>, MEMORY_NODES>, TreeError> {
    let mut ranges = Vec::new();
    for node in root.children().filter(|node| is_type(node, "memory")) {
        let (at, bytes) = pair(&node, "reg")?.ok_or(TreeError::Missing("reg of a memory node"))?;
        let end = at.checked_add(bytes).ok_or(TreeError::Invalid("reg of a memory node"))?;
        if bytes > 0 && ranges.push(at..end).is_err() {
            break;
        }
    }
    if ranges.is_empty() { Err(TreeError::Missing("memory")) } else { Ok(ranges) }
}

/// The initrd's range, from its two ends.
fn initrd(chosen: &Node) -> Result<Option<Range<u64>>, TreeError> {
    match (number(chosen, "linux,initrd-start")?, number(chosen, "linux,initrd-end")?) {
        (Some(start), Some(end)) if start < end => Ok(Some(start..end)),
        (Some(start), Some(end)) if start > end => Err(TreeError::Invalid("linux,initrd-end")),
        _ => Ok(None),
    }
}

/// Virtual terminals, lowest unit address first.
fn terminals(root: &Node) -> Result<Vec<Vty, TERMINALS>, TreeError> {
    let mut found = Vec::new();
    let nodes = root.child("vdevice").into_iter().flat_map(|bus| bus.children());
    for node in nodes.filter(|node| node.base_name() == "vty") {
        let unit = u64::from(cell(&node, "reg")?.ok_or(TreeError::Missing("reg of a vty node"))?);
        let irq = first_cell(&node, "interrupts");
        if found.push(Vty { unit, irq }).is_err() {
            break;
        }
    }
    found.sort_unstable_by_key(|vty: &Vty| vty.unit);
    Ok(found)
}

/// What firmware keeps: `/reserved-memory` (Devicetree Specification 0.4 chapter 3) and `reserved-ranges`, which skiboot writes as well.
fn reserved(root: &Node) -> Result<Vec<Range<u64>, RESERVATIONS>, TreeError> {
    const TOO_MANY: TreeError = TreeError::Invalid("number of reserved ranges");
    let mut ranges = Vec::new();
    // skiboot says everything twice.
    let mut add = |start: u64, bytes: u64| {
        let range = start..start.saturating_add(bytes);
        if ranges.contains(&range) { Ok(()) } else { ranges.push(range).map_err(|_| TOO_MANY) }
    };
    let nodes = root.child("reserved-memory").into_iter().flat_map(|node| node.children());
    for node in nodes {
        if let Some((start, bytes)) = pair(&node, "reg")? {
            add(start, bytes)?;
        }
    }
    let listed = root.property("reserved-ranges").unwrap_or_default();
    for [start, bytes] in listed.as_chunks::<16>().0.iter().map(two_numbers) {
        add(start, bytes)?;
    }
    Ok(ranges)
}

/// Ports of the UARTs that stand on an LPC bus (`/lpcm-opb@*/lpc@*/isa-serial@i*` or `/lpcm-opb@*/lpc@*/serial@i*`).
fn uarts(root: &Node) -> Vec<u32, UARTS> {
    let buses = root.children().filter(|node| node.base_name() == "lpcm-opb").flat_map(|node| node.children());
    let devices = buses.filter(|node| node.base_name() == "lpc").flat_map(|node| node.children());
    let serial = devices.filter(|node| ["isa-serial", "serial"].contains(&node.base_name()));
    // The first cell tells the address space, 1 is I/O; the second the port.
    let ports = serial.filter_map(|node| node.property("reg")?.get(4..8)?.try_into().ok().map(u32::from_be_bytes));
    let mut found = Vec::new();
    for port in ports {
        if found.push(port).is_err() {
            break;
        }
    }
    found.sort_unstable();
    found
}

/// Numbers of the I2C buses (`/xscom@*/i2cm@*/i2c-bus@*`), as the firmware has them.
fn i2c_buses(root: &Node) -> Vec<u32, I2C_BUSES> {
    let controllers = root.children().filter(|node| node.base_name() == "xscom").flat_map(|node| node.children());
    let buses = controllers.filter(|node| node.base_name() == "i2cm").flat_map(|node| node.children());
    let named = buses.filter(|node| node.base_name() == "i2c-bus");
    named.filter_map(|node| first_cell(&node, "ibm,opal-id")).take(I2C_BUSES).collect()
}

/// Interrupt server numbers of each core's threads.
fn cores(root: &Node) -> Vec<Vec<u32, THREADS>, CORES> {
    let threads = |node: Node| {
        let cells = node.property("ibm,ppc-interrupt-server#s").or_else(|| node.property("reg")).unwrap_or_default();
        cells.as_chunks::<4>().0.iter().take(THREADS).map(|cell| u32::from_be_bytes(*cell)).collect()
    };
    cpu_nodes(root).take(CORES).map(threads).collect()
}

/// Where OPAL is called (`/ibm,opal`).
fn opal(root: &Node) -> Result<Option<Opal>, TreeError> {
    let Some(node) = root.child("ibm,opal") else { return Ok(None) };
    let base = number(&node, "opal-base-address")?;
    let entry = number(&node, "opal-entry-address")?;
    let message_bytes = u64::from(cell(&node, "opal-msg-size")?.unwrap_or(Opal::LEAST_MESSAGE));
    Ok(base.zip(entry).map(|(base, entry)| Opal { base, entry, message_bytes }))
}

/// What `/ibm,opal/fw-features` says. The tree is bounded, and so are the nodes.
fn features(root: &Node) -> Option<Firmware> {
    let mut firmware = Firmware::default();
    for node in root.child("ibm,opal")?.child("fw-features")?.children() {
        let says = |word| node.property(word).is_some();
        firmware.learn(node.base_name(), says("enabled"), says("disabled"));
    }
    Some(firmware)
}

/// The firmware's version, for people; one that is no text is none.
fn firmware(root: &Node) -> Option<&'static str> {
    string(&root.child("ibm,opal")?.child("firmware")?, "version").ok()?
}

/// The tokens of the RTAS calls that are used; a machine without a hypervisor below has none.
fn tokens(root: &Node) -> Result<Tokens, TreeError> {
    let Some(rtas) = root.child("rtas") else { return Ok(Tokens::default()) };
    Ok(Tokens {
        power_off: cell(&rtas, "power-off")?,
        os_term: cell(&rtas, "ibm,os-term")?,
        get_time_of_day: cell(&rtas, "get-time-of-day")?,
        start_cpu: cell(&rtas, "start-cpu")?,
        set_xive: cell(&rtas, "ibm,set-xive")?,
    })
}

/// Whether `device_type` is `kind`.
fn is_type(node: &Node, kind: &str) -> bool {
    string(node, "device_type").ok().flatten() == Some(kind)
}

/// A property that is a string, its terminating zero left out.
fn string(node: &Node, name: &'static str) -> Result<Option<&'static str>, TreeError> {
    let Some(value) = node.property(name) else { return Ok(None) };
    let text = value.strip_suffix(&[0]).unwrap_or(value);
    core::str::from_utf8(text).map(Some).map_err(|_| TreeError::Invalid(name))
}

/// A property of one cell.
fn cell(node: &Node, name: &'static str) -> Result<Option<u32>, TreeError> {
    node.property(name)
        .map(|value| value.try_into().map(u32::from_be_bytes).map_err(|_| TreeError::Invalid(name)))
        .transpose()
}

/// The first cell of a property, if it is that long.
fn first_cell(node: &Node, name: &str) -> Option<u32> {
    node.property(name)?.first_chunk().map(|cell| u32::from_be_bytes(*cell))
}

/// A property of one or two cells, as a number.
fn number(node: &Node, name: &'static str) -> Result<Option<u64>, TreeError> {
    node.property(name)
        .map(|value| match value.len() {
            4 => value.try_into().map(|cell| u64::from(u32::from_be_bytes(cell))),
            _ => value.try_into().map(u64::from_be_bytes),
        })
        .transpose()
        .map_err(|_| TreeError::Invalid(name))
}

/// A property of two numbers of two cells each (roots of both platforms have two address and two size cells).
fn pair(node: &Node, name: &'static str) -> Result<Option<(u64, u64)>, TreeError> {
    let Some(value) = node.property(name) else { return Ok(None) };
    let both: &[u8; 16] = value.try_into().map_err(|_| TreeError::Invalid(name))?;
    let [first, second] = two_numbers(both);
    Ok(Some((first, second)))
}

/// Two numbers of two cells each.
fn two_numbers(both: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_be_bytes(*both);
    [both >> 64, both & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or(0))
}

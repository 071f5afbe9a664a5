//! What the device tree says about the machine.

use core::sync::atomic::{AtomicU64, Ordering};

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};

use crate::memory;

/// Ranges that belong to somebody: the image, the tree itself, the initrd, RTAS.
const RESERVED: usize = 8;
/// Ticks a second where the tree does not say.
const TIMEBASE: u64 = 512_000_000;
/// The most vCPUs that a guest of ours looks at.
pub const MOST: usize = 8;
/// How a flattened device tree begins.
const MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];
/// No token is this large.
const NO_TOKEN: u64 = u64::MAX;

/// For the panic handler, which has no machine at hand.
static POWER_OFF: AtomicU64 = AtomicU64::new(NO_TOKEN);

/// For interrupt handlers, likewise: the vCPUs' numbers.
static SERVERS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

/// Real mode of a hash guest is an area of so many bytes; some machines repeat it.
const REAL_MODE: u64 = 1 << 40;

/// A hash guest's table, as it was when the guest began.
#[derive(Clone, Copy)]
pub struct HashTable {
    /// log2 of its bytes.
    pub order: u32,
    /// Whether the guest is told of pages of 64 KiB.
    pub medium: bool,
}

/// The guest's own machine.
pub struct Machine {
    /// First guest real address after memory.
    pub end: u64,
    /// Unit address of the terminal.
    pub terminal: u64,
    /// RTAS token of `power-off`.
    pub power_off: Option<u32>,
    /// Timebase ticks a second.
    pub timebase: u64,
    /// QEMU itself is the hypervisor.
    pub plain: bool,
    /// The guest's addresses are translated by a hashed table.
    pub hash: Option<HashTable>,
    /// The numbers by which interrupt controller and RTAS know the vCPUs; the first is the one that was started.
    servers: [u32; MOST],
    vcpus: usize,
    tree: Fdt<'static>,
    reserved: [(u64, u64); RESERVED],
    reservations: usize,
}

impl Machine {
    /// Reads the device tree at `address`.
    pub fn discover(address: u64) -> Result<Self, &'static str> {
        if address == 0 || !address.is_multiple_of(8) {
            return Err("r3 is no device tree");
        }
        let start = core::ptr::with_exposed_provenance::<u8>(usize::try_from(address).unwrap_or(0));
        // SAFETY: 1. Whoever entered us left a tree there, aligned as checked; nobody writes it any more.
        //         2. Its length is believed: reads beyond memory would end in an interrupt, which is reported.
        //         The checked constructor refuses names above 31 characters, which PAPR trees have.
        let tree = unsafe { Fdt::from_raw_unchecked(start) };
        if tree.version() < 16 || tree.data().get(..4) != Some(&MAGIC) {
            return Err("device tree has no valid header");
        }
        let mut machine = Self {
            end: memory_end(tree).ok_or("no memory node")?,
            terminal: terminal(tree).unwrap_or(0),
            power_off: tree.find_node("/rtas").and_then(|n| number(&n, "power-off")).and_then(|v| v.try_into().ok()),
            timebase: timebase(tree).unwrap_or(TIMEBASE),
            plain: false,
            hash: hash_table(tree),
            servers: [0; MOST],
            vcpus: 0,
            tree,
            reserved: [(0, 0); RESERVED],
            reservations: 0,
        };
        machine.plain = machine.has_word("plain");
        machine.find_vcpus();
        POWER_OFF.store(machine.power_off.map_or(NO_TOKEN, u64::from), Ordering::Relaxed);
        machine.reserve_all(tree, address);
        Ok(machine)
    }

    /// Does the command line hold this word?
    pub fn has_word(&self, word: &str) -> bool {
        self.in_words(|given| (given == word.as_bytes()).then_some(())).is_some()
    }

    /// The number behind `name` on the command line, if there is one.
    pub fn number_of(&self, name: &str) -> Option<u64> {
        let number = |word: &[u8]| core::str::from_utf8(word.strip_prefix(name.as_bytes())?).ok()?.parse().ok();
        self.in_words(number)
    }

    /// What is found in the first word of the command line that has it.
    fn in_words<T>(&self, find: impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
        let args = self.tree.find_node("/chosen")?.property("bootargs")?;
        args.value().split(|&b| b == b' ' || b == 0).find_map(find)
    }

    /// An address outside memory: `address`, or behind the end of memory where real mode repeats itself and that is one with memory.
    pub fn beyond(&self, address: u64) -> u64 {
        if self.hash.is_some() && address % REAL_MODE < self.end { address + self.end } else { address }
    }

    /// The numbers of all vCPUs, at least one.
    pub fn servers(&self) -> &[u32] {
        &self.servers[..self.vcpus.max(1)]
    }

    /// The token of an RTAS function.
    pub fn token(&self, name: &str) -> Option<u32> {
        number(&self.tree.find_node("/rtas")?, name)?.try_into().ok()
    }

    /// Each cpu node names its threads.
    fn find_vcpus(&mut self) {
        let Some(cpus) = self.tree.find_node("/cpus") else { return };
        for node in cpus.children().filter(|node| node.property("reg").is_some()) {
            let named = node.property("ibm,ppc-interrupt-server#s").or(node.property("reg"));
            for server in named.iter().flat_map(|named| named.value().chunks_exact(4)) {
                if let (Ok(bytes), Some(place)) = (server.try_into(), self.servers.get_mut(self.vcpus)) {
                    *place = u32::from_be_bytes(bytes);
                    SERVERS[self.vcpus].store((*place).into(), Ordering::Relaxed);
                    self.vcpus += 1;
                }
            }
        }
    }

    /// Notes every range that must not be written.
    fn reserve_all(&mut self, tree: Fdt, address: u64) {
        self.reserve(0, memory::image_end());
        self.reserve(address, tree.data().len() as u64);
        if let Some(chosen) = tree.find_node("/chosen")
            && let (Some(start), Some(end)) =
                (number(&chosen, "linux,initrd-start"), number(&chosen, "linux,initrd-end"))
        {
            self.reserve(start, end.saturating_sub(start));
        }
        if let Some(rtas) = tree.find_node("/rtas")
            && let (Some(base), Some(size)) = (number(&rtas, "linux,rtas-base"), number(&rtas, "rtas-size"))
        {
            self.reserve(base, size);
        }
    }

    fn reserve(&mut self, start: u64, length: u64) {
        if self.reservations < RESERVED {
            self.reserved[self.reservations] = (start, start.saturating_add(length));
            self.reservations += 1;
        }
    }

    /// Is the range memory that nobody needs?
    pub fn is_free(&self, start: u64, length: u64) -> bool {
        let end = start.saturating_add(length);
        end <= self.end && self.reserved[..self.reservations].iter().all(|&(from, to)| end <= from || to <= start)
    }

    /// The first free block from `from` on whose address is a multiple of its size, or of a page if that is larger.
    pub fn free_block(&self, from: u64, length: u64) -> Option<u64> {
        let step = length.next_power_of_two().max(memory::PAGE);
        let first = from.next_multiple_of(step);
        (0..4096).map(|n| first + n * step).find(|&start| self.is_free(start, length))
    }

    /// The last free page, looking down from the end of memory.
    pub fn last_free_page(&self) -> Option<u64> {
        (1..65536).map(|n| self.end - n * memory::PAGE).find(|&start| self.is_free(start, memory::PAGE))
    }
}

/// The token that `discover` found.
pub fn known_power_off() -> Option<u32> {
    u32::try_from(POWER_OFF.load(Ordering::Relaxed)).ok()
}

/// The number by which the interrupt controller knows vCPU number `vcpu` of ours, as `discover` found it.
pub fn server(vcpu: usize) -> u64 {
    SERVERS[vcpu].load(Ordering::Relaxed)
}

/// A property of one or two cells.
fn number(node: &FdtNode, name: &str) -> Option<u64> {
    let property = node.property(name)?;
    number_of(property.value())
}

fn number_of(value: &[u8]) -> Option<u64> {
    match value.len() {
        4 => value.try_into().ok().map(|bytes| u64::from(u32::from_be_bytes(bytes))),
        8 => value.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

/// Where the memory nodes end that follow each other from 0 on. Two cells of address and two of size are what PAPR trees
/// have at the root.
fn memory_end(tree: Fdt) -> Option<u64> {
    let root = tree.root();
    let mut end = 0;
    for node in root.children().filter(|node| node.name_without_address() == "memory") {
        let reg = node.property("reg")?;
        let start = number_of(reg.value().get(..8)?)?;
        let size = number_of(reg.value().get(8..16)?)?;
        if start == end {
            end += size;
        }
    }
    (end != 0).then_some(end)
}

/// Every cpu node has the table's size, as log2 in its second cell, and the sizes of pages: for each base size its log2, an encoding, and how many pairs of
/// cells follow.
fn hash_table(tree: Fdt) -> Option<HashTable> {
    let cpus = tree.find_node("/cpus")?;
    let cpu = cpus.children().find(|node| node.property("ibm,pft-size").is_some())?;
    let order = u32::from_be_bytes(cpu.property("ibm,pft-size")?.value().get(4..8)?.try_into().ok()?);
    let sizes = cpu.property("ibm,segment-page-sizes")?;
    let cell = |nth: usize| Some(u32::from_be_bytes(sizes.value().get(4 * nth..4 * nth + 4)?.try_into().ok()?));
    let next = |at: &usize| Some(at + 3 + 2 * usize::try_from(cell(at + 2)?).ok()?);
    let mut bases = core::iter::successors(Some(0), next).map_while(cell);
    Some(HashTable { order, medium: bases.any(|base| base == 16) })
}

fn terminal(tree: Fdt) -> Option<u64> {
    let devices = tree.find_node("/vdevice")?;
    let node = devices.children().find(|node| node.name_without_address() == "vty")?;
    number(&node, "reg")
}

fn timebase(tree: Fdt) -> Option<u64> {
    let cpus = tree.find_node("/cpus")?;
    let cpu = cpus.children().find(|node| node.property("timebase-frequency").is_some())?;
    number(&cpu, "timebase-frequency")
}

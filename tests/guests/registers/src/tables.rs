//! Translation of effective addresses to themselves, for every process number that a pattern may put into PIDR.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::hcall::{REGISTER_PROC_TBL, SUCCESS, call};
use crate::machine::Machine;
use crate::memory;

/// PIDR's patterns have twelve bits; as many again are for what vCPUs map for themselves.
const PROCESSES: u64 = 1 << 13;
/// The process of the first vCPU's own mappings.
const FIRST_OWN: u64 = 1 << 12;
/// 16 bytes for each.
const PROCESS_TABLE: u64 = PROCESSES * 16;
/// A root of 2^13 entries, and one table of 512.
const ROOT: u64 = 0x10000;

const VALID: u64 = 1 << 63;
/// Leaf; referenced, changed; read, write, execute; for both states.
const LEAF: u64 = VALID | 1 << 62 | 0x187;
/// Nine bits of index in the table below.
const NINE: u64 = 9;
/// 52 bits of effective address: 31 plus a field in two pieces that holds 21. The root has 2^13 entries.
const TREE: u64 = 2 << 61 | 5 << 5 | 13;
/// Tells the hypervisor: new, radix, guest does its own tlbie.
const NEW_RADIX: u64 = 0x1d;

/// What a vCPU maps for itself: a root, three tables below it, two pages.
const OWN: u64 = 2 * ROOT;
/// Where the search for free memory begins.
const START: u64 = 32 << 20;
/// The first vCPU's.
static OWN_TABLES: AtomicU64 = AtomicU64::new(0);

/// Builds the tables and registers them: one leaf of 1 GiB for each GiB of memory, the same for all processes.
pub fn identity(machine: &Machine) -> Result<(), &'static str> {
    let vcpus = machine.servers().len() as u64;
    let block = machine.free_block(START, 4 * ROOT + vcpus * OWN).ok_or("no room for tables")?;
    let (process, root, second) = (block, block + PROCESS_TABLE, block + PROCESS_TABLE + ROOT);
    memory::clear(block, 4 * ROOT + vcpus * OWN);
    low_memory(machine, root, second);
    for number in 0..PROCESSES {
        entry(process + 16 * number, TREE | root);
    }
    for vcpu in 0..vcpus {
        let own = Mapping::of(block + 4 * ROOT + vcpu * OWN, vcpu);
        own.build(machine);
        entry(process + 16 * own.process, TREE | own.base);
    }
    OWN_TABLES.store(block + 4 * ROOT, Ordering::Relaxed);
    memory::sync();
    let size = u64::from(PROCESS_TABLE.ilog2()) - 12;
    match call(REGISTER_PROC_TBL, &[NEW_RADIX, process, 0, size]).code {
        SUCCESS => Ok(()),
        _ => Err("the process table was refused"),
    }
}

/// Memory as it is, in leaves of 1 GiB.
fn low_memory(machine: &Machine, root: u64, second: u64) {
    for gib in 0..machine.end.div_ceil(1 << 30) {
        entry(second + 8 * gib, LEAF | gib << 30);
    }
    entry(root, VALID | second | NINE);
}

/// A page that a vCPU maps for itself alone, now to one place and now to another.
pub struct Mapping {
    base: u64,
    process: u64,
}

impl Mapping {
    /// The effective address of the page: in the last GiB that the second table knows.
    pub const PLACE: u64 = 511 << 30;

    /// Takes up the mapping of a vCPU: its process is the current one from now on.
    pub fn take(vcpu: usize) -> Self {
        let own = Self::of(OWN_TABLES.load(Ordering::Relaxed) + vcpu as u64 * OWN, vcpu as u64);
        // SAFETY: 1. Translation is off.
        unsafe { asm!("mtspr 48, {0}", "isync", in(reg) own.process, options(nostack)) }
        own
    }

    const fn of(base: u64, vcpu: u64) -> Self {
        Self { base, process: FIRST_OWN + vcpu }
    }

    fn build(&self, machine: &Machine) {
        let tables = self.base + ROOT;
        low_memory(machine, self.base, tables);
        entry(tables + 8 * 511, VALID | (tables + memory::PAGE) | NINE);
        entry(tables + memory::PAGE, VALID | (tables + 2 * memory::PAGE) | NINE);
        (0..2).for_each(|n| memory::write(self.page(n), self.mark(n)));
    }

    const fn page(&self, n: u64) -> u64 {
        self.base + ROOT + (4 + n) * memory::PAGE
    }

    /// What stands at the beginning of the page that is meant: no other vCPU has the same.
    pub const fn mark(&self, n: u64) -> u64 {
        self.process << 32 | n << 8 | 0xa5
    }

    /// Maps the one or the other, and makes this CPU, and no other, forget what was there before.
    pub fn point_to(&self, n: u64) {
        entry(self.base + ROOT + 2 * memory::PAGE, LEAF | self.page(n));
        // SAFETY: 1. Translation is off; nothing that runs depends on the entry. 2. The word is tlbiel r8, r7 with RIC=0, PRS=1, R=1: one page of
        //            4 KiB of one process of this guest.
        unsafe {
            asm!("ptesync", ".long 0x7ce34224", "ptesync", "isync",
                in("r7") self.process << 32, in("r8") Self::PLACE, options(nostack));
        }
    }

    /// What stands there by way of the mapping.
    pub fn read(&self) -> u64 {
        let value;
        // SAFETY: 1. The code is mapped to itself, so that it goes on with translation on; interrupts are off. 2. The page is mapped.
        unsafe {
            asm!("mfmsr {old}", "ori {new}, {old}, 0x30", "mtmsrd {new}", "isync", "ld {value}, 0({place})", "mtmsrd {old}", "isync",
                old = out(reg) _, new = out(reg) _, value = out(reg) value, place = in(reg_nonzero) Self::PLACE, options(nostack));
        }
        value
    }
}

/// Table entries are big-endian.
fn entry(address: u64, value: u64) {
    memory::write(address, value.swap_bytes());
}

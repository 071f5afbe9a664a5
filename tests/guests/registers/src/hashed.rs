//! The same for a guest that has a hashed table instead of trees: an entry for each page of memory, which the hypervisor makes on request, and one segment for all of them.
//!
//! The other entries of the segment buffer are filled like registers, with patterns that change, and looked at after each trial: only the guest itself may change them.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use dtoolkit::fdt::Fdt;
use dtoolkit::{Node, Property};

use crate::hcall::{SUCCESS, call};
use crate::machine::Machine;
use crate::memory;

/// H_ENTER.
const ENTER: u64 = 0x08;
/// log2 of the bytes of a group of eight entries, and of the entries in it.
const GROUP: (u32, u32) = (7, 3);

/// In doubleword 0 of an entry, and in that of a segment: it is one of 2^40 bytes.
const LARGE_SEGMENT: u64 = 1 << 62;
/// In doubleword 0 of an entry.
const VALID: u64 = 1;
/// Doubleword 1: referenced, changed, coherent, no key, loads and stores for everybody.
const OPEN: u64 = 0x192;

/// In the register that names a segment's place: it is valid.
const SEGMENT_VALID: u64 = 1 << 27;
/// Entries of the segment buffer, on each processor that there is.
const SEGMENTS: usize = 32;
/// Virtual addresses have 68 bits, so that a large segment's number has 28.
const NUMBERS: u64 = (1 << 28) - 1;
/// The number of the segment that memory is in.
const OWN: u64 = 0x5a_17e5;

/// log2 of the table's bytes; 0: there is none.
static SHIFT: AtomicU64 = AtomicU64::new(0);

/// Whether the device tree at `address`, which `Machine::discover` has looked at, speaks of a hashed table.
pub fn discover(address: u64) -> bool {
    let start = core::ptr::with_exposed_provenance::<u8>(usize::try_from(address).unwrap_or(0));
    // SAFETY: 1. The tree has been read at this address before, and nobody has written it since.
    let tree = unsafe { Fdt::from_raw_unchecked(start) };
    SHIFT.store(shift(tree).unwrap_or(0), Ordering::Relaxed);
    is_so()
}

/// Whether that was so.
pub fn is_so() -> bool {
    SHIFT.load(Ordering::Relaxed) != 0
}

/// The second cell of each processor's `ibm,pft-size`.
fn shift(tree: Fdt) -> Option<u64> {
    let cpus = tree.find_node("/cpus")?;
    cpus.children().find_map(|cpu| {
        let size = cpu.property("ibm,pft-size")?;
        Some(u32::from_be_bytes(size.value().get(4..8)?.try_into().ok()?).into())
    })
}

/// Asks for an entry for each page of memory, which maps it to itself.
pub fn identity(machine: &Machine) -> Result<(), &'static str> {
    let groups = (1 << SHIFT.load(Ordering::Relaxed)) >> GROUP.0;
    for page in (0..machine.end / memory::PAGE).map(|number| number * memory::PAGE) {
        // The 2^23 bytes around it are named; what is below that, the place says.
        let name = LARGE_SEGMENT | (OWN << 17 | page >> 23) << 7 | VALID;
        let hash = OWN ^ OWN << 25 ^ page >> 12;
        match call(ENTER, &[0, (hash & (groups - 1)) << GROUP.1, name, page | OPEN]).code {
            SUCCESS => {}
            _ => return Err("an entry of the hashed table was refused"),
        }
    }
    Ok(())
}

/// What a vCPU's segment buffer holds: at place 0 the segment of all memory, at the others segments that nobody uses.
pub struct Segments([u64; SEGMENTS]);

impl Segments {
    /// Takes the buffer of the vCPU that runs this, if the guest has a hashed table.
    pub fn take(numbers: impl FnMut() -> u64) -> Option<Self> {
        is_so().then(|| Self::fill(numbers))
    }

    fn fill(mut numbers: impl FnMut() -> u64) -> Self {
        let mut all = Self([0; SEGMENTS]);
        (0..SEGMENTS).for_each(|place| all.set(place, if place == 0 { OWN } else { numbers() }));
        all
    }

    /// Another number for one of those that nobody uses.
    pub fn vary(&mut self, number: u64) {
        let nth = usize::try_from(number >> 32).unwrap_or(0);
        self.set(1 + nth % (SEGMENTS - 1), number);
    }

    fn set(&mut self, place: usize, number: u64) {
        self.0[place] = LARGE_SEGMENT | (number & NUMBERS) << 24;
        let name = Self::name(place);
        // SAFETY: 1. Translation is off. 2. No other place has a segment of these addresses.
        unsafe {
            asm!("slbie {0}", "isync", "slbmte {1}, {2}", "isync",
            in(reg) name | 1 << 25, in(reg) self.0[place], in(reg) name | SEGMENT_VALID | place as u64, options(nostack))
        }
    }

    /// Which addresses the segment at a place has: 2^40 bytes for each.
    const fn name(place: usize) -> u64 {
        (place as u64) << 40
    }

    /// The first place that does not hold what it should: what is there, and what should be.
    pub fn difference(&self) -> Option<(usize, u128, u128)> {
        self.0.iter().enumerate().find_map(|(place, &number)| {
            let (name, held): (u64, u64);
            // SAFETY: 1. The place exists; reading it changes nothing.
            unsafe { asm!("slbmfee {0}, {2}", "slbmfev {1}, {2}", out(reg) name, out(reg) held, in(reg) place, options(nomem, nostack)) }
            let whole = |name, number| u128::from(name) << 64 | u128::from(number);
            let (is, should) = (whole(name, held), whole(Self::name(place) | SEGMENT_VALID, number));
            (is != should).then_some((place, is, should))
        })
    }
}

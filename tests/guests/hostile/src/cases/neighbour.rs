//! A guest that lives beside one that misbehaves, and does nothing but keep what is its own: memory, registers, and if it has them, segments and entries of its table.
//!
//! It uses the numbers that the other one uses as well: the same segments, the same virtual and effective addresses, the same places in memory. Only the partition tells them apart.

use crate::hpt::{self, BOLTED, COHERENT, READ_ONLY, Virtual, Words};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Report, Verdict, Why, fail};
use crate::trap::{self, guarded};
use crate::{console::say, slb};

use super::hash::{effective, loads};

unsafe extern "C" {
    fn op_keep(pattern: u64) -> u64;
}

/// How long, unless `seconds=` on the command line says otherwise.
const SECONDS: u64 = 30;
/// Pages of memory that are kept, and entries, each for one of them.
const PAGES: usize = 48;
/// Where entries' pages begin in their segments, and where a doubleword of each is looked at.
const OFFSET: u64 = 0x12_3000;
const AT: u64 = 0x128;
/// The first segment: what `hash` uses begins there.
const VSID: u64 = 0x5_1000;

/// Keeps all of it for a while.
pub fn run(machine: &Machine, report: &mut Report) {
    report.run(&Case::new("what is its own is kept", keep), machine);
}

fn keep(machine: &Machine) -> Verdict {
    let (start, mut rounds) = (trap::now(), 0_u64);
    let ticks = machine.number_of("seconds=").unwrap_or(SECONDS) * machine.timebase;
    let own = Own::new(machine)?;
    while trap::now() - start < ticks {
        own.set_registers(rounds);
        own.registers(rounds)?;
        own.memory()?;
        own.entries()?;
        rounds += 1;
    }
    own.set_registers(0);
    say!("hostile: kept for {rounds} rounds");
    if rounds < 10 { fail!("only {rounds} rounds") } else { Ok(()) }
}

/// What is kept.
struct Own {
    pages: [u64; PAGES],
    /// Places of the entries, and what stands in them.
    entries: [(u64, Words); PAGES],
    hash: bool,
}

impl Own {
    fn new(machine: &Machine) -> Result<Self, Why> {
        let mut own = Self { pages: [0; PAGES], entries: [(0, [0; 2]); PAGES], hash: machine.hash.is_some() };
        for (page, nth) in own.pages.iter_mut().zip(16..) {
            let free = machine.free_block(machine.end / 64 * nth, PAGE);
            *page = free
                .filter(|&page| machine.is_free(page, PAGE))
                .ok_or_else(|| Why::new(format_args!("no page {nth}")))?;
            memory::mark(*page, PAGE);
        }
        if own.hash {
            own.enter()?;
        }
        Ok(own)
    }

    /// An entry for each page, in turns bolted or not, read-only or not.
    fn enter(&mut self) -> Verdict {
        for (nth, (entry, frame)) in self.entries.iter_mut().zip(self.pages).enumerate() {
            let page = Self::page(nth);
            let word0 = page.word0() | if nth % 2 == 0 { BOLTED } else { 0 };
            let word1 = frame | COHERENT | if nth % 3 == 0 { READ_ONLY } else { 0 };
            *entry = (hpt::enter(0, page.primary(), [word0, word1])?, [word0, word1]);
        }
        Ok(())
    }

    const fn page(nth: usize) -> Virtual {
        Virtual::small(VSID + ((nth as u64) << 8), OFFSET)
    }

    /// The segment in an entry of the SLB.
    fn segment(nth: u64) -> [u64; 2] {
        let page = Self::page(usize::try_from(nth).unwrap_or(0));
        [effective(nth) | slb::VALID, slb::word(page.vsid, 0)]
    }

    /// Registers that only this guest changes get the patterns of a round; 0 is none.
    fn set_registers(&self, round: u64) {
        set_sprg0(pattern(round));
        set_amr(pattern(round) & !KEY_0);
        if self.hash {
            slb::clear();
            (0..slb::ENTRIES).for_each(|nth| slb::set(nth, Self::segment(nth)[0], Self::segment(nth)[1]));
        }
    }

    fn registers(&self, round: u64) -> Verdict {
        match guarded(op_keep, pattern(round)) {
            Ok(0) => {}
            Ok(bits) => fail!("general registers differ in {bits:#x}"),
            Err(trap) => fail!("vector {:#x} at {:#x}", trap.vector, trap.nip),
        }
        let found = [sprg0(), amr()];
        if found != [pattern(round), pattern(round) & !KEY_0] {
            fail!("SPRG0 and AMR are {found:x?}");
        }
        set_amr(0);
        let mut places = 0..slb::ENTRIES;
        match places.find(|&nth| self.hash && slb::get(nth) != Self::segment(nth)) {
            Some(nth) => fail!("segment {nth} is {:x?}", slb::get(nth)),
            None => Ok(()),
        }
    }

    fn memory(&self) -> Verdict {
        match self.pages.iter().find_map(|&page| memory::damage(page, PAGE)) {
            Some(place) => fail!("memory changed at {place:#x}"),
            None => Ok(()),
        }
    }

    /// They say what they said, but for R and C, and lead where they led.
    fn entries(&self) -> Verdict {
        const RECORDED: u64 = hpt::REFERENCED | hpt::CHANGED;
        for (nth, (place, [word0, word1])) in self.entries.into_iter().enumerate().filter(|_| self.hash) {
            let [name, view] = hpt::read(place)?;
            if [name, view & !RECORDED] != [word0, word1] {
                fail!("entry {place:#x} is {name:#x} {view:#x}");
            }
            if (nth as u64) < slb::ENTRIES {
                let at = effective(nth as u64) + OFFSET + AT;
                loads(at, memory::read(self.pages[nth] + AT))?;
            }
        }
        Ok(())
    }
}

/// The bits of AMR for key 0, by which the guest itself runs.
const KEY_0: u64 = 3 << 62;

const fn pattern(round: u64) -> u64 {
    round.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn set_sprg0(value: u64) {
    // SAFETY: 1. Nobody here uses the register.
    unsafe { core::arch::asm!("mtspr 272, {}", in(reg) value, options(nomem, nostack)) }
}

fn sprg0() -> u64 {
    let value;
    // SAFETY: 1. Reads a register.
    unsafe { core::arch::asm!("mfspr {}, 272", out(reg) value, options(nomem, nostack)) }
    value
}

fn set_amr(value: u64) {
    // SAFETY: 1. Key 0 may do everything, and the guest has no other.
    unsafe { core::arch::asm!("mtspr 29, {}", "isync", in(reg) value, options(nostack)) }
}

fn amr() -> u64 {
    let value;
    // SAFETY: 1. Reads a register.
    unsafe { core::arch::asm!("mfspr {}, 29", out(reg) value, options(nomem, nostack)) }
    value
}

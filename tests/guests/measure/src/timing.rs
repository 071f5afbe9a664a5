//! From ticks to instructions.

use crate::console::say;
use crate::machine::Machine;
use crate::trap;

/// What a loop of loops.s does in a turn.
#[derive(Clone, Copy)]
pub enum Event {
    /// A hypervisor call with one argument.
    Call(u64, u64),
    /// H_PROD(self) and H_CEDE.
    Cede,
    /// A load at an address; the next one so many bytes further on.
    Load(u64, u64),
    /// A store, likewise.
    Store(u64, u64),
    /// A load at an effective address, likewise.
    MappedLoad(u64, u64),
    /// A store at an effective address, likewise.
    MappedStore(u64, u64),
    /// A load that ends in an interrupt of our own, likewise; what the interrupt takes by itself is no part of it.
    Told(u64, u64),
}

/// Calls about a hashed table's entries, as loops.s has them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Entries {
    /// The call.
    pub number: u64,
    /// Its flags.
    pub flags: u64,
    /// The entry.
    pub index: u64,
    /// What else is said: two doublewords.
    pub words: [u64; 2],
    /// What is added to the entry's number each time.
    pub next_index: u64,
    /// What is added to the last doubleword each time.
    pub next_word: u64,
}

impl Entries {
    /// Makes that many calls: what they cost, and their return codes or-ed.
    pub fn cost(self, times: u64) -> (i64, u64) {
        let (with, codes) = self.ticks(true, times);
        let (without, _) = self.ticks(false, times);
        (with.cast_signed() - without.cast_signed(), codes)
    }

    fn ticks(mut self, with: bool, times: u64) -> (u64, u64) {
        trap::no_decrementer();
        let mut codes = 0;
        // SAFETY: 1. The assembly keeps the registers that the ABI preserves, and touches these two alone. 2. The calls change a table that maps nothing of ours.
        let ticks = unsafe { loop_entries(with.into(), times, &raw mut self, &raw mut codes) };
        (ticks, codes)
    }
}

unsafe extern "C" {
    fn loop_call(with: u64, times: u64, number: u64, argument: u64) -> u64;
    fn loop_cede(with: u64, times: u64) -> u64;
    fn loop_load(with: u64, times: u64, address: u64, step: u64) -> u64;
    fn loop_store(with: u64, times: u64, address: u64, step: u64) -> u64;
    fn loop_mapped_load(with: u64, times: u64, address: u64, step: u64) -> u64;
    fn loop_mapped_store(with: u64, times: u64, address: u64, step: u64) -> u64;
    fn loop_told(with: u64, times: u64, address: u64, step: u64) -> u64;
    fn loop_entries(with: u64, times: u64, entries: *mut Entries, codes: *mut u64) -> u64;
}

impl Event {
    /// Runs the loop: the ticks it took.
    fn ticks(self, with: bool, times: u64) -> u64 {
        let with = u64::from(with);
        trap::no_decrementer();
        // SAFETY: 1. The assembly keeps the registers that the ABI preserves, and touches nothing but what the event says: calls that are measured
        //            leave memory alone, loads and stores go to memory that holds no Rust object, or that nobody reads as one.
        unsafe {
            match self {
                Self::Call(number, argument) => loop_call(with, times, number, argument),
                Self::Cede => loop_cede(with, times),
                Self::Load(address, step) => loop_load(with, times, address, step),
                Self::Store(address, step) => loop_store(with, times, address, step),
                Self::MappedLoad(address, step) => loop_mapped_load(with, times, address, step),
                Self::MappedStore(address, step) => loop_mapped_store(with, times, address, step),
                Self::Told(address, step) => loop_told(with, times, address, step),
            }
        }
    }

    /// What the event costs: ticks of `times` turns, those of the same loop without it taken off.
    pub fn cost(self, times: u64) -> i64 {
        let (with, without) = (self.ticks(true, times), self.ticks(false, times));
        with.cast_signed() - without.cast_signed()
    }
}

/// Prints what each of `times` events took of `ticks`, as nanoseconds with one decimal: where one instruction is one nanosecond those are
/// instructions.
pub fn print(machine: &Machine, name: &str, ticks: i64, times: u64) {
    let sign = if ticks < 0 { "-" } else { "" };
    let tenths =
        u128::from(ticks.unsigned_abs()) * 10_000_000_000 / u128::from(machine.timebase) / u128::from(times.max(1));
    say!("measure: {name} {sign}{}.{}", tenths / 10, tenths % 10);
}

/// The timebase.
pub fn now() -> u64 {
    let ticks;
    // SAFETY: 1. Reads a register.
    unsafe { core::arch::asm!("mfspr {0}, 268", out(reg) ticks, options(nomem, nostack)) }
    ticks
}

//! A vCPU that works with an entry of its own, in a group that all others want as well.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{CAUSES, NO_TRANSLATION, PROTECTION, STORE, effective, op_ld_mapped, op_std_mapped};
use crate::cases::{self, next, smp::pick};
use crate::crew;
use crate::hcall::{self, GROUP_FULL, NOT_FOUND, PARAMETER, SUCCESS, call};
use crate::hpt::{COHERENT, EXACT, GROUP, NAMED, Virtual};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::Why;
use crate::slb;
use crate::trap::{Trap, guarded, vector};

const VSID: u64 = 0x5_b000;
const AT: u64 = 0x128;
/// Accesses that came to their end.
pub static THROUGH: AtomicU64 = AtomicU64::new(0);

/// What calls about an entry answer where the table stays.
pub const ALWAYS: &[i64] = &[SUCCESS, GROUP_FULL, NOT_FOUND];
/// And where it may just have become smaller than the caller thinks.
pub const SOMETIMES: &[i64] = &[SUCCESS, GROUP_FULL, NOT_FOUND, PARAMETER];

/// A frame for each vCPU, with a marked page on each side.
pub fn frames(machine: &Machine) -> Result<u64, Why> {
    cases::scratch(machine, 32 * PAGE)
}

/// The page of a vCPU: the numbers of their segments differ where no table's hash comes to.
pub const fn page(vcpu: usize) -> Virtual {
    Virtual::small(VSID + ((vcpu as u64) << 28), super::OFFSET)
}

/// A vCPU at its page.
pub struct Worker {
    vcpu: usize,
    page: Virtual,
    frame: u64,
    seed: u64,
    /// Codes that calls about an entry may have.
    codes: &'static [i64],
}

impl Worker {
    pub fn new(machine: &Machine, vcpu: usize, codes: &'static [i64]) -> Result<Self, Why> {
        let start = frames(machine)?;
        slb::clear();
        slb::set(1, effective(vcpu as u64), slb::word(page(vcpu).vsid, 0));
        let seed = 0x9e37_79b9_7f4a_7c15 + vcpu as u64;
        Ok(Self { vcpu, page: page(vcpu), frame: start + (1 + 2 * vcpu as u64) * PAGE, seed, codes })
    }

    const fn at(&self) -> u64 {
        effective(self.vcpu as u64) + self.page.offset + AT
    }

    /// A place of the group, mostly.
    fn place(&mut self) -> u64 {
        self.page.primary() + (next(&mut self.seed) >> 40) % GROUP
    }

    /// One call of some kind, or an access.
    pub fn turn(&mut self) {
        let place = self.place();
        let words = [self.page.word0(), self.frame | COHERENT];
        let name = self.page.name();
        match (next(&mut self.seed) >> 40) % 10 {
            0 => self.calls(hcall::ENTER, &[EXACT, place, words[0], words[1]]),
            1 | 2 => self.calls(hcall::ENTER, &[0, place, words[0], words[1]]),
            3 => self.calls(hcall::REMOVE, &[NAMED, place, name]),
            4 => self.remove_any(place),
            5 => {
                let bits = pick(&[0, 0, 3, 2], &mut self.seed);
                self.calls(hcall::PROTECT, &[bits, place, 0]);
            }
            6 => {
                let number = pick(&[hcall::READ, hcall::CLEAR_REF, hcall::CLEAR_MOD], &mut self.seed);
                self.calls(number, &[0, place]);
            }
            7 | 8 => self.loads(),
            _ => self.stores(),
        }
    }

    fn calls(&self, number: u64, args: &[u64]) {
        let code = call(number, args).code;
        if !self.codes.contains(&code) {
            crew::complain(number, code.cast_unsigned());
        }
    }

    /// Anybody's entry, alone or four of them.
    fn remove_any(&mut self, place: u64) {
        if next(&mut self.seed).is_multiple_of(2) {
            return self.calls(hcall::REMOVE, &[0, place, 0]);
        }
        let requests = [0, 3, 5, 3].map(|nth| 1 << 62 | (place ^ nth));
        let words = core::array::from_fn::<u64, 8, _>(|nth| if nth % 2 == 0 { requests[nth / 2] } else { 0 });
        self.calls(hcall::BULK_REMOVE, &words);
    }

    /// What was written in real mode is found, or nothing.
    fn loads(&mut self) {
        let value = next(&mut self.seed);
        memory::write(self.frame + AT, value);
        match guarded(op_ld_mapped, self.at()) {
            Ok(found) if found == value => drop(THROUGH.fetch_add(1, Ordering::Relaxed)),
            Ok(found) => crew::complain(self.at(), found),
            Err(trap) => self.is_due(&trap, 0),
        }
    }

    /// The store arrives, or it does not and there was an interrupt.
    fn stores(&mut self) {
        memory::write(self.frame + AT, 0);
        let expected = match guarded(op_std_mapped, self.at()) {
            Ok(_) => {
                THROUGH.fetch_add(1, Ordering::Relaxed);
                self.at()
            }
            Err(trap) => {
                self.is_due(&trap, STORE);
                0
            }
        };
        let found = memory::read(self.frame + AT);
        if found != expected {
            crew::complain(self.frame, found);
        }
    }

    /// An interrupt since an entry was removed, or protected.
    fn is_due(&self, trap: &Trap, store: u64) {
        let cause = trap.dsisr & CAUSES;
        let is_cause = [NO_TRANSLATION | store, PROTECTION | STORE].contains(&cause);
        if trap.vector != vector::DATA_STORAGE || trap.dar != self.at() || !is_cause {
            crew::complain(trap.vector, trap.dsisr);
        }
    }
}

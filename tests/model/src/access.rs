//! Accesses, of the guest and of the hypervisor's own.

use crate::memory::{Model, PAGE, Refusal};
use crate::op::{contents, noise};
use crate::world::{LPID, World};
use hv_core::mmu::{Access, AccessError, Reflect, Resolution};
use machine::{Fault, Machine};
use ppc64_arch::addr::GuestReal;

/// Storage interrupts that one access may take. A few are enough: a table, the page, R, C, and as many again where a flush came in between; with a budget, one page-out more
/// for each.
const FAULTS: u32 = 64;

impl<const BROADCAST: bool> World<'_, '_, BROADCAST> {
    pub(crate) fn load(&mut self, cpu: usize, at: u64, bytes: usize) {
        for (at, bytes) in pieces(at, bytes) {
            let mut seen = vec![0; bytes];
            let page = GuestReal::new(at);
            let done = self.guest(cpu, at, Access::Read, |machine| machine.load(cpu, LPID, page, &mut seen));
            if done.is_some() {
                assert_eq!(seen, expected(&self.model, at, bytes), "CPU {cpu} loads at {at:#x}");
            }
        }
    }

    pub(crate) fn store(&mut self, cpu: usize, at: u64, bytes: usize, seed: u8) {
        for (at, bytes) in pieces(at, bytes) {
            let _refused_is_fine = self.store_piece(cpu, at, &contents(seed, bytes));
        }
    }

    /// Whether it got through.
    fn store_piece(&mut self, cpu: usize, at: u64, from: &[u8]) -> bool {
        let page = GuestReal::new(at);
        let done = self.guest(cpu, at, Access::Write, |machine| machine.store(cpu, LPID, page, from)).is_some();
        if done {
            self.model.write(at, from);
        }
        done
    }

    pub(crate) fn sweep(&mut self, cpu: usize, at: u64, pages: u64, seed: u8) {
        let stores = |page: u64| at.checked_add(page * PAGE).is_some_and(|at| self.store_piece(cpu, at, &[seed; 8]));
        let _until_one_fails = (0..pages).all(stores);
    }

    pub(crate) fn noise(&mut self, cpu: usize, at: u64, seed: u8) {
        let _refused_is_fine = self.store_piece(cpu, at, noise(seed).as_slice());
    }

    pub(crate) fn fetch(&mut self, cpu: usize, at: u64) {
        let page = GuestReal::new(at);
        let _reached = self.guest(cpu, at, Access::Fetch, |machine| machine.access(cpu, LPID, page, Access::Fetch));
    }

    /// The guest accesses one page, with as many storage interrupts as it takes. `None`: it did not get through, rightly.
    fn guest<T>(
        &mut self,
        cpu: usize,
        at: u64,
        access: Access,
        mut work: impl FnMut(&Machine<BROADCAST>) -> Result<T, Fault>,
    ) -> Option<T> {
        for _ in 0..FAULTS {
            let fault = match self.in_guest(cpu, &mut work) {
                Ok(done) => {
                    assert_eq!(
                        self.model.check(at, access == Access::Write),
                        Ok(()),
                        "{access:?} at {at:#x} gets through"
                    );
                    return Some(done);
                }
                Err(fault) => fault,
            };
            self.tally.faults += 1;
            match self.seats[cpu].fault(&fault.into()) {
                Resolution::Resume => {}
                ended => {
                    self.check_end(at, access, ended);
                    return None;
                }
            }
        }
        panic!("{access:?} at {at:#x} by CPU {cpu} does not get anywhere");
    }

    /// From entry to exit.
    fn in_guest<T>(&self, cpu: usize, work: impl FnOnce(&Machine<BROADCAST>) -> T) -> T {
        self.seats[cpu].enter();
        let done = work(&self.memory.hardware);
        self.seats[cpu].leave_guest();
        done
    }

    /// An access of the guest's ended otherwise than by getting through.
    fn check_end(&mut self, at: u64, access: Access, ended: Resolution) {
        let expected = match self.model.check(at, access == Access::Write) {
            Err(Refusal::Outside) => Resolution::Reflect(Reflect::NoSlot),
            Err(Refusal::ReadOnly) => Resolution::Reflect(Reflect::ReadOnly),
            Ok(()) => {
                assert!(self.is_tight, "{access:?} at {at:#x} ends in {ended:?} although there is memory");
                self.ran_out(at / PAGE);
                Resolution::OutOfMemory
            }
        };
        assert_eq!(ended, expected, "{access:?} at {at:#x}");
        self.tally.refused += u64::from(ended != Resolution::OutOfMemory);
    }

    /// An access to a page ended for want of memory.
    fn ran_out(&mut self, page: u64) {
        self.tally.out_of_memory += 1;
        self.model.attempt(page, page + 1);
    }

    pub(crate) fn read(&mut self, cpu: usize, at: u64, bytes: usize) {
        let mut seen = vec![0; bytes];
        let ended = self.seats[cpu].read(GuestReal::new(at), &mut seen);
        if !self.model.covers(at, bytes as u64) {
            assert_eq!(ended, Err(AccessError::Outside), "reading {bytes} bytes at {at:#x}");
            self.tally.refused += 1;
        } else if self.has_memory(at, ended) {
            assert_eq!(ended, Ok(()), "reading {bytes} bytes at {at:#x}");
            assert!(seen == expected(&self.model, at, bytes), "CPU {cpu} reads something else at {at:#x}");
        }
    }

    pub(crate) fn write(&mut self, cpu: usize, at: u64, bytes: usize, seed: u8) {
        let bytes = self.within_means(at, bytes as u64) as usize;
        let from = contents(seed, bytes);
        let ended = self.seats[cpu].write(GuestReal::new(at), &from);
        self.wrote(at, &from, ended);
    }

    pub(crate) fn zero(&mut self, cpu: usize, at: u64, bytes: u64) {
        let bytes = self.within_means(at, bytes);
        let ended = self.seats[cpu].zero(GuestReal::new(at), bytes);
        self.wrote(at, &vec![0; bytes as usize], ended);
    }

    /// Where memory can run out in the middle, one page is written at a time, so that what was written is known.
    fn within_means(&self, at: u64, bytes: u64) -> u64 {
        if self.is_tight { bytes.min(PAGE - at % PAGE) } else { bytes }
    }

    /// The hypervisor's own write, which stops at the first page that is read-only.
    fn wrote(&mut self, at: u64, from: &[u8], ended: Result<(), AccessError>) {
        let expected = if self.model.covers(at, from.len() as u64) {
            if !self.has_memory(at, ended) {
                return;
            }
            self.write_pieces(at, from)
        } else {
            Err(AccessError::Outside)
        };
        assert_eq!(ended, expected, "writing {} bytes at {at:#x}", from.len());
        self.tally.refused += u64::from(expected.is_err());
    }

    fn write_pieces(&mut self, at: u64, from: &[u8]) -> Result<(), AccessError> {
        for (piece, bytes) in pieces(at, from.len()) {
            self.model.check(piece, true).map_err(|_| AccessError::ReadOnly)?;
            let offset = (piece - at) as usize;
            self.model.write(piece, &from[offset..offset + bytes]);
        }
        Ok(())
    }

    /// False if the hypervisor's access ended for want of memory, where that may be.
    fn has_memory(&mut self, at: u64, ended: Result<(), AccessError>) -> bool {
        if ended == Err(AccessError::OutOfMemory) && self.is_tight {
            self.ran_out(at / PAGE);
            return false;
        }
        true
    }
}

/// What the model has there.
fn expected(model: &Model, at: u64, bytes: usize) -> Vec<u8> {
    let mut expected = vec![0; bytes];
    for (piece, bytes) in pieces(at, bytes) {
        let offset = (piece - at) as usize;
        model.read(piece, &mut expected[offset..offset + bytes]);
    }
    expected
}

/// The parts of `at..at + bytes` that lie in one page each, up to where addresses end.
fn pieces(at: u64, bytes: usize) -> impl Iterator<Item = (u64, usize)> {
    let (mut next, mut left) = (Some(at), bytes as u64);
    std::iter::from_fn(move || {
        let here = next.filter(|_| left > 0)?;
        let piece = left.min(PAGE - here % PAGE);
        (next, left) = (here.checked_add(piece), left - piece);
        Some((here, piece as usize))
    })
}

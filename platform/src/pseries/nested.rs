//! Nested API v1: the L0 runs a guest (L2) in our place, on tables of ours, until something happens that is our business.
//!
//! We keep a partition table in our own memory and tell the L0 where (H_SET_PARTITION_TABLE). Each entry points at a partition-scoped
//! radix tree and at the guest's process table. H_ENTER_NESTED takes two structures, general registers and hypervisor state, swaps them with the
//! CPU's, and answers with the vector of the interrupt that ended the run. H_TLB_INVALIDATE is our `tlbie`.
//!
//! # What is not in the structures
//!
//! Floating point, VMX and VSX registers, FPSCR, VSCR, VRSAVE, DSCR, AMR, IAMR, FSCR, TAR, EBB and performance monitor registers, DAR and
//! DSISR, and the decrementer stay in the CPU across an exit: they are the guest's all the time. That is right as long as nothing of ours
//! uses them. What guarantees it:
//!
//! * this crate is compiled without floating point and vector instructions, and a test disassembles the binary for them;
//! * nothing here writes any of these registers but DAR and DSISR (for an interrupt that we raise in the guest), all of them for an exchange of vCPUs, and DEC (lent for a sleep, and given back);
//! * the hypervisor runs with translation off, so it takes no storage interrupt that would set DAR; its own interrupts in a sleep do not;
//! * when another vCPU is to run on this CPU, they are exchanged ([`crate::owner`]).

use super::{H_SUCCESS, call, number};
use crate::hardware::Translations;
use crate::partitions;
use core::fmt;
use hv_core::guest::{HvState, Regs};
use hv_core::mmu::Flush;
use ppc64_arch::addr::LeafSize;
use ppc64_arch::cpu::ptesync;

/// Why nested guests cannot be run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NestedError {
    /// The L0 does not know the call.
    NotOffered,
    /// It knows it, and answered this.
    Refused(i64),
}

impl fmt::Display for NestedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => f.write_str(
                "the hypervisor below offers no nested virtualization; start QEMU with -M pseries,cap-nested-hv=on and -cpu power9, power10 or power11",
            ),
            Self::Refused(code) => write!(
                f,
                "the hypervisor below refused our partition table (code {code}); start QEMU with -M pseries,cap-nested-hv=on, without cap-nested-papr"
            ),
        }
    }
}

/// Tells the L0 where the partition table is.
///
/// # Errors
/// See [`NestedError`].
pub fn init() -> Result<(), NestedError> {
    const H_FUNCTION: i64 = -2;
    // SAFETY: 1. the table is static, aligned to its size, and holds only invalid entries yet; 2. the L0 only reads it.
    match unsafe { call(number::H_SET_PARTITION_TABLE, &[partitions::register()]) }.code {
        H_SUCCESS => Ok(()),
        H_FUNCTION => Err(NestedError::NotOffered),
        code => Err(NestedError::Refused(code)),
    }
}

/// The L0's way with translations.
#[derive(Debug)]
pub struct ByL0;

impl Translations for ByL0 {
    fn broadcasts(&self) -> bool {
        // The L0 answers success and reaches nobody else (QEMU), or everybody (KVM): the weaker one is assumed.
        false
    }

    fn flush(&self, what: Flush) {
        flush(what);
    }

    fn kick(&self, cpu: usize) {
        crate::cpus::kick(cpu);
    }

    fn set_partition(&self, lpid: u32, scoped: u64, process: u64) {
        if partitions::write(lpid, scoped, process).is_some() {
            flush(Flush::Partition { lpid });
        }
    }
}

/// Fields of the `tlbie` instruction word that H_TLB_INVALIDATE takes (Power ISA 3.1B Book III chapter 6, tlbie).
mod tlbie {
    /// RIC=0, PRS=0, R=1: translations only, partition-scoped, radix.
    pub const TRANSLATIONS: u64 = 1 << 16;
    /// RIC=2, PRS=0, R=1: table entries and the page-walk cache as well.
    pub const EVERYTHING: u64 = 2 << 18 | 1 << 16;
    /// RB, IS=2: all that belongs to the LPID.
    pub const WHOLE_PARTITION: u64 = 2 << 10;

    /// RB's actual page size field (bits 56 to 58).
    pub const fn page_size(size: super::LeafSize) -> u64 {
        let encoding = match size {
            super::LeafSize::Size4K => 0,
            super::LeafSize::Size2M => 1,
            super::LeafSize::Size1G => 2,
            super::LeafSize::Size64K => 5,
        };
        encoding << 5
    }
}

/// Drops translations.
///
/// QEMU answers success and does nothing: a CPU's translations end when it enters or leaves a guest. With one CPU that is the
/// same thing; with more, the others have to be kicked out of the guest.
pub fn flush(what: Flush) {
    ptesync();
    match what {
        Flush::Range { lpid, from, to, size } => {
            for at in (from.raw()..to.raw()).step_by(crate::memory::index(size.bytes())) {
                invalidate(tlbie::TRANSLATIONS, lpid, at & !0xfff | tlbie::page_size(size));
            }
        }
        Flush::Partition { lpid } => invalidate(tlbie::EVERYTHING, lpid, tlbie::WHOLE_PARTITION),
    }
    ptesync();
}

fn invalidate(fields: u64, lpid: u32, rb: u64) {
    // SAFETY: 1. translations are only dropped.
    _ = unsafe { call(number::H_TLB_INVALIDATE, &[fields, u64::from(lpid), rb]) };
}

/// Runs the guest until its next exit: the vector, or the L0's error code.
///
/// Errors have to be told apart first: they are negative, or (H_NOT_AVAILABLE) positive and below every vector.
///
/// # Errors
/// The code with which the L0 refused to run the guest. The registers are as they were.
pub fn enter(state: &mut HvState, regs: &mut Regs) -> Result<u64, i64> {
    let state = core::ptr::from_mut(state).addr() as u64;
    let regs = core::ptr::from_mut(regs).addr() as u64;
    // SAFETY: 1. both structures are borrowed mutably for the call and have the layout that the L0 reads and writes, asserted at their definition;
    // 2. the guest reaches only memory that its partition-scoped tables name, which are the mmu half's to keep right;
    // 3. registers that the call leaves changed are those that no code of ours uses, listed in the module's head.
    let answer = unsafe { call(number::H_ENTER_NESTED, &[state, regs]) };
    match u64::try_from(answer.code) {
        Ok(vector) if vector >= ppc64_arch::trap::vector::SYSTEM_RESET => Ok(vector),
        _ => Err(answer.code),
    }
}

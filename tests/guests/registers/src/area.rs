//! What each vCPU has for itself: the sets that it loads and stores, and its stack. And the two SPRGs by which an interrupt finds them.

use core::arch::asm;

use crate::machine::MOST;
use crate::set::Set;
use crate::sprs::SPRS;

/// Bytes of an area.
const AREA: usize = 0x20000;

/// How the last trial ended.
#[repr(C)]
pub struct Context {
    active: u64,
    /// Its interrupt's vector.
    pub vector: u64,
}

#[repr(C, align(4096))]
struct Page<T>(T);

/// As entry.s and trial.s have it.
#[repr(C)]
struct Area {
    want: Page<Set>,
    got: Page<Set>,
    context: Page<Context>,
    stack: [u8; AREA - 0x3000],
}

const _: () = assert!(size_of::<Area>() == AREA && core::mem::offset_of!(Area, context) == 0x2000);

core::arch::global_asm!(".section .bss", ".balign 4096", ".globl areas", "areas:", ".space {all}", all = const AREA * MOST);

unsafe extern "C" {
    static areas: u8;
    fn trial(area: *mut Area);
    static __patches_start: u64;
    static __patches_end: u64;
}

/// The area of the vCPU that runs this.
pub struct Own(*mut Area);

/// Where the area of a vCPU is: what it gets when it is started.
pub fn address(vcpu: usize) -> u64 {
    ((&raw const areas).addr() + AREA * vcpu) as u64
}

/// Whose area that is.
pub fn vcpu(address: u64) -> usize {
    usize::try_from(address).unwrap_or(0).saturating_sub((&raw const areas).addr()) / AREA
}

impl Own {
    /// The area of vCPU number `vcpu`, which must be the one that runs this.
    pub fn of(vcpu: usize) -> Self {
        assert!(vcpu < MOST, "no such vCPU");
        Self(core::ptr::with_exposed_provenance_mut(usize::try_from(address(vcpu)).unwrap_or(0)))
    }

    /// The set that the next trial loads.
    pub fn want(&mut self) -> &mut Set {
        // SAFETY: 1. The area is this vCPU's alone, and the assembly touches it only inside `trial`, which borrows `self` as a whole.
        unsafe { &mut (*self.0).want.0 }
    }

    /// The set that the last trial loaded as far as registers held it, the one that it stored, and the vector that ended it.
    pub fn outcome(&mut self) -> (&mut Set, &Set, u64) {
        // SAFETY: 1. As above: three places that do not overlap.
        unsafe { (&mut (*self.0).want.0, &(*self.0).got.0, (*self.0).context.0.vector) }
    }

    /// Makes the trial.
    pub fn trial(&mut self) {
        // SAFETY: 1. The assembly keeps what the ABI wants kept, and goes on at an instruction from which one of the ways back is reached.
        unsafe { trial(self.0) }
    }
}

/// Which pair of SPRGs interrupts use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// SPRG0 takes r4, SPRG1 has the area.
    First,
    /// SPRG2 and SPRG3 do.
    Second,
}

impl Half {
    /// Their places in a set: what takes r4, what has the area.
    pub fn reserved(self) -> (usize, usize) {
        let place = |name| SPRS.iter().position(|spr| spr.name == name).unwrap_or(0);
        match self {
            Self::First => (place("SPRG0"), place("SPRG1")),
            Self::Second => (place("SPRG2"), place("SPRG3")),
        }
    }
}

/// Changes the pair in every instruction that names one. No vCPU may be in a trial, nor have another one begin before it was at a barrier.
pub fn exchange_pairs() {
    let (start, end) = ((&raw const __patches_start).addr(), (&raw const __patches_end).addr());
    for entry in (start..end).step_by(8) {
        // SAFETY: 1. The linker's script put both labels around a list of addresses, each of an instruction word that only trials run.
        //         2. SPR 272 and 274, 273 and 275, differ in one bit of the instruction.
        unsafe {
            let place = core::ptr::with_exposed_provenance::<usize>(entry).read();
            let word = core::ptr::with_exposed_provenance_mut::<u32>(place);
            word.write_volatile(word.read_volatile() ^ 2 << 16);
            asm!("dcbst 0, {0}", "sync", "icbi 0, {0}", "sync", "isync", in(reg) place, options(nostack));
        }
    }
}

/// Takes the area for this vCPU's own again, by either pair, and forgets instructions that were fetched before an exchange.
pub fn settle(vcpu: usize) {
    // SAFETY: 1. The registers touch no memory; no trial is under way.
    unsafe { asm!("mtspr 273, {0}", "mtspr 275, {0}", "isync", in(reg) address(vcpu), options(nostack)) }
}

/// Vector, SRR0 and SRR1 of the last interrupt of the vCPU whose area this is. Whoever used it was interrupted for ever.
pub fn stray(address: u64) -> (u64, u64, u64) {
    let mut own = Own::of(vcpu(address));
    let (_, got, vector) = own.outcome();
    (vector, got.srr0, got.srr1)
}

//! The world switch: into the guest, and back by one of two ways.
//!
//! ```text
//!             enter_guest                         exit_data, exit_fetch, exit_call
//!  run loop ───────────────► guest ─────────────────────────────► r0-r12, CR, LR, CTR, XER, PPR stored
//!      ▲                       ▲                                          │  Rust: the short way
//!      │                       └────────── hrfid ◄── loaded again ◄── resolved
//!      │                                                                  │ not
//!      └────────────── r14-r31 stored, our own loaded ◄── leave ◄─────────┘  ◄── every other exit
//! ```
//!
//! On the short way r14 to r31 stay where they are: what Rust uses of them it puts back, as the ABI has it. SRR0, SRR1, SPRGs, DAR, DSISR, PIDR, DEC, HDEC, LPCR, LPIDR, and all that
//! the hypervisor does not use (floating point, vectors, TAR, DSCR, AMR, performance monitor, ...) are not touched at all. So an exit that is simply resolved costs its handler
//! and some 75 instructions.
//!
//! HSPRG0 says where an interrupt stores registers: at the vCPU while a guest runs, at this CPU's own area otherwise. From the interrupt to `hrfid` MSR\[RI\] is off, and so it is around a
//! stay while SRR0, SRR1 and the SPRGs are the guest's already or still: an interrupt that stores there cannot go on.
//!
//! A system reset may come at any time, and must harm nobody. In the guest it ends the stay. In the hypervisor it is reported, and with RI off only noted ([`take_reset`]), with two registers
//! kept in words of their own: the guest is told when it is entered next. (It takes HSPRG1 as well, which is in use for two instructions of each exit, and SRR0 and SRR1, which
//! the guest has in use if its own RI is off: then the guest is lost.)
//!
//! The reservation is lost by a store conditional that stores what is there already: what the guest reserved before an exit must not be what a store of its
//! own afterwards relies on, when Rust's compare-and-swap came between.

use crate::cpus::CPUS;
use crate::exits::{self, Keys};
use crate::partitions::Kind;
use core::arch::global_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};
use hv_core::guest::host::{Next, Short};
use hv_core::guest::vcpu::PLATFORM_WORDS;
use hv_core::guest::{Regs, Vcpu};
use ppc64_arch::spr::{hypervisor, number};
use ppc64_arch::trap::Srr1;

/// Words of [`Vcpu::platform`].
mod word {
    /// Our stack pointer.
    pub const STACK: usize = 0;
    /// What the short way's handlers get.
    pub const DESK: usize = 1;
    /// The handler of 0xE00.
    pub const DATA: usize = 2;
    /// The handler of 0xE20.
    pub const FETCH: usize = 3;
    /// The handler of 0xC00.
    pub const CALL: usize = 4;
    /// This CPU's own area.
    pub const AREA: usize = 5;
    /// r0 of what a system reset interrupts.
    pub const RESET_R0: usize = 6;
    /// Its CR.
    pub const RESET_CR: usize = 7;
    /// Not 0: a system reset came while nobody could be told.
    pub const RESET: usize = 8;
}

/// Words of a vCPU up to the last one that an interrupt writes.
const AREA_WORDS: usize = platform(word::RESET) / 8 + 1;

/// Where registers are stored by an interrupt of our own, laid out as a vCPU.
#[repr(C, align(128))]
struct Area([AtomicU64; AREA_WORDS]);

/// One for each CPU that runs us.
static AREAS: [Area; CPUS] = [const { Area([const { AtomicU64::new(0) }; AREA_WORDS]) }; CPUS];

/// What [`enter_guest`] says of an exit that the short way began.
const BEGUN: u64 = 1;

/// How a stay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// By an interrupt at this vector, of which nothing was done yet.
    Vector(u64),
    /// On the short way, which knows what remains.
    Begun,
}

/// Has this CPU, the `cpu`th that runs us (below [`CPUS`]), store registers in an area of its own at interrupts.
pub fn arm(cpu: usize) {
    // SAFETY: 1. the area is static, and no other CPU has this number.
    unsafe { hypervisor::set_hsprg0((&raw const AREAS[cpu]).addr() as u64) }
}

/// Whether a system reset came of which nobody was told; from now on somebody is.
#[must_use]
pub fn take_reset(vcpu: &mut Vcpu) -> bool {
    let own = hypervisor::hsprg0();
    let area = AREAS.iter().find(|area| core::ptr::from_ref(*area).addr() as u64 == own);
    // Relaxed: written by this CPU itself.
    let ours = area.map_or(0, |area| area.0[AREA_WORDS - 1].swap(0, Ordering::Relaxed));
    ours | core::mem::take(&mut vcpu.platform[word::RESET]) != 0
}

/// Runs the guest, which is of this kind, until an exit that `short` does not resolve.
///
/// # Safety
/// All registers that this does not load are the guest's; LPCR, LPIDR, HFSCR and HDEC are those of a guest; MSR in `vcpu.regs` has not HV, and has ME. The guest's
/// tables translate to nothing but its own memory.
pub unsafe fn run<S: Short>(vcpu: &mut Vcpu, kind: Kind, short: &mut S) -> Left {
    let function = |entry: *const ()| entry.addr() as u64;
    let handlers = match kind {
        Kind::Hash => [hash_data::<S> as *const (), hash_fetch::<S> as *const (), hash_call::<S> as *const ()],
        _ => [data::<S> as *const (), fetch::<S> as *const (), call::<S> as *const ()],
    };
    vcpu.platform[word::DESK] = core::ptr::from_mut(short).addr() as u64;
    [vcpu.platform[word::DATA], vcpu.platform[word::FETCH], vcpu.platform[word::CALL]] = handlers.map(function);
    // Between two stays it names this CPU's own area.
    vcpu.platform[word::AREA] = hypervisor::hsprg0();
    let desk: *mut S = short;
    let vcpu: *mut Vcpu = vcpu;
    // The handlers find both by these pointers.
    _ = (desk.expose_provenance(), vcpu.expose_provenance());
    // SAFETY: 1. passed on to the caller; 2. nothing refers to either while the guest runs, but the handlers, one at a time.
    match unsafe { enter_guest(vcpu.cast()) } {
        BEGUN => Left::Begun,
        vector => Left::Vector(vector),
    }
}

/// A load or store that was not translated, or not allowed.
extern "C" fn data<S: Short>(desk: u64, vcpu: u64, cause: u64, ea: u64, claim: u64) -> Next {
    let fault = exits::data_fault(crate::decrementer::low_word(cause), ea, claim);
    // SAFETY: 1. called from the exit code only, with what `run` stored.
    unsafe { with(desk, vcpu, |short: &mut S, vcpu| short.storage(vcpu, &fault)) }
}

/// A fetch. HSRR1 has the cause, and is stored without it.
extern "C" fn fetch<S: Short>(desk: u64, vcpu: u64, state: u64, at: u64, claim: u64) -> Next {
    let cause = crate::decrementer::low_word(state & Srr1::CAUSE_MASK);
    let fault = exits::fetch_fault(Some(cause), at, claim);
    // SAFETY: 1. as above.
    unsafe { with(desk, vcpu, |short: &mut S, vcpu| short.storage(vcpu, &fault)) }
}

/// A hash guest's load or store. Its keys are in the CPU.
extern "C" fn hash_data<S: Short>(desk: u64, vcpu: u64, cause: u64, ea: u64, asdr: u64) -> Next {
    let cause = crate::decrementer::low_word(cause);
    // SAFETY: 1. as above.
    unsafe {
        with(desk, vcpu, |short: &mut S, vcpu| {
            let fault = exits::hash_data_fault(vcpu, cause, ea, asdr, Keys::live());
            ready(short.hash_storage(vcpu, &fault), vcpu)
        })
    }
}

/// A hash guest's fetch.
extern "C" fn hash_fetch<S: Short>(desk: u64, vcpu: u64, _: u64, at: u64, asdr: u64) -> Next {
    // SAFETY: 1. as above.
    unsafe {
        with(desk, vcpu, |short: &mut S, vcpu| {
            let fault = exits::hash_fetch_fault(vcpu, at, asdr, Keys::live());
            ready(short.hash_storage(vcpu, &fault), vcpu)
        })
    }
}

/// A call.
extern "C" fn call<S: Short>(desk: u64, vcpu: u64) -> Next {
    // SAFETY: 1. as above.
    unsafe { with(desk, vcpu, |short: &mut S, vcpu| ready(short.call(vcpu), vcpu)) }
}

/// A hash guest's call.
extern "C" fn hash_call<S: Short>(desk: u64, vcpu: u64) -> Next {
    // SAFETY: 1. as above.
    unsafe { with(desk, vcpu, |short: &mut S, vcpu| short.hash_call(vcpu)) }
}

/// Loads what the guest needs before it goes on.
#[inline]
fn ready(next: Next, vcpu: &mut Vcpu) -> Next {
    match next {
        Next::Reload => super::world::load_modes(vcpu),
        Next::Interrupt => super::world::load_interrupt(vcpu),
        Next::Resume | Next::Begun | Next::Whole => return next,
    }
    Next::Resume
}

/// # Safety
/// Both are addresses that [`run`] exposed, in its stay.
#[inline]
unsafe fn with<S>(desk: u64, vcpu: u64, work: impl FnOnce(&mut S, &mut Vcpu) -> Next) -> Next {
    let desk: *mut S = core::ptr::with_exposed_provenance_mut(crate::memory::index(desk));
    let vcpu: *mut Vcpu = core::ptr::with_exposed_provenance_mut(crate::memory::index(vcpu));
    // SAFETY: 1. both live as long as the stay, and nobody else refers to them while the guest is out.
    unsafe { work(&mut *desk, &mut *vcpu) }
}

const fn platform(word: usize) -> usize {
    offset_of!(Vcpu, platform) + 8 * word
}

const _: () = assert!(offset_of!(Vcpu, regs) == 0 && offset_of!(Regs, gpr) == 0);
/// PPR is stored where Linux keeps a flag of its own.
const PPR: usize = offset_of!(Regs, softe);
const _: () = assert!(size_of::<Regs>() <= size_of::<Area>() && word::RESET < PLATFORM_WORDS);
const _: () = assert!(Next::Resume as u64 == 0 && Next::Whole as u64 == 3);

#[allow(
    improper_ctypes,
    reason = "the assembly looks at registers and platform words only, whose places are asserted above"
)]
unsafe extern "C" {
    /// # Safety
    /// As for [`run`].
    fn enter_guest(vcpu: *mut core::ffi::c_void) -> u64;
}

global_asm!(
    "
    .section .text.switch, \"ax\"

    # An exit has come. r13 = where registers are stored; r0 to r13, CR, LR, CTR, XER and PPR are there.
    .macro STORE_VOLATILE
    mtspr {hsprg1}, %r13
    mfspr %r13, {hsprg0}
    std %r0, 0(%r13)
    mfspr %r0, {hsprg1}           # at once: a system reset takes it
    std %r0, 8*13(%r13)
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12
    std %r\\n, 8*\\n(%r13)
    .endr
    mfspr %r4, {ppr}
    or %r2, %r2, %r2              # medium priority: the guest may have been at a low one
    mfcr %r5
    mflr %r6
    mfctr %r7
    mfxer %r8
    std %r4, {ppr_at}(%r13)
    std %r5, {ccr}(%r13)
    std %r6, {link}(%r13)
    std %r7, {ctr}(%r13)
    std %r8, {xer}(%r13)
    .endm

    # Calls the handler in platform word \\handler, r5 to r7 as they are.
    .macro SHORT_WAY handler, vector, site
    ld %r12, \\handler(%r13)
    mtctr %r12
    ld %r3, {desk}(%r13)
    mr %r4, %r13
    ld %r1, {stack}(%r13)
    ld %r2, 24(%r1)
\\site:
    nop                           # measures.rs: a barrier
    bctrl
    cmpldi %r3, 0                 # Next::Resume
    beq resume_guest
    cmpldi %r3, 3                 # Next::Whole
    li %r3, \\vector
    beq leave_guest
    li %r3, {begun}
    b leave_guest
    .endm

    .globl barrier_data, barrier_fetch, barrier_call

    .balign 128
    .globl exit_data
exit_data:
    STORE_VOLATILE
    mfspr %r8, {hsrr0}
    mfspr %r9, {hsrr1}
    std %r8, {nip}(%r13)
    std %r9, {msr}(%r13)
    mfspr %r5, {hdsisr}
    mfspr %r6, {hdar}
    mfspr %r7, {asdr}
    SHORT_WAY {data}, 0xe00, barrier_data

    .balign 128
    .globl exit_fetch
exit_fetch:
    STORE_VOLATILE
    mfspr %r6, {hsrr0}
    mfspr %r5, {hsrr1}
    std %r6, {nip}(%r13)
    lis %r8, 0x783f               # the cause, not state
    andc %r9, %r5, %r8
    std %r9, {msr}(%r13)
    mfspr %r7, {asdr}
    SHORT_WAY {fetch}, 0xe20, barrier_fetch

    .balign 128
    .globl exit_call
exit_call:
    STORE_VOLATILE
    mfspr %r8, {srr0}
    mfspr %r9, {srr1}
    std %r8, {nip}(%r13)
    lis %r8, 0x783f               # POWER10 sets one of these at `sc 1`
    andc %r9, %r9, %r8
    std %r9, {msr}(%r13)
    SHORT_WAY {call}, 0xc00, barrier_call

    # u64 enter_guest(r3 = vCPU): everything that the ABI keeps goes to the stack.
    .balign 128
    .globl enter_guest
enter_guest:
    mflr %r0
    std %r0, 16(%r1)
    mfcr %r0
    std %r0, 8(%r1)
    stdu %r1, -{frame}(%r1)
    std %r2, 24(%r1)
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std %r\\n, 8*\\n-80(%r1)      # r14 at 32
    .endr
    std %r1, {stack}(%r3)
    mr %r13, %r3
    li %r0, 0
    mtmsrd %r0, 1                 # RI off: HSRR0 and HSRR1 are in use
    mtspr {hsprg0}, %r13
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld %r\\n, 8*\\n(%r13)
    .endr

    # r13 = vCPU, r14 to r31 are the guest's.
    .globl resume_guest
resume_guest:
    ld %r0, {nip}(%r13)           # measures.rs: or a branch to flush_predictors
behind_predictors:
    ld %r1, {msr}(%r13)
    ld %r2, {link}(%r13)
    ld %r3, {ctr}(%r13)
    ld %r4, {xer}(%r13)
    ld %r5, {ccr}(%r13)
    ld %r6, {ppr_at}(%r13)
    mtspr {hsrr0}, %r0
    mtspr {hsrr1}, %r1
    mtlr %r2
    mtctr %r3
    mtxer %r4
    ld %r0, 0(%r13)
    stdcx. %r0, 0, %r13           # what is there already: only the reservation goes
    mtcr %r5
    .irp n, 1,2,3,4,5,7,8,9,10,11,12
    ld %r\\n, 8*\\n(%r13)
    .endr
    mtspr {ppr}, %r6
    ld %r6, 8*6(%r13)
    ld %r13, 8*13(%r13)
    .globl l1d_site
l1d_site:
    nop                           # measures.rs: empties the L1 data cache
    hrfid

    # LR and CTR are loaded behind this, as r0 is here.
    .globl flush_predictors
flush_predictors:
    .rept 32
    bl .+4                        # the link stack holds addresses of ours
    .endr
    li %r0, 0x7fff
    mtctr %r0
    .globl count_cache_site
count_cache_site:
    nop                           # measures.rs: empties the count cache
    ld %r0, {nip}(%r13)
    b behind_predictors

    # An exit that ends the stay, if it was a guest's. r3 = vector, r8 and r9 = state.
long_exit:
    std %r8, {nip}(%r13)
    std %r9, {msr}(%r13)
    rldicl. %r10, %r9, 4, 63      # MSR[HV]
    bne not_a_guest

    # r3 = what to say, r13 = vCPU; r0 to r12 are stored.
leave_guest:
    .globl barrier_leave
barrier_leave:
    nop                           # measures.rs: a barrier
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    std %r\\n, 8*\\n(%r13)
    .endr
    ld %r1, {stack}(%r13)
    ld %r2, 24(%r1)
    ld %r4, {area}(%r13)
    mtspr {hsprg0}, %r4           # an interrupt of ours stores elsewhere now
    .irp n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld %r\\n, 8*\\n-80(%r1)
    .endr
    addi %r1, %r1, {frame}
    ld %r0, 8(%r1)
    mtcr %r0
    ld %r0, 16(%r1)
    mtlr %r0
    blr

    # An interrupt of our own: everything back, and to the report as the head's vectors do it.
not_a_guest:
    mtspr {srr0}, %r8
    mtspr {srr1}, %r9
    ld %r4, {link}(%r13)
    ld %r5, {ctr}(%r13)
    ld %r6, {xer}(%r13)
    ld %r7, {ccr}(%r13)
    mtlr %r4
    mtctr %r5
    mtxer %r6
    ld %r1, 8*1(%r13)
    mtsprg 1, %r1
    ld %r2, 8*2(%r13)
    mtsprg 2, %r2
    mr %r2, %r3
    mtcr %r7
    .irp n, 0,3,4,5,6,7,8,9,10,11,12,13
    ld %r\\n, 8*\\n(%r13)
    .endr
    b interrupt_common

    .macro LONG_EXIT name, vector, state0, state1
    .balign 32
    .globl \\name
\\name:
    STORE_VOLATILE
    mfspr %r8, \\state0
    mfspr %r9, \\state1
    li %r3, \\vector
    b long_exit
    .endm

    # In the hypervisor with RI off it is noted, and all is as before but for HSPRG1, SRR0 and SRR1.
    .balign 128
    .globl exit_reset
exit_reset:
    mtspr {hsprg1}, %r13
    mfspr %r13, {hsprg0}
    std %r0, {reset_r0}(%r13)
    mfcr %r0
    std %r0, {reset_cr}(%r13)
    mfspr %r0, {srr1}
    rldicl. %r0, %r0, 4, 63       # MSR[HV]
    beq 1f
    mfspr %r0, {srr1}
    andi. %r0, %r0, 2             # MSR[RI]
    bne 1f
    li %r0, 1
    std %r0, {reset}(%r13)
    ld %r0, {reset_cr}(%r13)
    mtcr %r0
    ld %r0, {reset_r0}(%r13)
    mfspr %r13, {hsprg1}
    rfid
1:  ld %r0, {reset_cr}(%r13)
    mtcr %r0
    ld %r0, {reset_r0}(%r13)
    mfspr %r13, {hsprg1}
    b exit_reset_told

    LONG_EXIT exit_reset_told, 0x100, {srr0}, {srr1}
    LONG_EXIT exit_machine_check, 0x200, {srr0}, {srr1}
    LONG_EXIT exit_external, 0x500, {hsrr0}, {hsrr1}
    LONG_EXIT exit_hdec, 0x980, {hsrr0}, {hsrr1}
    LONG_EXIT exit_emulation, 0xe40, {hsrr0}, {hsrr1}
    LONG_EXIT exit_maintenance, 0xe60, {hsrr0}, {hsrr1}
    LONG_EXIT exit_doorbell, 0xe80, {hsrr0}, {hsrr1}
    LONG_EXIT exit_virtualization, 0xea0, {hsrr0}, {hsrr1}
    LONG_EXIT exit_facility, 0xf80, {hsrr0}, {hsrr1}
    ",
    hsprg0 = const number::HSPRG0,
    hsprg1 = const number::HSPRG1,
    hsrr0 = const number::HSRR0,
    hsrr1 = const number::HSRR1,
    srr0 = const number::SRR0,
    srr1 = const number::SRR1,
    hdsisr = const number::HDSISR,
    hdar = const number::HDAR,
    asdr = const number::ASDR,
    ppr = const number::PPR,
    ppr_at = const PPR,
    nip = const offset_of!(Regs, nip),
    msr = const offset_of!(Regs, msr),
    ctr = const offset_of!(Regs, ctr),
    link = const offset_of!(Regs, link),
    xer = const offset_of!(Regs, xer),
    ccr = const offset_of!(Regs, ccr),
    stack = const platform(word::STACK),
    desk = const platform(word::DESK),
    data = const platform(word::DATA),
    fetch = const platform(word::FETCH),
    call = const platform(word::CALL),
    area = const platform(word::AREA),
    reset_r0 = const platform(word::RESET_R0),
    reset_cr = const platform(word::RESET_CR),
    reset = const platform(word::RESET),
    begun = const BEGUN,
    frame = const 32 + 18 * 8 + 16,
);

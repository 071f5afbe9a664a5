//! `sc 1`: the call to the hypervisor below (PAPR chapter 14; Power ISA 3.1B Book I chapter 2, System Call, LEV=1).
//!
//! r3 carries the number and r4 to r12 the arguments; r3 returns the code and r4 to r12 the results. r0, CTR, XER and the condition fields 0, 1, 5 to 7
//! are lost.

use core::arch::asm;

/// What a call to the hypervisor below came back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hcall {
    /// r3: 0 is success, negative is an error, positive depends on the call.
    pub code: i64,
    /// r4 to r12.
    pub values: [u64; 9],
}

/// Calls the hypervisor below. Missing arguments are zero.
///
/// # Safety
/// The call may write memory, map it elsewhere, stop this CPU or run a guest in its place: whatever `number` does with `args`
/// must be harmless to the memory that Rust believes it owns.
///
/// # Panics
/// With more than nine arguments (a compile-time length in every caller).
#[inline]
pub unsafe fn hcall(number: u64, args: &[u64]) -> Hcall {
    let mut r = [0_u64; 9];
    r[..args.len()].copy_from_slice(args);
    let code: i64;
    // SAFETY: 1. the caller vouches for the effect of this call; 2. every register that the convention may change is an
    // output or named as clobbered; 3. memory is assumed to change (`nomem` is not given).
    unsafe {
        asm!(
            "sc 1",
            inout("r3") number => code,
            inout("r4") r[0], inout("r5") r[1], inout("r6") r[2],
            inout("r7") r[3], inout("r8") r[4], inout("r9") r[5],
            inout("r10") r[6], inout("r11") r[7], inout("r12") r[8],
            out("r0") _, out("ctr") _, out("xer") _, out("lr") _,
            out("cr0") _, out("cr1") _, out("cr5") _, out("cr6") _, out("cr7") _,
            options(nostack)
        );
    }
    Hcall { code, values: r }
}

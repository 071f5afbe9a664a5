//! Hypervisor calls: `sc 1`, the number in r3, arguments from r4; the answer in r3, values from r4.
//!
//! Numbers and return codes are those of PAPR.

use core::arch::asm;

pub const SUCCESS: i64 = 0;
pub const BUSY: i64 = 1;
pub const CLOSED: i64 = 2;
pub const FUNCTION: i64 = -2;
pub const PRIVILEGE: i64 = -3;
pub const PARAMETER: i64 = -4;
pub const GROUP_FULL: i64 = -6;
pub const NOT_FOUND: i64 = -7;
pub const NO_MEMORY: i64 = -9;
pub const RESOURCE: i64 = -16;
pub const LONG_BUSY: i64 = 9900;

pub const REMOVE: u64 = 0x04;
pub const ENTER: u64 = 0x08;
pub const READ: u64 = 0x0c;
pub const CLEAR_MOD: u64 = 0x10;
pub const CLEAR_REF: u64 = 0x14;
pub const PROTECT: u64 = 0x18;
pub const PAGE_INIT: u64 = 0x2c;
pub const LOGICAL_CI_LOAD: u64 = 0x3c;
pub const LOGICAL_CI_STORE: u64 = 0x40;
pub const LOGICAL_CACHE_LOAD: u64 = 0x44;
pub const LOGICAL_CACHE_STORE: u64 = 0x48;
pub const LOGICAL_ICBI: u64 = 0x4c;
pub const LOGICAL_DCBF: u64 = 0x50;
pub const GET_TERM_CHAR: u64 = 0x54;
pub const PUT_TERM_CHAR: u64 = 0x58;
pub const EOI: u64 = 0x64;
pub const CPPR: u64 = 0x68;
pub const IPI: u64 = 0x6c;
pub const IPOLL: u64 = 0x70;
pub const XIRR: u64 = 0x74;
pub const REGISTER_VPA: u64 = 0xdc;
pub const CEDE: u64 = 0xe0;
pub const CONFER: u64 = 0xe4;
pub const PROD: u64 = 0xe8;
pub const BULK_REMOVE: u64 = 0x124;
pub const SET_MODE: u64 = 0x31c;
pub const RESIZE_PREPARE: u64 = 0x36c;
pub const RESIZE_COMMIT: u64 = 0x370;
pub const REGISTER_PROC_TBL: u64 = 0x37c;
pub const SIGNAL_SYS_RESET: u64 = 0x380;
pub const WATCHDOG: u64 = 0x45c;
pub const RTAS: u64 = 0xf000;

/// What came back.
#[derive(Clone, Copy)]
pub struct Answer {
    /// r3.
    pub code: i64,
    /// r4, for the calls that answer with a value.
    pub value: u64,
}

/// Calls the hypervisor. Missing arguments are 0, and there are nine at most.
///
/// The call may write to guest memory. That is a matter for the tests, which name only scratch memory that holds no Rust
/// object, or else expect a refusal and check that nothing was written.
pub fn call(number: u64, args: &[u64]) -> Answer {
    let (code, [value, ..]) = call_whole(number, args);
    Answer { code, value }
}

/// The same, with all values: the code, and r4 to r12.
pub fn call_whole(number: u64, args: &[u64]) -> (i64, [u64; 9]) {
    let mut all = [0; 9];
    all[..args.len()].copy_from_slice(args);
    let code;
    // SAFETY: 1. Everything that a hypervisor call may change is named as changed; memory is assumed changed too.
    //         2. The stack is not touched.
    unsafe {
        asm!("sc 1",
            inout("r3") number => code,
            inout("r4") all[0], inout("r5") all[1], inout("r6") all[2], inout("r7") all[3], inout("r8") all[4],
            inout("r9") all[5], inout("r10") all[6], inout("r11") all[7], inout("r12") all[8],
            out("r0") _, out("ctr") _, out("xer") _, out("lr") _,
            out("cr0") _, out("cr1") _, out("cr5") _, out("cr6") _, out("cr7") _,
            options(nostack));
    }
    (code, all)
}

/// Interrupts in our byte order, before the first one comes: mode 1 of resource 4.
pub fn set_little_endian_interrupts() -> i64 {
    call(SET_MODE, &[1, 4, 0, 0]).code
}

/// Is this a return code that PAPR defines? The lower bound leaves room for those that the guest-management calls added;
/// codes from 9900 name the time after which to call again, those around -256 the first flag that is not supported.
pub fn is_papr_code(code: i64) -> bool {
    matches!(code, -87..=18 | 9900..=9905 | -511..=-256)
}

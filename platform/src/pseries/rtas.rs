//! Run-Time Abstraction Services of the L0 (PAPR chapter 7): a block of big-endian words with token, counts, arguments and
//! results. QEMU takes it by an hcall of its own (H_RTAS), in every boot path, so no RTAS code has to be instantiated.
//!
//! RTAS is for one processor at a time. No lock is needed for that: the boot CPU calls it before others run a guest, and whoever ends the machine calls it last.

use super::{call, number};
use spin::Once;

/// Tokens of the calls that we make; the device tree's `/rtas` node names them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokens {
    /// `power-off`.
    pub power_off: Option<u32>,
    /// `ibm,os-term`.
    pub os_term: Option<u32>,
    /// `get-time-of-day`.
    pub get_time_of_day: Option<u32>,
    /// `start-cpu`.
    pub start_cpu: Option<u32>,
    /// `ibm,set-xive`.
    pub set_xive: Option<u32>,
}

/// Learnt from the device tree.
static TOKENS: Once<Tokens> = Once::new();

/// QEMU's token of `ibm,os-term` in every version seen: used when the device tree could not be read, and an ending has to be reported all the same.
const QEMU_OS_TERM: u32 = 0x201f;

/// Arguments and results that a block has room for.
const WORDS: usize = 16;

/// The argument block, in big-endian words. Below 4 GiB, as all of the image.
#[repr(C, align(64))]
struct Block([u32; 3 + WORDS]);

/// Makes the tokens known; the first call counts.
pub fn learn(tokens: Tokens) {
    TOKENS.call_once(|| tokens);
}

/// Calls `token`; the results (the first is the status), or `None` if the L0 refused the block.
fn rtas<const RESULTS: usize>(token: u32, args: &[u32]) -> Option<[u32; RESULTS]> {
    let mut block = Block([0; 3 + WORDS]);
    let counts = [token, u32::try_from(args.len()).ok()?, u32::try_from(RESULTS).ok()?];
    for (word, value) in block.0.iter_mut().zip(counts.iter().chain(args)) {
        *word = value.to_be();
    }
    // SAFETY: 1. the block is ours and large enough for the results of every call made here; 2. the calls made here change no other memory.
    let answer = unsafe { call(number::H_RTAS, &[(&raw mut block).addr() as u64]) };
    let first = 3 + args.len();
    let results = block.0.get(first..first + RESULTS)?;
    let mut out = [0; RESULTS];
    for (to, from) in out.iter_mut().zip(results) {
        *to = u32::from_be(*from);
    }
    (answer.code == 0).then_some(out)
}

/// Seconds since 1970 UTC by the machine's clock (`get-time-of-day`).
pub fn wall_clock() -> Option<u64> {
    let token = TOKENS.get()?.get_time_of_day?;
    let [status, year, month, day, hour, minute, second, _nanos] = rtas::<8>(token, &[])?;
    if status == 0 { crate::calendar::seconds(year, month, day, hour, minute, second) } else { None }
}

/// Routes interrupt source `irq` to CPU `server` with `priority` (`ibm,set-xive`); whether that worked.
pub fn route_interrupt(irq: u32, server: u32, priority: u32) -> bool {
    let token = TOKENS.get().and_then(|t| t.set_xive);
    token.and_then(|token| rtas::<1>(token, &[irq, server, priority])) == Some([0])
}

/// Starts the processor of interrupt server `server` at `entry`: real mode, 64 bits, big-endian, interrupts off, the server's number in r3 (`start-cpu`; PAPR chapter 7). QEMU gives it the
/// interrupt mode (LPCR\[ILE\]) of the CPU that asks.
///
/// # Errors
/// The status: not 0. -1 if there is no such call.
///
/// # Safety
/// What stands at `entry` is a program for a processor in that state, and gives it a stack of its own.
pub unsafe fn start_cpu(server: u32, entry: u64) -> Result<(), i64> {
    let token = TOKENS.get().and_then(|t| t.start_cpu).ok_or(-1)?;
    let entry = u32::try_from(entry).map_err(|_| -1)?;
    match rtas::<1>(token, &[server, entry, server]) {
        Some([0]) => Ok(()),
        other => Err(other.map_or(-1, |[status]| i64::from(status.cast_signed()))),
    }
}

/// Switches the machine off: exit code 0 of QEMU.
pub fn power_off() -> ! {
    if let Some(token) = TOKENS.get().and_then(|t| t.power_off) {
        _ = rtas::<1>(token, &[u32::MAX, u32::MAX]);
    }
    rest()
}

/// Reports the operating system dead: exit code 1 of QEMU with `-action panic=exit-failure`.
pub fn os_term() -> ! {
    static MESSAGE: &core::ffi::CStr = c"samewise stopped";
    let token = TOKENS.get().and_then(|t| t.os_term).unwrap_or(QEMU_OS_TERM);
    if let Ok(at) = u32::try_from(MESSAGE.as_ptr().addr()) {
        _ = rtas::<1>(token, &[at]);
    }
    rest()
}

/// Nothing more to do, quietly.
fn rest() -> ! {
    loop {
        // SAFETY: 1. H_CEDE only waits; interrupts that it lets in end the wait in the vectors.
        unsafe { call(number::H_CEDE, &[]) };
    }
}

//! OPAL: what the firmware of a machine without a hypervisor below does for us (skiboot's OPAL API). Arguments in memory are big-endian; addresses are real.
//!
//! A call leaves for big-endian mode and comes back; the firmware keeps r1 and r13 to r31, uses a stack of its own, and neither floating point nor vectors. SRR0, SRR1, HSRR0 and HSRR1
//! are lost, so a call is made only where the guest's are stored.

pub mod completion;

use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};
use ppc64_arch::cpu;

/// Where the firmware is called, as the device tree has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opal {
    /// Its data, which it wants in r2.
    pub base: u64,
    /// Its entry.
    pub entry: u64,
    /// The largest message that it sends, in bytes.
    pub message_bytes: u64,
}

impl Opal {
    /// The size of messages where the device tree does not say.
    pub const LEAST_MESSAGE: u32 = opal_wire::message::LEAST_BYTES;
}

/// The firmware in memory that every report reads: base and entry; 0 is none.
static BASE: AtomicU64 = AtomicU64::new(0);
static ENTRY: AtomicU64 = AtomicU64::new(0);

/// Numbers of the calls (skiboot, `opal-api.h`).
pub(super) mod token {
    pub const CONSOLE_WRITE: u64 = 1;
    pub const CONSOLE_READ: u64 = 2;
    pub const RTC_READ: u64 = 3;
    pub const CEC_POWER_DOWN: u64 = 5;
    pub const POLL_EVENTS: u64 = 10;
    pub const START_CPU: u64 = 41;
    pub const QUERY_CPU_STATUS: u64 = 42;
    pub const LPC_READ: u64 = 67;
    pub const LPC_WRITE: u64 = 68;
    pub const REINIT_CPUS: u64 = 70;
    pub const CHECK_ASYNC_COMPLETION: u64 = 86;
    pub const HANDLE_HMI: u64 = 98;
    pub const I2C_REQUEST: u64 = 109;
}

/// Answers.
pub mod code {
    /// Done.
    pub const SUCCESS: i64 = 0;
    /// An argument that the firmware does not know, such as a processor that is not there.
    pub const PARAMETER: i64 = -1;
    /// Try again.
    pub const BUSY: i64 = -2;
    /// Try again, after events were polled.
    pub const BUSY_EVENT: i64 = -12;
    /// Begun; a message will say how it ended.
    pub const ASYNC_COMPLETION: i64 = -15;
}

/// Makes the firmware known.
pub fn learn(opal: Option<Opal>) {
    if let Some(Opal { base, entry, .. }) = opal {
        BASE.store(base, Ordering::Relaxed);
        // Release: whoever sees the entry sees the base.
        ENTRY.store(entry, Ordering::Release);
        set_up_processors();
    }
}

/// Whether there is a firmware that is known.
#[must_use]
pub fn is_there() -> bool {
    ENTRY.load(Ordering::Acquire) != 0
}

/// Calls the firmware; missing arguments are 0.
///
/// # Safety
/// The call may write memory that `args` name, stop this CPU or start another: that must be harmless to what Rust owns. A firmware is known.
pub unsafe fn call(token: u64, args: &[u64]) -> i64 {
    let mut all = [0; 8];
    all[..args.len()].copy_from_slice(args);
    // SAFETY: 1. passed on to the caller; 2. base and entry are the firmware's own.
    unsafe { opal_call(token, &raw const all, BASE.load(Ordering::Relaxed), ENTRY.load(Ordering::Acquire)) }
}

/// Has interrupts arrive in little-endian mode, and radix translation in a state fit for it. All other CPUs are still in the firmware.
fn set_up_processors() {
    const LITTLE_ENDIAN_INTERRUPTS: u64 = 2;
    const RADIX: u64 = 8;
    // SAFETY: 1. no memory is named; 2. the vectors are written for it.
    _ = unsafe { call(token::REINIT_CPUS, &[LITTLE_ENDIAN_INTERRUPTS | RADIX]) };
}

/// Writes to console `number` what it takes now; how many bytes.
pub fn console_write(number: u64, bytes: &[u8]) -> usize {
    let mut length = (bytes.len() as u64).to_be();
    // SAFETY: 1. the firmware reads the bytes and writes the length, which are borrowed for the call.
    let code =
        unsafe { call(token::CONSOLE_WRITE, &[number, (&raw mut length).addr() as u64, bytes.as_ptr().addr() as u64]) };
    if code == code::SUCCESS {
        return crate::memory::index(u64::from_be(length)).min(bytes.len());
    }
    poll();
    0
}

/// Reads what was typed at console `number`; how many bytes.
pub fn console_read(number: u64, into: &mut [u8]) -> usize {
    poll();
    let mut length = (into.len() as u64).to_be();
    // SAFETY: 1. the firmware writes at most that many bytes, and the length, which are borrowed for the call.
    let code = unsafe {
        call(token::CONSOLE_READ, &[number, (&raw mut length).addr() as u64, into.as_mut_ptr().addr() as u64])
    };
    if code == code::SUCCESS { crate::memory::index(u64::from_be(length)).min(into.len()) } else { 0 }
}

/// Starts the processor with this PIR at `entry`: real mode, big-endian, its PIR in r3.
///
/// # Errors
/// The firmware's code: [`code::PARAMETER`] if there is no such processor.
///
/// # Safety
/// What stands at `entry` is a program for a processor in that state, and gives it a stack of its own.
pub unsafe fn start_cpu(pir: u32, entry: u64) -> Result<(), i64> {
    if !is_there() {
        return Err(code::PARAMETER);
    }
    // SAFETY: 1. passed on to the caller.
    match unsafe { call(token::START_CPU, &[u64::from(pir), entry]) } {
        code::SUCCESS => Ok(()),
        why => Err(why),
    }
}

/// What the firmware says of a processor: 0 it waits in the firmware, 1 it was started, 2 it cannot be had.
///
/// # Errors
/// The firmware's code.
pub fn cpu_status(pir: u32) -> Result<u8, i64> {
    if !is_there() {
        return Err(code::PARAMETER);
    }
    let mut status = 0_u8;
    // SAFETY: 1. the firmware writes the byte, which is borrowed for the call.
    match unsafe { call(token::QUERY_CPU_STATUS, &[u64::from(pir), (&raw mut status).addr() as u64]) } {
        code::SUCCESS => Ok(status),
        why => Err(why),
    }
}

/// Lets the firmware do what it has to do now and then; it wants to be asked at least every few seconds.
pub fn poll() {
    if !is_there() {
        return;
    }
    let mut events = 0_u64;
    // SAFETY: 1. the firmware writes the doubleword, which is borrowed for the call.
    _ = unsafe { call(token::POLL_EVENTS, &[(&raw mut events).addr() as u64]) };
}

/// Reads a byte of LPC I/O space on chip 0; 0xff, as an empty bus reads, if that fails.
pub fn lpc_read(port: u32) -> u8 {
    let mut data = 0_u32;
    // SAFETY: 1. the firmware writes the word, which is borrowed for the call.
    let code = unsafe { call(token::LPC_READ, &[0, IO, u64::from(port), (&raw mut data).addr() as u64, 1]) };
    if code == code::SUCCESS { u32::from_be(data).to_le_bytes()[0] } else { 0xff }
}

/// Writes one.
pub fn lpc_write(port: u32, byte: u8) {
    // SAFETY: 1. no memory is named; the devices on this bus do not reach memory.
    _ = unsafe { call(token::LPC_WRITE, &[0, IO, u64::from(port), u64::from(byte), 1]) };
}

/// The LPC bus's I/O space.
const IO: u64 = 1;

/// Seconds since 1970 UTC by the machine's clock.
#[must_use]
pub fn wall_clock() -> Option<u64> {
    if !is_there() {
        return None;
    }
    let (mut date, mut time) = (0_u32, 0_u64);
    for _ in 0..1000 {
        // SAFETY: 1. the firmware writes both, which are borrowed for the call.
        let code = unsafe { call(token::RTC_READ, &[(&raw mut date).addr() as u64, (&raw mut time).addr() as u64]) };
        match code {
            code::SUCCESS => return crate::calendar::from_bcd(u32::from_be(date), u64::from_be(time)),
            code::BUSY | code::BUSY_EVENT => poll(),
            _ => return None,
        }
    }
    None
}

/// Has the firmware see to what raised a hypervisor maintenance interrupt; whether it is recovered.
pub fn handle_maintenance() -> bool {
    // SAFETY: 1. no memory is named.
    is_there() && unsafe { call(token::HANDLE_HMI, &[]) } == code::SUCCESS
}

/// Switches the machine off, and waits for that. Without firmware nothing can: it waits for whoever watches.
pub fn power_off() -> ! {
    loop {
        if is_there() {
            // SAFETY: 1. no memory is named; 2. nothing of ours has to go on.
            _ = unsafe { call(token::CEC_POWER_DOWN, &[0]) };
            poll();
        }
        cpu::very_low_priority();
    }
}

global_asm!(
    "
    .section .text.opal_call, \"ax\"
    # i64 opal_call(r3 = token, r4 = eight arguments, r5 = base, r6 = entry)
    .globl opal_call
opal_call:
    mflr %r0
    std %r0, 16(%r1)               # LR and CR in the caller's frame, as the ABI has it
    mfcr %r0
    std %r0, 8(%r1)
    stdu %r1, -0x40(%r1)
    std %r2, 24(%r1)
    mfmsr %r11
    std %r11, 0x28(%r1)            # the state to come back to
    mtspr 314, %r6                 # HSRR0
    li %r12, 0x33                  # IR, DR, LE and RI: HSRR0 and HSRR1 are in use,
    ori %r12, %r12, 0x8000         # and EE
    andc %r11, %r11, %r12          # off
    mtspr 315, %r11                # HSRR1
    lis %r12, 1f@h
    ori %r12, %r12, 1f@l
    mtlr %r12                      # where the firmware returns to, big-endian
    mr %r0, %r3
    mr %r2, %r5
    mr %r12, %r4
    ld %r3, 0(%r12)
    ld %r4, 8(%r12)
    ld %r5, 16(%r12)
    ld %r6, 24(%r12)
    ld %r7, 32(%r12)
    ld %r8, 40(%r12)
    ld %r9, 48(%r12)
    ld %r10, 56(%r12)
    hrfid
1:  .long {be_bcl}                 # bcl 20,31,.+4               LR = the next instruction
    .long {be_mflr}                # mflr r10
    .long {be_addi}                # addi r10,r10,28             r10 = label 2
    .long {be_mtsrr0}              # mthsrr0 r10
    .long {be_mfmsr}               # mfmsr r12
    .long {be_ori}                 # ori r12,r12,1               little-endian
    .long {be_mtsrr1}              # mthsrr1 r12
    .long {be_hrfid}               # hrfid
2:  ld %r11, 0x28(%r1)
    mtmsrd %r11                    # translation as it was
    isync
    ld %r2, 24(%r1)
    addi %r1, %r1, 0x40
    ld %r0, 8(%r1)
    mtcr %r0
    ld %r0, 16(%r1)
    mtlr %r0
    blr
    ",
    be_bcl = const crate::head::be(0x429f_0005),
    be_mflr = const crate::head::be(0x7d48_02a6),
    be_addi = const crate::head::be(0x394a_001c),
    be_mtsrr0 = const crate::head::be(0x7d5a_4ba6),
    be_mfmsr = const crate::head::be(0x7d80_00a6),
    be_ori = const crate::head::be(0x618c_0001),
    be_mtsrr1 = const crate::head::be(0x7d9b_4ba6),
    be_hrfid = const crate::head::be(0x4c00_0224),
);

unsafe extern "C" {
    /// # Safety
    /// As for [`call`]; `args` points at eight doublewords, `base` and `entry` are the firmware's.
    fn opal_call(token: u64, args: *const [u64; 8], base: u64, entry: u64) -> i64;
}

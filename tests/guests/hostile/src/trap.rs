//! Interrupts: what came, where, and how to go on.
//!
//! A test calls one function under [`guarded`]. If an interrupt ends it, the handler puts the registers of the call back
//! and the test sees a [`Trap`]; else it sees the function's result. While it runs, the decrementer stands at two
//! seconds and external interrupts are on: what never comes back is ended by vector 0x900.
//!
//! Outside of it interrupts are off, but for H_CEDE and the test of the decrementer, which expect 0x900.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::console::say;
use crate::machine::MOST;
use crate::{hcall, machine, rtas};

/// SF, ME, RI, LE: real mode, external interrupts off.
const MSR_BASE: u64 = 1 << 63 | 0x1003;
/// About two seconds at the usual 512 MHz.
const WATCHDOG: u64 = 1 << 30;
/// As far away as a 32-bit decrementer can be.
pub const FAR: u64 = 0x7fff_ffff;

/// Vectors that tests name.
pub mod vector {
    pub const SYSTEM_RESET: u64 = 0x100;
    pub const MACHINE_CHECK: u64 = 0x200;
    pub const DATA_STORAGE: u64 = 0x300;
    pub const DATA_SEGMENT: u64 = 0x380;
    pub const INSTRUCTION_STORAGE: u64 = 0x400;
    pub const INSTRUCTION_SEGMENT: u64 = 0x480;
    pub const EXTERNAL: u64 = 0x500;
    pub const PROGRAM: u64 = 0x700;
    pub const DECREMENTER: u64 = 0x900;
    pub const SYSTEM_CALL: u64 = 0xc00;
}

/// A function that `guarded` can run: one of those in ops.s, or one written like them.
pub type Op = unsafe extern "C" fn(u64) -> u64;

unsafe extern "C" {
    fn guard_call(context: *mut Context, op: Op, argument: u64, result: *mut u64) -> u64;
}

/// The interrupted registers, as entry.s lays them out.
#[repr(C)]
pub struct Frame {
    gpr: [u64; 32],
    nip: u64,
    msr: u64,
    ctr: u64,
    lr: u64,
    xer: u64,
    cr: u64,
    vector: u64,
    dar: u64,
    dsisr: u64,
}

const _: () = assert!(core::mem::offset_of!(Frame, nip) == 0x100);
const _: () = assert!(core::mem::offset_of!(Frame, dsisr) == 0x140);

/// What `guard_call` keeps for the way back.
#[repr(C)]
struct Context {
    /// r14 to r31.
    saved: [u64; 18],
    lr: u64,
    cr: u64,
    r1: u64,
    r2: u64,
}

const _: () = assert!(core::mem::offset_of!(Context, lr) == 0x90);

/// An interrupt that ended a guarded call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trap {
    /// Which.
    pub vector: u64,
    /// SRR0.
    pub nip: u64,
    /// SRR1.
    pub msr: u64,
    /// The address, for storage interrupts on data.
    pub dar: u64,
    /// The cause, for storage interrupts on data.
    pub dsisr: u64,
    /// r3 at that moment.
    pub r3: u64,
}

/// What a vCPU's handler and its `guarded` share. The handler runs only while `guarded` waits in the assembly.
struct Shared {
    context: UnsafeCell<Context>,
    trap: UnsafeCell<Trap>,
    /// A guarded call is under way.
    armed: AtomicBool,
    /// The handler is at work.
    handling: AtomicBool,
    /// Decrementer interrupts outside guarded calls.
    ticks: AtomicU64,
    /// System resets.
    resets: AtomicU64,
}

// SAFETY: 1. Each vCPU has one of its own, see `own`. 2. The handler touches it only when it is armed, in the middle of `guard_call`, when no
//            reference to it exists.
unsafe impl Sync for Shared {}

static SHARED: [Shared; MOST] = [const {
    Shared {
        context: UnsafeCell::new(Context { saved: [0; 18], lr: 0, cr: 0, r1: 0, r2: 0 }),
        trap: UnsafeCell::new(Trap { vector: 0, nip: 0, msr: 0, dar: 0, dsisr: 0, r3: 0 }),
        armed: AtomicBool::new(false),
        handling: AtomicBool::new(false),
        ticks: AtomicU64::new(0),
        resets: AtomicU64::new(0),
    }
}; MOST];

/// The number of the vCPU that runs this, among ours: the assembly keeps it at the upper end of its stacks.
pub fn vcpu() -> usize {
    let number: usize;
    // SAFETY: 1. SPRG3 has that end, and the word was written when the vCPU began.
    unsafe { asm!("mfspr {0}, 275", "ld {0}, -24({0})", out(reg_nonzero) number, options(readonly, nostack)) }
    number % MOST
}

/// Whether a system reset lets this vCPU begin its job anew, whatever it is at.
pub fn begin_anew(yes: bool) {
    // SAFETY: 1. SPRG3 has the upper end of this vCPU's stacks; the word below it is what the assembly looks at, and nothing else is there.
    //         2. The stack that it names is the one on which this vCPU began.
    unsafe {
        asm!("mfspr {end}, 275", "addi {stack}, {end}, -0x4000", "cmpdi {yes}, 0", "bne 2f", "li {stack}, 0", "2: std {stack}, -8({end})",
            end = out(reg_nonzero) _, stack = out(reg_nonzero) _, yes = in(reg) u64::from(yes), out("cr0") _, options(nostack));
    }
}

fn own() -> &'static Shared {
    &SHARED[vcpu()]
}

/// Runs `op`; an interrupt on the way is the error.
pub fn guarded(op: Op, argument: u64) -> Result<u64, Trap> {
    let (shared, mut result) = (own(), 0);
    set_decrementer(WATCHDOG);
    shared.armed.store(true, Ordering::Relaxed);
    // SAFETY: 1. The context outlives the call, and only the handler looks at it meanwhile.
    //         2. `op` either returns or is ended by an interrupt, the watchdog's at the latest; the assembly puts every
    //            register that the ABI preserves back in both cases.
    let ended = unsafe { guard_call(shared.context.get(), op, argument, &raw mut result) };
    shared.armed.store(false, Ordering::Relaxed);
    set_decrementer(FAR);
    if ended == 0 {
        return Ok(result);
    }
    // SAFETY: 1. The handler has written it and is done.
    Err(unsafe { *shared.trap.get() })
}

/// Sets the decrementer, which also takes back an interrupt that it has not delivered yet.
pub fn set_decrementer(ticks: u64) {
    // SAFETY: 1. The decrementer touches no memory; its interrupt has a handler.
    unsafe { asm!("mtspr 22, {0}", in(reg) ticks, options(nomem, nostack)) }
}

/// The timebase.
pub fn now() -> u64 {
    let ticks;
    // SAFETY: 1. Reads a register.
    unsafe { asm!("mfspr {0}, 268", out(reg) ticks, options(nomem, nostack)) }
    ticks
}

/// Interrupts off: H_CEDE returns with them on.
pub fn interrupts_off() {
    // SAFETY: 1. Changes only MSR[EE] (and keeps RI on).
    unsafe { asm!("mtmsrd {0}, 1", in(reg) 2u64, options(nostack)) }
}

/// Decrementer interrupts seen so far outside guarded calls.
pub fn ticks() -> u64 {
    own().ticks.load(Ordering::Relaxed)
}

/// System resets that a vCPU has seen so far.
pub fn resets(vcpu: usize) -> u64 {
    SHARED[vcpu].resets.load(Ordering::Relaxed)
}

/// Decides what becomes of an interrupt. The assembly resumes whatever the frame says afterwards.
#[unsafe(no_mangle)]
extern "C" fn guest_interrupt(frame: &mut Frame) {
    let shared = own();
    if shared.handling.swap(true, Ordering::Relaxed) {
        fatal(frame, "interrupt within an interrupt");
    }
    match frame.vector {
        vector::SYSTEM_RESET => {
            shared.resets.fetch_add(1, Ordering::Relaxed);
        }
        vector::EXTERNAL => acknowledge(),
        _ if shared.armed.load(Ordering::Relaxed) => end_guarded(frame, shared),
        vector::DECREMENTER => {
            shared.ticks.fetch_add(1, Ordering::Relaxed);
            set_decrementer(FAR);
        }
        _ => fatal(frame, "unexpected interrupt"),
    }
    shared.handling.store(false, Ordering::Relaxed);
}

/// Takes an external interrupt and forgets it: an inter-processor interrupt, made by a test, is also taken back.
fn acknowledge() {
    let source = hcall::call(hcall::XIRR, &[]).value;
    hcall::call(hcall::IPI, &[machine::server(vcpu()), 0xff]);
    hcall::call(hcall::EOI, &[source]);
}

/// Keeps what happened, and makes `guard_call` return 1.
fn end_guarded(frame: &mut Frame, shared: &Shared) {
    // SAFETY: 1. `armed` says that `guarded` waits in the assembly; see `Shared`.
    let (context, trap) = unsafe { (&*shared.context.get(), &mut *shared.trap.get()) };
    *trap = Trap {
        vector: frame.vector,
        nip: frame.nip,
        msr: frame.msr,
        dar: frame.dar,
        dsisr: frame.dsisr & 0xffff_ffff,
        r3: frame.gpr[3],
    };
    frame.gpr[14..].copy_from_slice(&context.saved);
    frame.gpr[1] = context.r1;
    frame.gpr[2] = context.r2;
    frame.gpr[3] = 1;
    frame.cr = context.cr;
    frame.lr = context.lr;
    frame.nip = context.lr;
    frame.msr = MSR_BASE;
}

/// Nothing is left to go on with.
fn fatal(frame: &Frame, why: &str) -> ! {
    say!(
        "hostile: guest FAIL {why} {:#x} nip {:#x} msr {:#x} dar {:#x} dsisr {:#x}",
        frame.vector,
        frame.nip,
        frame.msr,
        frame.dar,
        frame.dsisr
    );
    say!("hostile: 0 passed, 1 failed");
    rtas::power_off(machine::known_power_off())
}

//! Further processors: started by the firmware on request, parked here, and given work one function at a time.
//!
//! ```text
//!   boot CPU                                    a further CPU
//!   ────────                                    ─────────────
//!   post: PIR, stack      ── OPAL_START_CPU ──► entry_secondary (head.rs): finds its post by PIR, takes stack and TOC
//!                                               registers that every CPU of ours has; state = Idle
//!   job, argument; state = Asked (Release) ───► sees Asked (Acquire), runs the job
//!   sees Idle (Acquire), takes the answer  ◄─── answer; state = Idle (Release)
//! ```
//!
//! Threads are known by their PIR, and these are what firmware made them: 0 and 4 for two cores of one thread, and the boot CPU may be any of them. A CPU that waits does so at very
//! low priority. Whoever waits for it has a time limit: one that does not come, or does not answer, is an error and not a hang.
//!
//! A further CPU never logs (the log's critical section knows one CPU) and never calls the firmware: what it has to say is its answer. An interrupt that it takes outside a guest is
//! reported like any other of ours, and ends the run.

use super::{load_shared_registers, opal, switch, vectors};
use crate::head::entry_secondary;
use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};
use heapless::Vec;
use ppc64_arch::cpu;
use ppc64_arch::spr::hypervisor;

/// CPUs that run us at most, the boot CPU included. Each has a stack and an area for its interrupts in the image.
pub const CPUS: usize = 8;
/// The further ones.
pub const POST_COUNT: usize = CPUS - 1;
/// Bytes from one post to the next, and of two of its words, for the entry.
pub const POST_BYTES: usize = size_of::<Post>();
/// See [`POST_BYTES`].
pub const POST_PIR: usize = offset_of!(Post, pir);
/// See [`POST_BYTES`].
pub const POST_STACK: usize = offset_of!(Post, stack);

/// Bytes of a further CPU's stack: its jobs are small.
const STACK: usize = 32 * 1024;
/// Seconds after which a CPU will not come any more. An emulator on a busy machine needs some of them.
const PATIENCE: u64 = 20;
/// A PIR that no processor has.
const NOBODY: u64 = u64::MAX;

/// What a further CPU can be given to do: a function of one number, which answers with one.
pub type Job = extern "C" fn(u64) -> u64;

/// Values of [`Post::state`].
mod state {
    /// It has not come yet.
    pub const ABSENT: u64 = 0;
    /// It waits for a job, or has answered the last one.
    pub const IDLE: u64 = 1;
    /// There is a job for it.
    pub const ASKED: u64 = 2;
}

/// Where a further CPU is met.
#[repr(C, align(128))]
pub struct Post {
    pir: AtomicU64,
    stack: AtomicU64,
    state: AtomicU64,
    job: AtomicU64,
    argument: AtomicU64,
    answer: AtomicU64,
    /// The LPCR that firmware left the boot CPU with.
    lpcr: AtomicU64,
}

#[repr(C, align(128))]
struct Stacks([[AtomicU64; STACK / 8]; POST_COUNT]);

/// The posts, as `entry_secondary` looks through them.
pub static POSTS: [Post; POST_COUNT] = [const { Post::new() }; POST_COUNT];
static STACKS: Stacks = Stacks([const { [const { AtomicU64::new(0) }; STACK / 8] }; POST_COUNT]);

/// Why a CPU was not started, or gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuError {
    /// There is no firmware that could start it.
    NoFirmware,
    /// The firmware's code.
    Firmware(i64),
    /// It did not come in time.
    Late,
    /// There is no post left for it.
    NoPost,
    /// It was given a job, and has not answered in time.
    Silent,
}

/// A further CPU that was started. Holding it is what allows to give it work.
#[derive(Debug)]
pub struct Started {
    index: usize,
    pir: u32,
    patience: u64,
}

/// The further CPUs that were started.
pub type All = Vec<Started, POST_COUNT>;

impl Post {
    const fn new() -> Self {
        let [pir, stack, state, job, argument, answer, lpcr] = [const { AtomicU64::new(0) }; 7];
        Self { pir, stack, state, job, argument, answer, lpcr }
    }
}

/// Starts the thread with this PIR as the next one in `all`. `hz` is the timebase's.
///
/// # Errors
/// See [`CpuError`].
pub fn start(all: &mut All, pir: u32, hz: u64) -> Result<&Started, CpuError> {
    let index = all.len();
    let post = POSTS.get(index).ok_or(CpuError::NoPost)?;
    if !opal::is_there() {
        return Err(CpuError::NoFirmware);
    }
    // Posts behind this one belong to nobody: PIR 0 may be asked for.
    POSTS[index + 1..].iter().for_each(|post| post.pir.store(NOBODY, Ordering::Relaxed));
    let stack = (&raw const STACKS.0[index]).addr() + STACK;
    post.pir.store(u64::from(pir), Ordering::Relaxed);
    post.stack.store(stack as u64, Ordering::Relaxed);
    post.lpcr.store(hypervisor::lpcr(), Ordering::Relaxed);
    post.state.store(state::ABSENT, Ordering::Relaxed);
    // All of it before the CPU can look.
    cpu::hwsync();
    let entry = (entry_secondary as *const ()).addr() as u64;
    // SAFETY: 1. the entry is made for a CPU in that state; 2. the stack is this post's own, and no other CPU has this PIR.
    unsafe { opal::start_cpu(pir, entry) }.map_err(CpuError::Firmware)?;
    let started = Started { index, pir, patience: hz.saturating_mul(PATIENCE) };
    if !until(started.patience, || started.post().state.load(Ordering::Acquire) == state::IDLE) {
        // It may still come: nobody else gets its post.
        _ = all.push(started);
        return Err(CpuError::Late);
    }
    _ = all.push(started);
    all.last().ok_or(CpuError::NoPost)
}

/// Whether the far end of each further CPU's stack is as it was at the beginning: zeros.
#[must_use]
pub fn stacks_are_sound() -> bool {
    const END: usize = 32;
    STACKS.0.iter().all(|stack| stack[..END].iter().all(|word| word.load(Ordering::Relaxed) == 0))
}

/// Waits until `done`, at most so many ticks; whether it was.
pub fn until(ticks: u64, mut done: impl FnMut() -> bool) -> bool {
    let start = cpu::timebase();
    loop {
        if done() {
            return true;
        }
        if cpu::timebase().wrapping_sub(start) > ticks {
            return done();
        }
        cpu::very_low_priority();
        cpu::medium_priority();
    }
}

impl Started {
    /// Its PIR.
    pub const fn pir(&self) -> u32 {
        self.pir
    }

    /// Whether it waits for work.
    pub fn is_idle(&self) -> bool {
        self.post().state.load(Ordering::Acquire) == state::IDLE
    }

    /// Has it run `job`, does something else meanwhile, and waits for the answer.
    ///
    /// # Errors
    /// [`CpuError::Silent`]; the CPU is then never given anything again, since it is not [idle](Self::is_idle).
    pub fn run<R>(&self, job: Job, argument: u64, meanwhile: impl FnOnce() -> R) -> Result<(u64, R), CpuError> {
        let post = self.post();
        if !self.is_idle() {
            return Err(CpuError::Silent);
        }
        post.job.store((job as *const ()).expose_provenance() as u64, Ordering::Relaxed);
        post.argument.store(argument, Ordering::Relaxed);
        // Release: what the job reads was stored before.
        post.state.store(state::ASKED, Ordering::Release);
        let other = meanwhile();
        if until(self.patience, || self.is_idle()) {
            Ok((post.answer.load(Ordering::Relaxed), other))
        } else {
            Err(CpuError::Silent)
        }
    }

    fn post(&self) -> &'static Post {
        &POSTS[self.index]
    }
}

/// Where a further CPU comes to, on a stack of its own.
pub extern "C" fn secondary(post: &'static Post) -> ! {
    vectors::be_host();
    let index = POSTS.iter().position(|each| core::ptr::eq(each, post)).unwrap_or(0);
    switch::arm(index + 1);
    load_shared_registers();
    // SAFETY: 1. what firmware left the boot CPU with, under which no guest runs; 2. partition 0 is the hypervisor's own.
    unsafe {
        hypervisor::set_lpcr(post.lpcr.load(Ordering::Relaxed));
        hypervisor::set_lpidr(0);
    }
    cpu::isync();
    post.state.store(state::IDLE, Ordering::Release);
    loop {
        // Acquire: the job and what it reads, as `run` stored them.
        while post.state.load(Ordering::Acquire) != state::ASKED {
            cpu::very_low_priority();
        }
        cpu::medium_priority();
        let answer = work(post);
        post.answer.store(answer, Ordering::Relaxed);
        // Release: what the job stored is there for whoever sees it idle.
        post.state.store(state::IDLE, Ordering::Release);
    }
}

/// Runs the job at a post.
fn work(post: &Post) -> u64 {
    let job: *const () = core::ptr::with_exposed_provenance(crate::memory::index(post.job.load(Ordering::Relaxed)));
    // SAFETY: 1. `Started::run` stored a `Job` there before it asked.
    let job = unsafe { core::mem::transmute::<*const (), Job>(job) };
    job(post.argument.load(Ordering::Relaxed))
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFirmware => f.write_str("no firmware that could start it"),
            Self::Firmware(code) => write!(f, "the firmware answers {code}"),
            Self::Late => f.write_str("started, and did not come in time"),
            Self::NoPost => write!(f, "left alone: {CPUS} CPUs are started at most"),
            Self::Silent => f.write_str("came, and does not answer"),
        }
    }
}

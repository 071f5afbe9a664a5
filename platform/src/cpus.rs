//! Further processors: started by whoever is below us on request, parked here, and given work one function at a time.
//!
//! ```text
//!   boot CPU                                     a further CPU
//!   ────────                                     ─────────────
//!   post: its number, stack ── start it ──────► entry_secondary (head.rs): finds its post by that number, takes stack and TOC
//!                                                registers that every CPU of ours has; state = Idle
//!   job, argument; state = Asked (Release); kick ► sees Asked (Acquire), runs the job
//!   sees Idle (Acquire), takes the answer   ◄─── answer; state = Idle (Release)
//! ```
//!
//! Firmware knows threads by numbers of its own: PIRs with OPAL (0 and 4 for two cores of one thread, and the boot CPU may be any of them), interrupt servers with RTAS. Here the boot CPU is
//! number 0, and the others are counted in the order in which they were started; which one it is a CPU sees at its stack ([`crate::memory::cpu`]).
//!
//! A CPU that waits does so at very low priority for a moment, and then asleep until it is kicked: a kick that comes before it sleeps ends the sleep, so none is lost between the look at the
//! post and the sleep. Whoever waits for it in a self-test, or for its start, has a time limit: one that does not come, or does not answer, is an error and not a hang.

use crate::below::{self, Kind};
use crate::boot::fdt::Machine;
use crate::head::entry_secondary;
use crate::powernv::opal;
use crate::pseries::rtas;
use crate::{powernv, pseries};
use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use heapless::Vec;
use ppc64_arch::cpu;
use ppc64_arch::spr::hypervisor;

/// CPUs that run us at most, the boot CPU included. Each has stacks, and an area for its interrupts, in the image.
pub const CPUS: usize = 8;
/// The further ones.
pub const POST_COUNT: usize = CPUS - 1;
/// Bytes from one post to the next, and of two of its words, for the entry.
pub const POST_BYTES: usize = size_of::<Post>();
/// See [`POST_BYTES`].
pub const POST_ID: usize = offset_of!(Post, id);
/// See [`POST_BYTES`].
pub const POST_STACK: usize = offset_of!(Post, stack);

/// Seconds after which a CPU will not come any more. An emulator on a busy machine needs some of them.
const PATIENCE: u64 = 20;
/// Ticks for which a CPU waits awake: half a millisecond.
const AWAKE: u64 = 1 << 18;
/// A number that no processor has.
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
    id: AtomicU64,
    stack: AtomicU64,
    state: AtomicU64,
    job: AtomicU64,
    argument: AtomicU64,
    answer: AtomicU64,
    /// The LPCR that firmware left the boot CPU with.
    lpcr: AtomicU64,
}

/// The posts, as `entry_secondary` looks through them.
pub static POSTS: [Post; POST_COUNT] = [const { Post::new() }; POST_COUNT];
/// How many CPUs there are for [`on_each`].
static COUNT: AtomicUsize = AtomicUsize::new(1);
/// The boot CPU's number for whoever is below us.
static BOOT: AtomicU64 = AtomicU64::new(NOBODY);

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
    id: u32,
    patience: u64,
}

/// The further CPUs that were started.
pub type All = Vec<Started, POST_COUNT>;

impl Post {
    const fn new() -> Self {
        let [id, stack, state, job, argument, answer, lpcr] = [const { AtomicU64::new(0) }; 7];
        Self { id, stack, state, job, argument, answer, lpcr }
    }

    /// Whether its CPU waits for work.
    fn is_idle(&self) -> bool {
        self.state.load(Ordering::Acquire) == state::IDLE
    }

    /// Puts a job there; its CPU has to be kicked.
    fn ask(&self, job: Job, argument: u64) {
        self.job.store((job as *const ()).expose_provenance() as u64, Ordering::Relaxed);
        self.argument.store(argument, Ordering::Relaxed);
        // Release: what the job reads was stored before.
        self.state.store(state::ASKED, Ordering::Release);
    }

    /// Waits for a job, awake for a moment, then asleep. Acquire: the job and what it reads, as `ask` stored them.
    fn wait(&self) {
        let asked = || self.state.load(Ordering::Acquire) == state::ASKED;
        if !until(AWAKE, asked) {
            while !asked() {
                below::rest();
            }
        }
    }
}

/// Starts further CPUs until there are `wanted`, or as many as there can be; how many there are with the boot CPU.
pub fn start_all(machine: &Machine, wanted: usize) -> usize {
    let boot = match below::kind() {
        Kind::Pseries => u64::from(machine.server),
        Kind::PowerNv => hypervisor::pir(),
    };
    BOOT.store(boot, Ordering::Relaxed);
    let mut all = All::new();
    for &id in machine.cores.iter().flatten().filter(|id| u64::from(**id) != boot) {
        if all.len() + 1 >= wanted.min(CPUS) {
            break;
        }
        if let Err(why) = start(&mut all, id, machine.timebase_hz) {
            defmt::warn!("CPU {=u32}: {}", id, defmt::Display2Format(&why));
            // One that may still come keeps its post, and is not counted; its number would be missing in between.
            break;
        }
    }
    let came = all.iter().take_while(|started| started.is_idle()).count();
    COUNT.store(came + 1, Ordering::Relaxed);
    defmt::info!("{=u64} CPUs run us", came as u64 + 1);
    came + 1
}

/// Runs `job` with each CPU's number on all of them at once, this one included, which is the boot CPU; returns when all are done.
pub fn on_each(job: &(dyn Fn(usize) + Sync)) {
    let others = &POSTS[..count() - 1];
    // The pointer to it has two words; where these stand is one.
    let argument = (&raw const job).expose_provenance() as u64;
    for (index, post) in others.iter().enumerate() {
        post.ask(each, argument);
        kick(index + 1);
    }
    job(0);
    others.iter().for_each(|post| {
        while !post.is_idle() {
            cpu::very_low_priority();
        }
    });
    cpu::medium_priority();
}

/// How many CPUs there are for [`on_each`]: 1 until others were started.
#[must_use]
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// A further CPU's part of [`on_each`].
extern "C" fn each(argument: u64) -> u64 {
    let job: *const &(dyn Fn(usize) + Sync) = core::ptr::with_exposed_provenance(crate::memory::index(argument));
    // SAFETY: 1. `on_each` put it there, and does not return before this has; 2. it may be called on any CPU.
    let job = unsafe { *job };
    job(crate::memory::cpu());
    0
}

/// Makes a CPU leave the guest, or its sleep, soon. Never waits.
pub fn kick(cpu: usize) {
    match (number(cpu), below::kind()) {
        (None, _) => {}
        (Some(server), Kind::Pseries) => pseries::xics::kick(server),
        // SAFETY: 1. this kind of machine has hypervisor state.
        (Some(pir), Kind::PowerNv) => unsafe { cpu::ring(pir) },
    }
}

/// The number by which whoever is below us knows a CPU.
#[must_use]
pub fn number(cpu: usize) -> Option<u32> {
    let id = match cpu.checked_sub(1) {
        None => &BOOT,
        Some(index) => &POSTS.get(index)?.id,
    };
    u32::try_from(id.load(Ordering::Relaxed)).ok()
}

/// Starts the thread that is known below by this number as the next one in `all`. `hz` is the timebase's.
///
/// # Errors
/// See [`CpuError`].
pub fn start(all: &mut All, id: u32, hz: u64) -> Result<&Started, CpuError> {
    let index = all.len();
    let post = POSTS.get(index).ok_or(CpuError::NoPost)?;
    // Posts behind this one belong to nobody: number 0 may be asked for.
    POSTS[index + 1..].iter().for_each(|post| post.id.store(NOBODY, Ordering::Relaxed));
    post.id.store(u64::from(id), Ordering::Relaxed);
    post.stack.store(crate::memory::stack_top(index + 1), Ordering::Relaxed);
    post.state.store(state::ABSENT, Ordering::Relaxed);
    if below::kind() == Kind::PowerNv {
        post.lpcr.store(hypervisor::lpcr(), Ordering::Relaxed);
    }
    // All of it before the CPU can look.
    cpu::hwsync();
    begin(id)?;
    let started = Started { index, id, patience: hz.saturating_mul(PATIENCE) };
    let came = until(started.patience, || started.is_idle());
    // If it may still come, nobody else gets its post.
    _ = all.push(started);
    if came { all.last().ok_or(CpuError::NoPost) } else { Err(CpuError::Late) }
}

/// Asks whoever is below us.
fn begin(id: u32) -> Result<(), CpuError> {
    let entry = (entry_secondary as *const ()).addr() as u64;
    match below::kind() {
        Kind::PowerNv if !opal::is_there() => Err(CpuError::NoFirmware),
        // SAFETY: 1. the entry is made for a CPU in that state; 2. the stack is its post's own, and no other CPU has this number.
        Kind::PowerNv => unsafe { opal::start_cpu(id, entry) }.map_err(CpuError::Firmware),
        // SAFETY: 1. and 2. as above.
        Kind::Pseries => unsafe { rtas::start_cpu(id, entry) }.map_err(CpuError::Firmware),
    }
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
    /// Its number for whoever is below us: the PIR under OPAL.
    pub const fn pir(&self) -> u32 {
        self.id
    }

    /// Whether it waits for work.
    pub fn is_idle(&self) -> bool {
        self.post().is_idle()
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
        post.ask(job, argument);
        kick(self.index + 1);
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
    match below::kind() {
        Kind::Pseries => pseries::come(),
        Kind::PowerNv => powernv::come(post.lpcr.load(Ordering::Relaxed)),
    }
    post.state.store(state::IDLE, Ordering::Release);
    loop {
        post.wait();
        let answer = work(post);
        post.answer.store(answer, Ordering::Relaxed);
        // Release: what the job stored is there for whoever sees it idle.
        post.state.store(state::IDLE, Ordering::Release);
    }
}

/// Runs the job at a post.
fn work(post: &Post) -> u64 {
    let job: *const () = core::ptr::with_exposed_provenance(crate::memory::index(post.job.load(Ordering::Relaxed)));
    // SAFETY: 1. `Post::ask` stored a `Job` there.
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

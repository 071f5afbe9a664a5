//! The other vCPUs: a case starts them with a job, and each stops when it has done its own.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::machine::{MOST, Machine};
use crate::report::{Verdict, fail};
use crate::{smp, trap};

/// What a vCPU is to do; its number among ours. A vCPU that is reset meanwhile, and said so before, does it once more.
pub type Job = fn(&Machine, usize);

unsafe extern "C" {
    fn started();
}

static TREE: AtomicU64 = AtomicU64::new(0);
static JOB: AtomicUsize = AtomicUsize::new(0);
/// How often each has begun a job.
static BEGUN: [AtomicUsize; MOST] = [const { AtomicUsize::new(0) }; MOST];
/// What somebody wants to say, and about what: the first of them.
static COMPLAINT: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Where the device tree is, for those that are started later.
pub fn set_tree(tree: u64) {
    TREE.store(tree, Ordering::Release);
}

/// All other vCPUs do the job while this one does `first`; they have stopped when it returns, unless it failed.
pub fn with_others(machine: &Machine, job: Job, first: impl FnOnce() -> Verdict) -> Verdict {
    all_stopped(machine)?;
    COMPLAINT[0].store(0, Ordering::Relaxed);
    set_job(job);
    for vcpu in 1..machine.servers().len() {
        let status = start(machine, vcpu);
        if status != 0 {
            fail!("start-cpu of vCPU {vcpu} answered {status}");
        }
    }
    first()?;
    all_stopped(machine)?;
    match [0, 1].map(|n: usize| COMPLAINT[n].swap(0, Ordering::Relaxed)) {
        [0, _] => Ok(()),
        [about, what] => fail!("a vCPU complains: {about:#x} {:#x}", what),
    }
}

/// What is done by the vCPUs that are started from now on.
pub fn set_job(job: Job) {
    JOB.store(job as usize, Ordering::Release);
}

/// Starts one: the status.
pub fn start(machine: &Machine, vcpu: usize) -> i32 {
    smp::start(machine, machine.servers()[vcpu], entry(), vcpu as u64)
}

/// Where a vCPU has to be started.
pub fn entry() -> u64 {
    started as *const () as u64
}

/// Waits for all others.
pub fn all_stopped(machine: &Machine) -> Verdict {
    for &server in &machine.servers()[1..] {
        if !smp::has_stopped(machine, server) {
            fail!("vCPU {server} does not stop");
        }
    }
    Ok(())
}

/// How often a vCPU has begun a job, anew or not.
pub fn begun(vcpu: usize) -> usize {
    BEGUN[vcpu].load(Ordering::Acquire)
}

/// Something went wrong in a job.
pub fn complain(about: u64, what: u64) {
    if COMPLAINT[0].compare_exchange(0, about, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        COMPLAINT[1].store(what, Ordering::Relaxed);
    }
}

/// What a vCPU does that was started, or begins anew.
pub fn work(vcpu: usize) -> ! {
    BEGUN[vcpu].fetch_add(1, Ordering::AcqRel);
    trap::set_decrementer(trap::FAR);
    let machine = Machine::discover(TREE.load(Ordering::Acquire));
    if let Ok(machine) = &machine {
        // SAFETY: 1. It was stored by `set_job`, before this vCPU was started.
        let job: Job = unsafe { core::mem::transmute(JOB.load(Ordering::Acquire)) };
        job(machine, vcpu);
    }
    loop {
        if let Some(token) = machine.as_ref().ok().and_then(|machine| machine.token("stop-self")) {
            complain(0x57_0b, smp::stop_self(token).cast_unsigned().into());
        }
        smp::relax();
    }
}

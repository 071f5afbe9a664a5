//! Where each CPU is, for whoever waits for it in vain: written at each stay's beginning and end, a few stores each, and read by others.
//!
//! A record is for people. Its words are stored one by one: what is read may be of two stays.

use crate::cpus::CPUS;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

/// One CPU's record.
#[repr(C, align(128))]
struct Record {
    /// The vCPU that it entered last: the partition in the upper half, its number plus one in the lower. 0: none yet.
    vcpu: AtomicU64,
    /// Where the vCPU was when it was entered, or has left since.
    nip: AtomicU64,
    /// Whether it is in the guest.
    inside: AtomicU64,
    /// The timebase when it left last.
    left: AtomicU64,
}

static RECORDS: [Record; CPUS] = [const { Record::new() }; CPUS];

impl Record {
    const fn new() -> Self {
        let [vcpu, nip, inside, left] = [const { AtomicU64::new(0) }; 4];
        Self { vcpu, nip, inside, left }
    }
}

/// CPU `cpu` is about to enter a vCPU at `nip`.
pub fn enters(cpu: usize, lpid: u32, vcpu: u32, nip: u64) {
    let Some(record) = RECORDS.get(cpu) else { return };
    record.vcpu.store(u64::from(lpid) << 32 | (u64::from(vcpu) + 1), Ordering::Relaxed);
    record.nip.store(nip, Ordering::Relaxed);
    record.inside.store(1, Ordering::Relaxed);
}

/// It has left, at the timebase `now`.
pub fn left(cpu: usize, nip: u64, now: u64) {
    let Some(record) = RECORDS.get(cpu) else { return };
    record.nip.store(nip, Ordering::Relaxed);
    record.left.store(now, Ordering::Relaxed);
    record.inside.store(0, Ordering::Relaxed);
}

/// What is known of a CPU, in words.
#[must_use]
pub fn of(cpu: usize) -> Seen {
    let Some(record) = RECORDS.get(cpu) else { return Seen { cpu, ..Seen::default() } };
    let word = |word: &AtomicU64| word.load(Ordering::Relaxed);
    Seen {
        cpu,
        vcpu: word(&record.vcpu),
        nip: word(&record.nip),
        inside: word(&record.inside) != 0,
        left: word(&record.left),
    }
}

/// A record as it was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    cpu: usize,
    vcpu: u64,
    nip: u64,
    inside: bool,
    left: u64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, vcpu, nip, inside, left } = *self;
        let (lpid, vcpu) = (vcpu >> 32, vcpu & 0xffff_ffff);
        match (vcpu.checked_sub(1), inside) {
            (None, _) => return write!(f, "CPU {cpu} has entered no guest yet"),
            (Some(vcpu), true) => write!(f, "CPU {cpu} is in vCPU {vcpu} of partition {lpid}, entered at {nip:#x}")?,
            (Some(vcpu), false) => write!(f, "CPU {cpu} has left vCPU {vcpu} of partition {lpid} at {nip:#x}")?,
        }
        write!(f, "; it left last at {left}, and now is {}", ppc64_arch::cpu::timebase())
    }
}

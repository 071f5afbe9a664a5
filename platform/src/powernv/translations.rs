//! Guests' translations: the partition table, and `tlbie` to forget what was cached of it.

use crate::hardware::Translations;
use crate::partitions;
use hv_core::mmu::Flush;
use ppc64_arch::cpu::{ptesync, tlb_complete, tlbie};
use ppc64_arch::errata::Errata;
use ppc64_arch::tlbie::{Cached, Operands};
use spin::Once;

/// What this machine gets wrong.
static ERRATA: Once<Errata> = Once::new();

/// Makes known what the machine gets wrong; the first call counts.
pub fn init(errata: Errata) {
    ERRATA.call_once(|| errata);
}

/// The hardware's way with translations.
#[derive(Debug)]
pub struct Tlbie;

impl Translations for Tlbie {
    fn broadcasts(&self) -> bool {
        true
    }

    fn flush(&self, what: Flush) {
        let errata = ERRATA.get().copied().unwrap_or_default();
        // Entries as they are now before what looks them up after the flush.
        ptesync();
        match what {
            Flush::Range { lpid, .. } if errata.tlbie_page_by_effective_address => {
                drop_all(Operands::translations(lpid))
            }
            Flush::Range { lpid, from, to, size } => {
                let step = crate::memory::index(size.bytes());
                for at in (from.raw()..to.raw()).step_by(step) {
                    drop_all(Operands::page(lpid, ppc64_arch::addr::GuestReal::new(at), size));
                }
            }
            Flush::Partition { lpid } => drop_all(Operands::partition(lpid, Cached::Everything)),
        }
        complete(errata, what);
    }

    fn kick(&self, _cpu: usize) {
        // Flushes reach every CPU: nobody has to leave the guest for one.
    }

    fn set_partition(&self, lpid: u32, scoped: u64, process: u64) {
        if partitions::write(lpid, scoped, process) {
            self.flush(Flush::Partition { lpid });
        }
    }
}

fn drop_all(operands: Operands) {
    // SAFETY: 1. this platform is chosen in hypervisor state only.
    unsafe { tlbie(operands) }
}

/// Waits until every CPU is done, the ways around POWER9's errata included.
fn complete(errata: Errata, what: Flush) {
    if errata.tlbie_repeated {
        // SAFETY: 1. as above. A fence between the first and its repetition, as the erratum's description has it.
        ptesync();
        drop_all(again(what));
    }
    if errata.tlbie_misses_erat {
        ptesync();
        drop_all(Operands::page(0, ppc64_arch::addr::GuestReal::new(0), ppc64_arch::addr::LeafSize::Size4K));
    }
    // SAFETY: 1. as above.
    unsafe { tlb_complete() }
}

/// The last `tlbie` of a flush.
fn again(what: Flush) -> Operands {
    match what {
        Flush::Range { lpid, to, size, .. } => {
            let last = ppc64_arch::addr::GuestReal::new(to.raw().saturating_sub(size.bytes()));
            Operands::page(lpid, last, size)
        }
        Flush::Partition { lpid } => Operands::partition(lpid, Cached::Everything),
    }
}

//! One CPU's side of translation: what it has cached, and which updates of R and C it still owes.

use crate::recording::{Pending, Recording, set_now};
use crate::tables::WalkCache;
use crate::tlb::Tlb;
use crate::translate::{Translation, Walked, walk};
use crate::{Arena, Fault};
use hv_core::mmu::{Access, Flush};
use ppc64_arch::addr::GuestReal;

/// Looks at an entry that somebody else keeps changing before the test is ended.
const LOOKS: u32 = 1 << 16;

/// What a CPU knows of the tables.
#[derive(Debug, Default)]
pub(crate) struct CpuState {
    pub(crate) tlb: Tlb,
    pub(crate) tables: WalkCache,
    pub(crate) pending: Vec<Pending>,
}

/// What an access looks things up in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Partition<'a> {
    pub(crate) arena: &'a Arena,
    /// Doubleword 0 of its partition table entry.
    pub(crate) pate: u64,
    pub(crate) lpid: u32,
}

impl CpuState {
    /// The translation by which `access` reaches `at`, and whether it had to be walked for.
    pub(crate) fn translate(
        &mut self,
        partition: Partition<'_>,
        recording: Recording,
        at: GuestReal,
        access: Access,
    ) -> Result<(Translation, bool), Fault> {
        if let Some(hit) = self.tlb.find(partition.lpid, at)
            && hit.permits(access)
            && let Some(used) = self.record(partition.arena, recording, hit, access)
        {
            return Ok((used, false));
        }
        for _ in 0..LOOKS {
            let found = self.look(partition, at).ok_or(Fault { access, at, protection: false })?;
            if !found.permits(access) || recording == Recording::Software && found.lacks(access) != 0 {
                return Err(Fault { access, at, protection: true });
            }
            if let Some(used) = self.record(partition.arena, recording, found, access) {
                return Ok((used, true));
            }
        }
        panic!("the entry of {at} never stays as it was walked");
    }

    /// Walks, and caches what was found, whatever it permits.
    pub(crate) fn look(&mut self, partition: Partition<'_>, at: GuestReal) -> Option<Translation> {
        match walk(partition.arena, Some(&mut self.tables), partition.pate, partition.lpid, at) {
            Walked::Found(found) => {
                self.tlb.insert(found);
                Some(found)
            }
            Walked::Absent => None,
            Walked::Broken(why) => panic!("the hardware met a tree that it does not take: {why}"),
        }
    }

    /// Sees to R and C. `None` if the entry has changed under the cached one, which is dropped then, or if that is software's to see to.
    fn record(&mut self, arena: &Arena, recording: Recording, of: Translation, access: Access) -> Option<Translation> {
        let bits = of.lacks(access);
        if bits == 0 {
            return Some(of);
        }
        let recorded = match recording {
            Recording::Software => false,
            Recording::AtOnce => set_now(arena, &of, bits),
            Recording::Late => {
                self.pending.push(Pending { of, bits });
                true
            }
        };
        if !recorded {
            self.tlb.remove(&of);
            return None;
        }
        let used = Translation { leaf: of.leaf | bits, ..of };
        self.tlb.insert(used);
        Some(used)
    }

    /// Completes what `flush` covers, and forgets it. With `speculates`, the CPU then walks again for what it has just forgotten, as one that is in the guest may.
    pub(crate) fn flush(&mut self, partition: Partition<'_>, flush: &Flush, speculates: bool) {
        self.deliver(partition.arena, |pending| pending.is_covered(flush));
        let gone = match *flush {
            Flush::Range { lpid, from, to, size } => self.tlb.forget_range(lpid, from.raw(), to.raw(), size),
            Flush::Partition { lpid } => {
                self.tables.forget(lpid);
                self.tlb.forget(lpid)
            }
        };
        if speculates {
            for old in gone {
                let _cached_if_there = self.look(partition, GuestReal::new(old.page));
            }
        }
    }

    /// Carries out the updates of R and C that are meant. How many.
    pub(crate) fn deliver(&mut self, arena: &Arena, is_meant: impl Fn(&Pending) -> bool) -> usize {
        let before = self.pending.len();
        self.pending.retain(|pending| {
            let meant = is_meant(pending);
            if meant {
                pending.deliver(arena);
            }
            !meant
        });
        before - self.pending.len()
    }
}

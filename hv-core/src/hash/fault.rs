//! Storage interrupts of a hash guest: from what the registers say to an entry that is shown, or to whose error it is.
//!
//! ```text
//!   ASDR, effective address ─► virtual address ─ find ─┬─ nowhere ─► the guest's interrupt; in real mode an entry is made
//!                                                      ├─ moving ──► look again
//!                                                      └─ entry ─► forbidden by the guest ─► the guest's interrupt
//!                                                                  a device ─────────────► the hypervisor's access
//!                                                                  memory ─ prepare ─ commit ─┬─ Same, NotSame and enough ─► resume
//!                                                                                             └─ NotSame, Retry ──────────► look again
//! ```
//!
//! Everything in the registers is a claim: what they say picks an entry of the guest's own table, and what that entry says is looked at here and not believed from HDSISR.

use super::calls::Refusal;
use super::calls::enter::{Twins, Wish, real_mode};
use super::commit::Commit;
use super::find::{Found, Sought};
use super::lock::Glance;
use super::machine::{Backing, Translations};
use super::table::Hpt;
use crate::mmu::{Access, Resolution};
use crate::sync::relax;
use ppc64_arch::addr::{EffAddr, GuestReal};
use ppc64_arch::hash::protection::Forbidden;
use ppc64_arch::hash::table::Hashed;
use ppc64_arch::hash::{Pages, VsidWord, Word1, protection};
use ppc64_arch::trap::Dsisr;

/// How often a fault looks again before it says so.
const TRIES: usize = if cfg!(loom) { 3 } else { 8 };

/// A hypervisor storage interrupt of a hash guest, as the registers have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// HDAR, or the next instruction's address for a fetch.
    pub ea: EffAddr,
    /// ASDR: the VSID word of the segment, or of the virtual real mode area.
    pub asdr: VsidWord,
    /// Load, store or fetch.
    pub access: Access,
    /// MSR\[PR\].
    pub problem_state: bool,
    /// The guest's AMR.
    pub amr: u64,
    /// The guest's IAMR.
    pub iamr: u64,
}

/// What has to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The access can be tried again.
    Resume,
    /// The guest's own DSI, with this DSISR; or its ISI, whose causes stand at the same bits of SRR1.
    Reflect(Dsisr),
    /// A device's address: the hypervisor does the access.
    Device(GuestReal),
    /// The guest's memory says so; never [`Resolution::Resume`].
    Memory(Resolution),
    /// Others are at the entry or its memory all the time: to be tried again after something else.
    Busy,
}

/// One look.
pub(super) enum Look {
    /// That is the end of it.
    End(Outcome),
    /// Something moved, or was made: another look.
    Again,
    /// The guest's entry lets the access through: its page has to be there.
    Wanted(Wanted),
}

/// A page that an entry of the guest's wants, as it was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    seen: Glance,
    pages: Pages,
    /// Where the access goes.
    at: GuestReal,
    access: Access,
}

impl Wanted {
    /// Makes the page. What it says is no [`Resolution::Resume`] has to be done instead.
    pub(super) fn prepare<B: Backing>(&self, backing: &B) -> Result<(), Outcome> {
        match backing.prepare(self.at, self.pages.actual(), self.access) {
            Resolution::Resume => Ok(()),
            other => Err(Outcome::Memory(other)),
        }
    }
}

/// How often a fault is looked at before it is said that others are at it all the time.
pub(super) fn patiently(mut attempt: impl FnMut() -> Option<Outcome>) -> Outcome {
    for _ in 0..TRIES {
        if let Some(outcome) = attempt() {
            return outcome;
        }
        relax();
    }
    Outcome::Busy
}

impl<T: Translations> Hpt<'_, T> {
    /// Resolves a storage interrupt.
    pub fn fault<B: Backing>(&self, backing: &B, fault: &Fault) -> Outcome {
        patiently(|| match self.look(backing, fault) {
            Look::End(outcome) => Some(outcome),
            Look::Again => None,
            Look::Wanted(wanted) => match wanted.prepare(backing) {
                Ok(()) => self.settle(backing, &wanted),
                Err(outcome) => Some(outcome),
            },
        })
    }

    /// What the guest's entries say about a fault.
    pub(super) fn look<B: Backing>(&self, backing: &B, fault: &Fault) -> Look {
        let nothing = Look::End(Outcome::Reflect(causes(fault, Dsisr::NO_TRANSLATION)));
        let Some(sought) = sought(fault) else { return nothing };
        match self.find(sought) {
            Found::Entry(seen, pages) => match resolve(fault, seen, pages) {
                // No commit compares what the guest is told of an entry.
                Look::End(_) if !self.is_still(seen) => Look::Again,
                look => look,
            },
            Found::Moving => Look::Again,
            Found::Nowhere if fault.asdr.is_real_mode() => self.make_real(backing, fault, sought),
            Found::Nowhere => nothing,
        }
    }

    /// Shows the entry, if all is as it was seen, and its page is there by now. `None`: another look. The one place that turns a lost race into what it is.
    pub(super) fn settle<B: Backing>(&self, backing: &B, wanted: &Wanted) -> Option<Outcome> {
        match self.commit(backing, wanted.seen, wanted.pages, wanted.access) {
            Commit::Same | Commit::NotSame { enough: true } => Some(Outcome::Resume),
            Commit::NotSame { enough: false } | Commit::Retry => None,
        }
    }

    /// Makes an entry for real mode, which no guest has to make for itself: in either group. The fault then finds it.
    ///
    /// A guest that has filled both has to lose one of its own: the kernel cannot do without real mode. It takes entries away itself where it finds no room, and those that it cannot do without it marks; R and C of one that goes are
    /// lost, as when the table changes.
    fn make_real<B: Backing>(&self, backing: &B, fault: &Fault, sought: Sought) -> Look {
        let nothing = Look::End(Outcome::Reflect(causes(fault, Dsisr::NO_TRANSLATION)));
        let Some(pages) = Pages::new(sought.base, sought.base) else { return nothing };
        let at = sought.at.align_down(sought.base);
        let hash = Hashed::of(at, sought.segment, sought.base);
        let groups = [false, true].map(|secondary| self.shape().group(hash, secondary));
        for (secondary, group) in [false, true].into_iter().zip(groups) {
            let wish = Wish::of(backing, real_mode(at, pages, secondary));
            let listed = wish.and_then(|wish| Ok((wish, self.list_for(wish)?)));
            let Ok((wish, Some(list))) = listed else { return nothing };
            match self.any(group) {
                Ok(free) => {
                    self.fill(backing, free, wish, Some(list), Twins::NoneIn(groups));
                    return Look::Again;
                }
                Err(Refusal::Busy) => return Look::Again,
                Err(_) => {}
            }
        }
        if groups.into_iter().any(|group| self.make_room(group)) { Look::Again } else { nothing }
    }
}

/// What the guest's entry, as it was seen, makes of the access.
fn resolve(fault: &Fault, seen: Glance, pages: Pages) -> Look {
    let Fault { asdr, access, problem_state, .. } = *fault;
    // Class keys are translation's: with that off hardware does not look at them.
    let (amr, iamr) = if asdr.is_real_mode() { (0, 0) } else { (fault.amr, fault.iamr) };
    if let Some(why) = seen.view.forbids(needed(access), asdr, problem_state, amr, iamr) {
        return Look::End(Outcome::Reflect(causes(fault, forbidden(why))));
    }
    let at = GuestReal::new(seen.view.real(pages) | fault.ea.raw() & pages.actual().offset_mask());
    if seen.view.contains(Word1::INHIBITED) {
        return Look::End(Outcome::Device(at));
    }
    Look::Wanted(Wanted { seen, pages, at, access })
}

/// The virtual address, if the registers say one that there is.
fn sought(fault: &Fault) -> Option<Sought> {
    let (segment, base) = (fault.asdr.segment()?, fault.asdr.base()?);
    Some(Sought { at: fault.asdr.translate(fault.ea)?, segment, base })
}

const fn needed(access: Access) -> protection::Wanted {
    match access {
        Access::Read => protection::Wanted::Read,
        Access::Write => protection::Wanted::Write,
        Access::Fetch => protection::Wanted::Fetch,
    }
}

const fn forbidden(why: Forbidden) -> Dsisr {
    match why {
        Forbidden::Protection => Dsisr::PROTECTION,
        Forbidden::NoExecute => Dsisr::ATTRIBUTE,
        Forbidden::ClassKey => Dsisr::KEY,
    }
}

const fn causes(fault: &Fault, cause: Dsisr) -> Dsisr {
    match fault.access {
        Access::Write => cause.union(Dsisr::STORE),
        Access::Read | Access::Fetch => cause,
    }
}

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
use super::machine::{Backing, Kind, Translations};
use super::table::Hpt;
use crate::mmu::{Access, Resolution};
use crate::sync::relax;
use ppc64_arch::addr::{EffAddr, GuestReal};
use ppc64_arch::hash::protection::Forbidden;
use ppc64_arch::hash::table::Hashed;
use ppc64_arch::hash::{Pages, VsidWord, Wanted, Word1};
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

/// One look, and at most one commit.
enum Attempt {
    End(Outcome),
    Again,
}

impl<T: Translations> Hpt<'_, T> {
    /// Resolves a storage interrupt.
    pub fn fault<B: Backing>(&self, backing: &B, fault: &Fault) -> Outcome {
        let Some(sought) = sought(fault) else { return Outcome::Reflect(causes(fault, Dsisr::NO_TRANSLATION)) };
        for _ in 0..TRIES {
            match self.attempt(backing, fault, sought) {
                Attempt::End(outcome) => return outcome,
                Attempt::Again => relax(),
            }
        }
        Outcome::Busy
    }

    fn attempt<B: Backing>(&self, backing: &B, fault: &Fault, sought: Sought) -> Attempt {
        match self.find(sought) {
            Found::Entry(seen, pages) => self.resolve(backing, fault, seen, pages),
            Found::Moving => Attempt::Again,
            Found::Nowhere if fault.asdr.is_real_mode() => self.make_real(backing, fault, sought),
            Found::Nowhere => Attempt::End(Outcome::Reflect(causes(fault, Dsisr::NO_TRANSLATION))),
        }
    }

    /// What the guest's entry, as it was seen, makes of the access.
    fn resolve<B: Backing>(&self, backing: &B, fault: &Fault, seen: Glance, pages: Pages) -> Attempt {
        let Fault { asdr, problem_state, amr, iamr, .. } = *fault;
        if let Some(why) = seen.view.forbids(wanted(fault.access), asdr, problem_state, amr, iamr) {
            return Attempt::End(Outcome::Reflect(causes(fault, forbidden(why))));
        }
        let size = pages.actual();
        let at = GuestReal::new(seen.view.real(pages) | fault.ea.raw() & size.offset_mask());
        if seen.view.contains(Word1::INHIBITED) {
            return Attempt::End(Outcome::Device(at));
        }
        match backing.prepare(at, size, fault.access) {
            Resolution::Resume => settle(self.commit(backing, seen, pages, fault.access)),
            other => Attempt::End(Outcome::Memory(other)),
        }
    }

    /// Makes an entry for real mode, which no guest has to make for itself: in either group. The fault then finds it.
    fn make_real<B: Backing>(&self, backing: &B, fault: &Fault, sought: Sought) -> Attempt {
        let nothing = Attempt::End(Outcome::Reflect(causes(fault, Dsisr::NO_TRANSLATION)));
        let Some(pages) = Pages::new(sought.base, sought.base) else { return nothing };
        let at = sought.at.align_down(sought.base);
        let hash = Hashed::of(at, sought.segment, sought.base);
        for secondary in [false, true] {
            let wish = Wish::of(backing, real_mode(at, pages, secondary))
                .ok()
                .filter(|wish| wish.kind == Kind::Memory && self.reverse.list(wish.entry.word1, pages).is_some());
            let Some(wish) = wish else { return nothing };
            match self.any(self.shape().group(hash, secondary)) {
                Ok(free) => {
                    self.fill(backing, free, wish, Twins::None);
                    return Attempt::Again;
                }
                Err(Refusal::Busy) => return Attempt::Again,
                Err(_) => {}
            }
        }
        // The guest has filled both groups with entries of its own.
        nothing
    }
}

/// What a commit's answer means: the one place that turns a lost race into what it is.
fn settle(answer: Commit) -> Attempt {
    match answer {
        Commit::Same | Commit::NotSame { enough: true } => Attempt::End(Outcome::Resume),
        Commit::NotSame { enough: false } | Commit::Retry => Attempt::Again,
    }
}

/// The virtual address, if the registers say one that there is.
fn sought(fault: &Fault) -> Option<Sought> {
    let (segment, base) = (fault.asdr.segment()?, fault.asdr.base()?);
    Some(Sought { at: fault.asdr.translate(fault.ea)?, segment, base })
}

const fn wanted(access: Access) -> Wanted {
    match access {
        Access::Read => Wanted::Read,
        Access::Write => Wanted::Write,
        Access::Fetch => Wanted::Fetch,
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

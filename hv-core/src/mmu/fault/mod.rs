//! The fault path: from a guest storage interrupt to a page where it belongs.
//!
//! ```text
//!   resolve ─► attempt ─► pin, find slot, walk ─┬─ leaf, enough ────────────► spurious
//!      ▲           │                            ├─ leaf, not enough ─► raise / unshare / split ─┐
//!      │           │                            ├─ empty ─► fill: tables, frame ────────────────┤
//!      │           │                            ├─ resting, stored ─► revive / page in ─────────┤
//!      │           │                            ├─ transit, leaving ───────► wait               │
//!      │           └── Again(reason) ◄──────────┴─ detached                                     ▼
//!      │                  ▲                                                                  commit
//!      │                  └───────── Retry; NotSame and not enough ─────────────────────────────┤
//!      └── bounded, then serialised                              Same; NotSame and enough ──────┴─► resume
//! ```
//!
//! The answers of a commit end in this directory: `Attempt` is all that `resolve` sees, [`Resolution`] all that its callers see.
//!
//! | file | what |
//! | --- | --- |
//! | `fill` | an empty entry, and the tables above it |
//! | `change` | an entry that holds a page already: raise, unshare, split, revive, page in |
//! | `patience` | how often to look again, and what is done when memory runs out |

mod change;
mod fill;
mod patience;

use super::absent::State;
use super::commit::Commit;
use super::dirty::Log;
use super::discipline::Discipline;
use super::frame::Frame;
use super::hardware::Hardware;
use super::request::{Access, Awaited, Reflect, Resolution, Ticket};
use super::seat::Cpu;
use super::slot::{Found, SlotView};
use super::space::Space;
use super::stats::{Made, Outcome, Reason};
use super::walk::Seen;
use patience::resolve_patiently;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::entry::Recorded;
use ppc64_arch::radix::{Entry, Leaf, Rights};

/// What is to be resolved: the checked part of a [`StorageFault`](super::StorageFault), or an access of the hypervisor's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub at: GuestReal,
    pub access: Access,
    /// The hypervisor's own access, for the counters.
    pub own: bool,
}

/// How one attempt ended.
enum Attempt {
    Done(Outcome, Resolution),
    Again(Reason),
    Short(Short),
}

/// What an attempt found none of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Short {
    /// A frame: the budget is spent, or the machine has none.
    Frames,
    /// A table: the quota is full.
    Tables,
}

impl Attempt {
    const fn resumed(outcome: Outcome) -> Self {
        Self::Done(outcome, Resolution::Resume)
    }

    const fn reflected(why: Reflect) -> Self {
        Self::Done(Outcome::Reflected, Resolution::Reflect(why))
    }

    const fn wait(page: GuestReal, on: Awaited) -> Self {
        Self::Done(Outcome::Wait, Resolution::Wait(Ticket { page, on }))
    }

    const BROKEN: Self = Self::Done(Outcome::MachineError, Resolution::MachineError);
}

/// Resolves one request.
#[inline]
pub(super) fn resolve<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    desk: D::Desk<'_>,
    cpu: &mut Cpu,
    request: Request,
) -> Resolution {
    match attempt(space, desk, cpu, request) {
        Attempt::Done(outcome, resolution) => {
            cpu.stats.fault(request.access, request.own, outcome);
            resolution
        }
        end => resolve_patiently(space, desk, cpu, request, end),
    }
}

/// One look and at most one commit, under one pin.
#[inline]
fn attempt<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    desk: D::Desk<'_>,
    cpu: &mut Cpu,
    request: Request,
) -> Attempt {
    let _pin = D::pin(desk);
    pinned(space, cpu, request)
}

/// The attempt itself: a function of its own, so that the pin takes no register of it.
#[inline(never)]
fn pinned<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, request: Request) -> Attempt {
    let slot = match space.slots().find(request.at, cpu.hint) {
        Found::Slot(slot) => slot,
        Found::Nowhere => return Attempt::reflected(Reflect::NoSlot),
        Found::Busy => return Attempt::Again(Reason::SlotBusy),
    };
    cpu.hint = slot.index;
    let stores = request.access == Access::Write;
    if stores && slot.read_only {
        return Attempt::reflected(Reflect::ReadOnly);
    }
    let mut work = Work { space, cpu, slot, request };
    if stores && slot.log.is_some() { work.logged_store() } else { work.handle(work.look()) }
}

/// One attempt at work, under the pin of its caller.
struct Work<'w, 'm, H, D> {
    space: &'w Space<'m, H, D>,
    cpu: &'w mut Cpu,
    slot: SlotView,
    request: Request,
}

impl<'w, H: Hardware, D: Discipline> Work<'w, '_, H, D> {
    #[inline]
    fn look(&self) -> Seen<'w> {
        // SAFETY: 1. The caller's pin keeps every table of the space alive for as long as the attempt lives.
        unsafe { self.space.walk(self.request.at) }
    }

    #[inline]
    fn handle(&mut self, seen: Seen<'w>) -> Attempt {
        match seen.entry {
            Entry::Absent(absent) => match State::decode(absent) {
                State::Empty { .. } => self.fill(seen),
                State::Transit { .. } | State::Leaving(_) => self.wait(seen.entry),
                State::Resting { frame, copied } => self.revive(seen, frame, copied),
                State::Stored(handle) => self.page_in(seen, handle),
                State::Detached => Attempt::Again(Reason::Detached),
            },
            Entry::Leaf(leaf) if permits(leaf, self.request.access) => Attempt::resumed(Outcome::Spurious),
            Entry::Leaf(leaf) => self.change(seen, leaf),
            Entry::Table(_) => Attempt::BROKEN,
        }
    }

    /// A store to a slot whose log is on: its bit has room before anything changes, and is set after the swap and before the guest goes on.
    #[cold]
    fn logged_store(&mut self) -> Attempt {
        let (space, at) = (self.space, self.request.at);
        let Some(log) = Log::of(space.memory(), &self.slot) else { return Attempt::BROKEN };
        if !log.has_room(at) {
            let Some(mut frame) = space.take(self.cpu, LeafSize::Size4K) else { return Attempt::Short(Short::Frames) };
            frame.zero(&space.memory().hardware);
            if let Err(unused) = log.add(at, frame) {
                space.put(self.cpu, unused);
            }
        }
        let attempt = self.handle(self.look());
        if let Attempt::Done(outcome, Resolution::Resume) = attempt
            && !matches!(outcome, Outcome::Spurious | Outcome::NotSame)
        {
            // The leaf may be gone again; its size is its level's all the same.
            log.mark(at, self.look().place.level.leaf.unwrap_or(LeafSize::Size4K));
        }
        attempt
    }

    /// What a commit's answer means for `frame`, which it did not take: the one place that turns a lost race into what it is.
    #[cold]
    fn lost(&mut self, frame: Option<Frame>, answer: Commit) -> Attempt {
        if let Some(frame) = frame {
            self.cpu.stats.discarded += 1;
            self.space.put(self.cpu, frame);
        }
        match answer {
            Commit::NotSame(theirs) => self.settle(theirs),
            Commit::Same | Commit::Retry => Attempt::Again(Reason::Detached),
        }
    }

    /// A lost race is success if what the winner left permits the access, else a reason to look again.
    fn settle(&mut self, theirs: Entry) -> Attempt {
        match theirs {
            Entry::Leaf(leaf) if permits(leaf, self.request.access) => Attempt::resumed(Outcome::NotSame),
            Entry::Absent(absent) => match State::decode(absent) {
                State::Transit { .. } | State::Leaving(_) => self.wait(theirs),
                _ => Attempt::Again(Reason::NotSame),
            },
            _ => Attempt::Again(Reason::NotSame),
        }
    }

    #[cold]
    fn wait(&mut self, entry: Entry) -> Attempt {
        Attempt::wait(self.request.at.align_down(LeafSize::Size4K), Awaited::Entry(entry.encode()))
    }

    /// The leaf for a frame of the guest's own. Where it permits stores C is set from the start: dirt is told by write protection, and hardware that leaves
    /// C to software would take each first store twice.
    #[inline]
    fn private_leaf(&self, frame: HostReal, made: Made) -> Leaf {
        leaf_with(frame, self.rights(), made)
    }

    /// What a leaf for this request may permit. While the log is on, stores are for the page that is being stored to.
    #[inline]
    fn rights(&self) -> Rights {
        let rights = self.slot.rights();
        // A store to a read-only slot was refused before.
        if self.request.access == Access::Write { rights.union(Rights::WRITE) } else { rights }
    }
}

#[inline]
const fn leaf_with(frame: HostReal, rights: Rights, made: Made) -> Leaf {
    let recorded = if rights.contains(Rights::WRITE) { Recorded::all() } else { Recorded::REFERENCED };
    Leaf::new(frame, rights, recorded).with_software(made.bits())
}

/// The leaf that maps a page of an image as it is.
#[inline]
const fn shared_leaf(image: HostReal) -> Leaf {
    leaf_with(image, Rights::READ.union(Rights::EXECUTE), Made::Shared)
}

/// Whether a leaf lets the access through, R and C included: hardware that leaves them to software faults without them.
#[inline]
pub(super) fn permits(leaf: Leaf, access: Access) -> bool {
    let right = match access {
        Access::Read => Rights::READ,
        Access::Write => Rights::WRITE,
        Access::Fetch => Rights::EXECUTE,
    };
    leaf.rights().contains(right) && leaf.recorded().contains(recorded_by(access))
}

#[inline]
const fn recorded_by(access: Access) -> Recorded {
    match access {
        Access::Write => Recorded::all(),
        Access::Read | Access::Fetch => Recorded::REFERENCED,
    }
}

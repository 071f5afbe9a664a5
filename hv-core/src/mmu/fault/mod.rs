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
use super::walk::{Place, Seen};
use crate::delays::delay;
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

/// How one attempt ended. Two words, so that it goes by registers.
#[derive(Clone, Copy, Debug)]
enum Attempt {
    /// The access can be tried again.
    Resumed(Outcome),
    /// This entry stands there, which another CPU will replace.
    Wait(u64),
    /// A mutation keeps this fault out.
    WaitForMutation,
    /// The guest's own error.
    NoSlot,
    /// The guest's own error.
    ReadOnly,
    /// The tables are broken.
    Broken,
    Again(Reason),
    Short(Short),
}

/// What has to be done after an attempt that did not end.
enum Open {
    Again(Reason),
    Short(Short),
}

/// What an attempt found none of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Short {
    /// A frame: the budget is spent, or the machine has none.
    Frames,
    /// A table: the quota is full.
    Tables,
}

impl Attempt {
    /// What it comes to, unless more has to be done.
    fn end(self, at: GuestReal) -> Result<(Outcome, Resolution), Open> {
        let wait = |on| (Outcome::Wait, Resolution::Wait(Ticket { page: at.align_down(LeafSize::Size4K), on }));
        let reflect = |why| (Outcome::Reflected, Resolution::Reflect(why));
        Ok(match self {
            Self::Resumed(outcome) => (outcome, Resolution::Resume),
            Self::Wait(entry) => wait(Awaited::Entry(entry)),
            Self::WaitForMutation => wait(Awaited::Mutation),
            Self::NoSlot => reflect(Reflect::NoSlot),
            Self::ReadOnly => reflect(Reflect::ReadOnly),
            Self::Broken => (Outcome::MachineError, Resolution::MachineError),
            Self::Again(reason) => return Err(Open::Again(reason)),
            Self::Short(short) => return Err(Open::Short(short)),
        })
    }
}

/// Resolves one request. The common cases are part of the caller, down to the swap: a call would cost each of them some thirty instructions for registers
/// that are saved and results that go by memory. What is rare stands aside.
#[inline(always)]
pub(super) fn resolve<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    desk: D::Desk<'_>,
    cpu: &mut Cpu,
    request: Request,
) -> Resolution {
    match attempt(space, desk, cpu, request) {
        Attempt::Resumed(outcome) => {
            cpu.stats.fault(request.access, request.own, outcome);
            Resolution::Resume
        }
        end => resolve_patiently(space, desk, cpu, request.at, (request.access, request.own), end),
    }
}

/// The same aside, for the hypervisor's own accesses.
#[inline(never)]
pub(super) fn resolve_own<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    desk: D::Desk<'_>,
    cpu: &mut Cpu,
    at: GuestReal,
    access: Access,
) -> Resolution {
    resolve(space, desk, cpu, Request { at, access, own: true })
}

/// One look and at most one commit, under one pin.
#[inline(always)]
fn attempt<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    desk: D::Desk<'_>,
    cpu: &mut Cpu,
    request: Request,
) -> Attempt {
    let _pin = D::pin(desk);
    pinned(space, cpu, request)
}

#[inline(always)]
fn pinned<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, request: Request) -> Attempt {
    let slot = match space.slots().find(request.at, cpu.hint) {
        Found::Slot(slot) => slot,
        Found::Nowhere => return Attempt::NoSlot,
        Found::Busy => return Attempt::Again(Reason::SlotBusy),
    };
    cpu.hint = slot.index;
    delay!(SlotSeen);
    let stores = request.access == Access::Write;
    if stores && slot.read_only() {
        return Attempt::ReadOnly;
    }
    if stores && slot.log().is_some() {
        return logged_store(space, cpu, request.at, request.own);
    }
    let mut work = Work { space, cpu, slot, request };
    // SAFETY: 1. As in `look`.
    let seen = unsafe { space.walk_here(request.at) };
    work.handle_here(seen)
}

/// A store to a slot whose log is on: its bit has room before anything changes, and is set after the swap and before the guest goes on.
///
/// What migration makes common, a small page that only lacks W, is done here in one piece with few arguments: stores to other slots pay nothing for it, and it
/// does not pay for what else such a store may meet.
#[inline(never)]
fn logged_store<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    at: GuestReal,
    own: bool,
) -> Attempt {
    let slot = space.slots().again(cpu.hint);
    let mut work = Work { space, cpu, slot, request: Request { at, access: Access::Write, own } };
    let Some(log) = Log::of(space.memory(), &slot) else { return Attempt::Broken };
    let Some(spot) = log.spot(at) else { return work.aside().logged_change() };
    // SAFETY: 1. As in `look`.
    let seen = unsafe { space.walk_here(at) };
    match seen.entry() {
        Entry::Leaf(leaf) if permits(leaf, Access::Write) => Attempt::Resumed(Outcome::Spurious),
        Entry::Leaf(leaf) if work.only_lacks(seen.place, leaf) => {
            let attempt = work.raise(seen, leaf);
            if let Attempt::Resumed(Outcome::Upgraded) = attempt {
                spot.mark(seen.place.level.leaf.unwrap_or(LeafSize::Size4K));
            }
            attempt
        }
        _ => work.aside().logged_change(),
    }
}

/// One attempt at work, under the pin of its caller.
struct Work<'w, 'm, H, D> {
    space: &'w Space<'m, H, D>,
    cpu: &'w mut Cpu,
    slot: SlotView,
    request: Request,
}

impl<'w, 'm, H: Hardware, D: Discipline> Work<'w, 'm, H, D> {
    /// The same work for a function that stands aside. What such a function is handed by reference stands in memory from the beginning, so each gets one made
    /// there and then, and the common path keeps to registers. For the same reason the slot is read anew: it stays as it is while this attempt is pinned.
    #[inline(always)]
    fn aside(&mut self) -> Work<'_, 'm, H, D> {
        let Request { at, access, own } = self.request;
        let slot = self.slot_again();
        Work { space: self.space, cpu: self.cpu, slot, request: Request { at, access, own } }
    }

    /// The slot once more: what is rarely asked of it takes no register until then.
    #[inline(always)]
    fn slot_again(&self) -> SlotView {
        self.space.slots().again(self.cpu.hint)
    }

    fn look(&self) -> Seen<'w> {
        // SAFETY: 1. The caller's pin keeps every table of the space alive for as long as the attempt lives.
        unsafe { self.space.walk(self.request.at) }
    }

    fn handle(&mut self, seen: Seen<'w>) -> Attempt {
        self.handle_here(seen)
    }

    /// The same as part of its caller.
    #[inline(always)]
    fn handle_here(&mut self, seen: Seen<'w>) -> Attempt {
        match seen.entry() {
            Entry::Absent(absent) if State::is_empty(absent) => self.fill(seen),
            Entry::Leaf(leaf) if permits(leaf, self.request.access) => Attempt::Resumed(Outcome::Spurious),
            Entry::Leaf(leaf) if self.only_lacks(seen.place, leaf) => self.raise(seen, leaf),
            Entry::Leaf(leaf) => self.aside().change(seen.aside(), leaf),
            _ => self.aside().handle_rest(seen.aside()),
        }
    }

    /// Whether a leaf can be raised where it stands: it is neither to be copied nor, under a log, to be split.
    #[inline(always)]
    fn only_lacks(&self, place: Place<'w>, leaf: Leaf) -> bool {
        let stores = self.request.access == Access::Write;
        let whole = self.slot.log().is_none() || place.level.below.is_empty();
        !stores || whole && Made::of(leaf) != Made::Shared
    }

    /// The states of an entry that a fault seldom meets.
    #[cold]
    fn handle_rest(&mut self, seen: Seen<'w>) -> Attempt {
        let Entry::Absent(absent) = seen.entry() else { return Attempt::Broken };
        match State::decode(absent) {
            State::Empty { .. } => self.fill(seen),
            State::Transit { .. } | State::Leaving(_) => self.wait(seen.entry()),
            State::Resting { frame, copied } => self.revive(seen, frame, copied),
            State::Stored(handle) => self.page_in(seen, handle),
            State::Detached => Attempt::Again(Reason::Detached),
        }
    }

    /// A store to a slot whose log is on that needs more than a right: a frame for its bit, a page, a copy, a split.
    #[cold]
    fn logged_change(&mut self) -> Attempt {
        let (space, at) = (self.space, self.request.at);
        let Some(log) = Log::of(space.memory(), &self.slot) else { return Attempt::Broken };
        if log.spot(at).is_none() {
            let Some(mut frame) = space.take(self.cpu, LeafSize::Size4K) else { return Attempt::Short(Short::Frames) };
            frame.zero(&space.memory().hardware);
            if let Err(unused) = log.add(at, frame) {
                space.put(self.cpu, unused);
            }
        }
        let seen = self.look();
        let attempt = self.handle(seen);
        if let Attempt::Resumed(outcome) = attempt
            && !matches!(outcome, Outcome::Spurious | Outcome::NotSame)
        {
            // Rights are added where the leaf was seen; any other end may have made tables. It may be gone again; its size is its level's all the same.
            let level = if outcome == Outcome::Upgraded { seen.place.level } else { self.look().place.level };
            log.mark(at, level.leaf.unwrap_or(LeafSize::Size4K));
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
            Entry::Leaf(leaf) if permits(leaf, self.request.access) => Attempt::Resumed(Outcome::NotSame),
            Entry::Absent(absent) => match State::decode(absent) {
                State::Transit { .. } | State::Leaving(_) => self.wait(theirs),
                _ => Attempt::Again(Reason::NotSame),
            },
            _ => Attempt::Again(Reason::NotSame),
        }
    }

    #[cold]
    fn wait(&mut self, entry: Entry) -> Attempt {
        Attempt::Wait(entry.encode())
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
        // A store to a read-only slot was refused before.
        self.slot.rights().union(Rights::WRITE.intersection(right_for(self.request.access)))
    }
}

#[inline]
const fn leaf_with(frame: HostReal, rights: Rights, made: Made) -> Leaf {
    Leaf::new(frame, rights, recorded_with(rights)).with_software(made.bits())
}

/// What a page of an image permits as it is.
const SHARED: Rights = Rights::READ.union(Rights::EXECUTE);

/// The leaf that maps a page of an image as it is.
#[inline]
const fn shared_leaf(image: HostReal) -> Leaf {
    leaf_with(image, SHARED, Made::Shared)
}

/// Whether a leaf lets the access through, R and C included: hardware that leaves them to software faults without them.
#[inline]
pub(super) fn permits(leaf: Leaf, access: Access) -> bool {
    let right = right_for(access);
    leaf.has(right, recorded_with(right))
}

/// The right that an access needs. By a shift, since the fault path asks for it in several places.
#[inline]
const fn right_for(access: Access) -> Rights {
    Rights::from_bits_retain(Rights::READ.bits() >> access as u32)
}

/// R, and C where stores are permitted.
#[inline]
const fn recorded_with(rights: Rights) -> Recorded {
    let changed = (rights.bits() & Rights::WRITE.bits()) * (Recorded::CHANGED.bits() / Rights::WRITE.bits());
    Recorded::from_bits_retain(Recorded::REFERENCED.bits() | changed)
}

#[inline]
const fn recorded_by(access: Access) -> Recorded {
    recorded_with(right_for(access))
}

const _: () = assert!(right_for(Access::Write).bits() == Rights::WRITE.bits());
const _: () = assert!(right_for(Access::Fetch).bits() == Rights::EXECUTE.bits());
const _: () = assert!(recorded_by(Access::Write).bits() == Recorded::all().bits());
const _: () = assert!(recorded_by(Access::Fetch).bits() == Recorded::REFERENCED.bits());

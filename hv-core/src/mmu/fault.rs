//! The fault path: from a guest storage interrupt to a page where it belongs.
//!
//! ```text
//!   resolve ─► attempt ─► pin, find slot, walk ─┬─ leaf, enough ───────────► spurious
//!      ▲           │                            ├─ leaf, not enough ─► raise / unshare ─┐
//!      │           │                            ├─ empty ─► fill: tables, frame ────────┤
//!      │           │                            ├─ transit ────────────────► wait       │
//!      │           └── Again(reason) ◄──────────┴─ detached                             ▼
//!      │                  ▲                                                          commit
//!      │                  └───────── Retry; NotSame and not enough ─────────────────────┤
//!      └── bounded, then serialised                          Same; NotSame and enough ──┴─► resume
//! ```
//!
//! The answers of a commit end in this file: `Attempt` is all that `resolve` sees, [`Resolution`] all that its callers see.

use super::absent::State;
use super::commit::{Commit, Next, abort_transit, commit, finish_transit};
use super::discipline::Discipline;
use super::frame::Frame;
use super::hardware::{Flush, Hardware};
use super::reclaim::reclaim;
use super::request::{Access, Reflect, Resolution, Ticket};
use super::seat::Cpu;
use super::slot::{Found, SlotView};
use super::space::Space;
use super::stats::{Made, Outcome, Reason};
use super::store::{Handle, Origin};
use super::walk::{Place, Seen};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::entry::Recorded;
use ppc64_arch::radix::{Entry, Leaf, Level, Rights, Table};

/// Attempts without a lock before the serialised path.
const SPECULATIVE_ATTEMPTS: u32 = 4;
/// Attempts with the lock before the guest is sent to try again. Only lost races make one fail there, each of which is somebody
/// else's success, so this is a bound on waiting and not on correctness.
const SERIALISED_ATTEMPTS: u32 = 64;

/// Entries of a table, aligned, that one fault on a shared image page fills: 64 KiB of 4 KiB pages.
const AROUND: usize = 16;

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
}

impl Attempt {
    const fn resumed(outcome: Outcome) -> Self {
        Self::Done(outcome, Resolution::Resume)
    }

    const fn reflected(why: Reflect) -> Self {
        Self::Done(Outcome::Reflected, Resolution::Reflect(why))
    }

    const OUT_OF_MEMORY: Self = Self::Done(Outcome::OutOfMemory, Resolution::OutOfMemory);
    const BROKEN: Self = Self::Done(Outcome::MachineError, Resolution::MachineError);
}

/// Resolves one request: speculatively, and after a bounded number of tries with mutations locked out.
#[inline]
pub(super) fn resolve<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    request: Request,
) -> Resolution {
    for _ in 0..SPECULATIVE_ATTEMPTS {
        match attempt(space, cpu, request) {
            Attempt::Done(Outcome::OutOfMemory, _) if reclaim(space, cpu) => {}
            Attempt::Done(outcome, resolution) => {
                cpu.stats.fault(request.access, request.own, outcome);
                return resolution;
            }
            Attempt::Again(reason) => cpu.stats.again(reason),
        }
    }
    serialised(space, cpu, request)
}

/// The same attempts with mutations locked out, so that no slot is busy and no table goes away.
#[cold]
fn serialised<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, request: Request) -> Resolution {
    cpu.stats.again(Reason::Serialised);
    let _no_mutation = space.lock();
    for _ in 0..SERIALISED_ATTEMPTS {
        match attempt(space, cpu, request) {
            Attempt::Done(outcome, resolution) => {
                cpu.stats.fault(request.access, request.own, outcome);
                return resolution;
            }
            Attempt::Again(reason) => cpu.stats.again(reason),
        }
    }
    cpu.stats.again(Reason::GaveWay);
    cpu.stats.fault(request.access, request.own, Outcome::NotSame);
    Resolution::Resume
}

/// One look and at most one commit, under one pin.
#[inline]
fn attempt<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, request: Request) -> Attempt {
    let _pin = space.pins().pin(cpu.id());
    let slot = match space.slots().find(request.at, cpu.hint) {
        Found::Slot(slot) => slot,
        Found::Nowhere => return Attempt::reflected(Reflect::NoSlot),
        Found::Busy => return Attempt::Again(Reason::SlotBusy),
    };
    cpu.hint = slot.index;
    if slot.read_only && request.access == Access::Write {
        return Attempt::reflected(Reflect::ReadOnly);
    }
    // SAFETY: 1. The pin above keeps every table of the space alive until this function returns.
    let seen = unsafe { space.walk(request.at) };
    let mut work = Work { space, cpu, slot, request };
    match seen.entry {
        Entry::Absent(absent) => match State::decode(absent) {
            State::Empty { .. } => work.fill(seen),
            State::Transit { .. } => work.wait(seen.entry),
            State::Resting { frame, copied } => work.revive(seen, frame, copied),
            State::Stored(handle) => work.page_in(seen, handle),
            State::Detached => Attempt::Again(Reason::Detached),
        },
        Entry::Leaf(leaf) if permits(leaf, request.access) => Attempt::resumed(Outcome::Spurious),
        Entry::Leaf(leaf) if needs_copy(leaf, request.access) => work.unshare(seen),
        Entry::Leaf(leaf) => work.raise(seen, leaf),
        Entry::Table(_) => Attempt::BROKEN,
    }
}

/// One attempt at work, under the pin of its caller.
struct Work<'w, 'm, H, D> {
    space: &'w Space<'m, H, D>,
    cpu: &'w mut Cpu,
    slot: SlotView,
    request: Request,
}

/// What [`Work::make_table`] found its way to.
enum Step<'a> {
    Down(Seen<'a>),
    End(Attempt),
}

impl<'w, H: Hardware, D: Discipline> Work<'w, '_, H, D> {
    /// Puts a page into an empty entry, and the tables above it where they are missing.
    #[inline]
    fn fill(&mut self, mut seen: Seen<'w>) -> Attempt {
        let mut size = self.slot.leaf_for(self.request.at, self.space.granule());
        loop {
            // A last-level table was made for its size, and the slot's alignment makes room for a whole page of it.
            let last = seen.place.level.below.is_empty();
            match seen.place.level.leaf.filter(|leaf| last || *leaf <= size) {
                Some(leaf) => match self.prepare(leaf) {
                    Some((page, made)) => return self.install(seen, leaf, page, made),
                    // No frame of that size is left: smaller ones may be.
                    None if last => return Attempt::OUT_OF_MEMORY,
                    None => size = smaller(leaf),
                },
                None => match self.make_table(seen, size) {
                    Step::Down(below) => seen = below,
                    Step::End(attempt) => return attempt,
                },
            }
            if !matches!(seen.entry, Entry::Absent(_)) {
                return Attempt::Again(Reason::NotSame);
            }
        }
    }

    /// Links a new table that leads towards a leaf of `size`, or follows the one that somebody else linked meanwhile.
    #[cold]
    fn make_table(&mut self, seen: Seen<'w>, size: LeafSize) -> Step<'w> {
        let Some(level) = level_below(seen.place.level, size) else { return Step::End(Attempt::OUT_OF_MEMORY) };
        let Some(mut frame) = self.space.take(self.cpu, LeafSize::Size4K) else {
            return Step::End(Attempt::OUT_OF_MEMORY);
        };
        frame.zero(&self.space.memory().hardware);
        let table = Table::new(frame.at(), level.bits);
        match commit(seen, Next::Exactly(Entry::Table(table))) {
            Commit::Same => {
                self.cpu.stats.tables_made += 1;
                let base = frame.into_entry();
                // SAFETY: 1. The table was just linked, zeroed and of this level. 2. The caller's pin keeps it.
                let place = unsafe { Place::in_table(&self.space.memory().hardware, base, level, self.request.at) };
                Step::Down(place.look())
            }
            Commit::NotSame(Entry::Table(theirs)) => {
                self.discard(frame);
                Step::follow(self, seen, theirs)
            }
            Commit::NotSame(other) => {
                self.discard(frame);
                Step::End(self.settle(other))
            }
            Commit::Retry => {
                self.discard(frame);
                Step::End(Attempt::Again(Reason::Detached))
            }
        }
    }

    /// The leaf for the request at `size`, its contents in place. `None`: no frame.
    #[inline]
    fn prepare(&mut self, size: LeafSize) -> Option<(Page, Made)> {
        if self.request.access != Access::Write
            && let Some(image) = self.slot.origin().share(self.request.at, size)
        {
            return Some((Page::Shared(shared_leaf(image)), Made::Shared));
        }
        let (frame, made) = self.private_frame(size)?;
        Some((Page::Private(frame), made))
    }

    /// A frame of the guest's own with what belongs there.
    #[inline]
    fn private_frame(&mut self, size: LeafSize) -> Option<(Frame, Made)> {
        self.private_frame_at(self.request.at, size)
    }

    #[inline]
    fn private_frame_at(&mut self, at: GuestReal, size: LeafSize) -> Option<(Frame, Made)> {
        let mut frame = self.space.take(self.cpu, size)?;
        let made = self.slot.origin().fill(&self.space.memory().hardware, at, &mut frame);
        Some((frame, made))
    }

    /// The commit of a page that was prepared.
    #[inline]
    fn install(&mut self, seen: Seen<'w>, size: LeafSize, page: Page, made: Made) -> Attempt {
        let leaf = match &page {
            Page::Shared(leaf) => *leaf,
            Page::Private(frame) => self.private_leaf(frame, made),
        };
        match commit(seen, Next::Exactly(Entry::Leaf(leaf))) {
            Commit::Same => {
                page.into_entry();
                self.cpu.stats.made.add(made, size);
                match made {
                    Made::Shared => self.share_around(seen.place, size),
                    Made::Zero | Made::Copied if size == LeafSize::Size4K => self.go_ahead(seen.place),
                    Made::Zero | Made::Copied => {}
                }
                Attempt::resumed(Outcome::Installed)
            }
            Commit::NotSame(theirs) => {
                self.discard_page(page);
                self.settle(theirs)
            }
            Commit::Retry => {
                self.discard_page(page);
                Attempt::Again(Reason::Detached)
            }
        }
    }

    /// Maps the neighbours of an image page that was just mapped: they need no frame and no copy, only an entry, while a fault of their own costs an exit. Entries that
    /// hold anything already are left alone, and a race that is lost is somebody else's page.
    #[cold]
    fn share_around(&mut self, place: Place<'w>, size: LeafSize) {
        for neighbour in place.neighbours(self.request.at, AROUND) {
            let (at, seen) = neighbour;
            if !matches!(seen.entry, Entry::Absent(absent) if matches!(State::decode(absent), State::Empty { .. })) {
                continue;
            }
            let Some(image) = self.slot.origin().share(at, size) else { continue };
            if commit(seen, Next::Exactly(Entry::Leaf(shared_leaf(image)))) == Commit::Same {
                self.cpu.stats.made.add(Made::Shared, size);
                self.cpu.stats.around += 1;
            }
        }
    }

    /// Makes the pages behind one that was just made, as many as the CPU's stream of faults deserves, up to the first entry that holds anything or the end
    /// of the table or slot.
    #[inline]
    fn go_ahead(&mut self, place: Place<'w>) {
        let ahead = self.cpu.stream.ahead(self.request.at);
        if ahead != 0 {
            let made =
                place.following(self.request.at, ahead as usize).take_while(|next| self.make_ahead(*next)).count();
            self.cpu.stream.made(made as u32);
        }
    }

    /// Makes one page ahead; false if there is no reason to go on.
    #[cold]
    fn make_ahead(&mut self, (at, seen): (GuestReal, Seen<'w>)) -> bool {
        let empty = matches!(seen.entry, Entry::Absent(absent) if matches!(State::decode(absent), State::Empty { .. }));
        if !empty || !self.slot.holds_block(at, LeafSize::Size4K) {
            return false;
        }
        let Some((frame, made)) = self.private_frame_at(at, LeafSize::Size4K) else { return false };
        let leaf = self.private_leaf(&frame, made);
        if commit(seen, Next::Exactly(Entry::Leaf(leaf))) != Commit::Same {
            self.discard(frame);
            return false;
        }
        let _owned_by_entry = frame.into_entry();
        self.cpu.stats.made.add(made, LeafSize::Size4K);
        self.cpu.stats.ahead += 1;
        true
    }

    /// Replaces a shared page by a copy of it: break before make, since another frame will stand there.
    #[cold]
    fn unshare(&mut self, seen: Seen<'w>) -> Attempt {
        let Some(size) = seen.place.level.leaf else { return Attempt::BROKEN };
        let Some((frame, made)) = self.private_frame(size) else { return Attempt::OUT_OF_MEMORY };
        let transit = State::Transit { owner: self.cpu.id() as u32, generation: 0 };
        match commit(seen, Next::Exactly(Entry::Absent(transit.encode()))) {
            Commit::Same => {
                self.flush_leaf(size);
                finish_transit(seen.place, self.private_leaf(&frame, made));
                let _owned_by_entry = frame.into_entry();
                self.cpu.stats.unmapped.add(Made::Shared, size);
                self.cpu.stats.made.add(made, size);
                Attempt::resumed(Outcome::Unshared)
            }
            Commit::NotSame(theirs) => {
                self.discard(frame);
                self.settle(theirs)
            }
            Commit::Retry => {
                self.discard(frame);
                Attempt::Again(Reason::Detached)
            }
        }
    }

    /// Puts the entry of a resting page back: the same frame at the same size, so nothing is owed.
    #[cold]
    fn revive(&mut self, seen: Seen<'w>, frame: HostReal, copied: bool) -> Attempt {
        let made = if copied { Made::Copied } else { Made::Zero };
        let leaf = Leaf::new(frame, self.slot_rights(), Recorded::all()).with_software(made.bits());
        match commit(seen, Next::Exactly(Entry::Leaf(leaf))) {
            Commit::Same => Attempt::resumed(Outcome::Revived),
            Commit::NotSame(theirs) => self.settle(theirs),
            Commit::Retry => Attempt::Again(Reason::Detached),
        }
    }

    /// Brings a page back from the store. It is in transit meanwhile, so one CPU does the work and the others wait.
    #[cold]
    fn page_in(&mut self, seen: Seen<'w>, handle: Handle) -> Attempt {
        let Some(frame) = self.space.take(self.cpu, LeafSize::Size4K) else { return Attempt::OUT_OF_MEMORY };
        let transit = State::Transit { owner: self.cpu.id() as u32, generation: handle.generation };
        match commit(seen, Next::Exactly(Entry::Absent(transit.encode()))) {
            Commit::Same => self.bring_back(seen, handle, frame),
            Commit::NotSame(theirs) => {
                self.discard(frame);
                self.settle(theirs)
            }
            Commit::Retry => {
                self.discard(frame);
                Attempt::Again(Reason::Detached)
            }
        }
    }

    /// Ends the transit that `page_in` began: with the page, or with the handle again if the store cannot give it.
    fn bring_back(&mut self, seen: Seen<'w>, handle: Handle, mut frame: Frame) -> Attempt {
        if self.space.fetch(self.cpu, handle, &mut frame).is_err() {
            abort_transit(seen.place, State::Stored(handle));
            self.discard(frame);
            return Attempt::BROKEN;
        }
        finish_transit(seen.place, self.private_leaf(&frame, Made::Zero));
        let _owned_by_entry = frame.into_entry();
        // Only now: had it failed, the store would have had the page still.
        self.space.forget(self.cpu, handle);
        self.cpu.stats.paged_in += 1;
        self.cpu.stats.made.add(Made::Zero, LeafSize::Size4K);
        Attempt::resumed(Outcome::PagedIn)
    }

    /// Adds what the access lacks to a leaf of the same frame and size: owes no flush.
    #[cold]
    fn raise(&mut self, seen: Seen<'w>, leaf: Leaf) -> Attempt {
        let rights = if Made::of(leaf) == Made::Shared { leaf.rights() } else { self.slot_rights() };
        let raised = leaf.with_rights(leaf.rights() | rights).recording(recorded_by(self.request.access));
        match commit(seen, Next::Merging(raised)) {
            Commit::Same if permits(raised, self.request.access) => Attempt::resumed(Outcome::Upgraded),
            Commit::Same => Attempt::BROKEN,
            Commit::NotSame(theirs) => self.settle(theirs),
            Commit::Retry => Attempt::Again(Reason::Detached),
        }
    }

    /// The one place that knows what a lost race means: success if what the winner left permits the access, else another look.
    #[cold]
    fn settle(&mut self, theirs: Entry) -> Attempt {
        match theirs {
            Entry::Leaf(leaf) if permits(leaf, self.request.access) => Attempt::resumed(Outcome::NotSame),
            Entry::Absent(absent) if matches!(State::decode(absent), State::Transit { .. }) => self.wait(theirs),
            _ => Attempt::Again(Reason::NotSame),
        }
    }

    #[cold]
    fn wait(&mut self, entry: Entry) -> Attempt {
        let ticket = Ticket { page: self.request.at.align_down(LeafSize::Size4K), entry: entry.encode() };
        Attempt::Done(Outcome::Wait, Resolution::Wait(ticket))
    }

    /// The leaf for a frame of the guest's own. C is set from the start: dirt is told by write protection, and hardware that leaves C to
    /// software would take each first store twice.
    #[inline]
    fn private_leaf(&self, frame: &Frame, made: Made) -> Leaf {
        Leaf::new(frame.at(), self.slot_rights(), Recorded::all()).with_software(made.bits())
    }

    #[inline]
    const fn slot_rights(&self) -> Rights {
        let read_execute = Rights::READ.union(Rights::EXECUTE);
        if self.slot.read_only { read_execute } else { read_execute.union(Rights::WRITE) }
    }

    fn flush_leaf(&mut self, size: LeafSize) {
        let from = self.request.at.align_down(size);
        let to = GuestReal::new(from.raw() + size.bytes());
        self.space.memory().hardware.flush(Flush::Range { lpid: self.space.lpid(), from, to, size });
        self.cpu.stats.flushes += 1;
    }

    #[cold]
    fn discard(&mut self, frame: Frame) {
        self.cpu.stats.discarded += 1;
        self.space.put(self.cpu, frame);
    }

    fn discard_page(&mut self, page: Page) {
        if let Page::Private(frame) = page {
            self.discard(frame);
        }
    }
}

impl<'w> Step<'w> {
    fn follow<H: Hardware, D: Discipline>(work: &Work<'w, '_, H, D>, seen: Seen<'w>, table: Table) -> Self {
        let Some(level) = seen.place.level.below(table.bits()) else { return Self::End(Attempt::BROKEN) };
        // SAFETY: 1. A linked table entry points at a live table of its size. 2. The caller's pin keeps it.
        let place = unsafe { Place::in_table(&work.space.memory().hardware, table.base(), level, work.request.at) };
        Self::Down(place.look())
    }
}

/// The leaf that maps a page of an image as it is.
#[inline]
const fn shared_leaf(image: HostReal) -> Leaf {
    Leaf::new(image, Rights::READ.union(Rights::EXECUTE), Recorded::REFERENCED).with_software(Made::Shared.bits())
}

/// What is about to be installed.
enum Page {
    /// The image itself.
    Shared(Leaf),
    /// A frame of the guest's own.
    Private(Frame),
}

impl Page {
    fn into_entry(self) {
        if let Self::Private(frame) = self {
            let _owned_by_entry = frame.into_entry();
        }
    }
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

fn needs_copy(leaf: Leaf, access: Access) -> bool {
    access == Access::Write && Made::of(leaf) == Made::Shared
}

#[inline]
const fn recorded_by(access: Access) -> Recorded {
    match access {
        Access::Write => Recorded::all(),
        Access::Read | Access::Fetch => Recorded::REFERENCED,
    }
}

const fn smaller(size: LeafSize) -> LeafSize {
    match size {
        LeafSize::Size1G => LeafSize::Size2M,
        LeafSize::Size2M => LeafSize::Size64K,
        LeafSize::Size64K | LeafSize::Size4K => LeafSize::Size4K,
    }
}

/// Which kind of table to make on the way to a leaf of `size`: the one whose own leaves are the largest that are no larger.
fn level_below(level: &'static Level, size: LeafSize) -> Option<&'static Level> {
    let leads_to = |below: &&&'static Level| below.leaf.is_some_and(|leaf| leaf <= size);
    let best = level.below.iter().filter(leads_to).max_by_key(|below| below.shift);
    best.or(level.below.first()).copied()
}

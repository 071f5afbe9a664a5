//! Empty entries: a page for them, and the tables above where they are missing.

use super::{Attempt, Short, Work, leaf_with, shared_leaf};
use crate::mmu::absent::State;
use crate::mmu::commit::{Commit, Next, commit};
use crate::mmu::discipline::Discipline;
use crate::mmu::frame::Frame;
use crate::mmu::hardware::Hardware;
use crate::mmu::request::Access;
use crate::mmu::stats::{Made, Outcome, Reason};
use crate::mmu::store::{self, PageStore};
use crate::mmu::walk::{Place, Seen, level_below};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::{Entry, Table};

/// Entries of a table, aligned, that one fault on a shared image page fills: 64 KiB of 4 KiB pages.
const AROUND: usize = 16;

/// What [`Work::make_table`] found its way to.
enum Step<'a> {
    Down(Seen<'a>),
    End(Attempt),
}

/// Why there is no page to install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPage {
    /// No frame of that size is left.
    NoFrame,
    /// The store that has its contents does not give them.
    NoContents,
}

impl From<NoPage> for Attempt {
    fn from(why: NoPage) -> Self {
        match why {
            NoPage::NoFrame => Self::Short(Short::Frames),
            NoPage::NoContents => Self::Broken,
        }
    }
}

/// What is about to be installed.
enum Page {
    /// The image itself.
    Shared(HostReal),
    /// A frame of the guest's own.
    Private(Frame),
}

impl<'w, H: Hardware, D: Discipline> Work<'w, '_, H, D> {
    /// Puts a page into an empty entry, and the tables above it where they are missing.
    #[inline(always)]
    pub(super) fn fill(&mut self, seen: Seen<'w>) -> Attempt {
        let level = seen.place.level;
        if level.below.is_empty() && level.leaf == Some(LeafSize::Size4K) {
            // The last level was made for pages of its size: the common case.
            return self.fill_small(seen);
        }
        self.aside().fill_any(seen.aside())
    }

    #[inline(always)]
    fn fill_small(&mut self, seen: Seen<'w>) -> Attempt {
        let size = LeafSize::Size4K;
        match self.prepare(size) {
            Ok((page, made)) => self.install(seen, size, page, made),
            Err(why) => why.into(),
        }
    }

    /// Fills whatever the entry's level is.
    #[cold]
    fn fill_any(&mut self, mut seen: Seen<'w>) -> Attempt {
        let mut size = self.reclaimable(self.slot.leaf_for(self.request.at, self.space.granule()));
        loop {
            // A last-level table was made for its size, and the slot's alignment makes room for a whole page of it.
            let last = seen.place.level.below.is_empty();
            match seen.place.level.leaf.filter(|leaf| last || *leaf <= size) {
                Some(leaf) => match self.prepare(leaf) {
                    Ok((page, made)) => return self.install(seen, leaf, page, made),
                    // No frame of that size is left: smaller ones may be.
                    Err(NoPage::NoFrame) if !last => size = self.reclaimable(smaller(leaf)),
                    Err(why) => return why.into(),
                },
                None => match self.make_table(seen, size) {
                    Step::Down(below) => seen = below,
                    Step::End(attempt) => return attempt,
                },
            }
            // Whoever linked the table may have put a page there, and it may have gone to the store again.
            if !is_empty(seen.entry()) {
                return Attempt::Again(Reason::NotSame);
            }
        }
    }

    /// The size of page to make, where one of that size is wanted: a page of 64 KiB could neither go to a store nor be split where it is.
    #[inline]
    const fn reclaimable(&self, size: LeafSize) -> LeafSize {
        match size {
            LeafSize::Size64K if self.space.store().is_some() => LeafSize::Size4K,
            _ => size,
        }
    }

    /// Links a new table that leads towards a leaf of `size`, or follows the one that somebody else linked meanwhile.
    #[cold]
    fn make_table(&mut self, seen: Seen<'w>, size: LeafSize) -> Step<'w> {
        let Some(level) = level_below(seen.place.level, size) else { return Step::End(Attempt::Broken) };
        let mut frame = match self.space.take_table(self.cpu) {
            Ok(frame) => frame,
            Err(short) => return Step::End(Attempt::Short(short)),
        };
        frame.zero(&self.space.memory().hardware);
        let table = Table::new(frame.at(), level.bits);
        match commit(seen, Next::Exactly(Entry::Table(table))) {
            Commit::Same => {
                self.cpu.stats.tables_made += 1;
                let _owned_by_entry = frame.into_entry();
                self.follow(seen, table)
            }
            answer => {
                self.cpu.stats.discarded += 1;
                self.space.put_table(self.cpu, frame);
                match answer {
                    Commit::NotSame(Entry::Table(theirs)) => self.follow(seen, theirs),
                    answer => Step::End(self.lost(None, answer)),
                }
            }
        }
    }

    /// Goes down to the entry of the request in a table that was just linked.
    fn follow(&self, seen: Seen<'w>, table: Table) -> Step<'w> {
        let Some(level) = seen.place.level.below(table.bits()) else { return Step::End(Attempt::Broken) };
        // SAFETY: 1. A linked table entry points at a live table of its size. 2. The attempt's pin keeps it.
        let place = unsafe { Place::in_table(&self.space.memory().hardware, table.base(), level, self.request.at) };
        Step::Down(place.look())
    }

    /// The page for the request at `size`, its contents in place.
    #[inline(always)]
    fn prepare(&mut self, size: LeafSize) -> Result<(Page, Made), NoPage> {
        if self.request.access != Access::Write
            && self.slot.has_image()
            && let Some(image) = self.slot_again().origin().share(self.request.at, size)
        {
            return Ok((Page::Shared(image), Made::Shared));
        }
        let (frame, made) = self.private_frame_here(self.request.at, size)?;
        Ok((Page::Private(frame), made))
    }

    /// A frame of the guest's own with what belongs at `at`.
    pub(super) fn private_frame(&mut self, at: GuestReal, size: LeafSize) -> Result<(Frame, Made), NoPage> {
        self.private_frame_here(at, size)
    }

    /// The same as part of its caller.
    #[inline(always)]
    fn private_frame_here(&mut self, at: GuestReal, size: LeafSize) -> Result<(Frame, Made), NoPage> {
        let mut frame = self.space.take(self.cpu, size).ok_or(NoPage::NoFrame)?;
        if self.slot.has_image() {
            return self.aside().copy(at, frame);
        }
        frame.zero(&self.space.memory().hardware);
        Ok((frame, Made::Zero))
    }

    /// Fills a frame from the slot's image, or gives it back.
    #[cold]
    fn copy(&mut self, at: GuestReal, mut frame: Frame) -> Result<(Frame, Made), NoPage> {
        let page = store::Page::Untouched(at);
        match self.slot.origin().fetch(self.space.memory(), &mut self.cpu.buffer, page, &mut frame) {
            Ok(made) => Ok((frame, made)),
            Err(_) => {
                self.space.put(self.cpu, frame);
                Err(NoPage::NoContents)
            }
        }
    }

    /// The commit of a page that was prepared.
    #[inline(always)]
    fn install(&mut self, seen: Seen<'w>, size: LeafSize, page: Page, made: Made) -> Attempt {
        let leaf = match &page {
            Page::Shared(image) => shared_leaf(*image),
            Page::Private(frame) => self.private_leaf(frame.at(), made),
        };
        match commit(seen, Next::Exactly(Entry::Leaf(leaf))) {
            Commit::Same => {
                page.into_entry();
                self.cpu.stats.made.add(made, size);
                match made {
                    Made::Shared if self.cpu.stream.goes_ahead() => self.aside().share_around(seen.aside()),
                    Made::Zero | Made::Copied if size == LeafSize::Size4K => self.go_ahead(&seen),
                    Made::Zero | Made::Copied | Made::Shared => {}
                }
                Attempt::Resumed(Outcome::Installed)
            }
            answer => self.aside().lost(page.private(), answer),
        }
    }

    /// Maps the neighbours of an image page that was just mapped: they need no frame and no copy, only an entry, while a fault of their own costs an exit. Entries that
    /// hold anything already are left alone, and a race that is lost is somebody else's page.
    #[cold]
    fn share_around(&mut self, Seen { place, .. }: Seen<'w>) {
        let Some(size) = place.level.leaf else { return };
        for (at, seen) in place.siblings(&self.space.memory().hardware).around(self.request.at, AROUND) {
            if !is_empty(seen.entry()) {
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
    #[inline(always)]
    fn go_ahead(&mut self, seen: &Seen<'w>) {
        let ahead = self.cpu.stream.ahead(self.request.at);
        if ahead != 0 {
            self.aside().make_pages_behind(seen.aside(), ahead);
        }
    }

    #[cold]
    fn make_pages_behind(&mut self, Seen { place, .. }: Seen<'w>, ahead: u32) {
        let behind = place.siblings(&self.space.memory().hardware).behind(self.request.at, ahead as usize);
        let made = behind.take_while(|next| self.make_ahead(*next)).count();
        self.cpu.stream.made(made as u32);
    }

    /// Makes one page ahead; false if there is no reason to go on.
    fn make_ahead(&mut self, (at, seen): (GuestReal, Seen<'w>)) -> bool {
        if !is_empty(seen.entry()) || !self.slot.holds_block(at, LeafSize::Size4K) {
            return false;
        }
        let Ok((frame, made)) = self.private_frame(at, LeafSize::Size4K) else { return false };
        // Nobody has stored to it yet: while the log is on it does not permit that.
        let leaf = leaf_with(frame.at(), self.slot.rights(), made);
        if commit(seen, Next::Exactly(Entry::Leaf(leaf))) != Commit::Same {
            self.cpu.stats.discarded += 1;
            self.space.put(self.cpu, frame);
            return false;
        }
        let _owned_by_entry = frame.into_entry();
        self.cpu.stats.made.add(made, LeafSize::Size4K);
        self.cpu.stats.ahead += 1;
        true
    }
}

impl Page {
    fn into_entry(self) {
        if let Self::Private(frame) = self {
            let _owned_by_entry = frame.into_entry();
        }
    }

    fn private(self) -> Option<Frame> {
        match self {
            Self::Shared(_) => None,
            Self::Private(frame) => Some(frame),
        }
    }
}

fn is_empty(entry: Entry) -> bool {
    matches!(entry, Entry::Absent(absent) if State::is_empty(absent))
}

const fn smaller(size: LeafSize) -> LeafSize {
    match size {
        LeafSize::Size1G => LeafSize::Size2M,
        LeafSize::Size2M => LeafSize::Size64K,
        LeafSize::Size64K | LeafSize::Size4K => LeafSize::Size4K,
    }
}

//! H_ENTER: the guest gets an entry.

use super::{Refusal, flags};
use crate::hash::lock::{ABSENT, LOCK, Place, Quiet};
use crate::hash::machine::{Backing, Kind, Page, Translations};
use crate::hash::reverse::List;
use crate::hash::table::Hpt;
use crate::sync::relax;
use ppc64_arch::addr::GuestReal;
use ppc64_arch::bits::{bit, mask};
use ppc64_arch::hash::table::GROUP;
use ppc64_arch::hash::{Entry, PageSize, Pages, PaprEntry, VirtualAddress, VsidWord, Word0, Word1};

/// How often a group whose places are all taken, but some of them in motion, is looked at again.
const TURNS: usize = if cfg!(loom) { 2 } else { 1000 };

/// Whether there may be two entries for a page of virtual memory. A guest that makes such has to live with it; the hypervisor makes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hash) enum Twins {
    Allowed,
    /// None. It could stand in these two groups, of which these are the first places.
    NoneIn([u64; 2]),
}

/// An entry that was checked.
#[derive(Clone, Copy, Debug)]
pub(in crate::hash) struct Wish {
    pub entry: Entry,
    pub pages: Pages,
    pub kind: Kind,
}

impl Wish {
    /// Checks what a guest asks for.
    #[inline(always)]
    pub(in crate::hash) fn of<B: Backing>(backing: &B, claim: PaprEntry) -> Result<Self, Refusal> {
        let (entry, _, pages) = claim.check().ok_or(Refusal::Parameter)?;
        if pages.actual() > backing.largest() {
            return Err(Refusal::Parameter);
        }
        let kind = backing.kind(GuestReal::new(entry.word1.real(pages)), pages.actual());
        let attributes = entry.word1 & Word1::WIMG;
        let fits = match kind {
            Kind::Memory => attributes == Word1::COHERENT,
            Kind::Device => attributes.contains(Word1::INHIBITED) && !attributes.contains(Word1::WRITE_THROUGH),
            Kind::Nothing => false,
        };
        if fits { Ok(Self { entry, pages, kind }) } else { Err(Refusal::Parameter) }
    }
}

impl<'m, T: Translations> Hpt<'m, T> {
    /// Makes an entry in place `index`, or in any place of its group, and tells where. Where the page is there already, hardware uses it from now on.
    ///
    /// # Errors
    /// [`Refusal::Parameter`], [`Refusal::UnsupportedFlag`], [`Refusal::GroupFull`], [`Refusal::Busy`].
    #[inline]
    pub fn enter<B: Backing>(&self, backing: &B, flags: u64, index: u64, claim: PaprEntry) -> Result<u64, Refusal> {
        if flags & flags::ALL_NOT_DONE != 0 {
            return Err(unsupported(flags));
        }
        let place = self.named(index)?;
        let wish = Wish::of(backing, claim)?;
        let list = self.list_for(wish)?;
        let free = if flags & flags::EXACT != 0 { self.exactly(place) } else { self.any(index - index % GROUP as u64) };
        let free = free?;
        let index = free.index();
        self.fill(backing, free, wish, list, Twins::Allowed);
        Ok(index)
    }

    /// The list that an entry will be in. Devices have none.
    #[inline]
    pub(in crate::hash) fn list_for(&self, wish: Wish) -> Result<Option<List<'m>>, Refusal> {
        match wish.kind {
            Kind::Memory => self.reverse.list(wish.entry.word1, wish.pages).ok_or(Refusal::Parameter).map(Some),
            Kind::Device | Kind::Nothing => Ok(None),
        }
    }

    /// This place, if it is free.
    #[inline]
    fn exactly(&self, place: Place<'m>) -> Result<Quiet<'m>, Refusal> {
        place.try_lock_free().map_or_else(|| self.exactly_patiently(place), Ok)
    }

    /// The same if it was not free at once.
    #[cold]
    #[inline(never)]
    fn exactly_patiently(&self, place: Place<'m>) -> Result<Quiet<'m>, Refusal> {
        let locked = place.lock().ok_or(Refusal::Busy)?;
        if locked.is_free() { Ok(locked.quiet(self)) } else { Err(Refusal::GroupFull) }
    }

    /// A free place of the group that begins with number `first`.
    #[inline]
    pub(in crate::hash) fn any(&self, first: u64) -> Result<Quiet<'m>, Refusal> {
        let free = self.group(first).find(|place| place.peek().is_empty());
        free.and_then(Place::try_lock_free).map_or_else(|| self.any_patiently(first), Ok)
    }

    /// The same when the first look found none, or came too late. A place that is locked may be about to be free.
    #[cold]
    #[inline(never)]
    fn any_patiently(&self, first: u64) -> Result<Quiet<'m>, Refusal> {
        for _ in 0..TURNS {
            let mut moving = false;
            for place in self.group(first) {
                let word0 = place.peek();
                if word0.is_empty()
                    && let Some(free) = place.try_lock_free()
                {
                    return Ok(free);
                }
                moving |= word0.contains(LOCK) || word0.is_empty();
            }
            if !moving {
                return Err(Refusal::GroupFull);
            }
            relax();
        }
        Err(Refusal::Busy)
    }

    /// Fills a free place: the name and the view, the reverse map, and only then a look at the page.
    #[inline(always)]
    pub(in crate::hash) fn fill<B: Backing>(
        &self,
        backing: &B,
        mut quiet: Quiet<'m>,
        wish: Wish,
        list: Option<List<'m>>,
        twins: Twins,
    ) {
        let Wish { entry, pages, .. } = wish;
        quiet.claim(entry.word0, entry.word1);
        // What is no memory is never shown.
        let Some(list) = list else { return };
        let mut list = list.lock();
        if let Twins::NoneIn(groups) = twins
            && self.has_twin(groups, quiet.index(), entry)
        {
            // Before the list's lock goes: a twin that waits for it stays.
            return quiet.free();
        }
        list.link(quiet.index());
        drop(list);
        let _pin = backing.pin();
        self.show_if_there(backing, quiet, pages);
    }

    /// Whether another entry of the groups is about the virtual page of `entry` in place `index`. The caller has the lock of the list that it is for, so that every entry which the hypervisor has made for that page is seen. One that the
    /// guest makes or takes away just then may be missed, or counted.
    #[inline(never)]
    fn has_twin(&self, groups: [u64; 2], index: u64, entry: Entry) -> bool {
        let name = self.operands(index, entry);
        let others = groups.into_iter().flat_map(|first| self.group(first)).filter(|place| place.index() != index);
        others.map(|place| (place, place.seen())).any(|(place, other)| {
            other.word0.intersects(Word0::VALID | ABSENT) && self.operands(place.index(), other) == name
        })
    }

    /// Shows an entry whose page is there; else it stays absent.
    #[inline(always)]
    fn show_if_there<B: Backing>(&self, backing: &B, quiet: Quiet<'m>, pages: Pages) {
        let view = quiet.view();
        if let Some(page) = backing.look(GuestReal::new(view.real(pages)), pages.actual()) {
            quiet.show(page.word1(view, pages));
        }
    }
}

/// The first flag that asks for what is not done.
#[cold]
fn unsupported(flags: u64) -> Refusal {
    let flag = flags::NOT_DONE.into_iter().find(|flag| flags & bit(*flag) != 0);
    flag.map_or(Refusal::Parameter, Refusal::UnsupportedFlag)
}

impl Page {
    /// Doubleword 1 for an entry of this view that maps the page.
    #[inline]
    pub(in crate::hash) const fn word1(self, view: Word1, pages: Pages) -> Word1 {
        let word1 = view.with_real(pages, self.frame.raw());
        if self.stores { word1 } else { word1.without_stores() }
    }
}

/// The entry of the virtual real mode area for the page at `at`: the kernel's alone, with everything allowed, and bolted, as KVM-HV and firmware make theirs. In another table it gives way to any of the guest's own.
pub(in crate::hash) fn real_mode(at: VirtualAddress, pages: Pages, secondary: bool) -> PaprEntry {
    let area = VsidWord::real_mode(PageSize::Size4K).raw();
    let flags = [(secondary, Word0::SECONDARY), (pages.large(), Word0::LARGE), (true, Word0::SW2)];
    let set = flags.into_iter().filter(|(is, _)| *is).fold(Word0::VALID, |all, (_, flag)| all | flag);
    let name = Word0::naming(at).bits() | set.bits() | area & mask(0, 1);
    let offset = at.low() & mask(24, 63);
    let word1 = (Word1::COHERENT | Word1::RECORDED).with_real(pages, offset);
    PaprEntry { word0: name, word1: word1.bits() }
}

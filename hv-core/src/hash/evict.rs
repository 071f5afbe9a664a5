//! Memory that is taken away: what hardware has of it is hidden and flushed. For a hash guest this is what a flush of a range is for a radix guest.

use super::lock::{BATCH, Hidden, Locked, quiet_all};
use super::machine::Translations;
use super::reverse::{List, LockedList};
use super::table::Hpt;
use crate::sync::relax;
use heapless::Vec;
use ppc64_arch::hash::{Entry, Word1};

/// Entries that one turn of a list's lock passes, at most: the guest may have any number of them in one list, and who makes an entry waits for that lock.
const STRIDE: usize = if cfg!(loom) { 2 } else { 64 };

impl<'m, T: Translations> Hpt<'m, T> {
    /// Makes every entry absent that maps a part of guest real `from..to`, flushed, and tells what hardware recorded in them (R, C). The caller has changed its own account of that memory before: entries that are
    /// shown from now on are shown by whoever knows that.
    pub fn evict(&self, from: u64, to: u64) -> Word1 {
        let range = Range { from, to };
        self.reverse.lists(from, to).fold(Word1::empty(), |all, list| all | self.evict_list(list, range))
    }

    /// One list, some entries at a time. Between the times the cursor stays locked, and so stays in the list. Two evictions
    /// go the same way along a list, so neither waits for what is behind it.
    fn evict_list(&self, list: List<'m>, range: Range) -> Word1 {
        let (mut recorded, mut cursor) = (Word1::empty(), None);
        loop {
            let mut hidden = Vec::new();
            let locked = list.lock();
            let end = self.gather(&locked, range, &mut cursor, &mut hidden);
            drop(locked);
            recorded |= quiet_all(self, hidden).fold(Word1::empty(), |all, quiet| all | quiet.recorded());
            match end {
                End::OfList => return recorded,
                End::OfTurn => {}
                End::Taken => relax(),
            }
        }
    }

    /// Hides the entry at `cursor` and some behind it, while there is room and nobody else is at one. The cursor is the last one that was locked: it is dealt with when the next one is, or the list ends.
    fn gather(
        &self,
        list: &LockedList<'_>,
        range: Range,
        cursor: &mut Option<Locked<'m>>,
        hidden: &mut Vec<Hidden<'m>, BATCH>,
    ) -> End {
        for _ in 0..STRIDE {
            // The last one of the list always finds room.
            if hidden.len() == BATCH - 1 {
                break;
            }
            let next = cursor.as_ref().map_or_else(|| list.first(), |last| list.next(last.index()));
            let Some(place) = next.and_then(|index| self.place(index)) else {
                hide(cursor.take(), range, hidden);
                return End::OfList;
            };
            // Its holder may be waiting for this list.
            let Some(locked) = place.try_lock() else { return End::Taken };
            hide(cursor.replace(locked), range, hidden);
        }
        End::OfTurn
    }
}

/// Hides an entry if hardware has it and it maps a part of the range; else lets it go.
fn hide<'t>(locked: Option<Locked<'t>>, range: Range, hidden: &mut Vec<Hidden<'t>, BATCH>) {
    if let Some(locked) = locked.filter(|locked| locked.is_shown() && range.meets(locked)) {
        let _room = hidden.push(locked.hide());
    }
}

/// Why no more entries were hidden.
enum End {
    OfList,
    OfTurn,
    Taken,
}

/// Guest real addresses.
#[derive(Clone, Copy)]
struct Range {
    from: u64,
    to: u64,
}

impl Range {
    fn meets(self, locked: &Locked<'_>) -> bool {
        let entry = Entry { word0: locked.word0(), word1: locked.view() };
        // An entry of no size is one that nobody wrote: it goes.
        entry.pages().is_none_or(|pages| {
            let at = entry.word1.real(pages);
            at < self.to && self.from < at + pages.actual().bytes()
        })
    }
}

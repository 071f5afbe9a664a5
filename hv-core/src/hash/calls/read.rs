//! H_READ: the guest looks at entries.

use super::{Refusal, flags};
use crate::hash::machine::Translations;
use crate::hash::table::Hpt;
use ppc64_arch::hash::PaprEntry;

/// What was read: one entry, or four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Four {
    entries: [PaprEntry; 4],
    many: usize,
}

impl Four {
    /// All of them, or the first.
    #[cfg(all(test, feature = "guest"))]
    pub(crate) const fn of(entries: [PaprEntry; 4], all: bool) -> Self {
        Self { entries, many: if all { 4 } else { 1 } }
    }

    /// The entries, in the order of r4 to r11.
    #[must_use]
    pub fn entries(&self) -> &[PaprEntry] {
        &self.entries[..self.many]
    }
}

impl<T: Translations> Hpt<'_, T> {
    /// Entry `index`, or the aligned four that it is one of. Real addresses are the guest's, with [`flags::R_XLATE`] and without: no others are its business. Each entry is read in one piece; the four are not.
    ///
    /// # Errors
    /// [`Refusal::Parameter`], [`Refusal::Busy`].
    pub fn read(&self, flags: u64, index: u64) -> Result<Four, Refusal> {
        let four = flags & flags::READ_4 != 0;
        let (first, many) = if four { (index & !3, 4) } else { (index, 1) };
        let mut entries = [PaprEntry { word0: 0, word1: 0 }; 4];
        for (offset, entry) in entries[..many].iter_mut().enumerate() {
            // Does not wrap: a number of one entry gets nothing added, and that of four ends in two zeros.
            *entry = self.named(first + offset as u64)?.lock().ok_or(Refusal::Busy)?.guests().papr();
        }
        Ok(Four { entries, many })
    }
}

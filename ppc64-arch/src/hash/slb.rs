//! The segment lookaside buffer (Power ISA 3.1B Book III 6.7.8.1, instructions in 6.9.3.2): which segments a thread can reach. With UPRT=0 software fills all of it, and nothing but software remembers
//! what is in it: what a virtual processor had is stored when another one takes the CPU.
//!
//! ```text
//!   RB of slbmte   0 ............ 35 | 36 | 37 ..... 51 | 52 ..... 63
//!                        ESID        |  V |      -      |   index
//!   RS of slbmte, RT of slbmfev: the VSID word, see [`super::segment`]
//!   RT of slbmfee: as RB, without the index
//! ```

use crate::bits::bit;

/// Entries that POWER9 and POWER10 have (`ibm,slb-size`).
pub const ENTRIES: usize = 32;

/// V: the entry is one.
pub const VALID: u64 = bit(36);

/// One entry, as `slbmte` takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlbEntry {
    /// RB: effective segment, V, and the index of the entry.
    pub rb: u64,
    /// RS: the VSID word.
    pub rs: u64,
}

/// The valid entries of a virtual processor that is not in a CPU. Those that are not valid are lost, as the architecture allows for none that matters: they translate nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    entries: [SlbEntry; ENTRIES],
    count: usize,
}

impl Default for Segments {
    fn default() -> Self {
        Self { entries: [SlbEntry { rb: 0, rs: 0 }; ENTRIES], count: 0 }
    }
}

impl Segments {
    /// Forgets all.
    pub const fn clear(&mut self) {
        self.count = 0;
    }

    /// The valid entries.
    #[must_use]
    pub fn entries(&self) -> &[SlbEntry] {
        self.entries.get(..self.count).unwrap_or_default()
    }

    /// Takes in what `slbmfee` and `slbmfev` say of the entry with this index, if it is valid.
    #[inline]
    pub fn add(&mut self, index: usize, esid: u64, vsid: u64) {
        if esid & VALID == 0 {
            return;
        }
        if let Some(entry) = self.entries.get_mut(self.count) {
            *entry = SlbEntry { rb: esid | index as u64, rs: vsid };
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_entries_are_kept_with_their_place() {
        let mut segments = Segments::default();
        assert_eq!(segments.entries(), []);
        segments.add(0, 0xc000_0000_0800_0000, 0x400);
        segments.add(1, 0xd000_0000_0000_0000, 0x500);
        segments.add(31, 0x1000_0000 | VALID, 0x600);
        let expected = [(0xc000_0000_0800_0000, 0x400), (0x1800_001f, 0x600)];
        assert_eq!(segments.entries(), expected.map(|(rb, rs)| SlbEntry { rb, rs }));
        segments.clear();
        assert!(segments.entries().is_empty());
    }

    #[test]
    fn there_is_room_for_as_many_as_the_cpu_has_and_no_more_are_taken() {
        let mut segments = Segments::default();
        (0..40).for_each(|index| segments.add(index, VALID | (index as u64) << 28, 0));
        assert_eq!(segments.entries().len(), ENTRIES);
    }
}

//! Who may do what with a page (Power ISA 3.1B Book III 6.7.13, "Storage Protection").
//!
//! | PP (0, 1, 2) | key 0 | key 1 |
//! | --- | --- | --- |
//! | 000 | read and write | nothing |
//! | 001 | read and write | read |
//! | 010 | read and write | read and write |
//! | 011 | read | read |
//! | 110 | read | nothing |
//! | others | nothing | nothing |
//!
//! Key 0 or 1 is the segment's Ks in supervisor state and its Kp in problem state. What may be read may be fetched unless N (of the page or its segment) or G forbids it. Apart from that the page's *virtual
//! page class key* picks two bits of AMR, for loads and stores, and of IAMR, for fetches: one that is set forbids (6.7.13.2).

use super::entry::Word1;
use super::segment::VsidWord;
use crate::bits::shift;

/// Which column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Key 0.
    Zero,
    /// Key 1.
    One,
}

impl Key {
    /// The key that a segment gives a program.
    #[must_use]
    #[inline]
    pub const fn of(word: VsidWord, problem_state: bool) -> Self {
        let bit = if problem_state { VsidWord::PROBLEM_KEY } else { VsidWord::SUPERVISOR_KEY };
        if word.raw() & bit == 0 { Self::Zero } else { Self::One }
    }
}

/// What is wanted of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction.
    Fetch,
}

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forbidden {
    /// PP and the segment's key.
    Protection,
    /// N of the page or segment, or G.
    NoExecute,
    /// The page's class key, by AMR or IAMR.
    ClassKey,
}

impl Word1 {
    /// PP as three bits.
    #[must_use]
    #[inline]
    const fn pp(self) -> u64 {
        self.bits() >> 63 << 2 | self.bits() & 3
    }

    /// Whether PP lets loads through.
    #[must_use]
    #[inline]
    pub const fn readable(self, key: Key) -> bool {
        match key {
            Key::Zero => matches!(self.pp(), 0..=3 | 6),
            Key::One => matches!(self.pp(), 1..=3),
        }
    }

    /// Whether PP lets stores through.
    #[must_use]
    #[inline]
    pub const fn writable(self, key: Key) -> bool {
        match key {
            Key::Zero => matches!(self.pp(), 0..=2),
            Key::One => self.pp() == 2,
        }
    }

    /// Whether anybody may store.
    #[must_use]
    #[inline]
    pub const fn stores(self) -> bool {
        self.writable(Key::Zero)
    }

    /// The same, and nobody may store: everything else stays allowed to whom it was.
    #[must_use]
    #[inline]
    pub const fn without_stores(self) -> Self {
        let pp = match self.pp() {
            0 => Self::PP0.union(Self::PP1),
            1 | 2 => Self::PP1.union(Self::PP2),
            _ => return self,
        };
        self.with(Self::PP, pp)
    }

    /// The virtual page class key, 0 to 31.
    #[must_use]
    #[inline]
    pub const fn class_key(self) -> u32 {
        ((self.bits() & Self::KEY_HIGH.bits()) >> shift(3) << 3 | (self.bits() & Self::KEY_LOW.bits()) >> shift(54))
            as u32
    }

    /// What forbids an access by a program with that segment and these masks (`amr` for loads and stores, `iamr` for fetches), if anything does.
    #[must_use]
    pub const fn forbids(
        self,
        wanted: Wanted,
        word: VsidWord,
        problem_state: bool,
        amr: u64,
        iamr: u64,
    ) -> Option<Forbidden> {
        let key = Key::of(word, problem_state);
        let class = 62 - 2 * self.class_key();
        let (allowed, masked) = match wanted {
            Wanted::Read => (self.readable(key), amr >> class & 1 != 0),
            Wanted::Write => (self.writable(key), amr >> class & 2 != 0),
            Wanted::Fetch => (self.readable(key), iamr >> class & 1 != 0),
        };
        if matches!(wanted, Wanted::Fetch) {
            let guarded = self.intersects(Self::NO_EXECUTE.union(Self::GUARDED));
            if guarded || word.raw() & VsidWord::NO_EXECUTE != 0 {
                return Some(Forbidden::NoExecute);
            }
        }
        match (allowed, masked) {
            (false, _) => Some(Forbidden::Protection),
            (true, true) => Some(Forbidden::ClassKey),
            (true, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [Key; 2] = [Key::Zero, Key::One];

    fn every_pp() -> impl Iterator<Item = Word1> {
        (0..8_u64).map(|pp| Word1::from_bits_retain(pp >> 2 << 63 | pp & 3))
    }

    #[test]
    fn each_pp_lets_through_what_the_manuals_table_says() {
        let table = [
            ("rw", "--"),
            ("rw", "r-"),
            ("rw", "rw"),
            ("r-", "r-"),
            ("--", "--"),
            ("--", "--"),
            ("r-", "--"),
            ("--", "--"),
        ];
        for (word, (zero, one)) in every_pp().zip(table) {
            for (key, says) in KEYS.into_iter().zip([zero, one]) {
                assert_eq!(
                    (word.readable(key), word.writable(key)),
                    (says.contains('r'), says.contains('w')),
                    "{word:?}"
                );
            }
        }
    }

    #[test]
    fn taking_stores_away_takes_nothing_else() {
        for word in every_pp() {
            let less = word.without_stores();
            for key in KEYS {
                assert!(!less.writable(key));
                // PP=010 and 001 become 011: readable by all who could read.
                assert_eq!(less.readable(key), word.readable(key), "{word:?}");
            }
            assert_eq!(less.with(Word1::PP, word), word);
        }
    }

    #[test]
    fn each_class_key_is_masked_by_its_own_bits() {
        let plain = VsidWord::new(0);
        for class in 0..32_u64 {
            let word = Word1::from_bits_retain(class >> 3 << 60 | (class & 7) << 9 | 2);
            assert_eq!(u64::from(word.class_key()), class);
            for bit in 0..64_u64 {
                let mask = 1 << (63 - bit);
                let forbids = |wanted| word.forbids(wanted, plain, false, mask, mask) == Some(Forbidden::ClassKey);
                // Of each pair the first bit is for stores, the second for loads (AMR) and fetches (IAMR).
                assert_eq!(forbids(Wanted::Write), bit == 2 * class);
                assert_eq!(forbids(Wanted::Read), bit == 2 * class + 1);
                assert_eq!(forbids(Wanted::Fetch), bit == 2 * class + 1);
            }
        }
    }

    #[test]
    fn what_is_not_to_be_executed_is_told_apart() {
        let (open, closed) = (VsidWord::new(0), VsidWord::new(VsidWord::NO_EXECUTE));
        let fetch = |word: Word1, segment| word.forbids(Wanted::Fetch, segment, false, 0, 0);
        assert_eq!(fetch(Word1::empty(), open), None);
        assert_eq!(fetch(Word1::empty(), closed), Some(Forbidden::NoExecute));
        assert_eq!(fetch(Word1::NO_EXECUTE, open), Some(Forbidden::NoExecute));
        assert_eq!(fetch(Word1::GUARDED, open), Some(Forbidden::NoExecute));
        assert_eq!(Word1::NO_EXECUTE.forbids(Wanted::Read, closed, false, 0, 0), None);
    }

    #[test]
    fn the_segments_key_is_that_of_the_state() {
        let word = VsidWord::new(VsidWord::PROBLEM_KEY);
        let kernel_page = Word1::empty();
        assert_eq!(kernel_page.forbids(Wanted::Write, word, false, 0, 0), None);
        assert_eq!(kernel_page.forbids(Wanted::Read, word, true, 0, 0), Some(Forbidden::Protection));
    }
}

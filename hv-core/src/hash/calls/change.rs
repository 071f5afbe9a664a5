//! H_PROTECT, H_CLEAR_REF and H_CLEAR_MOD: the guest changes what an entry says.

use super::{Condition, Refusal, flags};
use crate::hash::lock::Locked;
use crate::hash::machine::Translations;
use crate::hash::table::Hpt;
use ppc64_arch::hash::{Entry, Word1};

/// Which of the two that hardware records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// R: H_CLEAR_REF.
    Referenced,
    /// C: H_CLEAR_MOD.
    Changed,
}

impl Recorded {
    const fn bit(self) -> Word1 {
        match self {
            Self::Referenced => Word1::REFERENCED,
            Self::Changed => Word1::CHANGED,
        }
    }
}

/// What H_PROTECT's flags say: the low bits stand where doubleword 1 has them, PP's first bit is bit 55, the key's high bits are 50 and 51 (LoPAR 14.5.4.1.6).
const fn protection(flags: u64) -> Word1 {
    let low = Word1::PP1.union(Word1::PP2).union(Word1::KEY_LOW).union(Word1::NO_EXECUTE);
    let high = (flags << 55) & Word1::PP0.bits() | (flags << 48) & Word1::KEY_HIGH.bits();
    Word1::from_bits_retain(high | flags & low.bits())
}

impl<'m, T: Translations> Hpt<'m, T> {
    /// Changes PP, N and the key of entry `index`, if `value` agrees with it as `flags` say.
    ///
    /// # Errors
    /// [`Refusal::Parameter`], [`Refusal::NotFound`], [`Refusal::Busy`].
    #[inline]
    pub fn protect(&self, flags: u64, index: u64, value: u64) -> Result<(), Refusal> {
        let condition = Condition { flags: flags & flags::AVPN, value };
        let locked = self.named_entry(index, condition)?;
        self.rewrite(locked, Word1::PROTECTION, protection(flags));
        Ok(())
    }

    /// Clears R or C of entry `index`, and tells what doubleword 1 was.
    ///
    /// # Errors
    /// As for [`protect`](Self::protect).
    pub fn clear(&self, what: Recorded, index: u64) -> Result<u64, Refusal> {
        let locked = self.named_entry(index, Condition { flags: 0, value: 0 })?;
        let was = self.rewrite(locked, what.bit(), Word1::empty());
        Ok(was.papr().word1)
    }

    /// Gives the bits of `mask` the values of `bits`, and tells what the entry was. What hardware has of it is flushed before, unless it has these bits already.
    #[inline(always)]
    fn rewrite(&self, locked: Locked<'m>, mask: Word1, bits: Word1) -> Entry {
        let was = locked.guests();
        let shown = locked.is_shown().then(|| locked.shown());
        if was.word1.with(mask, bits) == was.word1 && shown.is_none_or(|shown| shown.with(mask, bits) == shown) {
            return was;
        }
        let quiet = locked.quiet(self);
        // What hardware recorded until the flush counts as well.
        let seen = quiet.view();
        let view = seen.with(mask, bits);
        quiet.set_view(view);
        if let Some(shown) = shown {
            quiet.show(again(shown, view));
        }
        Entry { word1: seen, ..was }
    }
}

/// Doubleword 1 of an entry that was shown as `shown`, and has this view now: the same frame, and stores only if they needed nothing more before.
fn again(shown: Word1, view: Word1) -> Word1 {
    let kept = Word1::PROTECTION.union(Word1::RECORDED);
    let word1 = shown.with(kept, view);
    if shown.stores() { word1 } else { word1.without_stores() }
}

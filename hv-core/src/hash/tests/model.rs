//! PAPR's calls on a plain map, written from what they are to do and with numbers instead of types.

use super::memory::{DEVICE, END};
use crate::hash::Refusal;
use ppc64_arch::hash::PaprEntry;
use std::collections::BTreeMap;

/// R and C in doubleword 1.
pub const RECORDED: u64 = 0x180;
/// What H_PROTECT changes of doubleword 1.
const PROTECTION: u64 = 0xb000_0000_0000_0e07;
/// What of doubleword 0 the guest has for itself, V apart.
const KEPT0: u64 = 0xc00f_ffff_ffff_ff9e;
/// What of doubleword 1 is not reserved.
const KEPT1: u64 = 0xbfff_ffff_ffff_ffff;

/// What a guest has where. R and C are what may be recorded by now; hardware may be late.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub entries: BTreeMap<u64, PaprEntry>,
    pub many: u64,
}

/// log2 of the actual page size, if the encoding is one; and of the base.
pub fn sizes(entry: PaprEntry) -> Option<(u32, u32)> {
    if entry.word0 & 4 == 0 {
        return Some((12, 12));
    }
    match entry.word1 >> 12 & 0xff {
        0 => Some((24, 24)),
        8 => Some((16, 24)),
        0x38 => Some((12, 24)),
        lp if lp & 15 == 1 => Some((16, 16)),
        lp if lp & 15 == 7 => Some((12, 16)),
        _ => None,
    }
}

/// The guest real address of an entry's page.
pub fn real(entry: PaprEntry, actual: u32) -> u64 {
    entry.word1 & 0x01ff_ffff_ffff_f000 & !((1 << actual) - 1)
}

impl Model {
    /// Whether an entry may be, whatever place it is for.
    fn permitted(entry: PaprEntry) -> bool {
        let Some((base, actual)) = sizes(entry) else { return false };
        let (from, bytes) = (real(entry, actual), 1_u64 << actual);
        let memory = from + bytes <= END && entry.word1 & 0x78 == 0x10;
        let device = from >= DEVICE && from + bytes <= DEVICE + (16 << 20) && entry.word1 & 0x60 == 0x20;
        let name = entry.word0 >> 63 == 0 && entry.word0 & 0x3ff0_0000_0000_0000 == 0;
        let beyond = entry.word1 & 0x0e00_0000_0000_0000 != 0;
        name && !beyond && (memory || device) && (base < 24 || entry.word0 & 0x80 == 0)
    }

    /// H_ENTER: the places that may be the answer, none for H_PTEG_FULL.
    pub fn enter(&self, flags: u64, index: u64, entry: PaprEntry) -> Result<Vec<u64>, Refusal> {
        if let Some(flag) = [40, 41, 48, 49].into_iter().find(|flag| flags >> (63 - flag) & 1 != 0) {
            return Err(Refusal::UnsupportedFlag(flag));
        }
        if index >= self.many || !Self::permitted(entry) {
            return Err(Refusal::Parameter);
        }
        let places = if flags >> 39 & 1 != 0 { index..index + 1 } else { index & !7..(index & !7) + 8 };
        Ok(places.filter(|place| !self.entries.contains_key(place)).collect())
    }

    pub fn entered(&mut self, place: u64, entry: PaprEntry) {
        let kept = PaprEntry { word0: entry.word0 & KEPT0 | 1, word1: entry.word1 & KEPT1 };
        self.entries.insert(place, kept);
    }

    /// The entry that a call names, if the conditions hold.
    pub fn named(&self, flags: u64, index: u64, value: u64) -> Result<PaprEntry, Refusal> {
        if index >= self.many {
            return Err(Refusal::Parameter);
        }
        let entry = *self.entries.get(&index).ok_or(Refusal::NotFound)?;
        let avpn = flags & 1 << 31 == 0 || entry.word0 & !0x7f == value;
        let andcond = flags & 1 << 30 == 0 || entry.word0 & value == 0;
        if avpn && andcond { Ok(entry) } else { Err(Refusal::NotFound) }
    }

    pub fn protect(&mut self, index: u64, flags: u64) {
        let word = (flags << 55) & 1 << 63 | (flags << 48) & 3 << 60 | flags & 0xe07;
        if let Some(entry) = self.entries.get_mut(&index) {
            entry.word1 = entry.word1 & !PROTECTION | word;
        }
    }
}

//! The model: slots, and those pages of 4 KiB that are not what their slot is made of. No tables, no frames, no sharing.

use crate::image;
use crate::log::Log;
use std::collections::BTreeMap;

/// Bytes of a page.
pub const PAGE: u64 = 0x1000;
/// What the tree translates.
pub const ADDRESSES: u64 = 1 << 52;

/// What a slot is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Material {
    /// Zeros.
    Zero,
    /// `bytes` bytes of the image area from `offset`, zeros behind them.
    Image {
        /// Where in the area.
        offset: u64,
        /// How long.
        bytes: u64,
    },
}

/// A slot. Its address is its key in [`Model::slots`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its length.
    pub bytes: u64,
    /// What it is made of.
    pub material: Material,
    /// Stores are the guest's error.
    pub read_only: bool,
    /// What was written since the last harvest, if its log is on.
    pub log: Option<Log>,
}

impl Slot {
    /// A slot without a log.
    #[must_use]
    pub const fn new(bytes: u64, material: Material, read_only: bool) -> Self {
        Self { bytes, material, read_only, log: None }
    }

    /// How much of it the image takes.
    #[must_use]
    pub const fn image_bytes(&self) -> u64 {
        match self.material {
            Material::Zero => 0,
            Material::Image { bytes, .. } => bytes,
        }
    }

    /// What it is made of from `offset` on, a multiple of 8 as every image's place is.
    fn fill(&self, offset: u64, page: &mut [u8; PAGE as usize]) {
        let Material::Image { offset: at, bytes } = self.material else { return };
        let length = bytes.saturating_sub(offset).min(PAGE) as usize;
        for (index, word) in (0..).zip(page[..length].chunks_mut(8)) {
            word.copy_from_slice(&image::word((at + offset) / 8 + index).to_le_bytes()[..word.len()]);
        }
    }
}

/// One page's bytes.
pub type Page = Box<[u8; PAGE as usize]>;

/// A guest's memory as the guest understands it.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// By address.
    pub slots: BTreeMap<u64, Slot>,
    /// By page number: what was written.
    pub pages: BTreeMap<u64, Page>,
}

/// Why an access does not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// In no slot.
    Outside,
    /// A store to a slot that is read-only.
    ReadOnly,
}

impl Model {
    /// The slot of an address, and where it begins.
    #[must_use]
    pub fn slot_of(&self, at: u64) -> Option<(u64, &Slot)> {
        let (base, slot) = self.slots.range(..=at).next_back()?;
        (at - base < slot.bytes).then_some((*base, slot))
    }

    /// Whether every byte of `at..at + bytes` lies in a slot.
    #[must_use]
    pub fn covers(&self, at: u64, bytes: u64) -> bool {
        let Some(end) = at.checked_add(bytes) else { return false };
        let mut at = at;
        while at < end {
            let Some((base, slot)) = self.slot_of(at) else { return false };
            at = base + slot.bytes;
        }
        true
    }

    /// Whether a load, or a store, of the byte at `at` gets through.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, at: u64, is_store: bool) -> Result<(), Refusal> {
        let (_, slot) = self.slot_of(at).ok_or(Refusal::Outside)?;
        if is_store && slot.read_only { Err(Refusal::ReadOnly) } else { Ok(()) }
    }

    /// What the page holds that its slot is made of there.
    fn material(&self, page: u64) -> Page {
        let mut bytes = Box::new([0; PAGE as usize]);
        if let Some((base, slot)) = self.slot_of(page * PAGE) {
            slot.fill(page * PAGE - base, &mut bytes);
        }
        bytes
    }

    /// What page number `page` holds.
    #[must_use]
    pub fn page(&self, page: u64) -> Page {
        self.pages.get(&page).cloned().unwrap_or_else(|| self.material(page))
    }

    /// What the page would hold had nobody written to it.
    #[must_use]
    pub fn untouched(&self, page: u64) -> Page {
        self.material(page)
    }

    /// Whether page number `page` holds just that.
    #[must_use]
    pub fn is(&self, page: u64, seen: &[u8; PAGE as usize]) -> bool {
        self.pages.get(&page).map_or_else(|| *self.material(page) == *seen, |written| **written == *seen)
    }

    /// Bytes of one page.
    pub fn read(&self, at: u64, into: &mut [u8]) {
        let from = (at % PAGE) as usize;
        into.copy_from_slice(&self.page(at / PAGE)[from..from + into.len()]);
    }

    /// Writes bytes of one page, and notes it in the slot's log.
    pub fn write(&mut self, at: u64, from: &[u8]) {
        let mut page = self.page(at / PAGE);
        page[(at % PAGE) as usize..][..from.len()].copy_from_slice(from);
        self.pages.insert(at / PAGE, page);
        if let Some(log) =
            self.slot_of(at).map(|(base, _)| base).and_then(|base| self.slots.get_mut(&base)?.log.as_mut())
        {
            log.write(at / PAGE);
        }
    }

    /// Notes in the logs that stores to the pages `from..to` (numbers) may have got as far as that, or that they were taken away.
    pub fn attempt(&mut self, from: u64, to: u64) {
        for (base, slot) in &mut self.slots {
            let (first, behind) = (base / PAGE, (base + slot.bytes) / PAGE);
            if let Some(log) = &mut slot.log {
                (first.max(from)..behind.min(to)).for_each(|page| log.attempt(page));
            }
        }
    }

    /// Forgets what was written to the pages `from..to` (numbers).
    pub fn forget(&mut self, from: u64, to: u64) {
        let gone: Vec<u64> = self.pages.range(from..to.max(from)).map(|(page, _)| *page).collect();
        for page in gone {
            self.pages.remove(&page);
        }
    }

    /// The numbers of all pages in slots.
    pub fn all_pages(&self) -> impl Iterator<Item = u64> + '_ {
        self.slots.iter().flat_map(|(base, slot)| base / PAGE..(base + slot.bytes) / PAGE)
    }
}

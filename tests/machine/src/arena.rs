//! Host memory as words that may be accessed by several threads at once.

use hv_core::sync::{AtomicU64, Ordering};
use ppc64_arch::addr::HostReal;

/// A stretch of host memory.
#[derive(Debug)]
pub struct Arena {
    base: HostReal,
    words: Box<[AtomicU64]>,
}

impl Arena {
    /// `bytes` of memory from `base` on, filled with rubbish: whoever needs zeros has to make them.
    #[must_use]
    pub fn new(base: HostReal, bytes: u64) -> Self {
        let rubbish = |index: u64| AtomicU64::new(index.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63);
        Self { base, words: (0..bytes / 8).map(rubbish).collect() }
    }

    /// The doublewords at `at`, which has to be a multiple of 8.
    ///
    /// # Panics
    /// If the range is not in the arena.
    #[must_use]
    pub fn words(&self, at: HostReal, count: usize) -> &[AtomicU64] {
        let offset = at.offset_from(self.base).expect("an address below the arena");
        assert!(offset.is_multiple_of(8), "{at} is not aligned");
        let first = (offset / 8) as usize;
        &self.words[first..first + count]
    }

    /// Zeroes a range of whole doublewords.
    pub fn zero(&self, at: HostReal, bytes: u64) {
        for word in self.words(at, (bytes / 8) as usize) {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Copies bytes out.
    pub fn read(&self, at: HostReal, into: &mut [u8]) {
        for (index, byte) in into.iter_mut().enumerate() {
            let (word, shift) = self.byte(at, index);
            *byte = (word.load(Ordering::Relaxed) >> shift) as u8;
        }
    }

    /// Copies bytes in.
    pub fn write(&self, at: HostReal, from: &[u8]) {
        for (index, byte) in from.iter().enumerate() {
            let (word, shift) = self.byte(at, index);
            let old = word.load(Ordering::Relaxed);
            word.store(old & !(0xff << shift) | u64::from(*byte) << shift, Ordering::Relaxed);
        }
    }

    /// One doubleword, little-endian.
    #[must_use]
    pub fn read_u64(&self, at: HostReal) -> u64 {
        self.words(at, 1)[0].load(Ordering::Relaxed)
    }

    /// One doubleword, little-endian.
    pub fn write_u64(&self, at: HostReal, value: u64) {
        self.words(at, 1)[0].store(value, Ordering::Relaxed);
    }

    fn byte(&self, at: HostReal, index: usize) -> (&AtomicU64, u32) {
        let at = at.raw() + index as u64;
        (&self.words(HostReal::new(at & !7), 1)[0], (at & 7) as u32 * 8)
    }
}

//! Host memory as words that may be accessed by several threads at once.

use crate::held;
use hv_core::sync::{AtomicU64, Ordering};
use ppc64_arch::addr::HostReal;
use std::sync::Mutex;

/// The memory of the arena that was dropped last.
static SPARE: Mutex<Option<Box<[u64]>>> = Mutex::new(None);
/// The largest that is kept, in doublewords: 64 MiB.
const KEPT: usize = (64 << 20) / 8;
/// Doublewords after which rubbish repeats.
const RUBBISH: usize = 8192;

/// A stretch of host memory.
#[derive(Debug)]
pub struct Arena {
    base: HostReal,
    words: Box<[AtomicU64]>,
}

impl Arena {
    /// `bytes` of memory from `base` on. The first `quiet` bytes hold zeros and take no memory of the test's until they are touched; the others hold
    /// rubbish: whoever needs zeros has to make them.
    #[must_use]
    pub fn new(base: HostReal, bytes: u64, quiet: u64) -> Self {
        let (count, quiet) = ((bytes / 8) as usize, (quiet / 8) as usize);
        let words = spare(count, quiet).unwrap_or_else(|| fresh(count, quiet));
        Self { base, words: into_atomics(words) }
    }

    /// The first address behind it.
    #[must_use]
    pub fn end(&self) -> HostReal {
        HostReal::new(self.base.raw() + self.words.len() as u64 * 8)
    }

    /// Whether `at..at + bytes` lies in it.
    #[must_use]
    pub fn holds(&self, at: HostReal, bytes: u64) -> bool {
        self.base <= at && at.checked_add(bytes).is_some_and(|end| end <= self.end())
    }

    /// The doublewords at `at`, which has to be a multiple of 8.
    ///
    /// # Panics
    /// If the range is not in the arena.
    #[must_use]
    pub fn words(&self, at: HostReal, count: usize) -> &[AtomicU64] {
        assert!(self.holds(at, count as u64 * 8), "{at} and {count} doublewords from there are not all in the arena");
        let offset = at.raw() - self.base.raw();
        assert!(offset.is_multiple_of(8), "{at} is not aligned");
        let first = (offset / 8) as usize;
        &self.words[first..first + count]
    }

    /// Sets a range of whole doublewords to `value`.
    pub fn fill(&self, at: HostReal, bytes: u64, value: u64) {
        for word in self.words(at, (bytes / 8) as usize) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Copies a range to another one, which does not overlap it.
    pub fn copy(&self, to: HostReal, from: HostReal, bytes: u64) {
        if (to.raw() | from.raw() | bytes) & 7 == 0 {
            let (to, from) = (self.words(to, (bytes / 8) as usize), self.words(from, (bytes / 8) as usize));
            for (to, from) in to.iter().zip(from) {
                to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        } else {
            let mut buffer = vec![0; bytes as usize];
            self.read(from, &mut buffer);
            self.write(to, &buffer);
        }
    }

    /// Copies bytes out.
    pub fn read(&self, at: HostReal, into: &mut [u8]) {
        if at.raw().is_multiple_of(8)
            && let (doublewords, []) = into.as_chunks_mut::<8>()
        {
            let words = self.words(at, doublewords.len());
            for (to, from) in doublewords.iter_mut().zip(words) {
                *to = from.load(Ordering::Relaxed).to_le_bytes();
            }
            return;
        }
        for (index, byte) in into.iter_mut().enumerate() {
            let (word, shift) = self.byte(at, index);
            *byte = (word.load(Ordering::Relaxed) >> shift) as u8;
        }
    }

    /// Copies bytes in. Bytes beside them may be written by other threads at the same time.
    pub fn write(&self, at: HostReal, from: &[u8]) {
        for (index, byte) in from.iter().enumerate() {
            let (word, shift) = self.byte(at, index);
            let put = |old: u64| Some(old & !(0xff << shift) | u64::from(*byte) << shift);
            let _always_some = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, put);
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

impl Drop for Arena {
    fn drop(&mut self) {
        let words = into_words(std::mem::take(&mut self.words));
        if words.len() <= KEPT {
            *held(&SPARE) = Some(words);
        }
    }
}

/// The memory of the arena that was dropped last, if it was as large: memory that is touched for the first time costs far more than all else of a short test. What it held is the rubbish.
fn spare(count: usize, quiet: usize) -> Option<Box<[u64]>> {
    let mut words = held(&SPARE).take_if(|words| words.len() == count)?;
    words[..quiet].fill(0);
    Some(words)
}

/// Memory of which the first `quiet` doublewords are not touched.
fn fresh(count: usize, quiet: usize) -> Box<[u64]> {
    let mut words = vec![0; count].into_boxed_slice();
    let rubbish: [u64; RUBBISH] =
        std::array::from_fn(|index| (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63);
    for piece in words[quiet..].chunks_mut(RUBBISH) {
        piece.copy_from_slice(&rubbish[..piece.len()]);
    }
    words
}

fn into_words(atomics: Box<[AtomicU64]>) -> Box<[u64]> {
    // SAFETY: 1. As in `into_atomics`.
    unsafe { Box::from_raw(Box::into_raw(atomics) as *mut [u64]) }
}

fn into_atomics(words: Box<[u64]>) -> Box<[AtomicU64]> {
    // SAFETY: 1. An AtomicU64 has the size, the alignment and the values of a u64 where u64 is aligned to 8 bytes, as on every host of 64 bits. 2. The box is owned.
    unsafe { Box::from_raw(Box::into_raw(words) as *mut [AtomicU64]) }
}

const _: () = assert!(align_of::<u64>() == align_of::<AtomicU64>());

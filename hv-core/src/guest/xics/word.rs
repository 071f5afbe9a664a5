//! The word that holds a server's or a source's whole state, and the one place that says how such words are ordered.
//!
//! Every change is a read-modify-write, also one that writes what was there: it takes its place in the order of all changes of that word, acquires
//! what happened before the ones in front of it, and releases what its CPU did. A load alone may be old, so nothing is left undone because of one.

use crate::sync::{AtomicU64, Ordering};
use core::marker::PhantomData;

/// A state that fits into a word.
pub trait Packed: Copy {
    /// The state as a word.
    fn packed(self) -> u64;
    /// The state that [`Packed::packed`] made `word` of.
    fn unpacked(word: u64) -> Self;
}

/// An atomic `T`.
#[derive(Debug)]
pub struct Word<T> {
    cell: AtomicU64,
    holds: PhantomData<T>,
}

impl<T: Packed> Word<T> {
    /// A word that holds `state`.
    pub fn new(state: T) -> Self {
        Self { cell: AtomicU64::new(state.packed()), holds: PhantomData }
    }

    /// What it holds, or held a moment ago. A look orders nothing: whoever acts on it replaces what it saw, which does.
    pub fn look(&self) -> T {
        T::unpacked(self.cell.load(Ordering::Relaxed))
    }

    /// Replaces `seen` by `next`, if it is still there.
    pub fn replace(&self, seen: T, next: T) -> bool {
        self.cell.compare_exchange(seen.packed(), next.packed(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes the step that `step` finds for what is there; what `step` says besides. `None`: it found none.
    pub fn try_change<R>(&self, step: impl Fn(T) -> Option<(T, R)>) -> Option<R> {
        loop {
            let seen = self.look();
            let (next, said) = step(seen)?;
            if self.replace(seen, next) {
                return Some(said);
            }
        }
    }

    /// Takes the step that `step` says; what it says besides.
    pub fn change<R>(&self, step: impl Fn(T) -> (T, R)) -> R {
        loop {
            let seen = self.look();
            let (next, said) = step(seen);
            if self.replace(seen, next) {
                return said;
            }
        }
    }
}

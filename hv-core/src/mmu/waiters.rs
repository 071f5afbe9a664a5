//! Who waits for a page or a mutation, and how they are woken.
//!
//! A fault that ends in [`Resolution::Wait`](super::Resolution::Wait) has its vCPU put aside. Before that it leaves its *token*, a bit of one word; whoever replaces an entry in
//! transit or leaving by a settled one, or gives the mutation lock back, looks at the word afterwards, and wakes everybody in it.
//!
//! ```text
//!   waiter:  word |= me     ; fence ; the fault once more: still to wait?    then it may sleep
//!   worker:  entry := page  ; fence ; word != 0?   then word := 0, and those that were in it are woken
//! ```
//!
//! That is store buffering: the waiter finds the entry settled, or the worker finds the waiter's bit. A wake-up is for all, and means no more than "look again": whoever still has
//! to wait leaves its token anew. The common fault path neither writes nor reads the word.

use crate::sync::{AtomicU64, CacheLine, Ordering, fence};
use core::fmt;
use spin::Once;

/// Makes those run again that were put aside.
pub trait Wake: Sync {
    /// Each bit of `tokens` names one that waited; one that did not sleep yet must not go to sleep any more. What the caller did before happens before what the woken do next.
    fn wake(&self, tokens: u64);
}

/// Those that wait at one space.
#[derive(Default)]
pub(super) struct Waiters<'m> {
    tokens: CacheLine<AtomicU64>,
    waker: Once<&'m dyn Wake>,
}

impl<'m> Waiters<'m> {
    /// Whom to tell. Only the first one counts, and nobody waits before.
    pub fn set_waker(&self, waker: &'m dyn Wake) {
        self.waker.call_once(|| waker);
    }

    /// Leaves a token (below 64). The fault is to be tried once more after that.
    pub fn wait(&self, token: u32) {
        self.tokens.0.fetch_or(1 << token, Ordering::Relaxed);
        // The token before the entries and the lock are looked at again; pairs with the fence in `settled`.
        fence(Ordering::SeqCst);
    }

    /// Takes it back. A wake-up may be on its way all the same.
    pub fn unwait(&self, token: u32) {
        self.tokens.0.fetch_and(!(1 << token), Ordering::Relaxed);
    }

    /// Something that may be waited for is over, and what was stored for that comes before this call.
    #[inline]
    pub fn settled(&self) {
        let Some(waker) = self.waker.get() else { return };
        // The entry, or the lock, before the tokens; pairs with the fence in `wait`.
        fence(Ordering::SeqCst);
        if self.tokens.0.load(Ordering::Relaxed) != 0 {
            self.wake_all(*waker);
        }
    }

    #[cold]
    fn wake_all(&self, waker: &dyn Wake) {
        // Taken before anybody is woken: whoever leaves a token again is seen by the next one. Relaxed: what was settled is published by the waker.
        match self.tokens.0.swap(0, Ordering::Relaxed) {
            0 => {}
            tokens => waker.wake(tokens),
        }
    }
}

impl fmt::Debug for Waiters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

/// Calls [`Waiters::settled`] when it goes: the field behind the guard of a lock.
#[derive(Debug)]
pub(super) struct Settles<'a, 'm>(pub &'a Waiters<'m>);

impl Drop for Settles<'_, '_> {
    fn drop(&mut self) {
        self.0.settled();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(&self, tokens: u64) {
            self.0.fetch_or(tokens, Ordering::Relaxed);
        }
    }

    #[test]
    fn whoever_left_a_token_is_woken_once() {
        let woken = Woken::default();
        let waiters = Waiters::default();
        waiters.set_waker(&woken);
        waiters.settled();
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        waiters.wait(0);
        waiters.wait(63);
        waiters.settled();
        assert_eq!(woken.0.swap(0, Ordering::Relaxed), 1 | 1 << 63);
        waiters.settled();
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn whoever_took_its_token_back_is_not_woken() {
        let woken = Woken::default();
        let waiters = Waiters::default();
        waiters.set_waker(&woken);
        waiters.wait(3);
        waiters.wait(4);
        waiters.unwait(3);
        waiters.settled();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1 << 4);
    }
}

//! Calls that end later: the firmware answers that it has begun, and a message with the caller's token says how it went.
//!
//! The firmware moves only when it is polled, so whoever waits polls. It keeps a completion until it is asked for by its token: two that wait do not
//! take each other's, and one that nobody waits for any more is left to it.

use super::{Opal, call, code, poll, token};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use opal_wire::message::{Completion, LEAST_BYTES};
use ppc64_arch::cpu;

/// A name for a call, which no other call has.
pub fn next_token() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only that it is another one matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Room for a message of the firmware's largest size.
pub struct Mailbox {
    words: Vec<u64>,
}

/// No completion came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Not in time: the call may still go on.
    TooLong,
    /// The firmware has no such call, with this code.
    Refused(i64),
}

impl Mailbox {
    /// The largest message that room is made for; what firmware there is has 64 KiB.
    const LARGEST: u64 = 256 * 1024;

    /// One for this firmware's messages; `None` if there is no memory for them.
    #[must_use]
    pub fn new(opal: Opal) -> Option<Self> {
        if opal.message_bytes > Self::LARGEST {
            return None;
        }
        let count = crate::memory::index(opal.message_bytes.max(u64::from(LEAST_BYTES)).div_ceil(8));
        let mut words = Vec::new();
        words.try_reserve_exact(count).ok()?;
        words.resize(count, 0);
        Some(Self { words })
    }

    /// Waits for the call `wanted` to end, for `ticks` of the timebase; the firmware's answer to it.
    ///
    /// # Errors
    /// [`Waited`].
    pub fn wait(&mut self, wanted: u64, ticks: u64) -> Result<i64, Waited> {
        let start = cpu::timebase();
        loop {
            poll();
            if let Some(code) = self.look(wanted)? {
                return Ok(code);
            }
            if cpu::timebase().wrapping_sub(start) > ticks {
                return Err(Waited::TooLong);
            }
        }
    }

    /// The answer to `wanted`, if it has come.
    fn look(&mut self, wanted: u64) -> Result<Option<i64>, Waited> {
        let room = self.words.as_mut_ptr().expose_provenance() as u64;
        let bytes = self.words.len() as u64 * 8;
        // SAFETY: 1. the firmware writes at most that many bytes, which are borrowed for the call.
        match unsafe { call(token::CHECK_ASYNC_COMPLETION, &[room, bytes, wanted]) } {
            code::SUCCESS => {}
            code::BUSY | code::BUSY_EVENT => return Ok(None),
            other => return Err(Waited::Refused(other)),
        }
        let completion = Completion::read(&self.words).filter(|completion| completion.token == wanted);
        Ok(completion.map(|completion| completion.code))
    }
}

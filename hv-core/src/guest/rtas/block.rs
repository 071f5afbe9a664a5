//! The argument block: copied in once, checked once, results written once. Between those the guest can change its memory as it likes.

use super::Service;
use crate::guest::claim::{self, Claim};
use crate::guest::host::{GuestMemory, MemoryError};
use crate::papr::Rc;
use crate::papr::rtas::{HEADER_BYTES, MAX_WORDS, Status};

/// A block whose counts were checked.
pub struct Block {
    place: claim::Block,
    token: u32,
    nargs: usize,
    nret: usize,
    words: [u32; MAX_WORDS],
}

impl Block {
    /// Copies the block at `at`: on a word, inside memory, with at most 16 arguments and results together.
    ///
    /// # Errors
    /// [`Rc::PARAMETER`] if it is anything else.
    pub fn copy_in(memory: &dyn GuestMemory, at: Claim) -> Result<Self, Rc> {
        let header = at.block(memory, HEADER_BYTES as u64, 4)?;
        let token = header.read_be32(memory, 0)?;
        let nargs = count(header.read_be32(memory, 4)?)?;
        let nret = count(header.read_be32(memory, 8)?)?;
        if nargs + nret > MAX_WORDS {
            return Err(Rc::PARAMETER);
        }
        let place = at.block(memory, (HEADER_BYTES + 4 * (nargs + nret)) as u64, 4)?;
        let mut words = [0; MAX_WORDS];
        for (n, word) in words.iter_mut().take(nargs).enumerate() {
            *word = place.read_be32(memory, word_offset(n))?;
        }
        Ok(Self { place, token, nargs, nret, words })
    }

    /// The service that is asked for.
    #[must_use]
    pub fn token(&self) -> u32 {
        self.token
    }

    /// Whether the counts are what `service` wants. More arguments than it wants are let pass where it says so.
    #[must_use]
    pub fn fits(&self, service: &Service) -> bool {
        service.nargs.contains(&self.nargs) && self.nret == service.nret
    }

    /// Arguments, and results after the status.
    pub fn split(&mut self) -> (&[u32], &mut [u32]) {
        let (args, rest) = self.words.split_at_mut(self.nargs);
        let results = rest.get_mut(1..self.nret).unwrap_or_default();
        (args, results)
    }

    /// Sets the first result, if there is room for one.
    pub fn set_status(&mut self, status: Status) {
        if self.nret > 0 {
            self.words[self.nargs] = status.word();
        }
    }

    /// Writes the results.
    ///
    /// # Errors
    /// [`MemoryError`] if the memory is read-only or went away meanwhile.
    pub fn copy_out(&self, memory: &dyn GuestMemory) -> Result<(), MemoryError> {
        let mut bytes = [0; 4 * MAX_WORDS];
        for n in 0..self.nret {
            bytes[4 * n..4 * n + 4].copy_from_slice(&self.words[self.nargs + n].to_be_bytes());
        }
        self.place.write(memory, word_offset(self.nargs), &bytes[..4 * self.nret])
    }
}

fn count(word: u32) -> Result<usize, Rc> {
    Ok(Claim::new(u64::from(word)).at_most(MAX_WORDS)?)
}

const fn word_offset(n: usize) -> u64 {
    (HEADER_BYTES + 4 * n) as u64
}

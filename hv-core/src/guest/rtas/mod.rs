//! RTAS, the services that a PAPR guest calls like firmware (LoPAR 7). The guest's memory holds five instructions ([`blob`]) that turn such a call into
//! the hypervisor call H_RTAS.
//!
//! ```text
//!   H_RTAS ──► block: copied once, checked once ──► services: the row of the token ──► results written once
//! ```

pub mod blob;
mod block;
pub mod calendar;
mod interrupts;
mod lifecycle;
mod parameters;
mod services;
#[cfg(test)]
mod tests;
mod time;

use super::claim::Claim;
use super::hcall::{Answer, Call};
use super::machine::Flow;
use crate::papr::Rc;
use crate::papr::rtas::Status;
pub use block::Block;
pub use services::{Service, tokens};

/// What a service works on: the arguments, as many as its row says, and the results but for the status, likewise.
pub struct Request<'a, 'b> {
    /// The hypervisor call that brought it.
    pub call: &'a mut Call<'b>,
    /// Argument words, native order.
    pub args: &'a [u32],
    /// Result words after the status, native order, zero at first.
    pub results: &'a mut [u32],
}

impl Request<'_, '_> {
    /// Argument `n` as an address or length in the guest's memory. (Zero if the row of the service has fewer.)
    #[must_use]
    pub fn claim(&self, n: usize) -> Claim {
        Claim::new(u64::from(self.word(n)))
    }

    /// Argument `n`. (Zero if the row of the service has fewer.)
    #[must_use]
    pub fn word(&self, n: usize) -> u32 {
        self.args.get(n).copied().unwrap_or(0)
    }

    /// Sets result `n`, the status not counted.
    pub fn set(&mut self, n: usize, value: u32) {
        if let Some(word) = self.results.get_mut(n) {
            *word = value;
        }
    }
}

/// How a service ends: the status for the guest, and what happens next.
pub type Outcome = (Status, Flow);

/// The hypervisor call H_RTAS. r4: the block.
///
/// A block that cannot be read, or whose counts cannot be, is answered with H_PARAMETER and left alone: there is no telling where its
/// results would go. Anything else gets a status in its first result.
pub fn call(call: &mut Call<'_>) -> Answer {
    call.counters.rtas += 1;
    let mut block = Block::copy_in(call.memory, call.arg(0))?;
    let Some(service) = services::find(block.token()) else {
        debug!("RTAS token {=u32:#x} is not offered", block.token());
        block.set_status(Status::PARAMETER);
        block.copy_out(call.memory)?;
        return Err(Rc::PARAMETER);
    };
    let (status, flow) = if block.fits(service) {
        let (args, results) = block.split();
        (service.handler)(&mut Request { call, args, results })
    } else {
        (Status::PARAMETER, Flow::Resume)
    };
    block.set_status(status);
    block.copy_out(call.memory)?;
    Ok(flow)
}

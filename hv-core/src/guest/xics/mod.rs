//! The interrupt controller that PAPR guests know as XICS: sources present interrupts to servers (one a processor) by
//! priority, 0 the most favoured and 0xff none at all (LoPAR 6, interrupt controller).
//!
//! ```text
//!   source ──claimed──► server: is it better than CPPR, and than what is presented?
//!      ▲                   │ yes: presented; what it displaces goes back       no: goes back, and waits for room
//!      └──given back ◄─────┘
//!   accept: XIRR read, CPPR = its priority      eoi: CPPR restored, who waits for room is offered again
//! ```
//!
//! # Protocol
//!
//! A server's state is one atomic word and a source's is another ([`icp`], [`ics`]); each transition is a pure function from a state to a state and what
//! must happen next. There is no lock. All CPUs may do anything at any time; this file is the only place that follows consequences from one
//! word to another. Every change is a read-modify-write with acquire and release (`word`), so that the changes of one word have one order, and
//! whoever comes later in it sees all that came before.
//!
//! 1. *A source is claimed before it is presented*, by replacing the word in which it was seen pending. One of several CPUs that offer it succeeds; the
//!    others look again. Hence an edge is presented once.
//! 2. *Whoever makes a source pending offers it*: a signal, an end, a new route or priority, a source that is given back. An offer reads the route again
//!    whenever it lost a race, and ends in one of three ways: presented, turned away, or nothing left to deliver (somebody else's offer has it).
//! 3. *A source is turned away in the server's own word*: its bit is set there by replacing the very word that refused it. So a
//!    server that made room in between is seen (the word is another one, and the offer begins anew), and one that makes room later finds the bit.
//!    It is set even if it is set already: that it was seen says nothing about now.
//! 4. *The source is pending before its bit is set*: it was not claimed for an offer that is refused at first sight, and is given back before the offer
//!    begins anew if the server changed its mind after the claim. So whoever finds the bit finds the source pending.
//! 5. *Whoever makes room takes the bits* in the same change, and offers these sources again. There is more room when the less favoured of two
//!    thresholds, CPPR and what is presented, rises; accepting makes none, since CPPR takes the place of what is presented.
//! 6. *What is displaced is given back to its source, and offered again*, as in 2: it may be routed elsewhere by now.
//!
//! Rule 3 is what makes a refusal and the making of room meet: both change one word, so that no fence between two of them is needed. A source that was routed
//! elsewhere may leave its bit behind; that costs one look.
//!
//! Offers end: each presentation at a server makes its threshold better, and what an offer loses to is another CPU's call.

pub mod icp;
pub mod ics;
mod wakes;
mod word;

use crate::sync::CacheLine;
use heapless::Vec;
pub use icp::Xirr;
use icp::{Displacing, Server};
use ics::Source;
pub use ics::Trigger;
pub use wakes::Wakes;
use word::Word;

/// The most servers a guest can have.
pub const MAX_SERVERS: usize = 8;
/// The most sources.
pub const MAX_SOURCES: usize = 16;
/// Number of the first source. Lower numbers are not sources; 2 is the inter-processor interrupt.
pub const FIRST_SOURCE: u32 = 0x1000;
/// The terminal's source.
pub const VTY_SOURCE: u32 = FIRST_SOURCE;

// A server's word has a bit for each source, and 16 bits for the number of one.
const _: () = assert!(MAX_SOURCES <= 16 && FIRST_SOURCE + MAX_SOURCES as u32 <= 1 << 16);
// A mask of those to be woken has a bit for each server.
const _: () = assert!(MAX_SERVERS <= 64);

/// Why a call to the controller was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XicsError {
    /// No server of that number.
    NoServer,
    /// No source of that number.
    NoSource,
}

/// The controller of one guest.
#[derive(Debug)]
pub struct Xics {
    /// Each on a line of its own, since a processor looks at its server's word all the time.
    servers: Vec<CacheLine<Word<Server>>, MAX_SERVERS>,
    sources: Vec<Word<Source>, MAX_SOURCES>,
}

impl Xics {
    /// A controller for `servers` processors (at most [`MAX_SERVERS`] of them are served), with the terminal's source.
    #[must_use]
    pub fn new(servers: u32) -> Self {
        let mut new = Self { servers: Vec::new(), sources: Vec::new() };
        for _ in 0..servers {
            if new.servers.push(CacheLine(Word::new(Server::at_reset()))).is_err() {
                break;
            }
        }
        new.add_source(Trigger::Edge);
        new
    }

    /// Adds a source, before the processors share the controller; its number, or `None` if there is no room.
    pub fn add_source(&mut self, trigger: Trigger) -> Option<u32> {
        let index = u32::try_from(self.sources.len()).ok()?;
        self.sources.push(Word::new(Source::masked(trigger))).ok()?;
        Some(FIRST_SOURCE + index)
    }

    /// A device signals: an edge, or the level becomes `on`. For an edge source `on` = false means nothing.
    ///
    /// # Errors
    /// [`XicsError::NoSource`].
    pub fn signal(&self, source: u32, on: bool) -> Result<Wakes, XicsError> {
        self.change_source(source, |source| source.signalled(on))
    }

    /// Whether the server has something to present to its processor. One load, which orders nothing: whoever makes it true is told by [`Wakes`] to wake the
    /// processor, and that orders it.
    #[must_use]
    #[inline]
    pub fn is_pending(&self, server: u32) -> bool {
        self.servers.get(server as usize).is_some_and(|CacheLine(cell)| cell.look().presented().is_some())
    }

    /// H_XIRR: accepts what is presented.
    ///
    /// # Errors
    /// [`XicsError::NoServer`].
    pub fn accept(&self, server: u32) -> Result<Xirr, XicsError> {
        Ok(self.server(server)?.change(Server::accepted))
    }

    /// H_IPOLL: what is presented, and the MFRR.
    ///
    /// # Errors
    /// [`XicsError::NoServer`].
    pub fn poll(&self, server: u32) -> Result<(Xirr, u8), XicsError> {
        let seen = self.server(server)?.look();
        Ok((seen.xirr(), seen.mfrr()))
    }

    /// H_CPPR: sets the processor's priority.
    ///
    /// # Errors
    /// [`XicsError::NoServer`].
    pub fn set_cppr(&self, server: u32, cppr: u8) -> Result<Wakes, XicsError> {
        self.change_server(server, |server| server.with_cppr(cppr))
    }

    /// H_EOI: ends an interrupt and restores the priority that `xirr` carries.
    ///
    /// # Errors
    /// [`XicsError::NoServer`]. An unknown source is no error: the guest may end what it likes.
    pub fn end(&self, server: u32, xirr: Xirr) -> Result<Wakes, XicsError> {
        let room = self.set_cppr(server, xirr.priority())?;
        let again = self.change_source(xirr.source(), Source::ended).unwrap_or(Wakes::NONE);
        Ok(room | again)
    }

    /// H_IPI: sets the priority of the server's inter-processor interrupt; 0xff takes it back.
    ///
    /// # Errors
    /// [`XicsError::NoServer`].
    pub fn set_mfrr(&self, server: u32, mfrr: u8) -> Result<Wakes, XicsError> {
        self.change_server(server, |server| server.with_mfrr(mfrr))
    }

    /// The server is as at reset, since its processor stopped. What it presented waits for it, or for another route.
    ///
    /// # Errors
    /// [`XicsError::NoServer`].
    pub fn reset_server(&self, server: u32) -> Result<Wakes, XicsError> {
        self.change_server(server, Server::reset)
    }

    /// ibm,set-xive: where a source goes, and how urgent it is. Unmasks it unless `priority` is 0xff. What is presented already stays where it is.
    ///
    /// # Errors
    /// [`XicsError`].
    pub fn set_route(&self, source: u32, server: u32, priority: u8) -> Result<Wakes, XicsError> {
        self.server(server)?;
        self.change_source(source, |source| source.routed(server, priority))
    }

    /// ibm,get-xive: server and priority of a source.
    ///
    /// # Errors
    /// [`XicsError::NoSource`].
    pub fn route(&self, source: u32) -> Result<(u32, u8), XicsError> {
        let seen = self.source(source)?.look();
        Ok((seen.server(), seen.priority()))
    }

    /// ibm,int-off and ibm,int-on: masks a source, or gives it back the priority it had.
    ///
    /// # Errors
    /// [`XicsError::NoSource`].
    pub fn set_masked(&self, source: u32, masked: bool) -> Result<Wakes, XicsError> {
        self.change_source(source, |source| if masked { source.masked_now() } else { source.unmasked() })
    }

    /// Changes a source, and offers it (rule 2).
    fn change_source(&self, number: u32, step: impl Fn(Source) -> Source) -> Result<Wakes, XicsError> {
        self.source(number)?.change(|source| (step(source), ()));
        Ok(self.offer(number))
    }

    /// Changes a server; what that displaces, and who waited for the room that it made, is offered again (rules 5 and 6).
    fn change_server(&self, number: u32, step: impl Fn(Server) -> Displacing) -> Result<Wakes, XicsError> {
        let (displaced, waited, presents) = self.server(number)?.change(|before| {
            let (after, displaced) = step(before);
            let presents = after.presented().is_some() && after.presented() != before.presented();
            let (after, waited) = after.letting_in(before);
            (after, (displaced, waited, presents))
        });
        let mut wakes = if presents { Wakes::one(number) } else { Wakes::NONE };
        if let Some(displaced) = displaced {
            self.give_back(displaced);
            wakes |= self.offer(displaced);
        }
        for number in sources_of(waited) {
            wakes |= self.offer(number);
        }
        Ok(wakes)
    }

    /// An interrupt is with its source again. (The IPI needs no source: MFRR still holds it.)
    fn give_back(&self, number: u32) {
        if let Ok(cell) = self.source(number) {
            cell.change(|source| (source.rejected(), ()));
        }
    }

    /// Offers a source to its server, if it wants to be, and then whatever that displaced, and so on.
    fn offer(&self, number: u32) -> Wakes {
        let mut wakes = Wakes::NONE;
        let mut next = Some(number);
        while let Some(number) = next {
            let Some((server, displaced)) = self.present(number) else { break };
            wakes |= Wakes::one(server);
            if let Some(displaced) = displaced {
                self.give_back(displaced);
            }
            next = displaced;
        }
        wakes
    }

    /// Presents a source to its server: which, and what it displaced there. `None`: it was turned away, or there is nothing to deliver.
    fn present(&self, number: u32) -> Option<(u32, Option<u32>)> {
        let cell = self.source(number).ok()?;
        loop {
            let source = cell.look();
            if !source.wants_delivery() {
                return None;
            }
            let server = self.server(source.server()).ok()?;
            let seen = server.look();
            if seen.refuses(source.priority()) {
                // Rule 3.
                if server.replace(seen, seen.turning_away(bit_of(number))) {
                    return None;
                }
                continue;
            }
            // Rule 1.
            if !cell.replace(source, source.delivered()) {
                continue;
            }
            if let Some(displaced) = server.try_change(|server| server.offered(number, source.priority())) {
                return Some((source.server(), displaced));
            }
            // Rule 4.
            self.give_back(number);
        }
    }

    fn server(&self, number: u32) -> Result<&Word<Server>, XicsError> {
        self.servers.get(number as usize).map(|CacheLine(cell)| cell).ok_or(XicsError::NoServer)
    }

    fn source(&self, number: u32) -> Result<&Word<Source>, XicsError> {
        let index = number.checked_sub(FIRST_SOURCE).ok_or(XicsError::NoSource)?;
        self.sources.get(index as usize).ok_or(XicsError::NoSource)
    }
}

/// The bit of a source in a server's word.
const fn bit_of(number: u32) -> u16 {
    1 << (number - FIRST_SOURCE)
}

/// The numbers of the sources whose bits are set.
fn sources_of(bits: u16) -> impl Iterator<Item = u32> {
    (FIRST_SOURCE..FIRST_SOURCE + u16::BITS).filter(move |number| bits & bit_of(*number) != 0)
}
#[cfg(all(test, loom))]
mod interleavings;
#[cfg(test)]
mod tests;

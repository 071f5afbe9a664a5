//! The interrupt controller that PAPR guests know as XICS: sources present interrupts to servers (one a processor) by
//! priority, 0 the most favoured and 0xff none at all (LoPAR 6, interrupt controller).
//!
//! ```text
//!   source ──pending──► server: is it better than CPPR, and than what is presented?
//!      ▲                   │ yes: presented; what it displaces goes back       no: goes back
//!      └──── rejected ◄────┘
//!   accept: XIRR read, CPPR = its priority      eoi: CPPR restored, waiting sources are offered again
//! ```
//!
//! A server's state is one 64-bit word and a source's is another ([`icp`], [`ics`]); each transition is a pure function from a word to a word and
//! what must happen next. This file is the only place that follows those consequences from one word to another, one at a time: so each word
//! can become an atomic one without changing the transitions.

pub mod icp;
pub mod ics;

use heapless::Vec;
use icp::Server;
pub use icp::Xirr;
use ics::Source;
pub use ics::Trigger;

/// The most servers a guest can have.
pub const MAX_SERVERS: usize = 8;
/// The most sources.
pub const MAX_SOURCES: usize = 16;
/// Number of the first source. Lower numbers are not sources; 2 is the inter-processor interrupt.
pub const FIRST_SOURCE: u32 = 0x1000;
/// The terminal's source.
pub const VTY_SOURCE: u32 = FIRST_SOURCE;

/// Why a call to the controller was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XicsError {
    /// No server of that number.
    NoServer,
    /// No source of that number.
    NoSource,
}

/// The controller of one guest.
#[derive(Clone, Debug)]
pub struct Xics {
    servers: Vec<Server, MAX_SERVERS>,
    sources: Vec<Source, MAX_SOURCES>,
}

impl Xics {
    /// A controller for `servers` processors (at most [`MAX_SERVERS`] of them are served), with the terminal's source.
    #[must_use]
    pub fn new(servers: u32) -> Self {
        let mut new = Self { servers: Vec::new(), sources: Vec::new() };
        for _ in 0..servers {
            if new.servers.push(Server::at_reset()).is_err() {
                break;
            }
        }
        new.add_source(Trigger::Edge);
        new
    }

    /// Adds a source; its number, or `None` if there is no room.
    pub fn add_source(&mut self, trigger: Trigger) -> Option<u32> {
        let index = u32::try_from(self.sources.len()).ok()?;
        self.sources.push(Source::masked(trigger)).ok()?;
        Some(FIRST_SOURCE + index)
    }

    /// A device signals: an edge, or the level becomes `on`. For an edge source `on` = false means nothing.
    ///
    /// # Errors
    /// [`XicsError::NoSource`].
    pub fn signal(&mut self, source: u32, on: bool) -> Result<(), XicsError> {
        let cell = self.source(source)?;
        *cell = cell.signalled(on);
        self.offer(source);
        Ok(())
    }

    /// Whether the server has something to present to its processor.
    #[must_use]
    pub fn is_pending(&self, server: u32) -> bool {
        self.servers.get(server as usize).is_some_and(|s| s.presented().is_some())
    }

    /// H_XIRR: accepts what is presented.
    ///
    /// # Errors
    /// [`XicsError::NoServer`].
    pub fn accept(&mut self, server: u32) -> Result<Xirr, XicsError> {
        let cell = self.server(server)?;
        let (next, xirr) = cell.accepted();
        *cell = next;
        Ok(xirr)
    }

    /// H_IPOLL: what is presented, and the MFRR.
    ///
    /// # Errors
    /// [`XicsError::NoServer`].
    pub fn poll(&mut self, server: u32) -> Result<(Xirr, u8), XicsError> {
        let cell = self.server(server)?;
        Ok((cell.xirr(), cell.mfrr()))
    }

    /// H_CPPR: sets the processor's priority.
    ///
    /// # Errors
    /// [`XicsError::NoServer`].
    pub fn set_cppr(&mut self, server: u32, cppr: u8) -> Result<(), XicsError> {
        let cell = self.server(server)?;
        let (next, displaced) = cell.with_cppr(cppr);
        *cell = next;
        self.reject(displaced);
        self.offer_all(server);
        Ok(())
    }

    /// H_EOI: ends an interrupt and restores the priority that `xirr` carries.
    ///
    /// # Errors
    /// [`XicsError::NoServer`]. An unknown source is no error: the guest may end what it likes.
    pub fn end(&mut self, server: u32, xirr: Xirr) -> Result<(), XicsError> {
        self.server(server)?;
        if let Ok(cell) = self.source(xirr.source()) {
            *cell = cell.ended();
        }
        self.set_cppr(server, xirr.priority())?;
        self.offer(xirr.source());
        Ok(())
    }

    /// H_IPI: sets the priority of the server's inter-processor interrupt; 0xff takes it back.
    ///
    /// # Errors
    /// [`XicsError::NoServer`].
    pub fn set_mfrr(&mut self, server: u32, mfrr: u8) -> Result<(), XicsError> {
        let cell = self.server(server)?;
        let (next, displaced) = cell.with_mfrr(mfrr);
        *cell = next;
        self.reject(displaced);
        self.offer_all(server);
        Ok(())
    }

    /// ibm,set-xive: where a source goes, and how urgent it is. Unmasks it unless `priority` is 0xff.
    ///
    /// # Errors
    /// [`XicsError`].
    pub fn set_route(&mut self, source: u32, server: u32, priority: u8) -> Result<(), XicsError> {
        self.server(server)?;
        let cell = self.source(source)?;
        *cell = cell.routed(server, priority);
        self.offer(source);
        Ok(())
    }

    /// ibm,get-xive: server and priority of a source.
    ///
    /// # Errors
    /// [`XicsError::NoSource`].
    pub fn route(&mut self, source: u32) -> Result<(u32, u8), XicsError> {
        let cell = self.source(source)?;
        Ok((cell.server(), cell.priority()))
    }

    /// ibm,int-off and ibm,int-on: masks a source, or gives it back the priority it had.
    ///
    /// # Errors
    /// [`XicsError::NoSource`].
    pub fn set_masked(&mut self, source: u32, masked: bool) -> Result<(), XicsError> {
        let cell = self.source(source)?;
        *cell = if masked { cell.masked_now() } else { cell.unmasked() };
        self.offer(source);
        Ok(())
    }

    /// Offers a source to its server, if it wants to be.
    fn offer(&mut self, number: u32) {
        let Ok(source) = self.source(number).copied() else { return };
        if !source.wants_delivery() {
            return;
        }
        let Ok(server) = self.server(source.server()) else { return };
        let Some((next, displaced)) = server.offered(number, source.priority()) else { return };
        *server = next;
        if let Ok(cell) = self.source(number) {
            *cell = cell.delivered();
        }
        self.reject(displaced);
    }

    /// Offers everything that waits for a server.
    fn offer_all(&mut self, server: u32) {
        for index in 0..self.sources.len() {
            if self.sources[index].server() == server {
                self.offer(FIRST_SOURCE + u32::try_from(index).unwrap_or(u32::MAX - FIRST_SOURCE));
            }
        }
    }

    /// Gives an interrupt that was presented back to its source. (The IPI needs none: MFRR still holds it.)
    fn reject(&mut self, displaced: Option<u32>) {
        if let Some(cell) = displaced.and_then(|number| self.source(number).ok()) {
            *cell = cell.rejected();
        }
    }

    fn server(&mut self, number: u32) -> Result<&mut Server, XicsError> {
        self.servers.get_mut(number as usize).ok_or(XicsError::NoServer)
    }

    fn source(&mut self, number: u32) -> Result<&mut Source, XicsError> {
        let index = number.checked_sub(FIRST_SOURCE).ok_or(XicsError::NoSource)?;
        self.sources.get_mut(index as usize).ok_or(XicsError::NoSource)
    }
}

#[cfg(test)]
mod tests;

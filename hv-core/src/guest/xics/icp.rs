//! A server: the presentation half, one a processor. Its whole state is one word.
//!
//! ```text
//!   63      32 31     24 23        16 15     8 7       0
//!   | XISR:24 | ----- | presented at |  MFRR  |  CPPR  |
//! ```

/// The source number that means the inter-processor interrupt.
pub const IPI: u32 = 2;
/// The least favoured priority: none.
pub const NONE: u8 = 0xff;

/// What H_XIRR answers: CPPR in the high byte, the source in the low 24 bits (0: nothing was presented).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Xirr(u32);

impl Xirr {
    /// From the low 32 bits of a register.
    #[must_use]
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// As it goes to a register.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The source's number.
    #[must_use]
    pub const fn source(self) -> u32 {
        self.0 & 0x00ff_ffff
    }

    /// The priority.
    #[must_use]
    pub const fn priority(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    const fn from_parts(cppr: u8, source: u32) -> Self {
        Self((cppr as u32) << 24 | source & 0x00ff_ffff)
    }
}

/// The state of a server: a value, from which each transition makes the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Server(u64);

/// A transition that may displace what was presented: the next state, and the source to give it back to.
pub type Displacing = (Server, Option<u32>);

impl Server {
    /// Nothing presented, nothing accepted: the processor must raise CPPR first.
    #[must_use]
    pub const fn at_reset() -> Self {
        Self::pack(0, NONE, NONE, 0)
    }

    const fn pack(cppr: u8, mfrr: u8, at: u8, source: u32) -> Self {
        Self((source as u64) << 32 | (at as u64) << 16 | (mfrr as u64) << 8 | cppr as u64)
    }

    const fn cppr(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    /// Priority of the inter-processor interrupt; 0xff: none is asked for.
    #[must_use]
    pub const fn mfrr(self) -> u8 {
        self.0.to_le_bytes()[1]
    }

    const fn presented_at(self) -> u8 {
        self.0.to_le_bytes()[2]
    }

    /// The source that is presented.
    #[must_use]
    pub const fn presented(self) -> Option<u32> {
        let b = self.0.to_be_bytes();
        match u32::from_be_bytes([b[0], b[1], b[2], b[3]]) {
            0 => None,
            source => Some(source),
        }
    }

    /// What H_XIRR would answer.
    #[must_use]
    pub fn xirr(self) -> Xirr {
        Xirr::from_parts(self.cppr(), self.presented().unwrap_or(0))
    }

    /// What is presented is accepted: it is no longer, and CPPR takes its priority. Accepting nothing changes nothing.
    #[must_use]
    pub fn accepted(self) -> (Self, Xirr) {
        let next = match self.presented() {
            None => self,
            Some(_) => Self::pack(self.presented_at(), self.mfrr(), NONE, 0),
        };
        (next, self.xirr())
    }

    /// `source` is offered at `priority`. `None`: the server has something better to do.
    #[must_use]
    pub fn offered(self, source: u32, priority: u8) -> Option<Displacing> {
        if priority >= self.cppr() || priority >= self.presented_at() {
            return None;
        }
        Some((Self::pack(self.cppr(), self.mfrr(), priority, source), self.displaced()))
    }

    /// CPPR becomes `cppr`. What is presented goes back if it is not better than that; the inter-processor interrupt may take its
    /// place.
    #[must_use]
    pub fn with_cppr(self, cppr: u8) -> Displacing {
        let (kept, displaced) = if self.presented().is_some() && self.presented_at() >= cppr {
            (Self::pack(cppr, self.mfrr(), NONE, 0), self.displaced())
        } else {
            (Self::pack(cppr, self.mfrr(), self.presented_at(), self.presented().unwrap_or(0)), None)
        };
        let (next, by_ipi) = kept.with_ipi_presented();
        (next, displaced.or(by_ipi))
    }

    /// MFRR becomes `mfrr`. A presented inter-processor interrupt follows it.
    #[must_use]
    pub fn with_mfrr(self, mfrr: u8) -> Displacing {
        let withdrawn = if self.presented() == Some(IPI) {
            Self::pack(self.cppr(), mfrr, NONE, 0)
        } else {
            Self::pack(self.cppr(), mfrr, self.presented_at(), self.presented().unwrap_or(0))
        };
        withdrawn.with_ipi_presented()
    }

    fn with_ipi_presented(self) -> Displacing {
        self.offered(IPI, self.mfrr()).unwrap_or((self, None))
    }

    fn displaced(self) -> Option<u32> {
        self.presented().filter(|source| *source != IPI)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_at_reset_takes_nothing() {
        assert_eq!(Server::at_reset().offered(0x1000, 0), None);
        assert_eq!(Server::at_reset().xirr(), Xirr::new(0));
    }

    #[test]
    fn accepting_raises_the_priority_to_what_was_accepted() {
        let (open, _) = Server::at_reset().with_cppr(0xff);
        let (presenting, _) = open.offered(0x1000, 5).expect("better than nothing");
        let (serving, xirr) = presenting.accepted();
        assert_eq!(xirr, Xirr::new(0xff00_1000));
        assert_eq!(serving.xirr(), Xirr::new(0x0500_0000));
        assert_eq!(serving.offered(0x1001, 5), None);
        assert!(serving.offered(0x1001, 4).is_some());
    }

    #[test]
    fn a_better_source_displaces_a_worse_one() {
        let (open, _) = Server::at_reset().with_cppr(0xff);
        let (first, _) = open.offered(0x1000, 5).expect("free");
        let (second, displaced) = first.offered(0x1001, 4).expect("better");
        assert_eq!((second.presented(), displaced), (Some(0x1001), Some(0x1000)));
    }

    #[test]
    fn a_displaced_ipi_needs_no_source_since_mfrr_keeps_it() {
        let (open, _) = Server::at_reset().with_cppr(0xff);
        let (ipi, _) = open.with_mfrr(4);
        let (other, displaced) = ipi.offered(0x1000, 3).expect("better");
        assert_eq!((other.presented(), displaced, other.mfrr()), (Some(0x1000), None, 4));
    }

    #[test]
    fn taking_an_ipi_back_withdraws_it() {
        let (open, _) = Server::at_reset().with_cppr(0xff);
        let (ipi, _) = open.with_mfrr(4);
        assert_eq!(ipi.presented(), Some(IPI));
        assert_eq!(ipi.with_mfrr(0xff).0.presented(), None);
    }
}

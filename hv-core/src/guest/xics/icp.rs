//! A server: the presentation half, one a processor. Its whole state is one word.
//!
//! ```text
//!   63         48 47       32 31     24 23        16 15     8 7       0
//!   | turned away | presented | ----- | presented at |  MFRR  |  CPPR  |
//! ```

use super::word::Packed;

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
pub struct Server {
    /// Priority of what the processor does: only what is better may be presented.
    cppr: u8,
    /// Priority of the inter-processor interrupt; 0xff: none is asked for.
    mfrr: u8,
    /// Priority of what is presented; 0xff if nothing is.
    presented_at: u8,
    /// The source that is presented; 0: none.
    presented: u16,
    /// A bit a source, by index: it was offered, and waits for room.
    turned_away: u16,
}

/// A transition that may displace what was presented: the next state, and the source to give it back to.
pub type Displacing = (Server, Option<u32>);

impl Packed for Server {
    fn packed(self) -> u64 {
        let Self { cppr, mfrr, presented_at, presented, turned_away } = self;
        let priorities = u64::from(presented_at) << 16 | u64::from(mfrr) << 8 | u64::from(cppr);
        u64::from(turned_away) << 48 | u64::from(presented) << 32 | priorities
    }

    fn unpacked(word: u64) -> Self {
        let [cppr, mfrr, presented_at, _, low, high, first, second] = word.to_le_bytes();
        let (presented, turned_away) = (u16::from_le_bytes([low, high]), u16::from_le_bytes([first, second]));
        Self { cppr, mfrr, presented_at, presented, turned_away }
    }
}

impl Server {
    /// Nothing presented, nothing accepted: the processor must raise CPPR first.
    #[must_use]
    pub const fn at_reset() -> Self {
        Self { cppr: 0, mfrr: NONE, presented_at: NONE, presented: 0, turned_away: 0 }
    }

    /// Priority of the inter-processor interrupt; 0xff: none is asked for.
    #[must_use]
    pub const fn mfrr(self) -> u8 {
        self.mfrr
    }

    /// The source that is presented.
    #[must_use]
    pub fn presented(self) -> Option<u32> {
        (self.presented != 0).then_some(u32::from(self.presented))
    }

    /// What H_XIRR would answer.
    #[must_use]
    pub fn xirr(self) -> Xirr {
        Xirr::from_parts(self.cppr, u32::from(self.presented))
    }

    /// What is presented is accepted: it is no longer, and CPPR takes its priority. Accepting nothing changes nothing.
    #[must_use]
    pub fn accepted(self) -> (Self, Xirr) {
        let next = match self.presented() {
            None => self,
            Some(_) => Self { cppr: self.presented_at, ..self.without_presented() },
        };
        (next, self.xirr())
    }

    /// Whether something offered at `priority` is turned away: the server has something better to do.
    #[must_use]
    pub const fn refuses(self, priority: u8) -> bool {
        priority >= self.threshold()
    }

    /// `source` (of 16 bits) is offered at `priority`. `None`: it is refused.
    #[must_use]
    pub fn offered(self, source: u32, priority: u8) -> Option<Displacing> {
        if self.refuses(priority) {
            return None;
        }
        let [_, _, high, low] = source.to_be_bytes();
        let presented = u16::from_be_bytes([high, low]);
        Some((Self { presented_at: priority, presented, ..self }, self.displaced()))
    }

    /// The sources of `mask` wait for room from now on.
    #[must_use]
    pub const fn turning_away(self, mask: u16) -> Self {
        Self { turned_away: self.turned_away | mask, ..self }
    }

    /// If there is more room than there was in `before`, whoever waited for it does so no longer: the next state, and the sources to offer again, a bit each.
    #[must_use]
    pub const fn letting_in(self, before: Self) -> (Self, u16) {
        if self.threshold() <= before.threshold() {
            return (self, 0);
        }
        (Self { turned_away: 0, ..self }, self.turned_away)
    }

    /// CPPR becomes `cppr`. What is presented goes back if it is not better than that; the inter-processor interrupt may take its
    /// place.
    #[must_use]
    pub fn with_cppr(self, cppr: u8) -> Displacing {
        let (kept, displaced) = if self.presented().is_some() && self.presented_at >= cppr {
            (Self { cppr, ..self.without_presented() }, self.displaced())
        } else {
            (Self { cppr, ..self }, None)
        };
        let (next, by_ipi) = kept.with_ipi_presented();
        (next, displaced.or(by_ipi))
    }

    /// MFRR becomes `mfrr`. A presented inter-processor interrupt follows it.
    #[must_use]
    pub fn with_mfrr(self, mfrr: u8) -> Displacing {
        let withdrawn = if self.presented() == Some(IPI) { self.without_presented() } else { self };
        Self { mfrr, ..withdrawn }.with_ipi_presented()
    }

    /// As at reset; what is presented goes back. Who waits for room goes on waiting.
    #[must_use]
    pub fn reset(self) -> Displacing {
        (Self { turned_away: self.turned_away, ..Self::at_reset() }, self.displaced())
    }

    /// Only what is better than this is let in.
    const fn threshold(self) -> u8 {
        if self.cppr < self.presented_at { self.cppr } else { self.presented_at }
    }

    const fn without_presented(self) -> Self {
        Self { presented_at: NONE, presented: 0, ..self }
    }

    fn with_ipi_presented(self) -> Displacing {
        self.offered(IPI, self.mfrr).unwrap_or((self, None))
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

    #[test]
    fn who_was_turned_away_is_let_in_when_there_is_more_room_and_not_before() {
        let (busy, _) = Server::at_reset().with_cppr(5);
        let busy = busy.turning_away(0b101);
        let (still_busy, _) = busy.with_cppr(5);
        assert_eq!(still_busy.letting_in(busy), (still_busy, 0));
        let (lower, _) = busy.with_cppr(4);
        assert_eq!(lower.letting_in(busy), (lower, 0));
        let (higher, _) = busy.with_cppr(6);
        let (open, waited) = higher.letting_in(busy);
        assert_eq!(waited, 0b101);
        assert_eq!(open.letting_in(busy), (open, 0), "they are let in once");
    }

    #[test]
    fn an_accepted_interrupt_makes_no_room() {
        let (open, _) = Server::at_reset().with_cppr(0xff);
        let (presenting, _) = open.offered(0x1000, 5).expect("free");
        let presenting = presenting.turning_away(2);
        let (serving, _) = presenting.accepted();
        assert_eq!(serving.letting_in(presenting), (serving, 0));
    }

    #[test]
    fn an_ipi_that_is_taken_back_makes_room() {
        let (open, _) = Server::at_reset().with_cppr(0xff);
        let (ipi, _) = open.with_mfrr(4);
        let ipi = ipi.turning_away(1);
        assert_eq!(ipi.with_mfrr(0xff).0.letting_in(ipi).1, 1);
    }

    #[test]
    fn a_reset_gives_back_what_is_presented_and_remembers_who_waits() {
        let (open, _) = Server::at_reset().with_cppr(0xff);
        let (presenting, _) = open.offered(0x1000, 5).expect("free");
        assert_eq!(presenting.turning_away(2).reset(), (Server::at_reset().turning_away(2), Some(0x1000)));
    }

    #[test]
    fn a_word_holds_the_whole_state() {
        let all = Server { cppr: 1, mfrr: 2, presented_at: 3, presented: 0x100f, turned_away: 0x8001 };
        assert_eq!(all.packed(), 0x8001_100f_0003_0201);
        assert_eq!(Server::unpacked(all.packed()), all);
    }
}

//! Noticing that a CPU's faults walk upwards page by page, and how far to go ahead of them.
//!
//! A guest that fills an array, unpacks an archive or initialises its memory map faults on one page after the other, and each fault costs
//! an exit of thousands of cycles where the page itself costs a few hundred. So once a fault falls where the last one ended, the pages behind it are made as
//! well: one, then two, then four, no more than [`LONGEST`]. A fault anywhere else ends that, so memory that is touched here and there is made
//! page by page and nothing is wasted on it.

use ppc64_arch::addr::{GuestReal, LeafSize};

/// The most pages that are made ahead of one fault.
const LONGEST: u32 = 8;

/// Where one CPU's faults seem to be going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    next: u64,
    ahead: u32,
    /// The most that is made ahead; 0 where a fault is to make its own page and no other.
    longest: u32,
}

impl Default for Stream {
    fn default() -> Self {
        Self { next: 0, ahead: 0, longest: LONGEST }
    }
}

impl Stream {
    /// No fault makes more than its own page.
    pub(super) const ONE_PAGE: Self = Self { next: 0, ahead: 0, longest: 0 };

    /// Whether a fault may make more than its own page.
    #[inline]
    pub(super) const fn goes_ahead(&self) -> bool {
        self.longest != 0
    }

    /// A page at `at` was made: how many behind it to make as well.
    #[inline]
    pub(super) fn ahead(&mut self, at: GuestReal) -> u32 {
        let page = at.align_down(LeafSize::Size4K).raw();
        self.ahead = if page == self.next { (self.ahead * 2).max(1).min(self.longest) } else { 0 };
        self.next = page.wrapping_add(LeafSize::Size4K.bytes());
        self.ahead
    }

    /// So many were made.
    pub(super) fn made(&mut self, pages: u32) {
        self.next = self.next.wrapping_add(u64::from(pages) * LeafSize::Size4K.bytes());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn walk(stream: &mut Stream, from: u64, faults: usize) -> u64 {
        let mut at = from;
        for _ in 0..faults {
            let ahead = stream.ahead(GuestReal::new(at));
            stream.made(ahead);
            at += (1 + u64::from(ahead)) * 0x1000;
        }
        at
    }

    #[test]
    fn a_walk_upwards_is_met_by_ever_more_pages_up_to_a_bound() {
        let mut stream = Stream::default();
        assert_eq!(walk(&mut stream, 0x10_0000, 1), 0x10_1000);
        assert_eq!(walk(&mut stream, 0x10_1000, 4), 0x10_1000 + (4 + 1 + 2 + 4 + 8) * 0x1000);
        assert_eq!(walk(&mut stream, 0x11_4000, 10), 0x11_4000 + 10 * 9 * 0x1000);
    }

    #[test]
    fn faults_here_and_there_are_left_alone() {
        let mut stream = Stream::default();
        let pages = [9u64, 3, 5, 4, 8, 7, 6, 20, 40];
        assert!(pages.iter().all(|page| stream.ahead(GuestReal::new(page * 0x1000)) == 0));
    }

    #[test]
    fn where_a_fault_makes_one_page_no_walk_makes_more() {
        let mut stream = Stream::ONE_PAGE;
        assert_eq!(walk(&mut stream, 0x10_0000, 5), 0x10_5000);
        assert!(!stream.goes_ahead() && Stream::default().goes_ahead());
    }

    #[test]
    fn one_fault_elsewhere_ends_it() {
        let mut stream = Stream::default();
        let at = walk(&mut stream, 0x10_0000, 5);
        assert_eq!(stream.ahead(GuestReal::new(0x80_0000)), 0);
        assert_eq!(stream.ahead(GuestReal::new(at)), 0);
    }
}

//! The guest's terminal: what `hvterm1` nodes of the device tree stand for.
//!
//! Output that the host does not take at once waits here, at most one call's worth: the next call is told to come again.
//! Input is drawn from the host into a small queue, and each time the queue stops being empty the guest gets one interrupt. (A level would be
//! presented again and again while Linux holds a throttled terminal; it reads until nothing is left, so an edge is enough.)

use super::host::Host;
use crate::papr::Rc;
use heapless::Deque;

/// Most characters of one call.
pub const CALL_BYTES: usize = 16;
/// The unit address of the terminal in the device tree, which is its number in calls.
pub const UNIT: u32 = 0x7100_0000;
/// How much input waits here.
const INPUT_BYTES: usize = 64;

/// One terminal.
#[derive(Debug, Default)]
pub struct Vty {
    input: Deque<u8, INPUT_BYTES>,
    unsent: Deque<u8, CALL_BYTES>,
}

impl Vty {
    /// A terminal with nothing in it.
    #[must_use]
    pub const fn new() -> Self {
        Self { input: Deque::new(), unsent: Deque::new() }
    }

    /// Whether calls mean this terminal by `number`: its unit address, or 0 for "the console".
    #[must_use]
    pub const fn answers_to(number: u64) -> bool {
        number == 0 || number == UNIT as u64
    }

    /// Writes all of `bytes`, at most [`CALL_BYTES`], or nothing.
    ///
    /// # Errors
    /// [`Rc::BUSY`]: what was written before is not out yet.
    pub fn write(&mut self, host: &dyn Host, bytes: &[u8]) -> Result<(), Rc> {
        self.flush(host);
        if !self.unsent.is_empty() {
            return Err(Rc::BUSY);
        }
        let taken = host.console_write(bytes).min(bytes.len());
        for byte in &bytes[taken..] {
            self.unsent.push_back(*byte).map_err(|_| Rc::PARAMETER)?;
        }
        Ok(())
    }

    /// Hands on what waits for the host, as much as it takes.
    pub fn flush(&mut self, host: &dyn Host) {
        while !self.unsent.is_empty() {
            let taken = host.console_write(self.unsent.as_slices().0);
            if taken == 0 {
                return;
            }
            for _ in 0..taken {
                self.unsent.pop_front();
            }
        }
    }

    /// Draws input from the host. True if the guest is to be interrupted for it.
    pub fn draw(&mut self, host: &dyn Host) -> bool {
        let was_empty = self.input.is_empty();
        let mut bytes = [0; INPUT_BYTES];
        let room = INPUT_BYTES - self.input.len();
        let got = host.console_read(&mut bytes[..room]).min(room);
        for byte in &bytes[..got] {
            let _ = self.input.push_back(*byte);
        }
        was_empty && !self.input.is_empty()
    }

    /// Takes up to [`CALL_BYTES`] characters of input; how many there were.
    pub fn read(&mut self, host: &dyn Host, into: &mut [u8; CALL_BYTES]) -> usize {
        if self.input.is_empty() {
            self.draw(host);
        }
        let mut got = 0;
        while got < CALL_BYTES {
            let Some(byte) = self.input.pop_front() else { break };
            into[got] = byte;
            got += 1;
        }
        got
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::FakeHost;

    #[test]
    fn output_that_the_host_does_not_take_is_kept_and_sent_in_order() {
        let host = FakeHost::default();
        let mut vty = Vty::new();
        host.room.set(3);
        assert_eq!(vty.write(&host, b"hello"), Ok(()));
        assert_eq!(vty.write(&host, b" world"), Err(Rc::BUSY));
        host.room.set(100);
        assert_eq!(vty.write(&host, b" world"), Ok(()));
        assert_eq!(&*host.written.borrow(), b"hello world");
    }

    #[test]
    fn the_guest_is_interrupted_once_for_each_end_of_silence() {
        let host = FakeHost::default();
        let mut vty = Vty::new();
        assert!(!vty.draw(&host));
        host.type_in(b"ab");
        assert!(vty.draw(&host));
        host.type_in(b"c");
        assert!(!vty.draw(&host));
        let mut bytes = [0; CALL_BYTES];
        assert_eq!(vty.read(&host, &mut bytes), 3);
        assert_eq!(&bytes[..3], b"abc");
        assert_eq!(vty.read(&host, &mut bytes), 0);
        host.type_in(b"d");
        assert!(vty.draw(&host));
    }

    #[test]
    fn more_input_than_fits_stays_with_the_host() {
        let host = FakeHost::default();
        let mut vty = Vty::new();
        host.type_in(&[b'x'; 100]);
        vty.draw(&host);
        let mut bytes = [0; CALL_BYTES];
        let total: usize = core::iter::repeat_with(|| vty.read(&host, &mut bytes)).take_while(|n| *n > 0).sum();
        assert_eq!(total, 100);
    }
}

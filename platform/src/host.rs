//! What a guest's calls need from the machine: clocks, the console, random numbers.

use crate::terminal::{Terminal, Typed};
use heapless::Vec;
use hv_core::guest::Host;
use ppc64_arch::cpu;
use spin::Mutex;

/// The machine around a guest.
pub struct Around {
    terminal: Terminal,
    timebase_hz: u64,
    /// Seconds since 1970 UTC at a timebase. The machine's clock is asked once; from then on the timebase keeps it.
    clock: Option<(u64, u64)>,
    typed: Mutex<Typed>,
    characteristics: Option<(u64, u64)>,
    /// On a console that several guests share: the name before each line, and the line that is not whole yet.
    shared: Option<(&'static str, Mutex<Vec<u8, LINE>>)>,
}

/// A line on a shared console that is longer is broken.
const LINE: usize = 200;
/// Held for a line on a shared console: CPUs may write at the same time, and a terminal takes a line in pieces.
static WHOLE: Mutex<()> = Mutex::new(());

impl Around {
    /// The machine, with the guest's console on `terminal`, at `seconds` since 1970 UTC if it has a clock. `characteristics` is what is said below us about speculation.
    #[must_use]
    pub fn new(
        terminal: Terminal,
        timebase_hz: u64,
        seconds: Option<u64>,
        characteristics: Option<(u64, u64)>,
    ) -> Self {
        let clock = seconds.map(|seconds| (seconds, cpu::timebase()));
        Self { terminal, timebase_hz, clock, typed: Mutex::new(Typed::at(terminal)), characteristics, shared: None }
    }

    /// The same, with a name before each line that the guest prints, and its lines kept whole.
    #[must_use]
    pub fn named(self, name: &'static str) -> Self {
        Self { shared: Some((name, Mutex::new(Vec::new()))), ..self }
    }
}

impl Host for Around {
    fn timebase(&self) -> u64 {
        cpu::timebase()
    }

    fn timebase_hz(&self) -> u64 {
        self.timebase_hz
    }

    fn wall_clock(&self) -> Option<(u64, u32)> {
        let (seconds, start) = self.clock?;
        let ticks = cpu::timebase().wrapping_sub(start);
        let hz = self.timebase_hz.max(1);
        let nanos = u128::from(ticks % hz) * 1_000_000_000 / u128::from(hz);
        Some((seconds + ticks / hz, u32::try_from(nanos).unwrap_or(0)))
    }

    fn console_write(&self, bytes: &[u8]) -> usize {
        let Some((name, line)) = &self.shared else { return self.terminal.write(bytes) };
        let mut line = line.lock();
        if line.is_empty() {
            // There is room: names are short.
            _ = line.extend_from_slice(name.as_bytes());
        }
        // What no line has room for is lost.
        _ = line.extend_from_slice(bytes);
        if bytes.ends_with(b"\n") {
            let _whole = WHOLE.lock();
            self.terminal.write_all(&line);
            line.clear();
        }
        bytes.len()
    }

    fn console_read(&self, bytes: &mut [u8]) -> usize {
        self.typed.lock().take(bytes)
    }

    fn random(&self) -> Option<u64> {
        cpu::darn()
    }

    fn cpu_characteristics(&self) -> Option<(u64, u64)> {
        self.characteristics
    }

    fn kick(&self, cpu: usize) {
        crate::cpus::kick(cpu);
    }
}

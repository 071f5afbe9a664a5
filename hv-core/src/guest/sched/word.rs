//! A vCPU's state as one doubleword, so that one swap changes all of it.
//!
//! | bits (from the least) | what |
//! | --- | --- |
//! | 0..2 | [`State`] |
//! | 2 | noted: a wake came while it was not blocked |
//! | 8..16 | the CPU that has it, or else had it last; whose queue it is in, if it is queued |

/// What a vCPU does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing until somebody starts it (RTAS start-cpu).
    Stopped,
    /// It waits for a wake or its time.
    Blocked,
    /// It could run: it is in a queue, or on its way there.
    Queued,
    /// A CPU has it.
    Running,
}

const STATE: u64 = 3;
const NOTED: u64 = 1 << 2;
const CPU_SHIFT: u32 = 8;

/// The doubleword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u64);

impl Word {
    /// Stopped, nothing noted, at home on that CPU.
    pub const fn stopped(cpu: usize) -> Self {
        Self((cpu as u64) << CPU_SHIFT | State::Stopped as u64)
    }

    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> u64 {
        self.0
    }

    pub const fn state(self) -> State {
        match self.0 & STATE {
            0 => State::Stopped,
            1 => State::Blocked,
            2 => State::Queued,
            _ => State::Running,
        }
    }

    pub const fn is_noted(self) -> bool {
        self.0 & NOTED != 0
    }

    pub const fn cpu(self) -> usize {
        (self.0 >> CPU_SHIFT) as usize
    }

    /// The same vCPU in another state.
    pub const fn to(self, state: State) -> Self {
        Self(self.0 & !STATE | state as u64)
    }

    /// The same vCPU, had by that CPU.
    pub const fn on(self, cpu: usize) -> Self {
        Self(self.0 & ((1 << CPU_SHIFT) - 1) | (cpu as u64) << CPU_SHIFT)
    }

    pub const fn noted(self) -> Self {
        Self(self.0 | NOTED)
    }

    pub const fn without_note(self) -> Self {
        Self(self.0 & !NOTED)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_part_changes_by_itself() {
        let word = Word::stopped(5).noted().to(State::Running).on(7);
        assert_eq!((word.state(), word.cpu(), word.is_noted()), (State::Running, 7, true));
        let word = word.without_note().to(State::Blocked);
        assert_eq!((word.state(), word.cpu(), word.is_noted()), (State::Blocked, 7, false));
        assert_eq!(Word::from_raw(word.raw()), word);
    }
}

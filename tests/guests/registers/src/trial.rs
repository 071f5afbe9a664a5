//! One trial: set, exit, compare.

use crate::area::{self, Half, Own};
use crate::console::say;
use crate::hashed::Segments;
use crate::set::{Free, Numbers, Set, compare};
use crate::sprs::SPRS;

/// SF, ME, RI, LE: real mode, interrupts off.
const BASE: u64 = 1 << 63 | 0x1003;
/// External and decrementer interrupts.
pub const EE: u64 = 0x8000;
/// IR and DR.
const TRANSLATED: u64 = 0x30;
/// PR, which implies the other two and EE.
const PROBLEM: u64 = 0x4000 | EE | TRANSLATED;
/// FP, VEC, VSX.
const NUMBERS: u64 = 0x0280_2000;
/// What an interrupt may put into SRR1 beside the MSR.
const CAUSES: u64 = 0x783f_0000;
/// At most so many differences are printed.
const LINES: u32 = 20;

/// What a trial ended with.
pub mod vector {
    /// No interrupt.
    pub const NONE: u64 = 0;
    pub const EXTERNAL: u64 = 0x500;
    pub const PROGRAM: u64 = 0x700;
    pub const DECREMENTER: u64 = 0x900;
    pub const SYSTEM_CALL: u64 = 0xc00;
}

/// The state from which an exit is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Supervisor, without translation.
    Real,
    /// Supervisor, translated.
    Virtual,
    /// Problem state, translated.
    User,
}

impl State {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Real, Self::Virtual, Self::User];

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Real => "supervisor real mode",
            Self::Virtual => "supervisor state, translated",
            Self::User => "user state",
        }
    }

    const fn msr(self) -> u64 {
        match self {
            Self::Real => BASE,
            Self::Virtual => BASE | TRANSLATED,
            Self::User => BASE | PROBLEM,
        }
    }
}

/// What is to happen in a trial, and what may come of it.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Its name in a report.
    pub name: &'static str,
    /// The first instruction.
    pub start: u64,
    /// The way back: `vector::NONE` stands for the ordinary one of the state.
    pub vector: u64,
    /// Another way back that is as good.
    pub or: Option<u64>,
    /// The interrupt comes so many bytes behind the first instruction.
    pub length: u64,
    /// MSR bits on top of the state's.
    pub msr: u64,
    /// MSR bits that the exit sets.
    pub sets: u64,
    /// GPRs that have a meaning, with their values.
    pub gprs: &'a [(usize, u64)],
    /// CTR, if it has a meaning; it is 0 afterwards.
    pub turns: Option<u64>,
    /// GPRs that the instruction loads, with what they hold afterwards.
    pub loads: &'a [(usize, u64)],
    /// VSR 63 is loaded with 0.
    pub clears_vsr: bool,
    /// The instruction uses a vector register.
    pub needs_numbers: bool,
    /// What may change at will.
    pub free: Free,
}

impl Plan<'_> {
    /// Nothing special: an instruction after which all is as it was.
    pub const fn new(name: &'static str, start: u64) -> Self {
        let free = Free { gpr: 0, ctr_xer: false, cr: 0, srr: false };
        let (vector, length, msr, sets, turns) = (vector::NONE, 0, 0, 0, None);
        let (or, clears_vsr, needs_numbers) = (None, false, false);
        let (gprs, loads): (&[_], &[_]) = (&[], &[]);
        Self { name, start, vector, or, length, msr, sets, gprs, turns, loads, clears_vsr, needs_numbers, free }
    }
}

/// The rounds so far.
pub struct Report {
    vcpu: usize,
    own: Own,
    half: Half,
    numbers: Numbers,
    segments: Option<Segments>,
    /// Trials made.
    pub rounds: u64,
    /// Trials after which something differed.
    pub failed: u64,
    /// External interrupts that had not come when the decrementer's did.
    pub late: u64,
    lines: u32,
    first: [u64; SPRS.len()],
    varied: [u64; SPRS.len()],
}

impl Report {
    /// None yet. The seed is this vCPU's own.
    pub fn new(vcpu: usize, seed: u64) -> Self {
        let (own, mut numbers, nothing) = (Own::of(vcpu), Numbers::new(seed), [0; SPRS.len()]);
        let segments = Segments::take(|| numbers.next());
        let (half, rounds, failed, late, lines) = (Half::First, 0, 0, 0, 0);
        Self { vcpu, own, half, numbers, segments, rounds, failed, late, lines, first: nothing, varied: nothing }
    }

    /// Another pair of SPRGs is the one that interrupts use.
    pub fn go_on(&mut self, half: Half) {
        self.half = half;
        area::settle(self.vcpu);
    }

    /// A number from the patterns' source.
    pub fn number(&mut self) -> u64 {
        self.numbers.next()
    }

    /// Makes one trial. What VSR 63 held goes to whoever checks a vector store.
    pub fn run(&mut self, plan: &Plan, state: State) -> u128 {
        self.prepare(plan, state);
        self.own.trial();
        self.note_variety();
        let stored = self.own.want().vsr[63];
        self.judge(plan, state);
        self.judge_segments(plan, state);
        stored
    }

    fn prepare(&mut self, plan: &Plan, state: State) {
        if let Some(segments) = &mut self.segments {
            segments.vary(self.numbers.next());
        }
        let set = self.own.want();
        set.fill(&mut self.numbers);
        set.spr[self.half.reserved().1] = area::address(self.vcpu);
        for &(n, value) in plan.gprs {
            set.gpr[n] = value;
        }
        set.ctr = plan.turns.unwrap_or(set.ctr);
        set.srr0 = plan.start;
        // Floating point and vectors are sometimes off: their registers must keep all the same.
        let numbers = if self.numbers.next() & 3 == 0 && !plan.needs_numbers { 0 } else { NUMBERS };
        set.srr1 = state.msr() | plan.msr | numbers;
    }

    /// Which bits of the SPRs took different values.
    fn note_variety(&mut self) {
        let set = self.own.want();
        if self.rounds == 0 {
            self.first = set.spr;
        }
        for (varied, (first, now)) in self.varied.iter_mut().zip(self.first.iter().zip(&set.spr)) {
            *varied |= first ^ now;
        }
        self.rounds += 1;
    }

    fn judge(&mut self, plan: &Plan, state: State) {
        let (set, after, end) = self.own.outcome();
        let ordinary = if state == State::User { vector::SYSTEM_CALL } else { vector::NONE };
        let expected = way_back(plan.vector, ordinary);
        self.late += u64::from(expected == vector::EXTERNAL && end != expected);
        let mut free = plan.free;
        free.srr |= end == vector::SYSTEM_CALL;
        for &(n, value) in plan.loads {
            set.gpr[n] = value;
        }
        set.ctr = if plan.turns.is_some() { 0 } else { set.ctr };
        set.vsr[63] = if plan.clears_vsr { 0 } else { set.vsr[63] };
        let scratch = self.half.reserved().0;
        set.spr[scratch] = after.spr[scratch];
        set.srr0 += plan.length;
        set.srr1 |= plan.sets;
        let mut seen = Set { srr1: after.srr1, ..*after };
        if end != vector::NONE {
            seen.srr1 &= !CAUSES;
        }
        let mut differences = 0;
        let (lines, place) = (&mut self.lines, (plan.name, state.name()));
        let mut line = |name, number, is, should| {
            differences += 1;
            tell(lines, place, name, number, is, should);
        };
        if end != expected && plan.or.is_none_or(|or| way_back(or, ordinary) != end) {
            line("vector", None, end.into(), expected.into());
        }
        compare(&seen, set, free, &mut line);
        self.failed += u64::from(differences > 0);
    }

    /// They are no registers that a trial loads and stores, but nothing may change them either.
    fn judge_segments(&mut self, plan: &Plan, state: State) {
        if let Some((place, is, should)) = self.segments.as_ref().and_then(Segments::difference) {
            self.failed += 1;
            tell(&mut self.lines, (plan.name, state.name()), "segment ", Some(place), is, should);
        }
    }

    /// Names the registers in which no bit ever changed: nothing is shown about them.
    pub fn name_constant(&self) {
        for (spr, varied) in SPRS.iter().zip(self.varied) {
            if varied == 0 {
                say!("registers: {} cannot be changed here", spr.name);
            }
        }
    }

    /// Counts a check of memory.
    pub fn check(&mut self, what: &'static str, good: bool) {
        if !good {
            self.failed += 1;
            tell(&mut self.lines, (what, "memory"), "memory", None, 0, 1);
        }
    }
}

/// `vector::NONE` stands for what is ordinary.
const fn way_back(vector: u64, ordinary: u64) -> u64 {
    if vector == vector::NONE { ordinary } else { vector }
}

/// One line for one register, as long as there are not too many.
fn tell(lines: &mut u32, place: (&str, &str), name: &str, number: Option<usize>, is: u128, should: u128) {
    *lines += 1;
    if *lines > LINES {
        return;
    }
    let (exit, state) = place;
    match number {
        Some(number) => {
            say!("registers: FAIL {name}{number} after {exit} in {state}: {is:#x} instead of {should:#x}");
        }
        None => say!("registers: FAIL {name} after {exit} in {state}: {is:#x} instead of {should:#x}"),
    }
}

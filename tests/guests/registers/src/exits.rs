//! The kinds of exit, each with its plan for a trial.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::area::Half;
use crate::console::say;
use crate::hcall;
use crate::machine::Machine;
use crate::memory;
use crate::set::Free;
use crate::trial::{EE, Plan, Report, State, vector};

/// H_RANDOM.
const RANDOM: u64 = 0x300;
/// What a hypervisor call may change (PAPR 14.5.1, register usage): r0, r3 to r12, CTR, XER, CR fields 0, 1, 5, 6 and 7. Its interrupt
/// goes through SRR0 and SRR1.
const CALL: Free = Free { gpr: 0x1ff9, ctr_xer: true, cr: 0xff00_0fff, srr: true };
/// The state of a decrementer that does not interrupt: as far away as 32 bits allow.
const FAR: u64 = 0x7fff_ffff;
/// Pages in the field of stubs.s.
const FIELD: u64 = 1024;
/// An image page that is fetched from brings so many with it.
const AROUND: u64 = 16;

macro_rules! stubs {
    ($($name:ident: $supervisor:ident $user:ident,)*) => {
        unsafe extern "C" {
            $(fn $supervisor(); fn $user();)*
            static field: u8;
        }
        $(fn $name(state: State) -> u64 {
            let stub: unsafe extern "C" fn() = if state == State::User { $user } else { $supervisor };
            stub as *const () as u64
        })*
    };
}

stubs! {
    hypervisor_call: super_hcall user_hcall,
    cede_call: super_cede user_cede,
    load: super_load user_load,
    store: super_store user_store,
    vector_load: super_vector_load user_vector_load,
    vector_store: super_vector_store user_vector_store,
    spin: super_spin user_spin,
    stand: super_stand user_stand,
    illegal: super_illegal user_illegal,
    facility: super_facility user_facility,
}

/// Which of the rounds are to be made: those of one vCPU in one half.
#[derive(Clone, Copy)]
pub struct Part {
    /// The vCPU that runs this.
    pub vcpu: usize,
    /// So many share the rounds.
    pub vcpus: usize,
    /// In this half.
    pub half: Half,
}

/// What the trials have to work with.
struct Bench<'m> {
    machine: &'m Machine,
    report: &'m mut Report,
    /// This vCPU, for RTAS and for interrupts.
    server: u64,
}

/// Pages below this are untouched, down to the tables. The vCPUs' pages stand side by side.
static TOP: AtomicU64 = AtomicU64::new(0);
/// Turns of the spin loop in a thousandth of a second, for a vCPU that has its processor to itself.
static TURNS: AtomicU64 = AtomicU64::new(0);

type Kind = (&'static str, u32, &'static [State], fn(&mut Bench, State, u64));

const SUPERVISOR: &[State] = &[State::Real, State::Virtual];
const ALL: &[State] = &State::ALL;

/// Name, rounds for each state, states, and one round.
const KINDS: &[Kind] = &[
    ("a null hypervisor call", 4000, ALL, null_call),
    ("other hypervisor calls", 2000, ALL, other_call),
    ("H_CEDE until the decrementer", 1600, SUPERVISOR, cede),
    ("a load from an untouched page", 2000, ALL, zero_load),
    ("a store to an untouched page", 2000, ALL, zero_store),
    ("a vector load from an untouched page", 1200, ALL, zero_vector_load),
    ("a vector store to an untouched page", 1200, ALL, zero_vector_store),
    ("a fetch from an untouched page, which is illegal", 1600, ALL, zero_fetch),
    ("a fetch from an image page", 20, ALL, image_fetch),
    ("a store to an image page", 320, ALL, image_store),
    ("an illegal instruction", 2000, ALL, no_instruction),
    ("a facility that is denied", 2000, SUPERVISOR, no_facility),
    ("the end of a time slice", 40, ALL, slice),
    ("the end of a short time slice", 1600, SUPERVISOR, short_slice),
    ("an external interrupt", 1600, ALL, external),
    ("the guest's own decrementer", 1600, ALL, decrementer),
];

/// What only vCPUs that have others beside them try.
const TOGETHER: &[Kind] =
    &[("H_PROD of another vCPU", 2000, ALL, prod_other), ("H_CONFER to another vCPU", 2000, ALL, confer_other)];

/// Before any trial, while one vCPU runs.
pub fn prepare(machine: &Machine) {
    TOP.store(machine.end, Ordering::Relaxed);
    TURNS.store(calibrate(machine), Ordering::Relaxed);
}

/// Makes the trials of a part. A line for each kind is printed by a vCPU that is alone.
pub fn run_all(machine: &Machine, report: &mut Report, part: Part) {
    hcall::call(hcall::CPPR, &[0xff]);
    let server = machine.servers()[part.vcpu].into();
    let mut bench = Bench { machine, report, server };
    let together = if part.vcpus > 1 { TOGETHER } else { &[] };
    for kind in KINDS.iter().chain(together) {
        let (before, start) = (bench.report.failed, now());
        let rounds = bench.run(kind, part);
        let failed = bench.report.failed - before;
        let time = (now() - start) / (machine.timebase / 1000);
        if part.vcpus == 1 {
            say!("registers: {}, {rounds} times from {} states: {failed} failed, {time} ms", kind.0, kind.2.len());
        }
    }
}

impl Bench<'_> {
    /// The part's rounds of one kind: how many.
    fn run(&mut self, &(_, rounds, states, round): &Kind, part: Part) -> u64 {
        let parts = 2 * part.vcpus as u64;
        let rounds = u64::from(rounds).div_ceil(parts);
        let nth = part.vcpu as u64 * 2 + u64::from(part.half == Half::Second);
        for n in nth * rounds..(nth + 1) * rounds {
            for &state in states {
                set_decrementer(FAR);
                round(self, state, n);
            }
        }
        rounds
    }

    /// One of the other vCPUs.
    fn another(&mut self) -> u64 {
        let number = self.report.number();
        let (own, servers) = (self.server, self.machine.servers());
        let others = || servers.iter().map(|&server| u64::from(server)).filter(|&server| server != own);
        let nth = usize::try_from(number & 0xff).unwrap_or(0) % others().count().max(1);
        others().nth(nth).unwrap_or(own)
    }

    /// A page that nobody has touched, each time another one. Downwards: a hypervisor that makes pages ahead of one that goes
    /// upwards makes none here.
    fn untouched(&mut self) -> u64 {
        loop {
            let page = TOP.fetch_sub(memory::PAGE, Ordering::Relaxed) - memory::PAGE;
            if self.machine.is_free(page, memory::PAGE) {
                return page;
            }
        }
    }

    fn call(&mut self, state: State, name: &'static str, gprs: &[(usize, u64)]) {
        self.report.run(&Plan { gprs, free: CALL, ..Plan::new(name, hypervisor_call(state)) }, state);
    }

    /// Makes an external interrupt wait.
    fn send_interrupt(&mut self) {
        hcall::call(hcall::IPI, &[self.server, 0]);
    }

    /// Takes it back, whether or not it came.
    fn take_interrupt(&mut self) {
        let source = hcall::call(hcall::XIRR, &[]).value;
        hcall::call(hcall::IPI, &[self.server, 0xff]);
        hcall::call(hcall::EOI, &[source]);
    }
}

fn null_call(bench: &mut Bench, state: State, _: u64) {
    bench.call(state, "H_CONFER", &[(3, hcall::CONFER), (4, u64::MAX)]);
}

/// Its next H_CEDE returns at once.
fn prod_other(bench: &mut Bench, state: State, _: u64) {
    let target = bench.another();
    bench.call(state, "H_PROD", &[(3, hcall::PROD), (4, target)]);
}

/// Never to itself: that would wait for somebody's H_PROD.
fn confer_other(bench: &mut Bench, state: State, n: u64) {
    let target = bench.another();
    bench.call(state, "H_CONFER to one", &[(3, hcall::CONFER), (4, target), (5, n)]);
}

fn other_call(bench: &mut Bench, state: State, n: u64) {
    let terminal = bench.machine.terminal;
    match n % 5 {
        0 => bench.call(state, "H_GET_TERM_CHAR", &[(3, hcall::GET_TERM_CHAR), (4, terminal)]),
        1 => bench.call(state, "H_PUT_TERM_CHAR", &[(3, hcall::PUT_TERM_CHAR), (4, terminal), (5, 0)]),
        2 => bench.call(state, "H_RANDOM", &[(3, RANDOM)]),
        // A watchpoint that watches nothing.
        3 => bench.call(state, "H_SET_MODE", &[(3, hcall::SET_MODE), (4, 0), (5, 2), (7, 0)]),
        _ => bench.call(state, "a call that there is not", &[(3, 0xfffc)]),
    }
}

/// The hypervisor sleeps in our place, with its own interrupts, and may lend our decrementer.
fn cede(bench: &mut Bench, state: State, _: u64) {
    let free = Free { srr: false, ..CALL };
    let plan = Plan::new("H_CEDE", cede_call(state));
    let microseconds = 20 + bench.report.number() % 200;
    set_decrementer(bench.machine.timebase / 1_000_000 * microseconds);
    let gprs = &[(3, hcall::CEDE)];
    bench.report.run(&Plan { gprs, free, vector: vector::DECREMENTER, length: 4, sets: EE, ..plan }, state);
}

fn zero_load(bench: &mut Bench, state: State, _: u64) {
    let page = bench.untouched();
    let plan = Plan::new("a load", load(state));
    bench.report.run(&Plan { gprs: &[(4, page)], loads: &[(5, 0)], ..plan }, state);
}

fn zero_store(bench: &mut Bench, state: State, _: u64) {
    let (page, value) = (bench.untouched(), bench.report.number());
    store_to(bench, state, page, value);
}

fn store_to(bench: &mut Bench, state: State, page: u64, value: u64) {
    let plan = Plan::new("a store", store(state));
    bench.report.run(&Plan { gprs: &[(4, page), (5, value)], ..plan }, state);
    bench.report.check("a store", memory::read(page) == value);
}

fn zero_vector_load(bench: &mut Bench, state: State, _: u64) {
    let page = bench.untouched();
    let plan = Plan::new("a vector load", vector_load(state));
    let (gprs, clears_vsr) = (&[(4, page)], true);
    bench.report.run(&Plan { gprs, clears_vsr, needs_numbers: true, ..plan }, state);
}

fn zero_vector_store(bench: &mut Bench, state: State, _: u64) {
    let page = bench.untouched();
    let plan = Plan::new("a vector store", vector_store(state));
    let stored = bench.report.run(&Plan { gprs: &[(4, page)], needs_numbers: true, ..plan }, state);
    let there = u128::from(memory::read(page)) | u128::from(memory::read(page + 8)) << 64;
    bench.report.check("a vector store", there == stored);
}

/// Two exits: the page appears, and its first word, 0, is no instruction.
fn zero_fetch(bench: &mut Bench, state: State, _: u64) {
    let page = bench.untouched();
    let plan = Plan::new("a fetch", page);
    bench.report.run(&Plan { vector: vector::PROGRAM, ..plan }, state);
}

fn image_page(n: u64) -> u64 {
    (&raw const field).addr() as u64 + n * memory::PAGE
}

fn image_fetch(bench: &mut Bench, state: State, n: u64) {
    let page = image_page((3 * n + state as u64) * AROUND % FIELD);
    let start = if state == State::User { page + 4 } else { page };
    bench.report.run(&Plan::new("a fetch from the image", start), state);
}

/// The page is copied. What is stored is what stands there, so that it could still be run.
fn image_store(bench: &mut Bench, state: State, n: u64) {
    let number = (3 * n + state as u64) % FIELD;
    let page = image_page(FIELD - 1 - number) + 128;
    let value = bench.report.number();
    let plan = Plan::new("a store to the image", store(state));
    bench.report.run(&Plan { gprs: &[(4, page), (5, value)], ..plan }, state);
    bench.report.check("a store to the image", memory::read(page) == value && memory::read(page + 8) == 0);
}

fn no_instruction(bench: &mut Bench, state: State, _: u64) {
    let plan = Plan::new("an illegal instruction", illegal(state));
    bench.report.run(&Plan { vector: vector::PROGRAM, ..plan }, state);
}

/// A message of a kind that there is not. HFSCR denies the instruction; QEMU's pseries machine does not look there, and does nothing.
fn no_facility(bench: &mut Bench, state: State, _: u64) {
    let plan = Plan::new("msgsndp", facility(state));
    bench.report.run(&Plan { vector: vector::PROGRAM, or: Some(vector::NONE), gprs: &[(4, 0)], ..plan }, state);
}

/// The hypervisor takes the processor a hundred times a second.
fn slice(bench: &mut Bench, state: State, _: u64) {
    let plan = Plan::new("a time slice", spin(state));
    bench.report.run(&Plan { turns: Some(turns() * 12), ..plan }, state);
}

/// While an interrupt waits and EE is off, it does so much more often.
fn short_slice(bench: &mut Bench, state: State, _: u64) {
    bench.send_interrupt();
    let plan = Plan::new("a short time slice", spin(state));
    bench.report.run(&Plan { turns: Some(turns() / 2), ..plan }, state);
    bench.take_interrupt();
}

/// It waits already while the registers are filled; the hypervisor delivers it when EE is on, in problem state only after the end of a
/// time slice. Under QEMU's nested interface that end is lost now and then: the guest's decrementer bounds the wait, and such rounds are counted.
fn external(bench: &mut Bench, state: State, _: u64) {
    bench.send_interrupt();
    set_decrementer(bench.machine.timebase / 20);
    let plan = Plan::new("an external interrupt", stand(state));
    bench.report.run(&Plan { vector: vector::EXTERNAL, or: Some(vector::DECREMENTER), msr: EE, ..plan }, state);
    bench.take_interrupt();
}

/// No exit at all: the control.
fn decrementer(bench: &mut Bench, state: State, _: u64) {
    set_decrementer(bench.machine.timebase / 1_000_000 * (20 + bench.report.number() % 100));
    let plan = Plan::new("a decrementer interrupt", stand(state));
    bench.report.run(&Plan { vector: vector::DECREMENTER, msr: EE, ..plan }, state);
}

fn turns() -> u64 {
    TURNS.load(Ordering::Relaxed)
}

/// Turns of `bdnz` in a millisecond.
fn calibrate(machine: &Machine) -> u64 {
    const TURNS: u64 = 2_000_000;
    let start = now();
    // SAFETY: 1. A loop that ends, and changes CTR only.
    unsafe { asm!("mtctr {0}", "2: bdnz 2b", in(reg) TURNS, out("ctr") _, options(nomem, nostack)) }
    let ticks = (now() - start).max(1);
    TURNS * (machine.timebase / 1000) / ticks
}

/// The timebase.
pub fn now() -> u64 {
    let ticks;
    // SAFETY: 1. Reads a register.
    unsafe { asm!("mfspr {0}, 268", out(reg) ticks, options(nomem, nostack)) }
    ticks
}

/// Sets the decrementer, which also takes back an interrupt that it has not delivered yet.
fn set_decrementer(ticks: u64) {
    // SAFETY: 1. The decrementer touches no memory; its interrupt has a handler.
    unsafe { asm!("mtspr 22, {0}", in(reg) ticks, options(nomem, nostack)) }
}

//! Two guests on one machine: what a hypervisor does with the MMU core, step by step.
//!
//! `cargo run -p hv-core --example two_guests` prints what happens. The machine is the fake one of the tests; on a real one
//! [`Hardware`](hv_core::mmu::Hardware) is implemented over its memory and its `tlbie`, and storage interrupts come from its vectors.
//!
//! | file | what |
//! | --- | --- |
//! | `main` | what happens, in order |
//! | `guest` | a partition with one virtual CPU: its loads and stores, faulting as often as it takes |

mod guest;

use guest::Guest;
use hv_core::mmu::{Granule, Memory};
use machine::{ARENA_BASE, Machine};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use std::process::ExitCode;

const MIB: u64 = 1 << 20;
const PAGE: u64 = LeafSize::Size4K.bytes();

/// The machine: 32 MiB of memory, of which the first 2 hold a kernel image that both guests boot.
const MEMORY: u64 = 32 * MIB;
const IMAGE: HostReal = ARENA_BASE;
const IMAGE_BYTES: u64 = 2 * MIB;

/// Why the example could not go on: an error of the core, or something that was not as it says.
struct Failure(String);

impl<E: std::fmt::Debug> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(format!("{error:?}"))
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(why)) => {
            eprintln!("this example ends here: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let memory = Machine::with_pool(MEMORY, 2, IMAGE_BYTES);
    memory.hardware.arena().write(IMAGE, b"kernel of both guests\0");

    // Two partitions, numbers 1 and 2. The second may take 2 MiB of the machine's memory, though its own is 8 MiB.
    let one = guest::with_slots(memory, 1, Granule::Auto, None)?;
    let two = guest::with_slots(memory, 2, Granule::Fixed(LeafSize::Size4K), Some(2 * MIB))?;
    let (first, second) = (Guest::new(&one, 0)?, Guest::new(&two, 1)?);

    one_image_for_both(&first, &second)?;
    a_store_makes_a_copy(memory, &first, &second)?;
    what_was_written_since(&first)?;
    more_memory_than_it_is_given(&second)?;
    let mut cpus = [first.end(), second.end()];
    one.destroy(&mut cpus[0]);
    two.destroy(&mut cpus[1]);
    cpus.iter_mut().for_each(|cpu| cpu.frames.drain(&memory.pool));
    println!("both have ended; {} KiB are free, as in the beginning", memory.pool.free_bytes() >> 10);
    ensure(memory.pool.free_bytes() == MEMORY - IMAGE_BYTES, "every frame came back")
}

/// Both guests read their first page: no frame is taken, both are shown the image itself.
fn one_image_for_both(first: &Guest<'_>, second: &Guest<'_>) -> Result<(), Failure> {
    println!("guest 1 reads {:?}", first.text(0)?);
    println!("guest 2 reads {:?}", second.text(0)?);
    let (a, b) = (first.host(0)?, second.host(0)?);
    println!("both reach it where the image stands, at {a} and {b}");
    ensure(a == IMAGE && b == IMAGE, "the image is shared")
}

/// Guest 1 stores to it: the shared page leaves, everything that CPUs cached of it too, and a copy takes its place.
fn a_store_makes_a_copy(memory: &Memory<Machine>, first: &Guest<'_>, second: &Guest<'_>) -> Result<(), Failure> {
    memory.hardware.take_flushes();
    first.write(0, b"KERNEL")?;
    println!("guest 1 writes; guest 1 reads {:?}, guest 2 {:?}", first.text(0)?, second.text(0)?);
    for flush in memory.hardware.take_flushes() {
        println!("  between the two pages: {flush:?}");
    }
    ensure(first.host(0)? != IMAGE && second.host(0)? == IMAGE, "one of them has a copy")
}

/// The dirty log, as for a guest that moves to another machine while it runs: each harvest tells which pages to send again.
fn what_was_written_since(first: &Guest<'_>) -> Result<(), Failure> {
    let zeros = GuestReal::new(guest::ZEROS);
    for page in 0..16 {
        first.write(guest::ZEROS + page * PAGE, b"before the log")?;
    }
    first.with_cpu(|space, cpu| space.start_log(cpu, zeros))?;
    for page in [3, 5, 8] {
        first.write(guest::ZEROS + page * PAGE, b"while it is on")?;
    }
    for round in 1..=2 {
        let mut pages = Vec::new();
        let each = |from: GuestReal, bits: u64| {
            let dirty = (0..64).filter(|page| bits >> page & 1 != 0);
            pages.extend(dirty.map(|page| (from.raw() - guest::ZEROS) / PAGE + page));
        };
        first.with_cpu(|space, cpu| space.harvest(cpu, zeros, each))?;
        println!("harvest {round}: guest 1 wrote to pages {pages:?} of its memory");
        ensure(pages == if round == 1 { vec![3, 5, 8] } else { vec![] }, "each page is harvested once")?;
    }
    first.with_cpu(|space, cpu| space.stop_log(cpu, zeros))?;
    Ok(())
}

/// Guest 2 uses 6 MiB, three times its budget: what it has not touched for a while is compressed, and comes back when it is touched again.
fn more_memory_than_it_is_given(second: &Guest<'_>) -> Result<(), Failure> {
    let pages = || (0..6 * MIB / PAGE).map(|page| guest::ZEROS + page * PAGE);
    for at in pages() {
        second.write(at, format!("page at {at:#x}").as_bytes())?;
    }
    for at in pages() {
        ensure(second.text(at)? == format!("page at {at:#x}"), "no page is lost")?;
    }
    let (taken, (out, back)) =
        second.with_cpu(|space, cpu| (space.ledger().drawn() * PAGE, (cpu.stats.paged_out, cpu.stats.paged_in)));
    println!(
        "guest 2 wrote 6 MiB and read them back within {} KiB: {out} pages went out, {back} came back",
        taken >> 10
    );
    ensure(out > 0 && back > 0, "pages went out and came back")
}

fn ensure(fact: bool, what: &'static str) -> Result<(), Failure> {
    if fact { Ok(()) } else { Err(Failure(format!("it is not so that {what}"))) }
}

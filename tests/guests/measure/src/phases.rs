//! What is measured, in order: each phase leaves memory as the next one wants it.

use crate::console::say;
use crate::hcall::{self, CONFER, FUNCTION, PROD, SUCCESS};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::timing::{Event, now, print};
use crate::trap;

/// Events of a phase where memory allows so many.
const TIMES: u64 = 4000;
/// Calls to all processors.
const ALL: u64 = u64::MAX;
/// The first of the calls by which a guest asks Samewise for upkeep of its memory.
const UPKEEP: u64 = 0xf200;

/// Asks for upkeep of a block.
#[derive(Clone, Copy)]
enum Upkeep {
    StartLog = 0,
    Harvest = 1,
    StopLog = 2,
    Unmap = 3,
    PageOut = 4,
}

/// Pages side by side that nobody has touched yet.
#[derive(Clone, Copy)]
pub struct Zone {
    /// Guest real address of the first.
    pub from: u64,
    /// How many.
    pub pages: u64,
    size: u64,
}

impl Zone {
    /// As many pages of `size` as may be half of what is free, below everything that was taken before.
    pub fn find(machine: &Machine, below: u64, size: u64) -> Option<Self> {
        let fits = |pages: &u64| below > pages * size + memory::image_end();
        let pages = core::iter::successors(Some(TIMES), |pages| Some(pages / 2)).take_while(|pages| *pages > 0);
        for pages in pages.filter(fits) {
            let highest = (below - pages * size) / size;
            let place = (0..=highest).rev().map(|nth| nth * size).find(|&from| machine.is_free(from, pages * size));
            if let Some(from) = place {
                return Some(Self { from, pages, size });
            }
        }
        None
    }

    /// A load or store in each page, from the last one down: no hypervisor takes that for a reason to go ahead.
    fn loads(self) -> Event {
        Event::Load(self.last(), self.size.wrapping_neg())
    }

    /// A store in each page, likewise.
    pub fn stores(self) -> Event {
        Event::Store(self.last(), self.size.wrapping_neg())
    }

    fn last(self) -> u64 {
        self.from + (self.pages - 1) * self.size
    }

    /// Prints what the event takes in each page: the ticks of all.
    pub fn measure(self, machine: &Machine, name: &str, event: Event) -> i64 {
        let ticks = event.cost(self.pages);
        print(machine, name, ticks, self.pages);
        ticks
    }

    /// Asks for upkeep of all of it: the ticks, the pages that it concerned; or the code that the call answered.
    fn keep_up(self, what: Upkeep) -> Result<(i64, u64), i64> {
        let start = now();
        let answer = hcall::call(UPKEEP + what as u64, &[self.from, self.pages * self.size]);
        let ticks = (now() - start).cast_signed();
        if answer.code == SUCCESS { Ok((ticks, answer.value)) } else { Err(answer.code) }
    }
}

/// Everything that a page of the ordinary size can tell.
pub fn all(machine: &Machine) {
    calls(machine);
    zero_pages(machine, PAGE, ["zero-write-4k", "second-touch"]);
    let Some(written) = Zone::find(machine, machine.end, PAGE) else { return };
    let offered = dirty_log(machine, written);
    let Some(read) = Zone::find(machine, written.from, PAGE) else { return skip("zero-read", "no free memory") };
    let first = read.measure(machine, "zero-read", read.loads());
    let then = read.stores().cost(read.pages);
    print(machine, "read-then-write", first + then, read.pages);
    image(machine);
    if offered {
        unmap(machine, written);
    }
}

/// A call that does nothing.
pub fn null_call(machine: &Machine) {
    print(machine, "null-hcall", Event::Call(CONFER, ALL).cost(TIMES), TIMES);
}

fn calls(machine: &Machine) {
    null_call(machine);
    print(machine, "prod-self", Event::Call(PROD, 0).cost(TIMES), TIMES);
    if trap::cede_returns() {
        print(machine, "prod-cede", Event::Cede.cost(TIMES), TIMES);
    } else {
        skip("prod-cede", "it sleeps");
    }
}

/// First and second touch of memory that is zeros, by stores.
pub fn zero_pages(machine: &Machine, size: u64, [first, again]: [&str; 2]) {
    let Some(zone) = Zone::find(machine, machine.end, size) else { return skip(first, "no free memory") };
    zone.measure(machine, first, zone.stores());
    zone.measure(machine, again, zone.stores());
}

/// Pages that came with the image: looked at, then written to.
fn image(machine: &Machine) {
    let (from, pages) = memory::image();
    let zone = Zone { from, pages, size: PAGE };
    zone.measure(machine, "image-map", zone.loads());
    zone.measure(machine, "image-copy", zone.stores());
}

/// Stores to pages that were protected since they were written, as for a migration. Nothing else of their slot was written so far, so that the log
/// has only them to protect. Whether the hypervisor knows the calls.
fn dirty_log(machine: &Machine, zone: Zone) -> bool {
    match zone.keep_up(Upkeep::StartLog) {
        Ok((ticks, _)) => print(machine, "log-on", ticks, zone.pages),
        Err(code) => {
            if code == FUNCTION {
                skip("upkeep", "not offered")
            } else {
                fail("log-on", code)
            }
            return false;
        }
    }
    zone.measure(machine, "upgrade", zone.stores());
    counted(machine, zone, "log-read", Upkeep::Harvest);
    zone.measure(machine, "upgrade-again", zone.stores());
    if let Err(code) = zone.keep_up(Upkeep::StopLog) {
        fail("log-off", code);
    }
    true
}

fn unmap(machine: &Machine, zone: Zone) {
    match zone.keep_up(Upkeep::Unmap) {
        Ok((ticks, _)) => print(machine, "unmap", ticks, zone.pages),
        Err(code) => fail("unmap", code),
    }
}

/// Upkeep that has to concern every page.
fn counted(machine: &Machine, zone: Zone, name: &str, what: Upkeep) {
    match zone.keep_up(what) {
        Ok((ticks, pages)) if pages == zone.pages => print(machine, name, ticks, zone.pages),
        Ok((_, pages)) => say!("measure: FAIL {name} {pages} of {} pages", zone.pages),
        Err(code) => fail(name, code),
    }
}

/// Pages that went to the store, and come back.
pub fn page_in(machine: &Machine) {
    let Some(zone) = Zone::find(machine, machine.end, PAGE) else { return skip("page-in", "no free memory") };
    (0..zone.pages).for_each(|nth| fill(zone.from + nth * PAGE));
    counted(machine, zone, "page-out", Upkeep::PageOut);
    zone.measure(machine, "page-in", zone.loads());
    let lost = (0..zone.pages).filter(|nth| !is_filled(zone.from + nth * PAGE)).count();
    if lost > 0 {
        say!("measure: FAIL {lost} pages came back changed");
    }
}

/// Makes a page of which a quarter is worth keeping, each another one.
fn fill(page: u64) {
    (page..page + PAGE / 4).step_by(8).for_each(|at| memory::write(at, pattern(at)));
}

fn is_filled(page: u64) -> bool {
    (page..page + PAGE / 4).step_by(8).all(|at| memory::read(at) == pattern(at))
}

fn pattern(at: u64) -> u64 {
    (at >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A figure that there is not here.
pub fn skip(name: &str, why: &str) {
    say!("measure: skip {name}: {why}");
}

/// A call that was to succeed.
pub fn fail(name: &str, code: i64) {
    say!("measure: FAIL {name} answered {code}");
}

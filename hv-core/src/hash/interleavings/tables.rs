//! Another table takes the present one's place, against faults, accesses and calls.

use super::machine::{CONTENTS, Machine};
use super::world::{
    CLOSED, Cpu, END, Ended, Held, Memory, NEW, OPEN, PAGE, Parted, SHAPE, accessed, claim, every_order_of, patiently,
};
use crate::hash::resize::Preparation;
use crate::hash::{HptMemory, Parts, Refusal, Tables, Unresized};
use crate::mmu::{Discipline, Hashed};
use ppc64_arch::hash::{PaprEntry, Shape, Word0};

/// Memory for the first table; the second one is there already.
struct Supply {
    first: Parts<'static>,
    second: Parts<'static>,
    machine: &'static Machine,
}

impl core::fmt::Debug for Supply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Supply")
    }
}

impl HptMemory<'static> for Supply {
    fn take(&self, _: Shape, _: usize) -> Option<Parts<'static>> {
        Some(self.first)
    }

    fn give(&self, parts: Parts<'static>) {
        let second = core::ptr::eq(parts.entries, self.second.entries);
        self.machine.take_back(usize::from(second));
    }
}

/// A guest with two tables.
struct World {
    tables: Tables<'static, Machine>,
    _supply: Held<Supply>,
    machine: Held<Machine>,
    _parted: [Held<Parted>; 2],
    memory: Memory,
}

impl World {
    fn new() -> Self {
        let parted = [Held::new(Parted::new()), Held::new(Parted::new())];
        let [first, second] = parted.each_ref().map(Held::lent);
        let machine = Held::new(Machine::with_tables([&first.entries, &second.entries]));
        let supply = Supply { first: first.parts(), second: second.parts(), machine: machine.lent() };
        let supply = Held::new(supply);
        let tables = Tables::new(machine.lent(), supply.lent(), 1, SHAPE, END).expect("parts");
        *tables.pending.lock() = Some(Preparation::ready(second.parts()));
        Self { tables, _supply: supply, machine, _parted: parted, memory: Memory::new(true) }
    }

    fn cpu(&self, cpu: usize) -> Cpu<'_> {
        Cpu(&self.memory, cpu)
    }

    /// The guest makes an entry that it wants to keep.
    fn enter(&self, cpu: usize) -> Result<u64, Refusal> {
        let PaprEntry { word0, word1 } = claim(PAGE, OPEN);
        let claim = PaprEntry { word0: word0 | Word0::SW2.bits(), word1 };
        patiently(|| self.tables.enter(&self.cpu(cpu), 0, 0, claim))
    }

    fn access(&self, cpu: usize, store: Option<u64>) -> Ended {
        accessed(&self.machine, cpu, PAGE, store, |fault| self.tables.fault(&self.cpu(cpu), fault))
    }

    /// The other table takes the first one's place.
    fn commit(&self) -> Result<(), Unresized> {
        let tables = &self.tables;
        let alone = |work: &mut dyn FnMut()| {
            tables.close();
            self.memory.pins.grace();
            work();
            tables.open();
        };
        // SAFETY: 1. As the model has it: nobody evicts.
        unsafe { tables.commit(0, u64::from(SHAPE.order()), alone, || self.machine.search_other()) }
    }
}

fn entered(world: &World) {
    assert_eq!(world.enter(0), Ok(0));
}

fn loaded(world: &World) {
    entered(world);
    assert_eq!(world.access(0, None), Ended::Loaded(CONTENTS[0]));
}

#[test]
fn a_store_that_faults_and_another_table() {
    every_order_of(
        3,
        World::new,
        entered,
        |w| w.access(0, Some(NEW)),
        World::commit,
        |w, access, committed| {
            assert_eq!((access, committed), (Ended::Stored, Ok(())));
            assert_eq!(w.access(0, None), Ended::Loaded(NEW));
        },
    );
}

#[test]
fn a_load_by_a_known_translation_and_another_table() {
    every_order_of(
        3,
        World::new,
        loaded,
        |w| w.access(0, None),
        World::commit,
        |w, access, committed| {
            assert_eq!((access, committed), (Ended::Loaded(CONTENTS[0]), Ok(())));
            assert_eq!(w.access(0, Some(NEW)), Ended::Stored);
        },
    );
}

#[test]
fn h_enter_and_another_table() {
    every_order_of(
        3,
        World::new,
        |_| {},
        |w| w.enter(0),
        World::commit,
        |w, entered, committed| {
            assert_eq!((entered, committed), (Ok(0), Ok(())));
            assert_eq!(w.access(0, None), Ended::Loaded(CONTENTS[0]), "it is in the table that is present now");
        },
    );
}

#[test]
fn h_protect_and_another_table() {
    every_order_of(
        3,
        World::new,
        loaded,
        |w| patiently(|| w.tables.protect(&w.cpu(0), CLOSED & 3, 0, 0)),
        World::commit,
        |w, protected, committed| {
            assert_eq!((protected, committed), (Ok(()), Ok(())));
            assert_eq!(w.access(0, Some(NEW)), Ended::Refused);
        },
    );
}

#[test]
fn h_remove_and_another_table() {
    every_order_of(
        3,
        World::new,
        loaded,
        |w| patiently(|| w.tables.remove(&w.cpu(0), 0, 0, 0)).map(drop),
        World::commit,
        |w, removed, committed| {
            assert_eq!((removed, committed), (Ok(()), Ok(())));
            assert_eq!(w.access(0, None), Ended::Refused, "it is in neither table");
        },
    );
}

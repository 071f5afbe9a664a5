//! Another table takes the present one's place, against faults, accesses and calls.

use super::machine::{CONTENTS, Machine};
use super::world::{
    CLOSED, Cpu, END, Ended, Memory, NEW, OPEN, PAGE, Parted, SHAPE, claim, every_order_of, name, patiently, segment,
};
use crate::hash::resize::Preparation;
use crate::hash::{Fault, HptMemory, Outcome, Parts, Refusal, Tables, Unresized};
use crate::mmu::{Access, Discipline, Hashed};
use crate::sync::relax;
use ppc64_arch::addr::EffAddr;
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
    parted: [*mut Parted; 2],
    machine: *mut Machine,
    supply: *mut Supply,
    tables: *mut Tables<'static, Machine>,
    memory: Memory,
}

// SAFETY: 1. What it points at lives until it goes, and is shared as loom's types allow.
unsafe impl Sync for World {}
// SAFETY: 1. As above.
unsafe impl Send for World {}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: 1. Each was made by `Box::into_raw`, and is borrowed by what goes before it alone.
        unsafe {
            drop(Box::from_raw(self.tables));
            drop(Box::from_raw(self.supply));
            drop(Box::from_raw(self.machine));
            self.parted.into_iter().for_each(|parted| drop(Box::from_raw(parted)));
        }
    }
}

impl World {
    fn new() -> Self {
        let parted = [(); 2].map(|()| Box::into_raw(Box::new(Parted::new())));
        // SAFETY: 1. They live until the world goes.
        let [first, second] = parted.map(|parted| unsafe { &*parted });
        let machine = Box::into_raw(Box::new(Machine::with_tables([&first.entries, &second.entries])));
        // SAFETY: 1. As above.
        let hardware: &'static Machine = unsafe { &*machine };
        let supply = Supply { first: first.parts(), second: second.parts(), machine: hardware };
        let supply = Box::into_raw(Box::new(supply));
        // SAFETY: 1. As above.
        let tables = Tables::new(hardware, unsafe { &*supply }, 1, SHAPE, END).expect("parts");
        *tables.pending.lock() = Some(Preparation::ready(second.parts()));
        Self { parted, machine, supply, tables: Box::into_raw(Box::new(tables)), memory: Memory::new(true) }
    }

    fn machine(&self) -> &Machine {
        // SAFETY: 1. It lives as long as the world.
        unsafe { &*self.machine }
    }

    fn tables(&self) -> &Tables<'static, Machine> {
        // SAFETY: 1. As above.
        unsafe { &*self.tables }
    }

    fn cpu(&self, cpu: usize) -> Cpu<'_> {
        Cpu(&self.memory, cpu)
    }

    /// The guest makes an entry that it wants to keep.
    fn enter(&self, cpu: usize) -> Result<u64, Refusal> {
        let PaprEntry { word0, word1 } = claim(PAGE, OPEN);
        let claim = PaprEntry { word0: word0 | Word0::SW2.bits(), word1 };
        patiently(|| self.tables().enter(&self.cpu(cpu), 0, 0, claim))
    }

    fn access(&self, cpu: usize, store: Option<u64>) -> Ended {
        let access = if store.is_some() { Access::Write } else { Access::Read };
        let (ea, asdr) = (EffAddr::new(0), segment(PAGE));
        let fault = Fault { ea, asdr, access, problem_state: false, amr: 0, iamr: 0 };
        loop {
            match (self.machine().access(cpu, name(PAGE), store), store) {
                (Some(value), None) => return Ended::Loaded(value),
                (Some(_), Some(_)) => return Ended::Stored,
                (None, _) => {}
            }
            match self.tables().fault(&self.cpu(cpu), &fault) {
                Outcome::Resume => {}
                Outcome::Busy => relax(),
                Outcome::Reflect(_) => return Ended::Refused,
                other => panic!("{other:?}"),
            }
        }
    }

    /// The other table takes the first one's place.
    fn commit(&self) -> Result<(), Unresized> {
        let tables = self.tables();
        let alone = |work: &mut dyn FnMut()| {
            tables.close();
            self.memory.pins.grace();
            work();
            tables.open();
        };
        // SAFETY: 1. As the model has it: nobody evicts.
        unsafe { tables.commit(0, u64::from(SHAPE.order()), alone, || self.machine().search_other()) }
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
        |w| patiently(|| w.tables().protect(&w.cpu(0), CLOSED & 3, 0, 0)),
        World::commit,
        |w, protected, committed| {
            assert_eq!((protected, committed), (Ok(()), Ok(())));
            assert_eq!(w.access(0, Some(NEW)), Ended::Refused);
        },
    );
}

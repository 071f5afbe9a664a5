//! A table on a machine that caches translations and records R and C late, against a plain map.
//!
//! | file | what |
//! | --- | --- |
//! | `machine` | hardware: a search of the table, cached translations, R and C by late stores of bytes |
//! | `memory` | a guest's memory that comes and goes |
//! | `model` | PAPR's calls on a plain map |
//! | `random` | sequences of all of it, arguments at their extremes |
//! | `cases` | what is worth a name |

mod cases;
mod machine;
mod memory;
mod model;
mod random;

use super::{Hpt, Parts};
use crate::sync::AtomicU64;
use machine::Machine;
use ppc64_arch::addr::HostReal;
use ppc64_arch::hash::Shape;

/// Partition number of all tests.
const LPID: u32 = 5;

/// A machine, and an empty table on it.
fn table(order: u32) -> (&'static Machine, Hpt<'static, Machine>) {
    let shape = Shape::new(order).expect("a table");
    let words =
        |many: usize| -> &'static [AtomicU64] { (0..many).map(|_| AtomicU64::new(!0)).collect::<Vec<_>>().leak() };
    let many = 2 * shape.entries() as usize;
    let (entries, sides, heads) = (words(many), words(many), words(Parts::heads_for(memory::END)));
    let machine: &'static Machine = Box::leak(Box::new(Machine::new(shape, entries)));
    let table =
        Hpt::new(machine, LPID, Parts { shape, at: HostReal::new(1 << 50), entries, sides, heads }, memory::END)
            .expect("parts that fit");
    (machine, table)
}

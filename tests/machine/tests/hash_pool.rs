//! A guest's hashed tables and its memory come out of one pool: what is promised to a guest as memory is no table's.

use hv_core::hash::HptMemory;
use hv_core::hash::pool::FromPool;
use hv_core::mmu::Hardware;
use machine::Machine;
use ppc64_arch::addr::LeafSize;
use ppc64_arch::hash::Shape;

/// What a small table takes.
const BLOCK: u64 = LeafSize::Size2M.bytes();
const BLOCKS: u64 = 8;

#[test]
fn a_table_takes_nothing_that_was_promised() {
    let memory = Machine::with_pool(BLOCKS * BLOCK, 1, 0);
    let room = FromPool::new(memory);
    assert!(room.promise(6 * BLOCK) && !room.promise(3 * BLOCK));
    let first = small(&room).expect("two blocks are left");
    let _second = small(&room).expect("one is left");
    assert!(small(&room).is_none());
    assert_eq!((room.spare(), memory.pool.free_bytes()), (0, 6 * BLOCK));
    room.give(first);
    assert_eq!(room.spare(), BLOCK);
    assert!(small(&room).is_some());
}

#[test]
fn a_stretch_that_there_is_not_costs_nothing() {
    let memory = Machine::with_pool(BLOCKS * BLOCK, 1, 0);
    let room = FromPool::new(memory);
    let taken = memory.pool.take_extent(BLOCK, BLOCK).expect("all is free");
    let too_large = Shape::new(23).expect("8 MiB, and as much for its sides");
    assert!(room.take(too_large, 1).is_none());
    assert_eq!(room.spare(), BLOCKS * BLOCK);
    memory.pool.put_extent(taken);
}

fn small<'m, H: Hardware>(room: &FromPool<'m, H>) -> Option<hv_core::hash::Parts<'m>> {
    room.take(Shape::new(18)?, 1)
}

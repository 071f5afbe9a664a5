//! The run queue of one CPU: all of it is one doubleword, a byte for each vCPU in it, its head in the least one. A byte is the vCPU's number plus one; 0: nobody.
//!
//! What the doubleword says is all that there is to know, so that a swap that finds it unchanged is right even if it had changed and come back. There is no lock, and thus nobody
//! who could hold it while the machine below takes his CPU away.
//!
//! Whoever takes a vCPU out has it, and everything that was done before it was put in; each change is a read-modify-write, so that this holds for every vCPU in the queue, whoever
//! changed the queue since.

use super::MAX_VCPUS;
use crate::sync::{AtomicU64, Ordering};

const BYTE: u32 = 8;
const _: () = assert!(MAX_VCPUS * BYTE as usize <= 64, "a byte for each vCPU");

/// Empty at first.
#[derive(Debug)]
pub struct Queue(AtomicU64);

impl Queue {
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether nobody was in it a moment ago.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Puts `vcpu`, which is in no queue, at the tail.
    pub fn push(&self, vcpu: usize) {
        let append = |queue: u64| Some(queue | (vcpu as u64 + 1) << (BYTE * len(queue)));
        // Release: to whoever takes it out.
        let _always = self.0.fetch_update(Ordering::Release, Ordering::Relaxed, append);
    }

    /// Takes out the head.
    pub fn pop(&self) -> Option<usize> {
        let behead = |queue: u64| (queue != 0).then_some(queue >> BYTE);
        // Acquire: what was done before it was put in.
        let before = self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, behead).ok()?;
        Some((before & 0xff) as usize - 1)
    }

    /// Takes out `vcpu`, wherever it stands; false: it is not in it.
    pub fn remove(&self, vcpu: usize) -> bool {
        // Acquire: as for the head.
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, |queue| without(queue, vcpu)).is_ok()
    }
}

/// How many are in it.
const fn len(queue: u64) -> u32 {
    (u64::BITS - queue.leading_zeros()).div_ceil(BYTE)
}

/// The queue with `vcpu` gone and the ones behind it moved up.
fn without(queue: u64, vcpu: usize) -> Option<u64> {
    let at = (0..len(queue)).map(|index| index * BYTE).find(|at| (queue >> at) & 0xff == vcpu as u64 + 1)?;
    let ahead = queue & ((1 << at) - 1);
    Some(queue >> at >> BYTE << at | ahead)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn drained(queue: &Queue) -> Vec<usize> {
        core::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn a_full_queue_comes_out_in_the_order_in_which_it_went_in() {
        let queue = Queue::new();
        let order = [3, 0, 7, 1, 2, 6, 5, 4];
        order.iter().for_each(|vcpu| queue.push(*vcpu));
        assert_eq!(drained(&queue), order);
        assert!(queue.is_empty());
    }

    #[test]
    fn anybody_can_be_taken_out_of_a_full_queue_and_the_others_keep_their_order() {
        for gone in 0..MAX_VCPUS {
            let queue = Queue::new();
            (0..MAX_VCPUS).for_each(|vcpu| queue.push(vcpu));
            assert!(queue.remove(gone));
            assert!(!queue.remove(gone), "it is gone");
            assert_eq!(drained(&queue), (0..MAX_VCPUS).filter(|vcpu| *vcpu != gone).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nobody_can_be_taken_out_of_an_empty_queue() {
        assert_eq!(Queue::new().pop(), None);
        assert!(!Queue::new().remove(0));
    }
}

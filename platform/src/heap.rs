//! A small heap, for device trees and nothing else: the fault path never allocates.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use linked_list_allocator::Heap;
use spin::Mutex;

/// Bytes of the heap. A guest's tree takes some 20 KiB, the machine's own under SLOF some 100.
const SIZE: usize = 1024 * 1024;

#[repr(C, align(128))]
struct Arena([u8; SIZE]);

static mut ARENA: Arena = Arena([0; SIZE]);

#[global_allocator]
static ALLOCATOR: Locked = Locked(Mutex::new(Heap::empty()));

struct Locked(Mutex<Heap>);

/// Gives the heap its memory; once, before the first allocation.
pub fn init() {
    // SAFETY: 1. the arena is named nowhere else, so the heap is its only owner; 2. called once, from the start.
    unsafe { ALLOCATOR.0.lock().init((&raw mut ARENA).cast(), SIZE) }
}

// SAFETY: 1. the list hands out disjoint, aligned blocks of the arena; 2. the lock makes it one caller at a time.
unsafe impl GlobalAlloc for Locked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().allocate_first_fit(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if let Some(at) = NonNull::new(at) {
            // SAFETY: 1. the caller gives back what `alloc` returned, with its layout.
            unsafe { self.0.lock().deallocate(at, layout) }
        }
    }
}

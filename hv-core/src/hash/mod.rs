//! A hash guest's table: the guest asks for entries by calls, the hypervisor owns the table, and memory is still made by storage interrupts.
//!
//! # What an entry is
//!
//! Each place has two big-endian doublewords that hardware reads, and a *side* that it does not: the guest's view of doubleword 1 (guest real address, R and C as far as they are known), and links of the
//! reverse map.
//!
//! ```text
//!            enter                     fault (or enter, where the page is there)
//!   free ───────────► absent ────────────────────────────────────────► shown
//!     ▲                │  ▲    guest: valid, hardware: not               │ │
//!     │     remove     │  └─────── hide ─ flush ─ merge R and C ◄────────┘ │ the page leaves its frame (evict), or changes
//!     └────────────────┴─────────── hide ─ flush ─ merge R and C ◄─────────┘ remove
//! ```
//!
//! | | doubleword 0 | doubleword 1 | view |
//! | --- | --- | --- | --- |
//! | free | 0 | 0 | 0 |
//! | absent | the guest's, V=0, *absent* (a software bit) | anything | the guest's |
//! | shown | the guest's, V=1 | the guest's with the frame's address, perhaps without stores | the guest's |
//! | locked | one of these, and *lock* (another software bit) | | |
//!
//! # The protocol
//!
//! * **An entry is changed under its lock**, a bit of doubleword 0 that is taken by compare-and-swap and given back by the store of what the entry is from then on. There is no lock of the table, and none is
//!   waited for without bound: who does not get it says *busy*, and the call is made again.
//! * **Doubleword 1 never changes while V=1**, and an entry that is not locked and has V=0 is cached nowhere: *hide* clears V, the flush completes, R and C are merged into the view, and only then the entry
//!   becomes something else. Hardware may set R and C until the flush completes, not atomically: POWER's manual allows, and QEMU does, the store of a byte from a copy that was read before. Such a store, late,
//!   would undo any change of the same byte. The types [`Locked`](lock::Locked), [`Hidden`](lock::Hidden) and [`Quiet`](lock::Quiet) are this rule.
//! * **Three answers.** A fault looks without a lock: the entry, the view, what the page's memory is ([`Backing`]). It makes the page (`prepare`, without any lock of the table), takes the entry's lock, and
//!   compares all of it again (`commit`): `Same`, and it is shown; `NotSame`, somebody else dealt with it; `Retry`, the memory is in motion or the entry is locked. None of them leaves [`fault`].
//! * **Memory that is taken away.** Whoever changes what a guest page is (unmaps, copies, pages out, forbids stores) changes its own entry first, then *evicts*: goes along the page's entries in the reverse map,
//!   takes each one's lock, hides what is shown, flushes. A fault takes the entry's lock first and looks at the memory then. Of these two turns at one lock one is first: either the fault sees the changed memory, or
//!   the eviction sees the shown entry. That is why an eviction takes the locks of absent entries too, where it could see without that there is nothing to hide.
//! * **The reverse map** has a list for each 64 KiB of guest real address, and one for each 16 MiB of pages of that size; each has a lock bit of its own in its head. An entry is linked before its memory is looked at
//!   for the first time, and unlinked before it is free. Locks are taken in the order entry, list: whoever has a list's lock only *tries* for entries. No lock of a list is held over a flush.
//! * **No ABA.** What a fault compares is all that it relies on: an entry that was removed and entered again, and agrees in name and view, is as good as the first. That holds for what the guest is told as well: before it hears
//!   that an entry forbids an access, the entry is compared under its lock. Frames are kept by the pin ([`Backing::pin`]).
//! * **Freed last.** A frame is freed by whoever took it away, after the eviction and the grace period, as for radix.
//!
//! # Another table
//!
//! The guest may have its table in another size. It is made beside the present one, a piece in each call, and takes its place while everything stands still ([`Space::alone`](crate::mmu::Space)): no fault, no
//! mutation, no call is under way, and who comes is turned away, not held up.
//!
//! ```text
//!   call, fault:  pin ; fence ; closed? ─ no ─► the table that is present now ... ; unpin
//!   commit:       lock, slots closed, table closed ; fence ; grace ─► hide all ─ flush ─ merge ─ move ─ partition entry, flush ─► the other is present ; open
//! ```
//!
//! It is the store-buffering pair of pins and slots once more. A fault is pinned while it looks and while it commits, not between: what it compares is an entry of whichever table is present then, and shown is what that entry says. From the first flush on hardware
//! finds no entry in either table, so vCPUs may stay in the guest: what they access faults, and is turned away. Nobody knows the old table when everything goes on, so its memory is given back.
//!
//! What is the same as for radix is radix's: slots, frames, stores, budgets, the log and copy-on-write belong to the guest's [`Space`](crate::mmu::Space), whose tree no hardware walks for a hash guest; [`Backing`] is
//! what is asked of it, and [`Hpt::evict`] is its flush.
//!
//! # The rooms
//!
//! | file | what |
//! | --- | --- |
//! | [`machine`] | what is asked of hardware and of memory |
//! | [`table`] | the table: places, sides, groups |
//! | [`lock`] | an entry's lock, and the only order in which an entry changes |
//! | `reverse` | from guest pages to entries |
//! | [`calls`] | the guest's calls |
//! | `find`, [`fault`], `commit` | storage interrupts |
//! | `evict` | memory that is taken away |
//! | [`tables`] | a guest's table, and how another one takes its place |
//! | `resize`, `rehash` | the guest asks for another size; its entries move |
//! | [`pool`] | memory for tables |
//! | [`seat`] | one CPU at one hash guest's memory |

pub mod calls;
mod commit;
mod evict;
pub mod fault;
mod find;
#[cfg(all(test, loom))]
mod interleavings;
pub mod lock;
pub mod machine;
pub mod pool;
mod rehash;
mod resize;
mod reverse;
pub mod seat;
pub mod table;
pub mod tables;

pub use calls::{Bulk, Calls, Recorded, Refusal};
pub use fault::{Fault, Outcome};
pub use machine::{Backing, Kind, Page, Translations};
pub use resize::Unresized;
pub use seat::HashSeat;
pub use table::{Hpt, Misfit, Parts};
pub use tables::{HptMemory, Tables};

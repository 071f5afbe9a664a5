//! Guest memory, made by the guest's own storage interrupts.
//!
//! # The protocol
//!
//! A *fault* finds out which page belongs at an address and puts it there. Faults run on many CPUs at once and take no lock.
//! A *mutation* changes what belongs where, or how: slots added, removed, resized, made read-only; ranges unmapped; the dirty log switched and harvested; leaves split, promoted, aged;
//! pages taken out; empty tables freed. Mutations take [`Space`]'s lock, one at a time.
//!
//! ```text
//!   fault                                            mutation that takes something away
//!   ─────                                            ──────────────────────────────────
//!   pin: my count turns odd ┐ SeqCst ┌               make the slot's sequence odd
//!   read slot sequence      ┘ fences └               wait until every count that is odd has changed: the grace period
//!   walk, remember the entry                         edit slots and tables
//!   prepare: frame, zero or copy                     flush; free what the tables held
//!   compare-and-swap the entry                       make the sequence even again
//!   unpin: my count turns even
//! ```
//!
//! * **Three answers.** The swap finds the entry the `Same`, or
//!   `NotSame`: somebody else dealt with it, which is success if what they left permits the access, and
//!   otherwise a reason to look again. A slot or table that is changing underneath means retry. Neither of the latter two is
//!   visible outside [`fault`]: [`Resolution`] has no word for them.
//! * **No mutation between check and swap.** A fault that saw an even sequence is pinned until its swap is done, and a mutation edits only after every
//!   pin that may have seen the even sequence has ended. A fault that pins later sees the odd one and retries under the lock.
//!   Pin-then-read against change-then-read-pins is a store-buffering pair, hence the SeqCst fences in [`pins`].
//! * **Hardware may set R and C meanwhile.** They are left out of the comparison and merged into what is written ([`commit`]). What relies on them reads them after the
//!   flush (`age`, `promote`).
//! * **No ABA.** An absent entry carries a generation: a page that came and went leaves another entry than the one that was seen ([`absent`]).
//! * **A change of frame, size or kind is break before make**: the entry goes through *transit*, the flush completes, then the new entry is
//!   written. Others that meet the transit entry get [`Resolution::Wait`],
//!   and are woken when it ends ([`waiters`]).
//! * **Rights that are taken away** (`protect`): first faults learn that they may not give them back, then each leaf loses them by a swap, then one flush, then a grace period for the hypervisor's own stores.
//! * **The dirty log** (`dirty`): a fault marks after its swap and before its guest goes on; a harvest takes the marks first and protects then.
//! * **Freed last**: unlink, flush, wait for pins, free. A frame that the hypervisor reads or writes for the guest is safe while pinned.
//!
//! # The rooms
//!
//! | file | what |
//! | --- | --- |
//! | [`request`] | what goes in and comes out |
//! | [`slot`] | which guest real addresses exist, and what they are made of |
//! | [`pins`], [`discipline`] | pins and the grace period, and what they are an instance of |
//! | [`absent`] | the 63 bits of an entry that is not valid |
//! | [`ledger`], `reclaim` | what a guest is charged for; making room when it is spent |
//! | [`store`] | where pages come from, and where they go |
//! | [`frame`], [`cache`] | host memory in frames, and each CPU's few |
//! | [`walk`], [`commit`] | look without locks; compare and swap |
//! | [`fault`] | the path that all this is for |
//! | `stream` | how far to go ahead of faults that walk upwards |
//! | [`space`] | one guest's memory: slots, root, mutations |
//! | `range` | going over what is mapped of a range |
//! | `owed`, [`residency`] | what has to be flushed; which CPUs are inside the guest |
//! | [`hashed`] | the table that hardware walks instead, if it is a hash guest's |
//! | [`places`] | on which CPUs a partition has been, where flushes reach one or all |
//! | `unlink`, `prune` | pages and tables taken out, flushed, freed; tables that map nothing |
//! | `split`, `promote` | one huge leaf, or a table of small ones |
//! | `protect`, `dirty`, `age` | stores forbidden; which pages were written; which were used |
//! | [`waiters`] | faults that wait, and how they are woken |
//! | [`seat`] | one CPU at one space: faults and the hypervisor's own accesses |
//! | [`disturb`] | all of it all the time, for stress |
//! | [`stats`], [`audit`] | counted on the way; counted by walking |

pub mod absent;
mod age;
pub mod audit;
pub mod cache;
pub mod commit;
mod dirty;
pub mod discipline;
pub mod disturb;
pub mod fault;
pub mod frame;
pub mod hardware;
pub mod hashed;
#[cfg(all(test, any(loom, shuttle)))]
mod interleavings;
pub mod ledger;
mod owed;
pub mod pins;
pub mod places;
mod promote;
mod protect;
mod prune;
mod range;
mod reclaim;
pub mod request;
pub mod residency;
pub mod seat;
pub mod slot;
pub mod space;
mod split;
pub mod stats;
pub mod store;
mod stream;
mod unlink;
pub mod waiters;
pub mod walk;

pub use age::Aged;
pub use dirty::LogError;
pub use discipline::Discipline;
pub use disturb::Disturber;
pub use frame::{Extent, Frame, FramePool, Memory};
pub use hardware::{Flush, Hardware};
pub use hashed::Hashed;
pub use promote::PromoteError;
pub use request::{Access, Awaited, Reflect, Resolution, StorageFault, Ticket};
pub use seat::{AccessError, Cpu, Seat};
pub use slot::{Granule, SlotError, SlotSpec, Source};
pub use space::{Config, Space, SpaceError};
pub use split::SplitError;
pub use waiters::Wake;

//! Hashed page tables (Power ISA 3.1B Book III 6.7.8, segments, and 6.7.9, the table): the other way in which a partition's
//! addresses are translated. HR=0 in LPCR and in the partition table entry chooses it.
//!
//! ```text
//!  effective address ─ SLB entry ─► virtual address (78 bits; processors of the field have 68) ─ hash ─► PTEG ─ compare ─► HPTE ─► real address
//!        ESID            VSID word                                               primary, secondary    8 entries
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | [`pages`] | base and actual page sizes, and how an entry says which (L, LP) |
//! | [`segment`] | segment sizes, the VSID word of an SLB entry and of ASDR, virtual addresses, the VRMA |
//! | [`slb`] | the segments of a virtual processor that is not in a CPU |
//! | [`entry`] | the two doublewords of an HPTE, as hardware has them since ISA 3.0, and as PAPR's calls have them |
//! | [`protection`] | PP, keys, N and G: who may do what |
//! | [`table`] | the table's size, the hash, PTEGs and the numbers of entries; which virtual page an entry is about |
//! | [`pate`] | the partition table entry |
//! | [`tlbie`] | what `tlbie` takes to drop a hash partition's translations |
//!
//! Entries are two big-endian doublewords in memory. The types here hold them in native order; whoever stores them swaps.

pub mod entry;
pub mod pages;
pub mod pate;
pub mod protection;
pub mod segment;
pub mod slb;
pub mod table;
pub mod tlbie;

pub use entry::{Entry, PaprEntry, Word0, Word1};
pub use pages::{PageSize, Pages};
pub use protection::{Key, Wanted};
pub use segment::{Segment, VirtualAddress, VsidWord};
pub use slb::Segments;
pub use table::Shape;

//! The guest's calls (LoPAR 14.5.4.1): each argument is a claim, and is checked here before the table is touched.
//!
//! | file | call |
//! | --- | --- |
//! | `enter` | H_ENTER |
//! | `remove` | H_REMOVE, H_BULK_REMOVE |
//! | `change` | H_PROTECT, H_CLEAR_REF, H_CLEAR_MOD |
//! | `read` | H_READ |
//!
//! Flags that hypervisors of the field ignore are ignored here as well; those that ask for something that is not done are refused by number.

mod change;
pub(super) mod enter;
mod read;
pub(super) mod remove;

pub use change::Recorded;
pub use read::Four;
pub use remove::Bulk;

use super::lock::{Locked, Place};
use super::machine::Translations;
use super::resize::Unresized;
use super::table::Hpt;
use ppc64_arch::bits::bit;
use ppc64_arch::hash::PaprEntry;

/// Flags of the calls, as LoPAR numbers their bits.
pub mod flags {
    use super::bit;

    /// H_ENTER: this entry, or none.
    pub const EXACT: u64 = bit(24);
    /// H_READ: real addresses as the guest has them. They always are.
    pub const R_XLATE: u64 = bit(25);
    /// H_READ: four entries.
    pub const READ_4: u64 = bit(26);
    /// H_REMOVE, H_PROTECT: only if the entry's AVA and B are these.
    pub const AVPN: u64 = bit(32);
    /// H_REMOVE: only if the entry has none of these bits.
    pub const ANDCOND: u64 = bit(33);
    /// H_ENTER: make the page visible to instruction fetch; zero it; copy it. Not done by any hypervisor of the field.
    pub const NOT_DONE: [u32; 4] = [40, 41, 48, 49];
    /// All of these.
    pub const ALL_NOT_DONE: u64 = bit(40) | bit(41) | bit(48) | bit(49);
}

/// Why a call was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// H_PARAMETER: no such entry in the table, or the entry is not one that may be.
    Parameter,
    /// H_PTEG_FULL: no place was free.
    GroupFull,
    /// H_NOT_FOUND: nothing is there, or not what the guest says.
    NotFound,
    /// H_UNSUPPORTED_FLAG less this number: the bit of a flag that asks for what is not done.
    UnsupportedFlag(u32),
    /// Not an answer for the guest: somebody else is at the entry. The call is to be made again, after something else.
    Busy,
}

/// The guest's calls, as one CPU makes them for it.
pub trait Calls {
    /// H_ENTER: [`Hpt::enter`].
    ///
    /// # Errors
    /// [`Refusal`].
    fn enter(&self, flags: u64, index: u64, claim: PaprEntry) -> Result<u64, Refusal>;
    /// H_REMOVE: [`Hpt::remove`].
    ///
    /// # Errors
    /// [`Refusal`].
    fn remove(&self, flags: u64, index: u64, value: u64) -> Result<PaprEntry, Refusal>;
    /// H_BULK_REMOVE: [`Hpt::bulk_remove`].
    ///
    /// # Errors
    /// [`Refusal`].
    fn bulk_remove(&self, bulk: &mut Bulk) -> Result<(), Refusal>;
    /// H_READ: [`Hpt::read`].
    ///
    /// # Errors
    /// [`Refusal`].
    fn read(&self, flags: u64, index: u64) -> Result<Four, Refusal>;
    /// H_PROTECT: [`Hpt::protect`].
    ///
    /// # Errors
    /// [`Refusal`].
    fn protect(&self, flags: u64, index: u64, value: u64) -> Result<(), Refusal>;
    /// H_CLEAR_REF, H_CLEAR_MOD: [`Hpt::clear`].
    ///
    /// # Errors
    /// [`Refusal`].
    fn clear(&self, what: Recorded, index: u64) -> Result<u64, Refusal>;
    /// H_RESIZE_HPT_PREPARE: [`Tables::prepare`](super::Tables::prepare).
    ///
    /// # Errors
    /// [`Unresized`].
    fn prepare_resize(&self, flags: u64, shift: u64) -> Result<(), Unresized>;
    /// H_RESIZE_HPT_COMMIT: [`Tables::commit`](super::Tables::commit).
    ///
    /// # Errors
    /// [`Unresized`].
    fn commit_resize(&self, flags: u64, shift: u64) -> Result<(), Unresized>;
}

/// What a guest says that an entry has, where it says so.
#[derive(Clone, Copy, Debug)]
struct Condition {
    flags: u64,
    value: u64,
}

impl Condition {
    #[inline]
    fn holds(self, entry: PaprEntry) -> bool {
        let named = self.flags & flags::AVPN == 0 || entry.word0 & PaprEntry::COMPARED == self.value;
        let clear = self.flags & flags::ANDCOND == 0 || entry.word0 & self.value == 0;
        named && clear
    }
}

impl<'m, T: Translations> Hpt<'m, T> {
    /// The place that a guest names.
    #[inline]
    fn named(&self, index: u64) -> Result<Place<'m>, Refusal> {
        self.place(index).ok_or(Refusal::Parameter)
    }

    /// The entry that a guest names, locked, if there is one of which the condition holds.
    #[inline(always)]
    fn named_entry(&self, index: u64, condition: Condition) -> Result<Locked<'m>, Refusal> {
        let locked = self.named(index)?.lock().ok_or(Refusal::Busy)?;
        if locked.is_free() || !condition.holds(locked.known().papr()) {
            return Err(Refusal::NotFound);
        }
        Ok(locked)
    }
}

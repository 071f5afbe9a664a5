//! What PAPR says of each call, on a plain map (LoPAR 14.5.4.1, "Page Frame Table Access").
//!
//! Where its text leaves something open, or says two things, the model says what was decided:
//!
//! * H_ENTER's flags for zeroing a page and for its instruction cache are refused by number.
//! * H_REMOVE of a place that is free is not found, as H_PROTECT's is.
//! * H_PROTECT leaves R as it is: "only PTE bits to be modified are" pp, key and N.
//! * H_BULK_REMOVE's *andcond* looks at all 64 bits, as H_REMOVE's.
//! * Entries that are not bolted are gone when another table has taken the present one's place, and so is the other table when it has not.
//! * An entry of real mode gives way: the hypervisor makes it again where real mode needs it.

use super::pte::{BOLTED, GROUP, PROTECTION, Pte, RECORDED};
use std::collections::BTreeMap;
use std::ops::Range;

/// H_REMOVE's number.
pub const H_REMOVE: u64 = 0x04;
/// H_ENTER.
pub const H_ENTER: u64 = 0x08;
/// H_READ.
pub const H_READ: u64 = 0x0c;
/// H_CLEAR_MOD.
pub const H_CLEAR_MOD: u64 = 0x10;
/// H_CLEAR_REF.
pub const H_CLEAR_REF: u64 = 0x14;
/// H_PROTECT.
pub const H_PROTECT: u64 = 0x18;
/// H_BULK_REMOVE.
pub const H_BULK_REMOVE: u64 = 0x124;
/// H_RESIZE_HPT_PREPARE.
pub const H_RESIZE_HPT_PREPARE: u64 = 0x36c;
/// H_RESIZE_HPT_COMMIT.
pub const H_RESIZE_HPT_COMMIT: u64 = 0x370;
/// H_REGISTER_PROCESS_TABLE.
pub const H_REGISTER_PROC_TBL: u64 = 0x37c;

/// Return codes.
pub mod rc {
    /// H_Success.
    pub const SUCCESS: i64 = 0;
    /// H_Busy.
    pub const BUSY: i64 = 1;
    /// H_Closed.
    pub const CLOSED: i64 = 2;
    /// H_LongBusyOrder1mSec.
    pub const LONG_BUSY: i64 = 9900;
    /// H_Privilege.
    pub const PRIVILEGE: i64 = -3;
    /// H_Parameter.
    pub const PARAMETER: i64 = -4;
    /// H_PTEG_FULL.
    pub const PTEG_FULL: i64 = -6;
    /// H_Not_Found.
    pub const NOT_FOUND: i64 = -7;
    /// H_Resource.
    pub const RESOURCE: i64 = -16;
    /// H_P2.
    pub const P2: i64 = -55;
    /// H_P3.
    pub const P3: i64 = -56;
    /// H_P4.
    pub const P4: i64 = -57;
    /// H_UNSUPPORTED_FLAG, for bit 0.
    pub const UNSUPPORTED_FLAG: i64 = -256;
}

/// Arguments of a call, or its results: r4 to r12.
pub type Registers = [u64; 9];

/// What a call answers: r3, and results from r4 on. Registers behind them are as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// r3.
    pub rc: i64,
    /// r4 and so on.
    pub results: Vec<u64>,
}

impl Answer {
    fn ok(results: &[u64]) -> Self {
        Self { rc: rc::SUCCESS, results: results.to_vec() }
    }

    const fn no(rc: i64) -> Self {
        Self { rc, results: Vec::new() }
    }

    fn of(done: Result<Vec<u64>, i64>) -> Self {
        done.map_or_else(Self::no, |results| Self { rc: rc::SUCCESS, results })
    }
}

/// What the guest was promised.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Memory has guest real addresses below this.
    pub end: u64,
    /// Devices have these.
    pub devices: Range<u64>,
    /// log2 of the largest page.
    pub largest_page: u32,
    /// log2 of the bytes of the largest table.
    pub largest_table: u32,
}

/// A table that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    order: u32,
    /// The guest was told that it is ready.
    ready: bool,
}

/// What a guest has where. R and C are what was recorded; hardware may be late.
#[derive(Clone, Debug)]
pub struct Model {
    /// The entries, by their place.
    pub entries: BTreeMap<u64, Pte>,
    /// log2 of the table's bytes.
    pub order: u32,
    promise: Promise,
    pending: Option<Pending>,
}

impl Model {
    /// An empty table of `1 << order` bytes.
    #[must_use]
    pub const fn new(order: u32, promise: Promise) -> Self {
        Self { entries: BTreeMap::new(), order, promise, pending: None }
    }

    /// How many entries there are room for.
    #[must_use]
    pub const fn places(&self) -> u64 {
        1 << (self.order - 4)
    }

    /// log2 of the bytes of the table that is being made.
    #[must_use]
    pub fn asked(&self) -> Option<u32> {
        self.pending.map(|pending| pending.order)
    }

    /// The guest begins anew.
    pub fn begin_anew(&mut self) {
        self.entries.clear();
        self.pending = None;
    }

    /// Whether an entry may be, whatever place it is for.
    fn permits(&self, pte: Pte) -> bool {
        let Some((base, actual)) = pte.sizes().filter(|(_, actual)| *actual <= self.promise.largest_page) else {
            return false;
        };
        let (from, bytes) = (pte.real(actual), 1_u64 << actual);
        let within = |range: &Range<u64>| range.contains(&from) && range.end - from >= bytes;
        let memory = within(&(0..self.promise.end)) && pte.word1 & 0x78 == 0x10;
        let device = within(&self.promise.devices) && pte.word1 & 0x60 == 0x20;
        // B is one of two, the address is one of 68 bits, and a page of 16 MiB begins where such do.
        let name = pte.word0 >> 63 == 0 && pte.word0 & 0x3ff0_0000_0000_0000 == 0;
        name && (memory || device) && (base < 24 || pte.word0 & 0x80 == 0)
    }

    /// The entry in a place, if the conditions hold that `flags` name: AVPN (bit 32) and *andcond* (bit 33).
    fn named(&self, flags: u64, index: u64, value: u64) -> Result<Pte, i64> {
        if index >= self.places() {
            return Err(rc::PARAMETER);
        }
        let pte = *self.entries.get(&index).ok_or(rc::NOT_FOUND)?;
        let avpn = flags & 1 << 31 == 0 || pte.avpn() == value;
        let andcond = flags & 1 << 30 == 0 || pte.word0 & value == 0;
        if avpn && andcond { Ok(pte) } else { Err(rc::NOT_FOUND) }
    }

    /// H_ENTER.
    pub fn enter(&mut self, [flags, index, word0, word1, ..]: Registers) -> Answer {
        let pte = Pte { word0, word1 };
        if let Some(flag) = [40, 41, 48, 49].into_iter().find(|flag| flags >> (63 - flag) & 1 != 0) {
            return Answer::no(rc::UNSUPPORTED_FLAG - flag);
        }
        if index >= self.places() || !self.permits(pte) {
            return Answer::no(rc::PARAMETER);
        }
        let exact = flags >> 39 & 1 != 0;
        let first = index - index % GROUP;
        let mut places = if exact { index..index + 1 } else { first..first + GROUP };
        match places.find(|place| !self.entries.contains_key(place)) {
            Some(place) => {
                self.entries.insert(place, pte.kept());
                Answer::ok(&[place])
            }
            None => Answer::no(rc::PTEG_FULL),
        }
    }

    /// H_REMOVE.
    pub fn remove(&mut self, [flags, index, value, ..]: Registers) -> Answer {
        Answer::of(self.named(flags, index, value).map(|was| {
            self.entries.remove(&index);
            vec![was.word0, was.word1]
        }))
    }

    /// H_BULK_REMOVE.
    pub fn bulk_remove(&mut self, args: Registers) -> Answer {
        let mut answer = Answer::ok(&args[..8]);
        for at in (0..8).step_by(2) {
            let (high, low) = (args[at], args[at + 1]);
            if high >> 62 == 3 {
                break;
            }
            let (kept, index) = (high & 0x03ff_ffff_ffff_ffff, high & ((1 << 56) - 1));
            let condition = [Some(0), Some(1 << 30), Some(1 << 31), None][(high >> 56 & 3) as usize];
            let done = match condition.filter(|_| high >> 62 == 1) {
                Some(condition) => self.named(condition, index, low),
                None => Err(rc::PARAMETER),
            };
            let status = match done {
                Ok(was) => {
                    self.entries.remove(&index);
                    8 << 60 | (was.word1 & RECORDED) << 51
                }
                Err(rc::NOT_FOUND) => 9 << 60,
                Err(_) => 10 << 60,
            };
            answer.results[at] = kept | status;
            if done == Err(rc::PARAMETER) {
                answer.rc = rc::PARAMETER;
                break;
            }
        }
        answer
    }

    /// H_READ. Hardware may be late with R and C.
    #[must_use]
    pub fn read(&self, [flags, index, ..]: Registers) -> Answer {
        let many = if flags >> 37 & 1 != 0 { 4 } else { 1 };
        if index >= self.places() {
            return Answer::no(rc::PARAMETER);
        }
        let first = index - index % many;
        let ptes = (first..first + many).map(|place| self.entries.get(&place).copied().unwrap_or_default());
        Answer::ok(&ptes.flat_map(|pte| [pte.word0, pte.word1]).collect::<Vec<_>>())
    }

    /// H_PROTECT.
    pub fn protect(&mut self, [flags, index, value, ..]: Registers) -> Answer {
        Answer::of(self.named(flags & 1 << 31, index, value).map(|mut pte| {
            let changed = (flags << 55) & 1 << 63 | (flags << 48) & 3 << 60 | flags & 0xe07;
            pte.word1 = pte.word1 & !PROTECTION | changed;
            self.entries.insert(index, pte);
            vec![]
        }))
    }

    /// H_CLEAR_REF and H_CLEAR_MOD: what the entry was. Hardware may be late with R and C; [`cleared`](Self::cleared) says what came of it.
    #[must_use]
    pub fn clear(&self, [_, index, ..]: Registers) -> Answer {
        Answer::of(self.named(0, index, 0).map(|pte| vec![pte.word1]))
    }

    /// The guest was told that `bit` was set. What was not there yet comes later: that access was after.
    pub fn cleared(&mut self, [_, index, ..]: Registers, bit: u64, told: u64) {
        if let Some(pte) = self.entries.get_mut(&index).filter(|_| told & bit != 0) {
            pte.word1 &= !bit;
        }
    }

    /// H_REGISTER_PROCESS_TABLE of a guest that fills its SLB itself, and stays such a guest.
    #[must_use]
    pub const fn register(&self, [flags, base, page_size, table_size, ..]: Registers) -> Answer {
        // Bits 59:60 are what is done, 61:62 the kind of translation, and 63 says who flushes.
        let code = match (flags & !0x18, flags >> 3) {
            (0, 3) if base >> 38 != 0 => rc::P2,
            (0, 3) if page_size > 7 => rc::P3,
            (0, 3) if table_size > 24 => rc::P4,
            (0, _) => rc::SUCCESS,
            _ => rc::PARAMETER,
        };
        Answer::no(code)
    }

    /// H_RESIZE_HPT_PREPARE: whether it may answer that. How long it takes to make a table ready is its own affair.
    pub fn prepare(&mut self, [flags, shift, ..]: Registers, answered: i64) -> bool {
        let Some(pending) = self.pending.filter(|pending| flags == 0 && shift == u64::from(pending.order)) else {
            self.pending = None;
            return answered == self.begin(flags, shift, answered);
        };
        let ready = pending.ready || answered == rc::SUCCESS;
        self.pending = Some(Pending { ready, ..pending });
        answered == if ready { rc::SUCCESS } else { rc::LONG_BUSY }
    }

    fn begin(&mut self, flags: u64, shift: u64, answered: i64) -> i64 {
        match u32::try_from(shift) {
            _ if flags != 0 => rc::PARAMETER,
            Ok(0) => rc::SUCCESS,
            Ok(order @ 18..=46) if order > self.promise.largest_table => rc::RESOURCE,
            Ok(order @ 18..=46) => {
                let ready = answered == rc::SUCCESS;
                self.pending = Some(Pending { order, ready });
                if ready { rc::SUCCESS } else { rc::LONG_BUSY }
            }
            _ => rc::PARAMETER,
        }
    }

    /// H_RESIZE_HPT_COMMIT: whether it may answer that.
    pub fn commit(&mut self, [flags, shift, ..]: Registers, answered: i64) -> bool {
        let Some(pending) = self.pending.filter(|pending| flags == 0 && shift == u64::from(pending.order)) else {
            return answered == rc::CLOSED;
        };
        if answered == rc::BUSY {
            return !pending.ready;
        }
        self.pending = None;
        match self.moved(pending.order) {
            Some(entries) => {
                (self.entries, self.order) = (entries, pending.order);
                answered == rc::SUCCESS
            }
            None => answered == rc::PTEG_FULL,
        }
    }

    /// What is bolted, in a table of `1 << order` bytes; `None` if two would have to stand in one place.
    fn moved(&self, order: u32) -> Option<BTreeMap<u64, Pte>> {
        let mut moved = BTreeMap::<u64, Pte>::new();
        for (index, pte) in self.entries.iter().filter(|(_, pte)| pte.word0 & BOLTED != 0) {
            let place = pte.moved(*index, order);
            match moved.get(&place) {
                Some(_) if pte.is_real_mode() => {}
                Some(other) if !other.is_real_mode() => return None,
                _ => {
                    moved.insert(place, *pte);
                }
            }
        }
        Some(moved)
    }
}

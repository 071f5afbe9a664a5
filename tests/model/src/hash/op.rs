//! One operation, and how twenty bytes say it.
//!
//! ```text
//!   0 kind | 1 how | 2..20 nine codes of two bytes: what becomes r4 to r12, or where and what
//! ```
//!
//! Every twenty bytes are some operation, and one that is left out leaves the others what they were: so a sequence that fails shrinks well, and a fuzzer's changes stay small. A code is mostly a good
//! argument where there is such, and else any of the numbers at which a check of it may go wrong ([`number`]).

use super::model::*;

/// Bytes of an operation.
pub const BYTES: usize = 20;

/// One argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// This number.
    Number(u64),
    /// The place of one of the guest's entries, with these bits.
    Place {
        /// Which of them, counted in the order of their places and round about.
        which: usize,
        /// The bits.
        bits: u64,
    },
    /// B and AVA of the entry in the place that the argument before this one names.
    Avpn,
    /// log2 of the bytes of the table that is being made.
    Asked,
}

/// An entry that a guest may well make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Which of some pages of virtual memory.
    pub page: usize,
    /// Which pair of page sizes.
    pub sizes: usize,
    /// Its segment is of 1 TiB.
    pub large_segment: bool,
    /// In the secondary group.
    pub secondary: bool,
    /// Bolted.
    pub bolted: bool,
    /// The place of its group that is named.
    pub slot: u64,
    /// Which of some guest real addresses.
    pub real: usize,
    /// The rest of doubleword 1.
    pub word1: u64,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields say where and what")]
pub enum Op {
    /// The guest makes an entry: H_ENTER, at a place where hardware finds it.
    Enter { flags: u64, wish: Wish },
    /// The guest makes a call, from problem state perhaps.
    Call { number: u64, problem_state: bool, args: [Argument; 9] },
    /// The guest's program accesses what one of its entries is about.
    Touch { which: usize, store: bool, offset: u64 },
    /// The guest's firmware accesses real memory.
    Real { at: u64, store: bool },
    /// One of the late stores of R or C happens.
    Settle { which: usize },
    /// Memory leaves its frames.
    Take { at: u64 },
    /// The next store to memory is to be noticed.
    Forbid { at: u64 },
    /// The guest begins anew.
    BeginAnew,
}

impl Op {
    /// The operation that twenty bytes say.
    #[must_use]
    pub fn decode([kind, how, codes @ ..]: [u8; BYTES]) -> Self {
        let (pairs, _) = codes.as_chunks::<2>();
        let codes: [u16; 9] = core::array::from_fn(|n| u16::from_le_bytes(pairs[n]));
        let [a, b, c, d, ..] = codes;
        let store = how & 1 != 0;
        match kind {
            0..64 => Self::Enter { flags: flags(a), wish: Wish::decode(how, b, c, d) },
            64..104 => Self::Touch { which: a.into(), store, offset: u64::from(b) << 8 | u64::from(c & 0xff) },
            104..112 => Self::Real { at: u64::from(a) << 11 | u64::from(b & 0x7ff), store },
            112..114 => Self::Real { at: number(a), store },
            114..128 => Self::Settle { which: a.into() },
            128..138 => Self::Take { at: u64::from(a) << 10 },
            138..146 => Self::Forbid { at: u64::from(a) << 10 },
            146 => Self::BeginAnew,
            _ => Self::call(kind, how, codes),
        }
    }

    /// A call with its arguments in the registers that PAPR says.
    fn call(kind: u8, how: u8, codes: [u16; 9]) -> Self {
        let [a, b, c, d, ..] = codes;
        let mut args = codes.map(|code| Argument::Number(number(code)));
        let about_one = |args: &mut [Argument; 9]| args[..3].copy_from_slice(&[flag(a), place(b, 0), avpn(c)]);
        let number = match kind {
            147..156 => {
                args[..4].copy_from_slice(&[
                    flag(a),
                    place(b, 0),
                    Argument::Number(pteh(c)),
                    Argument::Number(ptel(d)),
                ]);
                H_ENTER
            }
            156..170 => {
                about_one(&mut args);
                H_REMOVE
            }
            170..182 => {
                let pairs = args.as_chunks_mut::<2>().0.iter_mut().zip(codes.as_chunks::<2>().0);
                pairs.for_each(|(pair, [high, low])| *pair = [request(*high), avpn(*low)]);
                H_BULK_REMOVE
            }
            182..194 => {
                about_one(&mut args);
                H_READ
            }
            194..208 => {
                about_one(&mut args);
                H_PROTECT
            }
            208..222 => {
                about_one(&mut args);
                if how & 1 == 0 { H_CLEAR_REF } else { H_CLEAR_MOD }
            }
            222..238 => {
                args[..2].copy_from_slice(&[no_flags(a), shift(b)]);
                H_RESIZE_HPT_PREPARE
            }
            238..250 => {
                args[..2].copy_from_slice(&[no_flags(a), if c < 0xc000 { Argument::Asked } else { shift(b) }]);
                H_RESIZE_HPT_COMMIT
            }
            _ => {
                args[..4].copy_from_slice(&[kind_of_translation(a), small(b, 1 << 38), small(c, 8), small(d, 25)]);
                H_REGISTER_PROC_TBL
            }
        };
        Self::Call { number, problem_state: how >> 3 == 0x1f, args }
    }

    /// The operations that a row of bytes says; a rest of less than twenty bytes is left out.
    pub fn decode_all(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        bytes.as_chunks::<BYTES>().0.iter().map(|bytes| Self::decode(*bytes))
    }
}

impl Wish {
    fn decode(how: u8, b: u16, c: u16, d: u16) -> Self {
        Self {
            page: usize::from(b & 15),
            // Mostly of 4 KiB: pages of other sizes find each other seldom.
            sizes: [0, 0, 0, 0, 1, 2, 3, 4, 5, 1, 1, 2, 0, 0, 0, 0][usize::from(b >> 5 & 15)],
            large_segment: how & 1 != 0,
            secondary: how & 2 != 0,
            bolted: how & 4 != 0,
            slot: u64::from(how >> 5),
            real: usize::from(b >> 9),
            word1: if c >> 12 == 15 { number(d) } else { rights(c) | 0x10 },
        }
    }
}

/// pp, key, N, R and C.
fn rights(code: u16) -> u64 {
    let code = u64::from(code);
    // Seldom more than pp.
    let key = if code >> 10 & 3 == 3 { (code >> 4 & 7) << 9 | (code >> 4 & 3) << 60 | (code >> 7 & 1) << 2 } else { 0 };
    let pp = [2, 2, 2, 0, 1, 3, 1 << 63 | 2, 1 << 63][(code & 7) as usize];
    pp | key | [0, 0x100, 0x180, 0][(code >> 8 & 3) as usize]
}

/// Numbers at which something may go wrong: small ones, single bits and rows of them, what is around the sizes of tables, the largest, and any other.
#[must_use]
pub fn number(code: u16) -> u64 {
    let (low, bit) = (u64::from(code & 0xfff), u32::from(code & 63));
    match code >> 12 {
        0..=2 => low,
        3 => 1 << bit,
        4 => !(1 << bit),
        5 => (1 << bit) - 1,
        6 => u64::MAX << bit,
        7 => 1 << bit | 1 << (code >> 6 & 63),
        8 => (1 << (12 + (low & 7))) + (low >> 3 & 15) - 8,
        9 => u64::MAX - (low & 0xff),
        10 => low << 52,
        11 => (1 << 56) + low - 0x800,
        _ => u64::from(code).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// Any number, of a code whose first bits have said so.
fn rest(code: u16, bits: u32) -> u64 {
    number(code << bits | code >> (8 - bits) & ((1 << bits) - 1))
}

/// Flags that mean something, alone and with others that do not, or any.
fn flags(code: u16) -> u64 {
    let known = [0, 0, 0, 1 << 39, 1 << 31, 1 << 30, 1 << 37, 3 << 30][usize::from(code & 7)];
    match code >> 13 {
        0..5 => known,
        5 | 6 => known | u64::from(code >> 3 & 0x3ff) << 2 | u64::from(code >> 3 & 3),
        _ => rest(code, 3),
    }
}

fn flag(code: u16) -> Argument {
    Argument::Number(flags(code))
}

/// None, nearly always.
fn no_flags(code: u16) -> Argument {
    Argument::Number(if code < 0xe000 { 0 } else { rest(code, 3) })
}

/// A place with an entry, nearly always.
fn place(code: u16, bits: u64) -> Argument {
    match code >> 13 {
        0..6 => Argument::Place { which: code.into(), bits },
        _ => Argument::Number(rest(code, 2) | bits),
    }
}

/// The right name, mostly.
fn avpn(code: u16) -> Argument {
    match code >> 14 {
        0..3 => Argument::Avpn,
        _ => Argument::Number(rest(code, 2)),
    }
}

/// A request of H_BULK_REMOVE, mostly one that can be done.
fn request(code: u16) -> Argument {
    let kind = [0x40, 0x40, 0x42, 0x42, 0x41, 0x43, 0x7c, 0xc0][usize::from(code >> 8 & 7)];
    match code >> 12 {
        0..14 => place((code & 0xff) << 5 | code >> 11, kind << 56),
        14 => Argument::Number(u64::from(code & 0xff) << 56 | number(code << 8)),
        _ => Argument::Number(rest(code, 4)),
    }
}

/// Doubleword 0 of an entry, of any kind.
fn pteh(code: u16) -> u64 {
    if code & 1 == 0 { number(code) & 0x400f_ffff_ffff_ffff } else { number(code) }
}

/// Doubleword 1 of an entry: of memory, of a device, or of any kind.
fn ptel(code: u16) -> u64 {
    match code & 3 {
        0 => number(code) & !0x68 | 0x10,
        1 => number(code) & 0xffff | 1 << 30 | 0x20,
        _ => number(code),
    }
}

/// The size of a table: mostly one that may be, or none.
fn shift(code: u16) -> Argument {
    Argument::Number(match code >> 8 {
        0..0xd0 => 18 + u64::from(code % 3),
        0xd0..0xe0 => 0,
        0xe0..0xf0 => u64::from(code % 70),
        _ => rest(code, 4),
    })
}

/// The flags of H_REGISTER_PROCESS_TABLE.
fn kind_of_translation(code: u16) -> Argument {
    Argument::Number(if code & 0x8000 == 0 { u64::from(code & 0x1f) } else { rest(code, 1) })
}

/// A number below `limit`, the last one, the limit, or any.
fn small(code: u16, limit: u64) -> Argument {
    Argument::Number(match code >> 14 {
        0 | 1 => u64::from(code) % limit,
        2 => limit - 1 + u64::from(code & 1),
        _ => rest(code, 2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_is_some_operation_and_no_call_lies_idle() {
        let ops: Vec<_> = (0..=255).map(|kind| Op::decode([kind; BYTES])).collect();
        let kinds: std::collections::HashSet<_> = ops.iter().map(std::mem::discriminant).collect();
        assert_eq!(kinds.len(), 8);
        let calls = ops.iter().filter_map(|op| if let Op::Call { number, .. } = op { Some(*number) } else { None });
        assert_eq!(calls.collect::<BTreeSet<_>>().len(), 10);
    }

    #[test]
    fn numbers_are_at_their_extremes() {
        let numbers: BTreeSet<_> = (0..=u16::MAX).map(number).collect();
        let tables = [18, 19, 20].map(|order| 1 << (order - 4));
        for extreme in tables.into_iter().chain([0, 1, 1 << 63, 1 << 62, 1 << 56, u64::MAX, 1 << 32]) {
            assert!(numbers.contains(&extreme) && numbers.contains(&extreme.wrapping_sub(1)), "{extreme:#x}");
        }
        assert!((0..64).all(|bit| numbers.contains(&(1 << bit)) && numbers.contains(&!(1 << bit))));
    }

    #[test]
    fn a_rest_of_bytes_is_no_operation() {
        assert_eq!(Op::decode_all(&[0; 2 * BYTES + 3]).count(), 2);
    }
}

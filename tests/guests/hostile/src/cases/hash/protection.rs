//! Who may do what with a page (Power ISA 3.1B Book III 6.7.13): PP and the segment's key, class keys, N.
//!
//! What the hypervisor's own entries of a page say is no business of a guest's: each refusal is the guest's own interrupt, with the cause that its own entry gives.

use super::{
    CLASS_KEY, NO_EXECUTION, PROTECTION, STORE, describe, effective, executes, is_not_executed, loads, lonely_page,
    op_ld_mapped, op_std_mapped, refused, stores,
};
use crate::cases::{self, fetch};
use crate::hpt::{NO_EXECUTE, Virtual, map, protect, remove};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Verdict, Why, fail};
use crate::slb::{self, PROBLEM_KEY, SUPERVISOR_KEY};
use crate::trap::{guarded, vector};

unsafe extern "C" {
    fn op_user(address: u64) -> u64;
}

pub const CASES: &[Case] = &[
    Case::new("PP and keys in supervisor state", supervisor),
    Case::new("PP and keys in problem state", problem),
    Case::new("H_PROTECT is in force at once", at_once),
    Case::new("class keys for loads and stores", class_keys),
    Case::new("class keys for fetches", class_keys_of_fetches),
    Case::new("no-execute pages and segments", no_execute),
];

const VSID: u64 = 0x5_5000;
const AT: u64 = 0x128;

/// PP as H_PROTECT and an entry have it, and what it lets through with key 0 and with key 1: nothing, loads, or both.
const PROTECTIONS: [(u64, u64, [u64; 2]); 8] = [
    (0, 0, [2, 0]),
    (1, 1, [2, 1]),
    (2, 2, [2, 2]),
    (3, 3, [1, 1]),
    (0x100, 1 << 63, [0, 0]),
    (0x101, 1 << 63 | 1, [0, 0]),
    (0x102, 1 << 63 | 2, [1, 0]),
    (0x103, 1 << 63 | 3, [0, 0]),
];

/// A page of data and one of code, 256 MiB before it: the code comes to the data by adding that.
struct Place {
    data: Virtual,
    frame: u64,
    entry: u64,
}

impl Place {
    fn new(machine: &Machine, bits: u64) -> Result<Self, Why> {
        let data = lonely_page(VSID)?;
        let frame = cases::scratch(machine, 2 * PAGE)?;
        memory::mark(frame, PAGE);
        Ok(Self { data, frame, entry: map(data, frame, bits)? })
    }

    const fn at(&self) -> u64 {
        effective(2) + self.data.offset + AT
    }

    /// The data's segment gets this key bits.
    fn key(&self, bits: u64) {
        slb::clear();
        slb::set(1, effective(2), slb::word(self.data.vsid, bits));
    }

    /// Load and store in supervisor state: let through, or refused with this cause.
    fn behaves(&self, allowed: u64, cause: u64) -> Verdict {
        memory::mark(self.frame, PAGE);
        let was = memory::read(self.frame + AT);
        if allowed == 2 {
            stores(self.at(), self.frame + AT)?
        } else {
            refused(op_std_mapped, self.at(), cause | STORE)?
        }
        let is = if allowed == 2 { self.at() } else { was };
        if memory::read(self.frame + AT) != is {
            fail!("{:#x} was stored", memory::read(self.frame + AT));
        }
        if allowed == 0 { refused(op_ld_mapped, self.at(), cause) } else { loads(self.at(), is) }
    }

    fn end(self) -> Verdict {
        slb::clear();
        remove(self.entry).map(drop)
    }
}

/// Entries made with a protection, and changed to it: eight values, two keys.
fn supervisor(machine: &Machine) -> Verdict {
    for (flags, bits, allowed) in PROTECTIONS {
        for (key, allowed) in [0, SUPERVISOR_KEY].into_iter().zip(allowed) {
            // The other state's key does not count.
            for other in [0, PROBLEM_KEY] {
                let place = Place::new(machine, bits)?;
                place.key(key | other);
                place.behaves(allowed, PROTECTION)?;
                protect(place.entry, 0)?;
                protect(place.entry, flags)?;
                place.behaves(allowed, PROTECTION)?;
                place.end()?;
            }
        }
    }
    Ok(())
}

/// `addis 3, 3, 0x1000` and then a load, or a store, and `sc`.
const ADD_256M: u32 = 0x3c63_1000;
const LOAD: u32 = 0xe863_0000;
const STORE_R3: u32 = 0xf863_0000;
const SYSTEM_CALL: u32 = 0x4400_0002;

/// What a program does to the doubleword 256 MiB behind itself.
fn program(at: u64, allowed: bool, cause: u64) -> Verdict {
    match guarded(op_user, at) {
        Err(trap) if allowed && (trap.vector, trap.nip) == (vector::SYSTEM_CALL, at + 12) => Ok(()),
        Err(trap)
            if !allowed
                && (trap.vector, trap.nip) == (vector::DATA_STORAGE, at + 4)
                && (trap.dar, trap.dsisr & super::CAUSES) == (at + (1 << 28), cause) =>
        {
            Ok(())
        }
        Err(trap) => fail!("program at {at:#x}, allowed {allowed}: {}", describe(&trap)),
        Ok(_) => fail!("came back without an interrupt"),
    }
}

fn problem(machine: &Machine) -> Verdict {
    let code = Virtual::small(lonely_page(VSID + 0x400)?.vsid, super::OFFSET);
    for (_, bits, allowed) in PROTECTIONS {
        for (key, allowed) in [0, PROBLEM_KEY].into_iter().zip(allowed) {
            let place = Place::new(machine, bits)?;
            let frame = place.frame + PAGE;
            let entry = map(code, frame, 2)?;
            place.key(key | SUPERVISOR_KEY);
            slb::set(2, effective(1), slb::word(code.vsid, 0));
            // The data's place in its page: the code's, less 256 MiB.
            for (nth, access, allowed, cause) in
                [(0, LOAD, allowed >= 1, PROTECTION), (0x40, STORE_R3, allowed == 2, PROTECTION | STORE)]
            {
                fetch::write_code(frame + AT + nth, ADD_256M, access);
                fetch::write_code(frame + AT + nth + 8, SYSTEM_CALL, SYSTEM_CALL);
                program(place.at() - (1 << 28) + nth, allowed, cause)?;
            }
            remove(entry)?;
            place.end()?;
        }
    }
    Ok(())
}

fn at_once(machine: &Machine) -> Verdict {
    let place = Place::new(machine, 0)?;
    place.key(0);
    for _ in 0..50 {
        place.behaves(2, 0)?;
        protect(place.entry, 3)?;
        place.behaves(1, PROTECTION)?;
        protect(place.entry, 0x100)?;
        place.behaves(0, PROTECTION)?;
        protect(place.entry, 0)?;
    }
    place.end()
}

/// The key's first two bits, its last three, and where they stand in an entry.
const fn key_bits(key: u64) -> u64 {
    key >> 3 << 60 | (key & 7) << 9
}

/// Two bits of AMR, or of IAMR, for each key: the first one of all stands highest.
const fn mask(key: u64, bits: u64) -> u64 {
    bits << (62 - 2 * key)
}

/// Sets AMR; 0 lets everything through.
fn set_amr(value: u64) {
    // SAFETY: 1. Nothing that runs has its data translated.
    unsafe { core::arch::asm!("mtspr 29, {}", "isync", in(reg) value, options(nostack)) }
}

/// Sets IAMR, likewise.
fn set_iamr(value: u64) {
    // SAFETY: 1. Nothing that runs has its instructions translated.
    unsafe { core::arch::asm!("mtspr 61, {}", "isync", in(reg) value, options(nostack)) }
}

/// Some keys. Key 0 is left out, which real mode may have as well.
const KEYS: [u64; 4] = [1, 7, 8, 31];

/// What AMR says of a key counts, and what it says of all others does not. The entry is a new one each time: QEMU looks at AMR only where it makes a translation.
fn class_keys(machine: &Machine) -> Verdict {
    for key in KEYS {
        let others = !mask(key, 3) & !mask(0, 3);
        for (amr, allowed) in [(0, 2), (mask(key, 2), 1), (mask(key, 3), 0), (others, 2), (others | mask(key, 3), 0)] {
            let place = Place::new(machine, key_bits(key))?;
            place.key(0);
            set_amr(amr);
            let verdict = place.behaves(allowed, CLASS_KEY);
            set_amr(0);
            place.end()?;
            verdict?;
        }
    }
    Ok(())
}

/// The same of IAMR.
fn class_keys_of_fetches(machine: &Machine) -> Verdict {
    for key in KEYS {
        for (iamr, is_refused) in [(mask(key, 1), true), (!mask(key, 3) & !mask(0, 3), false)] {
            let place = Place::new(machine, key_bits(key))?;
            fetch::write_code(place.frame + AT, SYSTEM_CALL, SYSTEM_CALL);
            place.key(0);
            set_iamr(iamr);
            let verdict = if is_refused { is_not_executed(place.at(), CLASS_KEY) } else { executes(place.at()) };
            set_iamr(0);
            place.end()?;
            verdict?;
        }
    }
    Ok(())
}

/// Data is not concerned. (The fetch comes first: for QEMU a segment's N does not count where the page's data was accessed before.)
fn no_execute(machine: &Machine) -> Verdict {
    for (bits, segment) in [(NO_EXECUTE, 0), (0, slb::NO_EXECUTE), (NO_EXECUTE, slb::NO_EXECUTE)] {
        let place = Place::new(machine, bits)?;
        place.key(segment);
        is_not_executed(place.at(), NO_EXECUTION)?;
        place.behaves(2, 0)?;
        fetch::write_code(place.frame + AT, SYSTEM_CALL, SYSTEM_CALL);
        protect(place.entry, 0)?;
        place.key(0);
        executes(place.at())?;
        place.end()?;
    }
    Ok(())
}

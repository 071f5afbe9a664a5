//! A value for every register, how it comes from the seed, and how two sets are compared.

use crate::sprs::SPRS;

/// SO, OV, CA, OV32, CA32, and the byte count of string instructions: all that XER has.
const XER: u64 = 0xe00c_007f;
/// FPSCR without the enables of its exceptions: DRN, the sticky and result bits, RN.
const FPSCR: u64 = 0x7_ffff_f703;
/// VSCR's NJ and SAT, in its lowest word.
const VSCR: u128 = 0x0001_0001;

/// The registers, as trial.s lays them out.
#[repr(C, align(16))]
pub struct Set {
    /// r0 to r31.
    pub gpr: [u64; 32],
    /// VSR 0 to 63: FPR 0 to 31 are the first halves of VSR 0 to 31, VR 0 to 31 are VSR 32 to 63.
    pub vsr: [u128; 64],
    /// Vector Status and Control Register.
    pub vscr: u128,
    /// Floating-Point Status and Control Register.
    pub fpscr: u64,
    /// Link register.
    pub lr: u64,
    /// Count register.
    pub ctr: u64,
    /// Fixed-Point Exception Register.
    pub xer: u64,
    /// Condition register.
    pub cr: u64,
    /// Where a trial begins; where it was interrupted.
    pub srr0: u64,
    /// The MSR with which it begins; with which it was interrupted.
    pub srr1: u64,
    /// In the order of the list.
    pub spr: [u64; SPRS.len()],
}

const _: () = assert!(core::mem::offset_of!(Set, vscr) == 0x500 && core::mem::offset_of!(Set, spr) == 0x548);
const _: () = assert!(size_of::<Set>() <= 0x1000);

/// Numbers without an end, from a seed: Steele, Lea and Flood's generator of 2014 (SplitMix).
pub struct Numbers(u64);

impl Numbers {
    /// Other numbers for each seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

impl Set {
    /// Gives every register but SRR0 and SRR1 its pattern.
    pub fn fill(&mut self, numbers: &mut Numbers) {
        self.gpr.fill_with(|| numbers.next());
        self.vsr.fill_with(|| numbers.wide());
        self.vscr = numbers.wide() & VSCR;
        self.fpscr = numbers.next() & FPSCR;
        self.lr = numbers.next();
        self.ctr = numbers.next();
        self.xer = numbers.next() & XER;
        self.cr = numbers.next() >> 32;
        for (value, spr) in self.spr.iter_mut().zip(SPRS) {
            *value = numbers.next() & spr.mask | spr.set;
        }
    }
}

/// Which registers an exit may change as it likes.
#[derive(Clone, Copy, Default)]
pub struct Free {
    /// A bit for each GPR: bit 0 is r0.
    pub gpr: u32,
    /// CTR and XER.
    pub ctr_xer: bool,
    /// Bits of CR.
    pub cr: u64,
    /// SRR0 and SRR1.
    pub srr: bool,
}

/// Finds what differs; `found` is called with a register's name, its number if it has one, what it holds, and what it should.
pub fn compare(got: &Set, want: &Set, free: Free, found: &mut dyn FnMut(&'static str, Option<usize>, u128, u128)) {
    let mut check = |name, number, got: u128, want: u128| {
        if got != want {
            found(name, number, got, want);
        }
    };
    for (n, (&got, &want)) in got.gpr.iter().zip(&want.gpr).enumerate() {
        if free.gpr >> n & 1 == 0 {
            check("r", Some(n), got.into(), want.into());
        }
    }
    for (n, (&got, &want)) in got.vsr.iter().zip(&want.vsr).enumerate() {
        check("vs", Some(n), got, want);
    }
    for (spr, (&got, &want)) in SPRS.iter().zip(got.spr.iter().zip(&want.spr)) {
        check(spr.name, None, got.into(), want.into());
    }
    check("VSCR", None, got.vscr, want.vscr);
    check("FPSCR", None, got.fpscr.into(), want.fpscr.into());
    check("LR", None, got.lr.into(), want.lr.into());
    check("CR", None, (got.cr & !free.cr).into(), (want.cr & !free.cr).into());
    if !free.ctr_xer {
        check("CTR", None, got.ctr.into(), want.ctr.into());
        check("XER", None, got.xer.into(), want.xer.into());
    }
    if !free.srr {
        check("SRR0", None, got.srr0.into(), want.srr0.into());
        check("SRR1", None, got.srr1.into(), want.srr1.into());
    }
}

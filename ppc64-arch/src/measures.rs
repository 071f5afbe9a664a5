//! What has to be done against speculation at the border between hypervisor and guest, and what guests are told about it.
//!
//! Firmware says so in `/ibm,opal/fw-features`: a node for each feature, with a property `enabled` or `disabled` (OPAL; the needs and the abilities have nodes of the same kind). A need
//! that is not mentioned counts as there, an ability that is not mentioned as missing. Guests get the same answer in the bits of H_GET_CPU_CHARACTERISTICS (PAPR), never a better one.

use bitflags::bitflags;

bitflags! {
    /// What firmware can have an opinion of.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Features: u32 {
        /// `ori 31,31,0` stops speculation.
        const BARRIER = 1;
        /// `bcctrl` is not predicted.
        const INDIRECT_SERIALIZED = 1 << 1;
        /// `ori 30,30,0` empties the L1 data cache.
        const FLUSH_BY_ORI = 1 << 2;
        /// A write to TRIG2 empties it.
        const FLUSH_BY_TRIG2 = 1 << 3;
        /// Each thread has an L1 data cache of its own.
        const L1D_SPLIT = 1 << 4;
        /// There is no count cache.
        const COUNT_CACHE_OFF = 1 << 5;
        /// `bcctr 2,0,0` empties it.
        const COUNT_CACHE_FLUSH = 1 << 6;
        /// The same empties the link stack.
        const LINK_STACK_FLUSH = 1 << 7;
        /// Security before speed.
        const FAVOUR_SECURITY = 1 << 8;
        /// The L1 data cache has to be emptied for problem state.
        const NEEDS_FLUSH_PR = 1 << 9;
        /// And for a guest.
        const NEEDS_FLUSH_HV = 1 << 10;
        /// Bound checks need a barrier.
        const NEEDS_BARRIER = 1 << 11;
        /// The count cache has to be emptied between contexts.
        const NEEDS_COUNT_CACHE_FLUSH = 1 << 12;
        /// It need not be emptied at entry to the kernel.
        const NO_FLUSH_ENTRY = 1 << 13;
        /// Nor for the kernel's accesses to users' memory.
        const NO_FLUSH_ACCESS = 1 << 14;
        /// Stores need not be drained between privileges.
        const NO_STORE_DRAIN = 1 << 15;
    }
}

/// The nodes' names.
const NAMES: [(&str, Features); 16] = [
    ("inst-spec-barrier-ori31,31,0", Features::BARRIER),
    ("fw-bcctrl-serialized", Features::INDIRECT_SERIALIZED),
    ("inst-l1d-flush-ori30,30,0", Features::FLUSH_BY_ORI),
    ("inst-l1d-flush-trig2", Features::FLUSH_BY_TRIG2),
    ("fw-l1d-thread-split", Features::L1D_SPLIT),
    ("fw-count-cache-disabled", Features::COUNT_CACHE_OFF),
    ("fw-count-cache-flush-bcctr2,0,0", Features::COUNT_CACHE_FLUSH),
    ("fw-link-stack-flush-bcctr2,0,0", Features::LINK_STACK_FLUSH),
    ("speculation-policy-favor-security", Features::FAVOUR_SECURITY),
    ("needs-l1d-flush-msr-pr-0-to-1", Features::NEEDS_FLUSH_PR),
    ("needs-l1d-flush-msr-hv-1-to-0", Features::NEEDS_FLUSH_HV),
    ("needs-spec-barrier-for-bound-checks", Features::NEEDS_BARRIER),
    ("needs-count-cache-flush-on-context-switch", Features::NEEDS_COUNT_CACHE_FLUSH),
    ("no-need-l1d-flush-msr-pr-1-to-0", Features::NO_FLUSH_ENTRY),
    ("no-need-l1d-flush-kernel-on-user-access", Features::NO_FLUSH_ACCESS),
    ("no-need-store-drain-on-priv-state-switch", Features::NO_STORE_DRAIN),
];

/// Bits of H_GET_CPU_CHARACTERISTICS' first answer.
const CHARACTER: [(Features, u32); 8] = [
    (Features::BARRIER, 63),
    (Features::INDIRECT_SERIALIZED, 62),
    (Features::FLUSH_BY_ORI, 61),
    (Features::FLUSH_BY_TRIG2, 60),
    (Features::L1D_SPLIT, 59),
    (Features::COUNT_CACHE_OFF, 56),
    (Features::COUNT_CACHE_FLUSH, 54),
    (Features::LINK_STACK_FLUSH, 52),
];

/// Bits of its second one: what counts unless firmware denies it,
const BEHAVIOUR_UNLESS_DENIED: [(Features, u32); 3] =
    [(Features::FAVOUR_SECURITY, 63), (Features::NEEDS_FLUSH_PR, 62), (Features::NEEDS_BARRIER, 61)];
/// and what counts only if it says so. The link stack's flush goes with the count cache's.
const BEHAVIOUR_IF_SAID: [(Features, u32); 5] = [
    (Features::NEEDS_COUNT_CACHE_FLUSH, 58),
    (Features::NEEDS_COUNT_CACHE_FLUSH, 57),
    (Features::NO_FLUSH_ENTRY, 56),
    (Features::NO_FLUSH_ACCESS, 55),
    (Features::NO_STORE_DRAIN, 54),
];

/// What firmware says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Firmware {
    enabled: Features,
    disabled: Features,
}

impl Firmware {
    /// Takes in one node. One that says both, or neither, is left at the worse: abilities count only if enabled and not disabled, and so does what is not needed.
    pub fn learn(&mut self, name: &str, enabled: bool, disabled: bool) {
        let named = NAMES.iter().find(|(known, _)| *known == name);
        let feature = named.map_or(Features::empty(), |(_, feature)| *feature);
        match (enabled, disabled) {
            (true, false) => self.enabled |= feature,
            (false, true) => self.disabled |= feature,
            _ => {}
        }
    }

    /// The two answers of H_GET_CPU_CHARACTERISTICS: character and behaviour.
    #[must_use]
    pub fn characteristics(&self) -> (u64, u64) {
        let bits = |table: &[(Features, u32)], set: Features| {
            table.iter().filter(|(feature, _)| set.contains(*feature)).fold(0, |sum, (_, bit)| sum | 1 << bit)
        };
        let behaviour = bits(&BEHAVIOUR_UNLESS_DENIED, !self.disabled) | bits(&BEHAVIOUR_IF_SAID, self.enabled);
        (bits(&CHARACTER, self.enabled), behaviour)
    }

    /// What it asks the hypervisor for.
    #[must_use]
    pub fn measures(&self) -> Measures {
        let can = |feature| self.enabled.contains(feature);
        let flush = if can(Features::FLUSH_BY_ORI) {
            Some(Flush::Ori)
        } else if can(Features::FLUSH_BY_TRIG2) {
            Some(Flush::Trig2)
        } else {
            None
        };
        let needs_flush = !self.disabled.contains(Features::NEEDS_FLUSH_HV);
        let predictors = can(Features::NEEDS_COUNT_CACHE_FLUSH);
        let count_cache = predictors && !can(Features::COUNT_CACHE_OFF);
        Measures {
            l1d: flush.filter(|_| needs_flush),
            link_stack: predictors,
            count_cache: count_cache && can(Features::COUNT_CACHE_FLUSH),
            barrier: !self.disabled.contains(Features::NEEDS_BARRIER) && can(Features::BARRIER),
            unmet: needs_flush && flush.is_none() || count_cache && !can(Features::COUNT_CACHE_FLUSH),
        }
    }
}

/// How the L1 data cache is emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// `ori 30,30,0`.
    Ori,
    /// `mtspr 882,r0`.
    Trig2,
}

impl Flush {
    /// The instruction.
    #[must_use]
    pub const fn word(self) -> u32 {
        match self {
            Self::Ori => 0x63de_0000,
            Self::Trig2 => 0x7c12_dba6,
        }
    }
}

/// `ori 31,31,0`.
pub const BARRIER: u32 = 0x63ff_0000;
/// `bcctr 2,0,0`.
pub const COUNT_CACHE_FLUSH: u32 = 0x4c40_0420;

/// What the hypervisor does at the border.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Empties the L1 data cache before a guest goes on.
    pub l1d: Option<Flush>,
    /// Fills the link stack with addresses of ours before a guest goes on.
    pub link_stack: bool,
    /// Empties the count cache before a guest goes on.
    pub count_cache: bool,
    /// Lets nothing be speculated across an exit.
    pub barrier: bool,
    /// Something else was asked for that no instruction is known for.
    pub unmet: bool,
}

impl Measures {
    /// All that do no harm on any processor: instructions that mean nothing where they are not known. The count cache's flush is not one of them.
    pub const ALL: Self =
        Self { l1d: Some(Flush::Ori), link_stack: true, count_cache: false, barrier: true, unmet: false };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firmware(enabled: &[&str], disabled: &[&str]) -> Firmware {
        let mut firmware = Firmware::default();
        enabled.iter().for_each(|name| firmware.learn(name, true, false));
        disabled.iter().for_each(|name| firmware.learn(name, false, true));
        firmware
    }

    #[test]
    fn a_firmware_that_says_nothing_is_taken_for_the_worst() {
        let nothing = firmware(&[], &[]);
        assert_eq!(nothing.characteristics(), (0, 0xe000_0000_0000_0000));
        assert_eq!(nothing.measures(), Measures { unmet: true, ..Measures::default() });
    }

    #[test]
    fn each_node_is_one_bit_and_all_bits_differ() {
        let all = NAMES.iter().fold(Features::empty(), |sum, (_, feature)| sum | *feature);
        assert_eq!((all, NAMES.len()), (Features::all(), 16));
    }

    #[test]
    fn a_power9_as_delivered_flushes_by_trigger_and_by_predictor() {
        let asks = firmware(
            &[
                "inst-l1d-flush-trig2",
                "inst-spec-barrier-ori31,31,0",
                "needs-count-cache-flush-on-context-switch",
                "fw-count-cache-flush-bcctr2,0,0",
            ],
            &["speculation-policy-favor-security"],
        );
        let expected =
            Measures { l1d: Some(Flush::Trig2), link_stack: true, count_cache: true, barrier: true, unmet: false };
        assert_eq!(asks.measures(), expected);
        assert_eq!(asks.characteristics(), (1 << 63 | 1 << 60 | 1 << 54, 0b11_0011 << 57));
    }

    #[test]
    fn a_mended_processor_needs_nothing() {
        let mended = firmware(
            &["inst-l1d-flush-ori30,30,0", "fw-count-cache-disabled", "no-need-l1d-flush-msr-pr-1-to-0"],
            &["needs-l1d-flush-msr-hv-1-to-0", "needs-spec-barrier-for-bound-checks"],
        );
        assert_eq!(mended.measures(), Measures::default());
        assert_eq!(mended.characteristics().1, 1 << 63 | 1 << 62 | 1 << 56);
    }

    #[test]
    fn a_node_that_contradicts_itself_helps_nobody() {
        let mut odd = Firmware::default();
        odd.learn("inst-l1d-flush-ori30,30,0", true, true);
        odd.learn("needs-l1d-flush-msr-hv-1-to-0", true, true);
        odd.learn("something-new", true, false);
        assert_eq!(odd, Firmware::default());
    }

    #[test]
    fn the_trigger_is_a_write_of_r0_to_spr_882() {
        let spr = |n: u32| (n & 31) << 16 | (n >> 5) << 11;
        assert_eq!(Flush::Trig2.word(), 31 << 26 | spr(882) | 467 << 1);
        assert_eq!((Flush::Ori.word(), BARRIER), (24 << 26 | 30 << 21 | 30 << 16, 24 << 26 | 31 << 21 | 31 << 16));
        assert_eq!(COUNT_CACHE_FLUSH, 19 << 26 | 2 << 21 | 528 << 1);
    }
}

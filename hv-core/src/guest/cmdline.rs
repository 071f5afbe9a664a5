//! Takes our own words out of the command line; the rest is the guest's.

use crate::mmu::Granule;
use alloc::string::String;
use core::ops::RangeInclusive;
use ppc64_arch::addr::LeafSize;
use ppc64_arch::errata::Errata;

/// The most vCPUs of a guest, and the most CPUs that it runs on.
const MOST: usize = 8;
/// How large a hashed table may be, in bytes.
const HPT_SIZES: RangeInclusive<u64> = 256 << 10..=16 << 30;
/// What all our words begin with.
const PREFIX: &str = "samewise.";

/// What the command line said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `samewise.memory=SIZE`: bytes of guest memory, a multiple of 64 KiB.
    pub memory_bytes: Option<u64>,
    /// `samewise.budget=SIZE`: the most host memory that the guest takes, a multiple of 64 KiB; what it does not use is compressed to make room.
    pub budget: Option<u64>,
    /// `samewise.cpus=N`: how many vCPUs the guest has, 1 to 8; 1 without it.
    pub cpus: usize,
    /// `samewise.host-cpus=M`: on how many CPUs at most it runs, 1 to 8; all that are found without it.
    pub host_cpus: Option<usize>,
    /// `samewise.granule=4k|64k|2m|auto`; auto without it.
    pub granule: Granule,
    /// `samewise.mmu=radix|hash`: how the guest's addresses are translated; radix without it.
    pub mmu: MmuMode,
    /// `samewise.hpt-size=SIZE`: bytes of a hash guest's table, a power of two from 256 KiB to 16 GiB; what PAPR recommends without it.
    pub hpt_bytes: Option<u64>,
    /// What a self-test is asked for.
    pub self_test: SelfTest,
    /// `samewise.ahead=on|off`: whether a fault may make more pages than its own; on without it. Off is for measuring.
    pub ahead: bool,
    /// `samewise.bench=on|off`: whether the guest may ask for upkeep of its own memory ([`Upkeep`](super::host::Upkeep)); off without it.
    pub bench: bool,
    /// `samewise.disturb=on|off`: whether the guest's memory is kept moving while it runs ([`Disturber`](crate::mmu::Disturber)); off without it. For stress.
    pub disturb: bool,
    /// `samewise.twins=on|mixed|off`: the same guest twice, taking turns; off without it. For tests of what a switch between two vCPUs loses.
    pub twins: Twins,
    /// `samewise.measures=firmware|on|off`; firmware without it.
    pub measures: Wish,
    /// `samewise.expect-i2c=LIST`: devices that the self-test has to find, as it reads them itself.
    pub expect_i2c: String,
    /// All other words, with one space between two of them.
    pub bootargs: String,
}

impl Default for Options {
    fn default() -> Self {
        let bootargs = String::new();
        Self {
            memory_bytes: None,
            budget: None,
            cpus: 1,
            host_cpus: None,
            granule: Granule::Auto,
            mmu: MmuMode::Radix,
            hpt_bytes: None,
            ahead: true,
            bench: false,
            disturb: false,
            twins: Twins::Off,
            measures: Wish::Firmware,
            self_test: SelfTest::default(),
            expect_i2c: String::new(),
            bootargs,
        }
    }
}

impl Options {
    /// What each of two twins is started with: `seed=` on the second one's command line tells them apart, and so may how it is translated. Each has one processor.
    #[must_use]
    pub fn of_twins(&self) -> [Self; 2] {
        let first = Self { cpus: 1, ..self.clone() };
        let mut second = first.clone();
        second.bootargs.push_str(" seed=1");
        if self.twins == Twins::Mixed {
            second.mmu = self.mmu.other();
        }
        [first, second]
    }

    /// Whether there is to be a hash guest.
    #[must_use]
    pub const fn wants_hash(&self) -> bool {
        matches!((self.mmu, self.twins), (MmuMode::Hash, _) | (_, Twins::Mixed))
    }

    /// Whether what is wanted would need threads of one core in two modes where they cannot be: a hash guest, for the hypervisor itself is radix, and so may another guest be.
    #[must_use]
    pub const fn is_ruled_out(&self, errata: Errata) -> bool {
        errata.one_mode_a_core && self.wants_hash()
    }
}

/// Whether the guest is started twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Twins {
    /// `off`: once.
    #[default]
    Off,
    /// `on`: twice, both translated as `samewise.mmu=` says.
    Alike,
    /// `mixed`: twice, the second translated the other way.
    Mixed,
}

/// How a guest's addresses are translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MmuMode {
    /// By trees: the guest's own, and the hypervisor's behind it.
    #[default]
    Radix,
    /// By one hashed table, whose entries the guest asks for by calls.
    Hash,
}

impl MmuMode {
    /// The other way.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Radix => Self::Hash,
            Self::Hash => Self::Radix,
        }
    }
}

/// Which measures against speculation are taken, on a platform that has some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Those that firmware asks for.
    #[default]
    Firmware,
    /// All that are harmless, needed or not.
    On,
    /// None: guests may look at each other, and at us.
    Off,
}

/// A run without a guest, in which the hypervisor checks itself and the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// `samewise.self-test=on`: it is asked for.
    pub on: bool,
    /// `samewise.expect-cpus=N`: so many threads have to be found and started.
    pub expect_cpus: Option<u32>,
    /// `samewise.inject=WORD`: what is to look wrong, so that the check for it is seen to fail.
    pub inject: Option<Inject>,
}

/// What a self-test can be made to find wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inject {
    /// `timebase`: the other CPUs' readings of the timebase are a minute ahead.
    Timebase,
    /// `memory`: a bit of the pattern that is read back is another one.
    Memory,
}

/// Why the command line is refused, and the word that is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CmdlineError<'a> {
    /// No size, zero, too large, or not a multiple of 64 KiB.
    BadMemory(&'a str),
    /// The same of the budget.
    BadBudget(&'a str),
    /// Not a number from 1 to the most that there can be.
    BadCpus(&'a str),
    /// Neither radix nor hash.
    BadMmu(&'a str),
    /// Not a power of two from 256 KiB to 16 GiB.
    BadHptSize(&'a str),
    /// None of the granules.
    BadGranule(&'a str),
    /// A word about the self-test whose value is none of those that there are.
    BadSelfTest(&'a str),
    /// Neither on nor off.
    BadSwitch(&'a str),
    /// Neither on nor off nor mixed.
    BadTwins(&'a str),
    /// None of the wishes.
    BadMeasures(&'a str),
    /// A word of ours that has no meaning.
    UnknownWord(&'a str),
}

/// Takes `line` apart. Of a word that stands twice the last one counts, as the kernel does it.
///
/// # Errors
/// [`CmdlineError`].
pub fn parse(line: &str) -> Result<Options, CmdlineError<'_>> {
    let mut options = Options::default();
    for word in line.split_ascii_whitespace() {
        let Some(own) = word.strip_prefix(PREFIX) else {
            if !options.bootargs.is_empty() {
                options.bootargs.push(' ');
            }
            options.bootargs.push_str(word);
            continue;
        };
        match own.split_once('=') {
            Some(("memory", value)) => {
                options.memory_bytes = Some(size(value).ok_or(CmdlineError::BadMemory(word))?);
            }
            Some(("budget", value)) => {
                options.budget = Some(size(value).ok_or(CmdlineError::BadBudget(word))?);
            }
            Some(("cpus", value)) => {
                options.cpus = count(value).ok_or(CmdlineError::BadCpus(word))?;
            }
            Some(("host-cpus", value)) => {
                options.host_cpus = Some(count(value).ok_or(CmdlineError::BadCpus(word))?);
            }
            Some(("granule", value)) => {
                options.granule = granule(value).ok_or(CmdlineError::BadGranule(word))?;
            }
            Some(("mmu", value)) => options.mmu = mmu(value).ok_or(CmdlineError::BadMmu(word))?,
            Some(("hpt-size", value)) => {
                options.hpt_bytes = Some(hpt_size(value).ok_or(CmdlineError::BadHptSize(word))?);
            }
            Some(("ahead", value)) => options.ahead = switch(value).ok_or(CmdlineError::BadSwitch(word))?,
            Some(("bench", value)) => options.bench = switch(value).ok_or(CmdlineError::BadSwitch(word))?,
            Some(("disturb", value)) => options.disturb = switch(value).ok_or(CmdlineError::BadSwitch(word))?,
            Some(("twins", value)) => options.twins = twins(value).ok_or(CmdlineError::BadTwins(word))?,
            Some(("measures", value)) => {
                options.measures = wish(value).ok_or(CmdlineError::BadMeasures(word))?;
            }
            Some((name @ ("self-test" | "expect-cpus" | "inject"), value)) => {
                options.self_test.set(name, value).ok_or(CmdlineError::BadSelfTest(word))?;
            }
            Some(("expect-i2c", list)) => options.expect_i2c = list.into(),
            _ => return Err(CmdlineError::UnknownWord(word)),
        }
    }
    Ok(options)
}

impl SelfTest {
    /// Takes one word in; `None`: its value has no meaning.
    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match (name, value) {
            ("self-test", "on") => self.on = true,
            ("expect-cpus", count) => self.expect_cpus = Some(count.parse().ok()?),
            ("inject", "timebase") => self.inject = Some(Inject::Timebase),
            ("inject", "memory") => self.inject = Some(Inject::Memory),
            _ => return None,
        }
        Some(())
    }
}

/// A number of bytes with `K`, `M` or `G` behind it, or nothing.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (text.get(..text.len() - 1)?, 10),
        b'm' | b'M' => (text.get(..text.len() - 1)?, 20),
        b'g' | b'G' => (text.get(..text.len() - 1)?, 30),
        _ => (text, 0),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let bytes = digits.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    (bytes > 0 && bytes & LeafSize::Size64K.offset_mask() == 0).then_some(bytes)
}

fn mmu(text: &str) -> Option<MmuMode> {
    match text {
        "radix" => Some(MmuMode::Radix),
        "hash" => Some(MmuMode::Hash),
        _ => None,
    }
}

/// The size of a hashed table.
fn hpt_size(text: &str) -> Option<u64> {
    size(text).filter(|bytes| bytes.is_power_of_two() && HPT_SIZES.contains(bytes))
}

/// A number of processors.
fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| (1..=MOST).contains(count))
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn twins(text: &str) -> Option<Twins> {
    match text {
        "on" => Some(Twins::Alike),
        "mixed" => Some(Twins::Mixed),
        "off" => Some(Twins::Off),
        _ => None,
    }
}

fn granule(text: &str) -> Option<Granule> {
    const SIZES: [LeafSize; 3] = [LeafSize::Size4K, LeafSize::Size64K, LeafSize::Size2M];
    if text == "auto" {
        return Some(Granule::Auto);
    }
    SIZES.into_iter().find(|size| size.name() == text).map(Granule::Fixed)
}

fn wish(text: &str) -> Option<Wish> {
    match text {
        "firmware" => Some(Wish::Firmware),
        "on" => Some(Wish::On),
        "off" => Some(Wish::Off),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ppc64_arch::pvr::Pvr;
    use proptest::prelude::*;

    #[test]
    fn our_words_are_taken_out_and_the_rest_is_left() {
        let options = parse("  console=hvc0 samewise.memory=512M quiet samewise.granule=64k  -- x ").expect("good");
        assert_eq!(options.memory_bytes, Some(512 << 20));
        assert_eq!(options.granule, Granule::Fixed(LeafSize::Size64K));
        assert_eq!(options.bootargs, "console=hvc0 quiet -- x");
        assert_eq!(parse(""), Ok(Options::default()));
    }

    #[test]
    fn a_self_test_is_asked_for_with_what_it_expects() {
        let asked = |line| parse(line).map(|options| options.self_test);
        let wanted = SelfTest { on: true, expect_cpus: Some(4), inject: Some(Inject::Timebase) };
        let words = "samewise.self-test=on samewise.expect-cpus=4 samewise.inject=timebase";
        assert_eq!(asked(words), Ok(wanted));
        for bad in ["samewise.self-test=off", "samewise.expect-cpus=many", "samewise.inject=nothing"] {
            assert_eq!(asked(bad), Err(CmdlineError::BadSelfTest(bad)));
        }
    }

    #[test]
    fn a_hashed_table_is_a_power_of_two_of_bytes() {
        let options = parse("samewise.mmu=hash samewise.hpt-size=16M").expect("good");
        assert_eq!((options.mmu, options.hpt_bytes), (MmuMode::Hash, Some(16 << 20)));
        assert_eq!((Options::default().mmu, Options::default().hpt_bytes), (MmuMode::Radix, None));
        assert_eq!(parse("samewise.mmu=radix").map(|options| options.mmu), Ok(MmuMode::Radix));
        assert_eq!(parse("samewise.mmu=both"), Err(CmdlineError::BadMmu("samewise.mmu=both")));
        for (text, bytes) in [("256K", 256 << 10), ("16G", 16 << 30)] {
            assert_eq!(hpt_size(text), Some(bytes));
        }
        for bad in ["samewise.hpt-size=128K", "samewise.hpt-size=32G", "samewise.hpt-size=3M", "samewise.hpt-size="] {
            assert_eq!(parse(bad), Err(CmdlineError::BadHptSize(bad)));
        }
    }

    #[test]
    fn twins_are_told_apart_by_their_seed() {
        let options = parse("samewise.twins=on samewise.cpus=4 samewise.mmu=hash quiet").expect("good");
        let [first, second] = options.of_twins();
        assert_eq!((first.bootargs.as_str(), second.bootargs.as_str()), ("quiet", "quiet seed=1"));
        assert_eq!((first.cpus, second.cpus), (1, 1));
        assert_eq!((first.mmu, second.mmu), (MmuMode::Hash, MmuMode::Hash));
        assert_eq!(Options::default().twins, Twins::Off);
        assert_eq!(parse("samewise.twins=2"), Err(CmdlineError::BadTwins("samewise.twins=2")));
    }

    #[test]
    fn mixed_twins_are_one_of_each_kind() {
        for (line, kinds) in [
            ("samewise.twins=mixed", [MmuMode::Radix, MmuMode::Hash]),
            ("samewise.twins=mixed samewise.mmu=hash", [MmuMode::Hash, MmuMode::Radix]),
        ] {
            let options = parse(line).expect("good");
            assert_eq!(options.of_twins().map(|twin| twin.mmu), kinds, "{line}");
            assert!(options.wants_hash());
        }
        assert!(!parse("samewise.twins=on").expect("good").wants_hash());
    }

    #[test]
    fn hash_guests_are_ruled_out_by_the_pvr_of_chips_whose_cores_have_one_mode() {
        let is_ruled_out = |line, raw| parse(line).expect("good").is_ruled_out(Errata::of(Pvr::new(raw), false));
        let early = [0x004e_0100, 0x004e_0200, 0x004e_0201, 0x004e_1201, 0x004e_2100];
        let later = [0x004e_0202, 0x004e_1202, 0x004e_0203, 0x004e_2101, 0x0080_0200, 0x0082_0200];
        for words in ["samewise.mmu=hash", "samewise.twins=mixed", "samewise.twins=on samewise.mmu=hash"] {
            assert!(early.iter().all(|raw| is_ruled_out(words, *raw)), "{words}");
            assert!(!later.iter().any(|raw| is_ruled_out(words, *raw)), "{words}");
        }
        for words in ["", "samewise.mmu=radix", "samewise.twins=on"] {
            assert!(!early.iter().chain(&later).any(|raw| is_ruled_out(words, *raw)), "{words}");
        }
    }

    #[test]
    fn sizes_are_numbers_of_bytes() {
        for (text, bytes) in [("1G", 1 << 30), ("2g", 2 << 30), ("65536", 65536), ("64k", 65536), ("3M", 3 << 20)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "K", "+1G", "1GG", "-1M", "0", "0G", "1", "63K", "18446744073709551616", "99999999999G", "é"]
        {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn processors_are_counted_from_one_to_the_most_that_there_can_be() {
        let options = parse("samewise.cpus=4 samewise.host-cpus=2").expect("good");
        assert_eq!((options.cpus, options.host_cpus), (4, Some(2)));
        assert_eq!((Options::default().cpus, Options::default().host_cpus), (1, None));
        for bad in
            ["samewise.cpus=0", "samewise.cpus=9", "samewise.cpus=", "samewise.host-cpus=9", "samewise.host-cpus=-1"]
        {
            assert_eq!(parse(bad), Err(CmdlineError::BadCpus(bad)));
        }
    }

    #[test]
    fn what_is_for_measuring_has_to_be_asked_for() {
        let options = parse("samewise.ahead=off samewise.bench=on samewise.disturb=on").expect("good");
        assert!(!options.ahead && options.bench && options.disturb);
        assert!(Options::default().ahead && !Options::default().bench && !Options::default().disturb);
    }

    #[test]
    fn a_bad_word_is_named() {
        assert_eq!(parse("samewise.bench=yes"), Err(CmdlineError::BadSwitch("samewise.bench=yes")));
        assert_eq!(parse("samewise.ahead="), Err(CmdlineError::BadSwitch("samewise.ahead=")));
        assert_eq!(parse("a samewise.memory=lots"), Err(CmdlineError::BadMemory("samewise.memory=lots")));
        assert_eq!(parse("samewise.budget=0"), Err(CmdlineError::BadBudget("samewise.budget=0")));
        assert_eq!(parse("samewise.budget=256M").map(|options| options.budget), Ok(Some(256 << 20)));
        assert_eq!(parse("samewise.granule=1g"), Err(CmdlineError::BadGranule("samewise.granule=1g")));
        assert_eq!(parse("samewise.measures=all"), Err(CmdlineError::BadMeasures("samewise.measures=all")));
        assert_eq!(parse("samewise.measures=on").map(|options| options.measures), Ok(Wish::On));
        assert_eq!(parse("samewise.measures=off").map(|options| options.measures), Ok(Wish::Off));
        assert_eq!(parse("samewise.x=1"), Err(CmdlineError::UnknownWord("samewise.x=1")));
        assert_eq!(parse("samewise.memory"), Err(CmdlineError::UnknownWord("samewise.memory")));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = parse(&text);
            let _ = parse(&format!("samewise.memory={text} samewise.granule={text}"));
        }
    }
}

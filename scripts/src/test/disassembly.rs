//! Tells floating-point and vector instructions from all others, by the names that objdump prints.

/// Starts of mnemonics that belong to FP (f, lf, stf, mtfsf, …), VMX (v, lv, stv, …) and VSX (x, lx, stx, …) only. FSCR and
/// VRSAVE, despite their names, are special-purpose registers like others: `mtfscr` and `mtvrsave` are not among them.
const STARTS: [&str; 34] = [
    "f", "lfd", "lfs", "lfi", "stfd", "stfs", "stfi", "mffs", "mtfsf", "mtfsb", "mcrfs", "v", "lvx", "lve", "lvs",
    "lvlx", "lvrx", "stvx", "stve", "stvlx", "mfvs", "mtvs", "mfvrd", "mfvrw", "mtvrd", "mtvrw", "xs", "xv", "xx",
    "lxv", "lxs", "stxv", "stxs", "stvrx",
];

/// The functions that exchange one vCPU's registers for another's (`ppc64-arch/src/cpu/extended.rs`): parts of their mangled names.
const EXCHANGE: [&str; 2] = ["8extended12save_numbers", "8extended12load_numbers"];

/// How many instructions a listing has, and the lines of those that use FP or vector registers where they must not.
pub fn scan(listing: &str) -> (usize, Vec<&str>) {
    let (mut instructions, mut found, mut exempt) = (0, Vec::new(), false);
    for line in listing.lines() {
        if let Some(name) = function(line) {
            exempt = EXCHANGE.iter().any(|part| name.contains(part));
        }
        let Some(mnemonic) = mnemonic(line) else { continue };
        instructions += 1;
        if !exempt && is_fp_or_vector(mnemonic) {
            found.push(line);
        }
    }
    (instructions, found)
}

/// `0000000000001000 <fault>:` begins `fault`.
fn function(line: &str) -> Option<&str> {
    let (address, rest) = line.split_once(" <")?;
    u64::from_str_radix(address, 16).ok()?;
    rest.strip_suffix(">:")
}

/// `    1000:\tmflr    r0` has `mflr`; data that is no instruction is printed as `.long`.
fn mnemonic(line: &str) -> Option<&str> {
    let (address, rest) = line.split_once(":\t")?;
    u64::from_str_radix(address.trim(), 16).ok()?;
    rest.split_whitespace().next()
}

fn is_fp_or_vector(mnemonic: &str) -> bool {
    STARTS.iter().any(|start| mnemonic.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn register_moves_loads_and_arithmetic_of_all_three_kinds_are_found() {
        let all = ["fadd", "fmr.", "lfd", "lfsx", "stfdu", "mffs", "mtfsf", "vxor", "lvx", "lvsl", "stvx", "mfvscr"];
        let more = ["xxlxor", "xsadddp", "xvmuldp", "lxvd2x", "lxsd", "lxv", "stxv", "stxvw4x", "mtvsrd", "mfvsrwz"];
        assert!(all.iter().chain(&more).all(|mnemonic| is_fp_or_vector(mnemonic)));
    }

    #[test]
    fn integer_and_system_instructions_pass() {
        let all = [
            "add", "xor", "xori.", "xoris", "ld", "ldarx", "lwz", "std", "stdcx.", "mfspr", "mtmsrd", "rfid", "slbia",
            "tlbie",
        ];
        assert!(!all.iter().any(|mnemonic| is_fp_or_vector(mnemonic)));
    }

    #[test]
    fn the_exchange_of_registers_is_let_through_and_what_follows_it_is_not() {
        let listing = "0000000000001000 <_RNvNtNtC_4arch3cpu8extended12save_numbers>:\n    1000:\tstxv    vs0,0(r3)\n\n\
            0000000000001004 <other>:\n    1004:\tstxv    vs0,0(r3)\n";
        assert_eq!(scan(listing), (2, vec!["    1004:\tstxv    vs0,0(r3)"]));
    }

    #[test]
    fn only_lines_with_an_address_are_instructions() {
        let listing =
            "file:     elf64\n\n0000000000001000 <fault>:\n    1000:\tmflr    r0\n    1004:\tlfd     f1,0(r3)\n";
        assert_eq!(scan(listing), (2, vec!["    1004:\tlfd     f1,0(r3)"]));
    }
}

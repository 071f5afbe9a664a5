//! Tells floating-point and vector instructions from all others, by the names that objdump prints.

/// Starts of mnemonics that belong to FP (f, lf, stf, mtfsf, …), VMX (v, lv, stv, …) and VSX (x, lx, stx, …) only. FSCR and
/// VRSAVE, despite their names, are special-purpose registers like others: `mtfscr` and `mtvrsave` are not among them.
const STARTS: [&str; 34] = [
    "f", "lfd", "lfs", "lfi", "stfd", "stfs", "stfi", "mffs", "mtfsf", "mtfsb", "mcrfs", "v", "lvx", "lve", "lvs",
    "lvlx", "lvrx", "stvx", "stve", "stvlx", "mfvs", "mtvs", "mfvrd", "mfvrw", "mtvrd", "mtvrw", "xs", "xv", "xx",
    "lxv", "lxs", "stxv", "stxs", "stvrx",
];

/// How many instructions a listing has, and the lines of those that use FP or vector registers.
pub fn scan(listing: &str) -> (usize, Vec<&str>) {
    let lines: Vec<_> = listing.lines().filter_map(|line| Some((line, mnemonic(line)?))).collect();
    let found = lines.iter().filter(|(_, mnemonic)| is_fp_or_vector(mnemonic)).map(|(line, _)| *line).collect();
    (lines.len(), found)
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
    fn only_lines_with_an_address_are_instructions() {
        let listing =
            "file:     elf64\n\n0000000000001000 <fault>:\n    1000:\tmflr    r0\n    1004:\tlfd     f1,0(r3)\n";
        assert_eq!(scan(listing), (2, vec!["    1004:\tlfd     f1,0(r3)"]));
    }
}

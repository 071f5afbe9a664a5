use super::*;
use crate::guest::rtas;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};

fn config() -> GuestConfig {
    GuestConfig {
        memory_bytes: 1 << 30,
        cpus: 1,
        pvr: Pvr::new(0x004e_1202),
        translation: Translation::Radix,
        decrementer_bits: 32,
        timebase_hz: 512_000_000,
        clock_hz: 4_000_000_000,
        bootargs: "console=hvc0 quiet".into(),
        initrd: Some((0x1000_0000, 0x1123_4567)),
        rtas_base: 0x0200_0000,
        rtas_bytes: 0x1_0000,
        console_interrupt: true,
        has_random: true,
        rng_seed: Some([0x5a; 32]),
    }
}

fn value(node: &FdtNode<'_>, name: &str) -> std::vec::Vec<u8> {
    node.property(name).unwrap_or_else(|| panic!("{name}")).value().to_vec()
}

fn cells(node: &FdtNode<'_>, name: &str) -> std::vec::Vec<u32> {
    let word = |b: &[u8]| u32::from_be_bytes(b.try_into().expect("four bytes"));
    value(node, name).chunks(4).map(word).collect()
}

#[test]
fn the_tree_is_well_formed_and_only_one_name_is_too_long_for_the_specification() {
    let short = write(&config()).expect("a tree");
    assert!(Fdt::new(&short).is_ok());
    let blob = build(&config()).expect("a tree");
    assert_eq!(blob.len(), short.len() + 1);
    assert_eq!(blob[4..8], u32::try_from(blob.len()).expect("small").to_be_bytes());
    let bad = Fdt::new(&blob).expect_err("the reader keeps to the specification");
    assert!(format!("{bad:?}").contains("InvalidPropertyName"));
    assert_eq!(longname::complete(blob), Err(TreeError::Malformed), "once is enough");
}

#[test]
fn the_tree_says_what_a_radix_kernel_dies_without() {
    let blob = build(&config()).expect("a tree");
    let fdt = Fdt::new_unchecked(&blob);
    let node = |path: &str| fdt.find_node(path).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(value(&node("/"), "device_type"), b"chrp\0");
    assert_eq!(cells(&node("/memory@0"), "reg"), [0, 0, 0, 1 << 30]);
    let cpu = node("/cpus/PowerPC,POWER9@0");
    assert_eq!(value(&cpu, "device_type"), b"cpu\0");
    assert_eq!(cells(&cpu, "ibm,vmx"), [2]);
    assert_eq!(cells(&cpu, "timebase-frequency"), [512_000_000]);
    assert_eq!(cells(&cpu, "cpu-version"), [0x004e_1202]);
    assert_eq!(cells(&cpu, "ibm,processor-radix-AP-encodings"), [0x0c, 0xa000_0010, 0x2000_0015, 0x4000_001e]);
    let xics = node("/interrupt-controller");
    assert_eq!(value(&xics, "compatible"), b"IBM,ppc-xicp\0");
    assert_eq!(cells(&xics, "ibm,interrupt-server-ranges"), [0, 1]);
    let vty = node("/vdevice/vty@71000000");
    assert_eq!(value(&vty, "compatible"), b"hvterm1\0");
    assert_eq!(cells(&vty, "interrupts"), [0x1000, 0]);
    assert_eq!(cells(&vty, "interrupt-parent"), cells(&xics, "phandle"));
}

#[test]
fn chosen_says_what_was_chosen() {
    let blob = build(&config()).expect("a tree");
    let fdt = Fdt::new_unchecked(&blob);
    let chosen = fdt.find_node("/chosen").expect("there");
    assert_eq!(value(&chosen, "bootargs"), b"console=hvc0 quiet\0");
    assert_eq!(cells(&chosen, "linux,initrd-start"), [0, 0x1000_0000]);
    assert_eq!(cells(&chosen, "linux,initrd-end"), [0, 0x1123_4567]);
    assert_eq!(value(&chosen, "rng-seed"), [0x5a; 32]);
    let vector = value(&chosen, "ibm,architecture-vec-5");
    assert_eq!((vector.len(), vector[0], vector[24], vector[26]), (27, 0x19, 0x40, 0x40));
    let stdout = value(&chosen, "linux,stdout-path");
    let stdout = stdout.strip_suffix(b"\0").expect("a string");
    assert!(fdt.find_node(core::str::from_utf8(stdout).expect("text")).is_some());
}

#[test]
fn rtas_is_below_4_gib_reserved_and_has_every_token() {
    let blob = build(&config()).expect("a tree");
    let fdt = Fdt::new_unchecked(&blob);
    let node = fdt.find_node("/rtas").expect("there");
    for (name, token) in rtas::tokens() {
        assert_eq!(cells(&node, name), [token]);
    }
    for name in ["linux,rtas-base", "linux,rtas-entry"] {
        assert_eq!(cells(&node, name), [0x0200_0000]);
    }
    let reserved: std::vec::Vec<_> = fdt.memory_reservations().map(|r| (r.address(), r.size())).collect();
    assert_eq!(reserved, [(0x0200_0000, 0x1_0000)]);
    let sets = value(&node, "ibm,hypertas-functions");
    assert!(sets.split(|b| *b == 0).any(|set| set == b"hcall-set-mode"));
    assert!(!sets.split(|b| *b == 0).any(|set| set == b"hcall-bulk"));
}

#[test]
fn what_is_not_there_is_not_promised() {
    let without = GuestConfig {
        initrd: None,
        console_interrupt: false,
        has_random: false,
        rng_seed: None,
        pvr: Pvr::new(0x0080_0200),
        cpus: 2,
        ..config()
    };
    let blob = build(&without).expect("a tree");
    let fdt = Fdt::new_unchecked(&blob);
    let chosen = fdt.find_node("/chosen").expect("there");
    assert!(["linux,initrd-start", "linux,initrd-end", "rng-seed"].iter().all(|name| chosen.property(name).is_none()));
    assert!(fdt.find_node("/vdevice/vty@71000000").expect("there").property("interrupts").is_none());
    assert!(fdt.find_node("/ibm,platform-facilities").is_none());
    assert!(fdt.find_node("/cpus/PowerPC,POWER10@1").is_some());
}

#[test]
fn a_tree_that_cannot_be_is_refused_by_name() {
    let refused = |config: GuestConfig| build(&config).expect_err("refused");
    assert_eq!(refused(GuestConfig { bootargs: "a\0b".into(), ..config() }), TreeError::BadString);
    assert_eq!(refused(GuestConfig { pvr: Pvr::new(0x004d_0200), ..config() }), TreeError::UnknownProcessor);
}

#[test]
fn a_hash_guest_is_told_of_its_table_and_of_no_radix_tree() {
    let shape = ppc64_arch::hash::Shape::new(24).expect("a size");
    let translation = Translation::Hash { shape, sizes: &[Pages::SMALL, Pages::MEDIUM] };
    let blob = build(&GuestConfig { translation, ..config() }).expect("a tree");
    let fdt = Fdt::new_unchecked(&blob);
    let node = |path: &str| fdt.find_node(path).unwrap_or_else(|| panic!("{path}"));
    let cpu = node("/cpus/PowerPC,POWER9@0");
    assert_eq!(cells(&cpu, "ibm,pft-size"), [0, 24]);
    assert_eq!(cells(&cpu, "ibm,segment-page-sizes"), [12, 0, 1, 12, 0, 16, 0x110, 1, 16, 1]);
    assert_eq!(cells(&cpu, "ibm,slb-size"), [32]);
    assert_eq!(value(&cpu, "ibm,pa-features")[42], 0);
    let vector = value(&node("/chosen"), "ibm,architecture-vec-5");
    assert_eq!((vector.len(), vector[0], vector[24], vector[26]), (27, 0x19, 0, 0));
    assert_eq!(value(&node("/chosen"), "ibm,arch-vec-5-platform-support")[2..4], [24, 0]);
    let calls = value(&node("/rtas"), "ibm,hypertas-functions");
    for name in ["hcall-pft", "hcall-bulk", "hcall-hpt-resize", "hcall-term"] {
        assert!(calls.split(|byte| *byte == 0).any(|call| call == name.as_bytes()), "{name}");
    }
    let radix = build(&config()).expect("a tree");
    let text = Fdt::new_unchecked(&radix);
    assert!(text.find_node("/cpus/PowerPC,POWER9@0").expect("there").property("ibm,pft-size").is_none());
}

//! What is measured, and what the same costs under KVM-HV.
//!
//! KVM-HV's figures were measured with the same method, on the same emulated machines, with one CPU and n = 4000, by a guest like ours:
//! QEMU 10.0.2 TCG, `-icount shift=0,sleep=off`, Debian's Linux 6.12 with 4 KiB pages as the hypervisor, `mitigations=off`. They repeat to
//! 0.2 %. Where 64 KiB pages are compared, its kernel has those;
//! where measures against speculation are on, its mitigations are.

/// Where they come from, for people.
pub const SOURCE: &str =
    "KVM-HV: Debian Linux 6.12, mitigations=off, on the same machine of QEMU 10.0.2 under -icount shift=0,sleep=off";

/// One kind of event.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// As the measuring guest prints it.
    pub id: &'static str,
    pub name: &'static str,
    /// Net instructions under KVM-HV, on powernv10, powernv9, and pseries (nested API v1); `None` where there is nothing to compare with.
    pub costs: [Option<f64>; 3],
}

const fn row(id: &'static str, name: &'static str, [powernv10, powernv9, pseries]: [f64; 3]) -> Row {
    Row { id, name, costs: [Some(powernv10), Some(powernv9), Some(pseries)] }
}

const fn alone(id: &'static str, name: &'static str) -> Row {
    Row { id, name, costs: [None; 3] }
}

/// All of them, in the order in which they are shown.
pub const ROWS: [Row; 34] = [
    row("null-hcall", "null hcall (H_CONFER of all)", [2294.0, 2264.0, 2062.0]),
    row("prod-self", "H_PROD(self)", [2433.0, 2403.0, 2197.0]),
    alone("prod-cede", "H_PROD(self) and H_CEDE"),
    row("zero-write-4k", "zero page 4K, first touch, write", [9520.0, 9487.0, 9292.0]),
    row("zero-read", "zero page 4K, first touch, read", [7337.0, 7304.0, 7105.0]),
    row("read-then-write", "zero page 4K, read and then written", [14090.0, 14035.0, 13624.0]),
    Row { id: "zero-write-64k", name: "zero page 64K, first touch, write", costs: [Some(10556.0), None, None] },
    alone("zero-write-2m", "zero page 2M, first touch, write"),
    row("second-touch", "second touch", [0.0, 0.0, 0.0]),
    row("image-map", "image page (there already), first touch", [3757.0, 3725.0, 3527.0]),
    alone("image-copy", "image page mapped read-only, write (copy)"),
    row("upgrade", "first write after the dirty log went on", [3729.0, 3696.0, 3498.0]),
    row("upgrade-again", "write after the dirty log was read", [2555.0, 2522.0, 2324.0]),
    row("log-on", "dirty log on, per page", [509.0, 517.0, 512.0]),
    row("log-read", "dirty log read, per page", [488.0, 496.0, 492.0]),
    row("unmap", "unmap, per page", [1623.0, 1634.0, 1627.0]),
    Row { id: "measures-null-hcall", name: "null hcall, measures on", costs: [Some(2979.0), None, None] },
    alone("measures-zero-write-4k", "zero page 4K, measures on"),
    Row { id: "measures-image-map", name: "image page, measures on", costs: [Some(4434.0), None, None] },
    alone("page-out", "page compressed"),
    alone("page-in", "compressed page, first touch"),
    Row { id: "hash-null-hcall", name: "hash guest: null hcall", costs: [Some(2460.0), None, None] },
    Row { id: "hash-zero-write-4k", name: "hash guest: zero page 4K, real mode", costs: [Some(9939.0), None, None] },
    alone("hash-enter", "H_ENTER, any place, page there"),
    alone("hash-enter-exact", "H_ENTER, exact place, page there"),
    alone("hash-enter-last", "H_ENTER, last place of a group, page there"),
    alone("hash-enter-absent", "H_ENTER, any place, page not there"),
    alone("hash-protect", "H_PROTECT"),
    alone("hash-remove", "H_REMOVE"),
    alone("hash-read", "H_READ"),
    alone("hash-mapped-touch", "entry not shown, page there, read"),
    alone("hash-mapped-zero-write", "entry not shown, zero page 4K, write"),
    alone("hash-mapped-second-touch", "entry shown, second touch"),
    alone("hash-told", "no entry: the guest's own interrupt"),
];

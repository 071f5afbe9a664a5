//! Hands the linker its script: the image must begin with the entry and the interrupt vectors.

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for every build script");
    println!("cargo:rustc-link-arg=-T{here}/link.ld");
    println!("cargo:rerun-if-changed=link.ld");
    println!("cargo:rerun-if-changed=src/entry.s");
    println!("cargo:rerun-if-changed=src/ops.s");
}

//! Hands the linker its two scripts: ours, which places the vectors at address 0, and defmt's, which collects the log's format strings.

fn main() {
    let dir = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    println!("cargo:rustc-link-arg-bins=-T{dir}/samewise.ld");
    println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    println!("cargo:rerun-if-changed={dir}/samewise.ld");
}

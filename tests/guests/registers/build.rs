//! Hands the linker its script: the image must begin with the entry and the interrupt vectors.

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for every build script");
    println!("cargo:rustc-link-arg=-T{here}/link.ld");
    for file in ["link.ld", "src/entry.s", "src/trial.s", "src/stubs.s"] {
        println!("cargo:rerun-if-changed={file}");
    }
}

//! Hands the linker the script of the other bare-metal guest: this image begins in the same way.

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for every build script");
    println!("cargo:rustc-link-arg=-T{here}/../hostile/link.ld");
    println!("cargo:rerun-if-changed=../hostile/link.ld");
    println!("cargo:rerun-if-changed=../hostile/src/entry.s");
    println!("cargo:rerun-if-changed=src/loops.s");
}

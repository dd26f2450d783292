//! Puts `memory.x` where the linker finds it.

fn main() {
    println!("cargo:rustc-link-search={}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-changed=memory.x");
    for script in ["--nmagic", "-Tlink-aarch64.x", "-Tdefmt.x"] {
        println!("cargo:rustc-link-arg={script}");
    }
}

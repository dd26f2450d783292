//! Links the program as the content of a ROM.

fn main() {
    println!("cargo::rerun-if-changed=rom.x");
    println!("cargo::rustc-check-cfg=cfg(sepconv_tdpbusd, values(\"software\"))");
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Trom.x",
    ] {
        println!("cargo::rustc-link-arg={argument}");
    }
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rustc-link-search={folder}");
}

//! Puts the linker script of the board that `SEPCONV_BOARD` names where the linker finds it.

fn main() {
    println!("cargo::rerun-if-env-changed=SEPCONV_BOARD");
    let Some(board) = std::env::var_os("SEPCONV_BOARD") else {
        println!(
            "cargo::error=SEPCONV_BOARD is to name a folder of firmware/boards; `cargo xtask test` sets it"
        );
        return;
    };
    let folder = std::path::Path::new("../boards").join(board);
    println!("cargo::rerun-if-changed={}", folder.join("memory.x").display());
    println!(
        "cargo::rustc-link-search={}",
        std::path::absolute(folder).unwrap_or_default().display()
    );
    for script in ["--nmagic", "-Tlink.x"] {
        println!("cargo::rustc-link-arg={script}");
    }
}

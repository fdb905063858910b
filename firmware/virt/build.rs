use std::env;

fn main() {
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap();
    let machine = env::var("CARGO_CFG_TARGET_ARCH").unwrap();
    println!("cargo:rustc-link-arg-bins=-T{folder}/{machine}.ld");
    println!("cargo:rerun-if-changed={machine}.ld");
}

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo:rustc-link-arg-bins=-T{folder}/virt.ld");
    println!("cargo:rerun-if-changed=virt.ld");
}

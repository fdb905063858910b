fn main() {
    for argument in [
        "--no-entry",
        "--export=run",
        "--export=written",
        "--export=text",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}

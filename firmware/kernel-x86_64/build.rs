use std::env;

fn main() {
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo:rerun-if-changed=kernel.ld");
    let script = format!("{folder}/kernel.ld");
    let arguments = if env::var("CARGO_CFG_TARGET_OS").unwrap() == "none" {
        // x86_64-unknown-none: the linker is called directly.
        vec![format!("-T{script}"), "--no-pie".into(), "--nmagic".into()]
    } else {
        // x86_64-unknown-linux-gnu: through the C compiler.
        let script = format!("-Wl,-T,{script}");
        [
            "-nostartfiles",
            "-nostdlib",
            "-static",
            "-no-pie",
            &script,
            "-Wl,--build-id=none",
            "-Wl,--nmagic",
            "-Wl,-z,noexecstack",
            "-Wl,--no-dynamic-linker",
        ]
        .map(String::from)
        .into()
    };
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}

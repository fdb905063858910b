//! A fault that AddressSanitizer must report, or it is not at work.

fn main() {
    let freed = Box::into_raw(Box::new(1_u64));
    // SAFETY: from `into_raw`, and given back once.
    drop(unsafe { Box::from_raw(freed) });
    // SAFETY: none, which is the point.
    println!("{}", unsafe { freed.read_volatile() });
}

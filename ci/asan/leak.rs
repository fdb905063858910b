//! A leak that LeakSanitizer must report, or it is not at work.

fn main() {
    let lost = Box::leak(Box::new([1_u8; 64]));
    println!("{}", core::hint::black_box(lost).len());
}

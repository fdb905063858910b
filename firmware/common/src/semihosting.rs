//! Console and exit of the Cortex-M machines: QEMU answers `bkpt 0xab`.

use cortex_m::asm::semihosting_syscall;

const WRITE0: u32 = 0x04;
const EXIT_EXTENDED: u32 = 0x20;
/// `ADP_Stopped_ApplicationExit`
const APPLICATION_EXIT: u32 = 0x2_0026;

/// Longest piece of text written at once.
const PIECE: usize = 64;

#[unsafe(no_mangle)]
fn machine_write(text: &str) {
    for piece in text.as_bytes().chunks(PIECE) {
        let mut terminated = [0u8; PIECE + 1];
        terminated[..piece.len()].copy_from_slice(piece);
        // SAFETY: WRITE0 reads bytes up to the zero that ends them; `terminated` has one.
        unsafe { semihosting_syscall(WRITE0, terminated.as_ptr() as u32) };
    }
}

#[unsafe(no_mangle)]
fn machine_exit(code: u32) -> ! {
    let block = [APPLICATION_EXIT, code];
    // SAFETY: EXIT_EXTENDED reads two words, which `block` has.
    unsafe { semihosting_syscall(EXIT_EXTENDED, block.as_ptr() as u32) };
    loop {
        core::hint::spin_loop();
    }
}

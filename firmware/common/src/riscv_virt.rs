//! Console and verdict of QEMU's RISC-V virt machines.

const UART: *mut u8 = 0x1000_0000 as *mut u8;
const UART_LINE_STATUS: usize = 5;
const UART_READY: u8 = 0x20;
/// The device that ends the run.
const FINISHER: *mut u32 = 0x10_0000 as *mut u32;
const FINISHER_PASS: u32 = 0x5555;
const FINISHER_FAIL: u32 = 0x3333;

#[unsafe(no_mangle)]
fn machine_write(text: &str) {
    for byte in text.bytes() {
        // SAFETY: the registers of the ns16550a, which the virt machine has there.
        unsafe {
            while UART.add(UART_LINE_STATUS).read_volatile() & UART_READY == 0 {}
            UART.write_volatile(byte);
        }
    }
}

#[unsafe(no_mangle)]
fn machine_exit(code: u32) -> ! {
    let word = if code == 0 { FINISHER_PASS } else { code << 16 | FINISHER_FAIL };
    // SAFETY: the virt machine's finisher.
    unsafe { FINISHER.write_volatile(word) }
    loop {
        core::hint::spin_loop();
    }
}

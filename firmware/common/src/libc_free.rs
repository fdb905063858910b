//! For images built for the host's own target: its precompiled `core` expects these of a libc, and its `alloc`
//! (built with unwinding) names a personality routine. Targets without an operating system bring their own.

use core::arch::asm;

/// # Safety
/// C's `memcpy`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // Not `rep movsb`, of which QEMU makes many instructions for each byte.
    // SAFETY: the caller vouches for both ranges: words first, then what is left.
    unsafe {
        asm!(
            "jmp 3f",
            "2: mov {part}, [{from} + {done}]",
            "mov [{to} + {done}], {part}",
            "add {done}, 8",
            "3: lea {part}, [{done} + 8]",
            "cmp {part}, {bytes}",
            "jbe 2b",
            "jmp 5f",
            "4: mov {part:l}, [{from} + {done}]",
            "mov [{to} + {done}], {part:l}",
            "inc {done}",
            "5: cmp {done}, {bytes}",
            "jb 4b",
            to = in(reg) to, from = in(reg) from, bytes = in(reg) bytes,
            done = inout(reg) 0usize => _, part = out(reg_abcd) _, options(nostack),
        );
    }
    to
}

/// # Safety
/// C's `memmove`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller vouches for both ranges. Copying from the low end overwrites nothing that is still to be read
    // unless `to` lies inside `from`'s range, where the copy goes from the high end; and where they overlap by less
    // than a word, `memcpy` reads each word before it writes it, below what it reads next.
    unsafe {
        if (to as usize).wrapping_sub(from as usize) >= bytes {
            return memcpy(to, from, bytes);
        }
        asm!("std; rep movsb; cld", inout("rcx") bytes => _, inout("rdi") to.wrapping_add(bytes).wrapping_sub(1) => _,
            inout("rsi") from.wrapping_add(bytes).wrapping_sub(1) => _, options(nostack));
    }
    to
}

/// # Safety
/// C's `memset`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, bytes: usize) -> *mut u8 {
    let word = u64::from(byte as u8) * 0x0101_0101_0101_0101;
    // SAFETY: as in `memcpy`.
    unsafe {
        asm!(
            "jmp 3f",
            "2: mov [{to} + {done}], {word}",
            "add {done}, 8",
            "3: lea {end}, [{done} + 8]",
            "cmp {end}, {bytes}",
            "jbe 2b",
            "jmp 5f",
            "4: mov [{to} + {done}], {word:l}",
            "inc {done}",
            "5: cmp {done}, {bytes}",
            "jb 4b",
            to = in(reg) to, bytes = in(reg) bytes, word = in(reg_abcd) word,
            done = inout(reg) 0usize => _, end = out(reg) _, options(nostack),
        );
    }
    to
}

/// # Safety
/// C's `memcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, bytes: usize) -> i32 {
    for i in 0..bytes {
        // SAFETY: the caller vouches for both ranges. Volatile, or the compiler makes this loop a call of `memcmp`.
        let (x, y) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
    }
    0
}

/// # Safety
/// C's `bcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, bytes: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(a, b, bytes) }
}

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

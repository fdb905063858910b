//! The two things every image's machine supplies, and what follows from them.

use core::fmt;

// SAFETY: each image defines both, once, with these signatures; a missing or a second one fails to link.
unsafe extern "Rust" {
    safe fn machine_write(text: &str);
    safe fn machine_exit(code: u32) -> !;
}

/// The exit code of an image that panicked.
pub const PANICKED: u32 = 101;

/// Ends the run with a verdict: 0 is success.
pub fn exit(code: u32) -> ! {
    machine_exit(code)
}

/// The machine's console. Only one CPU at a time may write to it.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        machine_write(text);
        Ok(())
    }
}

/// Prints a line on the machine's console.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {{
        let _ = ::core::fmt::Write::write_fmt(&mut $crate::machine::Console, ::core::format_args!("{}\n", ::core::format_args!($($argument)*)));
    }};
}

/// Makes a panic print its message and end the run as a failure.
#[macro_export]
macro_rules! report_panics {
    () => {
        #[panic_handler]
        fn panic(info: &::core::panic::PanicInfo) -> ! {
            $crate::println!("{info}");
            $crate::machine::exit($crate::machine::PANICKED)
        }
    };
}

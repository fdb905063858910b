//! Figures for `ci/bare-metal.sh`, which compares them with `firmware/budgets`: one line each, a name and a number.

use flue_core::StaticPostOffice;

use crate::println;

/// Prints a figure.
pub fn figure(name: &str, value: u32) {
    println!("figure\t{name}\t{value}");
}

/// How many objects the bytes of one are averaged over: their segments' headers included.
const MANY: usize = 64;

/// Bytes of static storage for so many groups, handles in the one table, messages, mailboxes, tables, monitors and links.
macro_rules! bytes {
    ($groups:expr, $handles:expr, $messages:expr, $routes:expr, $tables:expr, $monitors:expr, $links:expr, $waiters:expr) => {
        size_of::<
            StaticPostOffice<
                { $groups },
                { $handles },
                { $messages },
                { $routes },
                { $tables },
                { $monitors },
                { $links },
                { $waiters },
            >,
        >()
    };
}

/// What the office itself takes in static storage on this machine, and one more object of each kind.
pub fn sizes() {
    const EMPTY: usize = bytes!(0, 0, 0, 0, 0, 0, 0, 0);
    figure("bytes: the office", EMPTY as u32);
    let each = |name, bytes: usize| figure(name, bytes.div_ceil(MANY) as u32);
    each("bytes: a group", bytes!(MANY, 0, 0, 0, 0, 0, 0, 0) - EMPTY);
    each("bytes: a message", bytes!(0, 0, MANY, 0, 0, 0, 0, 0) - EMPTY);
    each("bytes: a mailbox", bytes!(0, 0, 0, MANY, 0, 0, 0, 0) - EMPTY);
    each("bytes: a table", bytes!(0, 0, 0, 0, MANY, 0, 0, 0) - EMPTY);
    each("bytes: a handle", bytes!(0, MANY, 0, 0, 1, 0, 0, 0) - bytes!(0, 0, 0, 0, 1, 0, 0, 0));
    each("bytes: a monitor", bytes!(0, 0, 0, 0, 0, MANY, 0, 0) - EMPTY);
    each("bytes: a link", bytes!(0, 0, 0, 0, 0, 0, MANY, 0) - EMPTY);
    each("bytes: a waiting sender", bytes!(0, 0, 0, 0, 0, 0, 0, MANY) - EMPTY);
    figure("bytes: inline in a message", flue_core::INLINE_BYTES as u32);
    figure("ram", size_of::<StaticPostOffice<8, 4, 64>>() as u32);
    figure(
        "ram: to send and receive",
        size_of::<StaticPostOffice<8, 4, 64, 8, 8, 0, 0, 0>>() as u32,
    );
}

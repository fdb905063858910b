//! The faults that were asked for, and when they come.

use core::mem;

use crate::wire::Order;

/// Which of the files handed out shall cost a worker: every so many one.
pub struct Faults {
    every: u64,
    left: u32,
    handed_out: u64,
    next: u64,
    kind: Order,
}

impl Faults {
    pub fn new(faults: u32, files: u64) -> Self {
        Self {
            every: files.checked_div(faults.into()).unwrap_or(0).max(1),
            left: faults,
            handed_out: 0,
            next: 0,
            kind: Order::Crash,
        }
    }

    /// What shall happen to the file that is handed out next.
    pub fn next(&mut self) -> Option<Order> {
        let turn = self.handed_out;
        self.handed_out += 1;
        if self.left == 0 || turn < self.next {
            return None;
        }
        self.left -= 1;
        self.next += self.every;
        let other = match self.kind {
            Order::Crash => Order::Hang,
            _ => Order::Crash,
        };
        Some(mem::replace(&mut self.kind, other))
    }

    /// The file could not be handed out after all.
    pub fn put_back(&mut self, fault: Option<Order>) {
        if let Some(kind) = fault {
            self.left += 1;
            self.kind = kind;
        }
    }
}

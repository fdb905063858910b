//! The shortcuts: page k holds buckets 2^k to 2^(k+1) - 1; bucket 0 is the head.

use super::{LinkCell, READY};
use crate::arena::memory;
use crate::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed},
};
use crate::sync::{const_fn, each_new};
use core::ptr;

/// Records for each bucket before there are twice as many buckets.
const LOAD: usize = if crate::sync::MODEL { 1 } else { 8 };

const PAGES: usize = if crate::sync::MODEL { 2 } else { 24 };

struct Pages {
    pages: [AtomicPtr<LinkCell>; PAGES],
    /// How many buckets are in use: a power of two.
    count: AtomicUsize,
}

pub(super) struct Buckets(AtomicPtr<Pages>);

/// Where to start.
pub(super) enum Nearest<'b> {
    Head,
    Ready(&'b LinkCell),
    /// The right bucket is not listed yet; `before` is a ready one.
    Missing {
        number: usize,
        cell: &'b LinkCell,
        before: Option<&'b LinkCell>,
    },
}

fn is_ready(cell: &LinkCell) -> bool {
    READY.get(cell.load().0) == 1
}

impl Buckets {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self(AtomicPtr::new(ptr::null_mut()))
        }
    }

    fn pages(&self) -> Option<&Pages> {
        // SAFETY: set once, freed only with `self`.
        unsafe { self.0.load(Acquire).as_ref() }
    }

    pub(super) fn cell(&self, number: usize) -> Option<&LinkCell> {
        let page = number.checked_ilog2()? as usize;
        let cells = self.pages()?.pages.get(page)?.load(Acquire);
        if cells.is_null() {
            return None;
        }
        // SAFETY: page k has 2^k cells, from number 2^k on, and stays.
        Some(unsafe { &*cells.add(number - (1 << page)) })
    }

    pub(super) fn nearest(&self, hash: usize) -> Nearest<'_> {
        let Some(pages) = self.pages() else { return Nearest::Head };
        let number = hash & (pages.count.load(Relaxed) - 1); // `cell` acquires what is there.
        let Some(cell) = self.cell(number) else { return Nearest::Head };
        if is_ready(cell) {
            return Nearest::Ready(cell);
        }
        // The bucket of a shorter suffix is before it in the list.
        let mut shorter = number;
        let before = loop {
            let Some(top) = shorter.checked_ilog2() else { break None };
            shorter &= !(1 << top);
            match self.cell(shorter) {
                Some(cell) if is_ready(cell) => break Some(cell),
                _ => {}
            }
        };
        Nearest::Missing { number, cell, before }
    }

    pub(super) fn spread(&self, records: usize) {
        let count = self.pages().map_or(1, |pages| pages.count.load(Relaxed));
        if records > LOAD * count {
            self.double(count);
        }
    }

    #[cold]
    fn double(&self, count: usize) {
        let make = || Pages {
            pages: each_new!(AtomicPtr::new(ptr::null_mut()); PAGES),
            count: AtomicUsize::new(1),
        };
        let made = memory::publish(&self.0, 1, make); // Partner: `pages`.
        let Some(pages) = made.ok().and_then(|()| self.pages()) else { return };
        let Some(page) = pages.pages.get(count.ilog2() as usize) else { return };
        if memory::publish(page, count, LinkCell::new).is_err() {
            return; // Partner of what it published: `cell`.
        }
        let _ = pages.count.compare_exchange(count, count * 2, Relaxed, Relaxed);
    }
}

impl Buckets {
    /// Frees all buckets. The caller is alone.
    pub(super) fn clear(&self) {
        let pages = self.0.swap(ptr::null_mut(), Relaxed); // Nobody else is here.
        if pages.is_null() {
            return;
        }
        // SAFETY: set by `double`, and nobody else is here.
        for (k, page) in unsafe { &(*pages).pages }.iter().enumerate() {
            let cells = page.load(Relaxed);
            if !cells.is_null() {
                // SAFETY: an allocation of 2^k cells.
                unsafe { memory::free(cells, 1 << k) };
            }
        }
        // SAFETY: an allocation of one.
        unsafe { memory::free(pages, 1) };
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        self.clear();
    }
}

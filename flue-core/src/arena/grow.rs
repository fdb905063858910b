//! Growing, and giving back: what an arena does with the allocator.

use super::*;

impl<T: Slot> Arena<T> {
    /// More than the limit needs, so that claims seldom search for the last
    /// free slots, and a segment held by `reclaim` is not missed; but none
    /// whose slots have no names.
    fn most_segments(&self) -> usize {
        let limit = self.limit.load(Relaxed);
        (limit / SLOTS * 2 + 3).min((1 << PAGES) - 1).min(T::NAMES / SLOTS)
    }

    /// Adds a segment, in place of the `hollow` one if there is one, and
    /// claims up to `want` of its slots. `None`: somebody else was first.
    #[cold]
    pub(super) fn grow(
        &self,
        hollow: Option<usize>,
        want: usize,
    ) -> Result<Option<(usize, usize)>, Full> {
        if self.is_wired() {
            return Err(Full::Segments);
        }
        let number = match hollow {
            Some(number) => number,
            None => self.open()?,
        };
        let Some(segment) = self.segment(number) else { return Ok(None) };
        if number < T::NEAR && T::NEAR > 1 {
            return Ok(None); // `open_near` has installed it.
        }
        match segment.install(want) {
            Ok(mask) => Ok(mask.map(|mask| (number, mask))),
            Err(memory::Refused) => Err(Full::Memory),
        }
    }

    /// Opens the next segment number, and its page if that is new.
    fn open(&self) -> Result<usize, Full> {
        let span = self.span.load(Relaxed); // `segment` acquires what is there.
        if span >= self.most_segments() {
            return Err(Full::Segments);
        }
        if span == 0 && T::NEAR > 1 {
            self.open_near()?;
        } else {
            self.make_page(span)?;
            // Whoever loses finds the winner's segment on its next look.
            let _ = self.span.compare_exchange(span, span + 1, Relaxed, Relaxed);
        }
        Ok(span)
    }

    /// Makes the page of header `number`, if it is not there.
    fn make_page(&self, number: usize) -> Result<(), Full> {
        let (page, _) = Self::place(number);
        // Partners: `segment` and `slot`.
        memory::publish(&self.pages[page], 1 << page, Segment::hollow)
            .map_err(|memory::Refused| Full::Memory)
    }

    /// Makes the near segments, all at once. Several threads may be here:
    /// each step is taken by one of them, and none waits for another.
    fn open_near(&self) -> Result<(), Full> {
        for number in 0..T::NEAR {
            self.make_page(number)?;
        }
        memory::publish(&self.near, T::NEAR * SLOTS, T::vacant)
            .map_err(|memory::Refused| Full::Memory)?;
        let near = self.near.load(Acquire);
        self.near_count.store(T::NEAR * SLOTS, Relaxed); // Released by giving the slots back.
        for number in 0..T::NEAR {
            if let Some(segment) = self.segment(number) {
                // SAFETY: `near` is so many segments long.
                segment.adopt(unsafe { near.add(number * SLOTS) });
            }
        }
        let _ = self.span.compare_exchange(0, T::NEAR, Relaxed, Relaxed);
        Ok(())
    }

    /// Counts everything in that could ever be claimed, if nothing is.
    pub(super) fn seal(&self) -> bool {
        // Partner: `forget`. Who is refused from now on reads nothing.
        self.live.compare_exchange(0, SEALED, Acquire, Relaxed).is_ok()
    }

    pub(super) fn unseal(&self) {
        self.forget(SEALED);
    }

    /// Gives back the slots of every segment from number `keep` on that is
    /// all free, and what free slots hold besides themselves.
    pub(crate) fn reclaim(&self, pin: &Pin, keep: usize) {
        for number in 0..self.span.load(Relaxed) {
            let Some(segment) = self.segment(number) else { continue };
            let stays = number < keep.max(T::NEAR) || self.is_wired();
            segment.reclaim(pin, !stays);
        }
    }
}

impl<T: Slot> Drop for Arena<T> {
    fn drop(&mut self) {
        if self.is_wired() {
            return;
        }
        let near = self.near.load(Relaxed); // `&mut self`.
        if !near.is_null() {
            for number in 0..T::NEAR {
                self.segment(number).map(Segment::disown);
            }
            // SAFETY: `&mut self`: nobody looks any more; this is what
            // `open_near` allocated.
            unsafe { memory::free(near, T::NEAR * SLOTS) };
        }
        for (k, page) in self.pages.iter().enumerate() {
            let page = page.load(Relaxed);
            if page.is_null() {
                break;
            }
            // SAFETY: `&mut self`: nobody looks any more; page k is an
            // allocation of 2^k headers, each dropped with its slots.
            unsafe { memory::free(page, 1 << k) };
        }
    }
}

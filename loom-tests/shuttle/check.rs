//! Is there an order of a history's calls, each at instants between its beginning and its end,
//! in which a sequential object gives all the answers that were seen?
//!
//! The search is that of Wing and Gong (1993) with the memory of Lowe (2017): at the end of each
//! call it must have taken effect; until it has, some call that has begun takes a step. What was
//! looked at once (the same calls under way, the same object) is not looked at again. A call may
//! take several steps, where the rules promise no more than that (a kill walks along links); so
//! an object says for itself what a call's next step may be.

use core::fmt::Debug;
use core::hash::Hash;
use std::collections::HashSet;

/// What a call is to a history: its number.
pub type Number = usize;

/// A sequential object.
pub trait Object: Clone + Eq + Hash {
    /// A call and the answer that it got.
    type Call: Debug;
    /// How far a call has come.
    type Progress: Clone + Eq + Hash;
    /// What is known of the whole history.
    type World;

    /// Whether a call with this answer changes nothing. Then it may as well take effect at the
    /// first instant at which its answer is right.
    fn is_pure(call: &Self::Call) -> bool;

    /// A call begins.
    fn begin(&self, world: &Self::World, call: &Self::Call) -> Self::Progress;

    /// Every step that call `number` may take now. `None` for its progress: it has taken effect,
    /// and what it answered is right.
    fn steps(
        &self,
        world: &Self::World,
        number: Number,
        under_way: &UnderWay<'_, Self>,
        then: &mut dyn FnMut(Self, Option<Self::Progress>),
    );
}

/// The calls that have begun and not ended.
pub struct UnderWay<'a, O: Object> {
    at: usize,
    calls: &'a [O::Call],
    progress: &'a [(Number, Option<O::Progress>)],
}

impl<'a, O: Object> UnderWay<'a, O> {
    /// The event that comes next.
    pub fn at(&self) -> usize {
        self.at
    }

    /// A call of the history.
    pub fn call(&self, number: Number) -> &'a O::Call {
        &self.calls[number]
    }

    /// How far a call has come. Only for one that has not taken effect.
    pub fn progress(&self, number: Number) -> &'a O::Progress {
        let found = self.progress.iter().find(|one| one.0 == number);
        found.and_then(|one| one.1.as_ref()).expect("under way")
    }

    /// All others, and whether they have taken effect.
    pub fn others(&self, but: Number) -> impl Iterator<Item = (Number, &'a O::Call, bool)> {
        let others = self.progress.iter().filter(move |one| one.0 != but);
        others.map(|(number, progress)| (*number, &self.calls[*number], progress.is_none()))
    }
}

/// What was seen: calls with their answers, and when they began and ended.
#[derive(Clone, Debug)]
pub struct History<C> {
    /// In the order of their beginnings.
    pub calls: Vec<C>,
    /// When what happened.
    pub events: Vec<Event>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call began.
    Began(Number),
    /// It returned.
    Ended(Number),
}

/// The outcome of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none: no search came further than to this event.
    Not { after: usize },
    /// The search was given up; it came to this event.
    Undecided { after: usize },
}

/// What a search comes through. A sequence of these is a way to the end.
type Progresses<O> = Vec<(Number, Option<<O as Object>::Progress>)>;

struct Search<'a, O: Object> {
    world: &'a O::World,
    history: &'a History<O::Call>,
    /// For each call, the event that ends it.
    ends: Vec<usize>,
    seen: HashSet<(usize, Progresses<O>, O)>,
    most: usize,
    furthest: usize,
}

/// Searches for an order of `history`, looking at no more than `most` situations. Also returns
/// how many it looked at.
pub fn check<O: Object>(
    object: O,
    world: &O::World,
    history: &History<O::Call>,
    most: usize,
) -> (Verdict, usize) {
    let mut ends = vec![usize::MAX; history.calls.len()];
    for (at, event) in history.events.iter().enumerate() {
        if let Event::Ended(number) = *event {
            ends[number] = at;
        }
    }
    let seen = HashSet::new();
    let mut search = Search { world, history, ends, seen, most, furthest: 0 };
    let verdict = match search.goes(0, Vec::new(), object) {
        true => Verdict::Linearizable,
        false if search.seen.len() >= most => Verdict::Undecided { after: search.furthest },
        false => Verdict::Not { after: search.furthest },
    };
    (verdict, search.seen.len())
}

impl<O: Object> Search<'_, O> {
    fn let_pure_calls_take_effect(&self, at: usize, progress: &mut Progresses<O>, object: &O) {
        let calls = &self.history.calls;
        let pending = progress.iter().filter(|one| one.1.is_some() && O::is_pure(&calls[one.0]));
        for number in pending.map(|one| one.0).collect::<Vec<_>>() {
            let mut is_right = false;
            let under_way = UnderWay { at, calls, progress };
            object.steps(self.world, number, &under_way, &mut |_, to| is_right |= to.is_none());
            if is_right {
                progress.iter_mut().find(|one| one.0 == number).expect("under way").1 = None;
            }
        }
    }

    /// Whether there is a way to the end from here.
    fn goes(&mut self, mut at: usize, mut progress: Progresses<O>, object: O) -> bool {
        let due = loop {
            self.let_pure_calls_take_effect(at, &mut progress, &object);
            match self.history.events.get(at) {
                None => return true,
                Some(&Event::Began(number)) => {
                    let call = &self.history.calls[number];
                    progress.push((number, Some(object.begin(self.world, call))));
                }
                Some(&Event::Ended(number)) => {
                    let place = progress.iter().position(|one| one.0 == number).expect("began");
                    if progress[place].1.is_some() {
                        break number; // It must take effect first.
                    }
                    progress.remove(place);
                }
            }
            at += 1;
        };
        self.furthest = self.furthest.max(at);
        if self.seen.len() >= self.most || !self.seen.insert((at, progress.clone(), object.clone()))
        {
            return false;
        }
        // The call that is due first: most often that is all that is needed. Then the others in
        // the order in which they end.
        let calls = &self.history.calls;
        let can_change =
            |one: &&(Number, Option<O::Progress>)| one.1.is_some() && !O::is_pure(&calls[one.0]);
        let mut candidates: Vec<Number> =
            progress.iter().filter(can_change).map(|one| one.0).collect();
        candidates.sort_by_key(|&number| (number != due, self.ends[number]));
        for number in candidates {
            let mut next = Vec::new();
            let under_way = UnderWay { at, calls: &self.history.calls, progress: &progress };
            object.steps(self.world, number, &under_way, &mut |object, to| next.push((object, to)));
            for (object, to) in next {
                let mut progress = progress.clone();
                progress.iter_mut().find(|one| one.0 == number).expect("under way").1 = to;
                if self.goes(at, progress, object) {
                    return true;
                }
            }
        }
        false
    }
}

/// Calls as they are made, by several threads.
#[derive(Debug)]
pub struct Recorder<C> {
    // One thread runs at a time, and none is stopped while it holds this.
    history: std::sync::Mutex<(Vec<Option<C>>, Vec<Event>)>,
}

impl<C> Recorder<C> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { history: std::sync::Mutex::default() }
    }

    /// Makes a call, and records it with what `answered` makes of its answer.
    pub fn call<R>(&self, call: impl FnOnce() -> R, answered: impl FnOnce(&R) -> C) -> R {
        let number = {
            let mut history = self.history.lock().expect("nobody panics with it");
            history.0.push(None);
            let number = history.0.len() - 1;
            history.1.push(Event::Began(number));
            number
        };
        let result = call();
        let mut history = self.history.lock().expect("nobody panics with it");
        history.0[number] = Some(answered(&result));
        history.1.push(Event::Ended(number));
        result
    }

    /// All calls, which have ended.
    pub fn finish(&self) -> History<C> {
        let (calls, events) = std::mem::take(&mut *self.history.lock().expect("as above"));
        let calls = calls.into_iter().map(|call| call.expect("it has returned")).collect();
        History { calls, events }
    }
}

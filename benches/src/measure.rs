//! Rows, contenders, and how a row is run.
//!
//! A row's contenders are all set up, then take turns: in every *round* each of them runs a few short
//! *windows* and its best one is the round's sample. Ratios are taken within a round and their median
//! is reported, so that what drifts (clock, neighbours, placement) drifts for both. Windows across
//! cores are labelled by [`Cores::place`] before and after; one that changed its place is thrown away.

use crate::cores::{Cores, Place};
use crate::stats::Summary;
use std::time::Duration;

/// Flue's own name among the contenders.
pub const FLUE: &str = "Flue";

/// Runs the given number of turns and says how long they took.
pub type Window = Box<dyn FnMut(u64) -> Duration>;

/// What a row's figures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Time.
    Nanoseconds,
    /// Memory.
    Bytes,
    /// Calls to the allocator.
    Allocations,
}

impl Unit {
    /// How reports write it.
    pub fn label(self) -> &'static str {
        match self {
            Unit::Nanoseconds => "ns",
            Unit::Bytes => "B",
            Unit::Allocations => "allocs",
        }
    }
}

/// How a contender is measured.
enum Measure {
    /// As many turns as fill a window. Built when the row is run.
    Turns(Box<dyn FnOnce() -> Window>),
    /// One figure a round, in the row's unit.
    Figure(Box<dyn FnMut() -> f64>),
}

struct Contender {
    who: String,
    across: bool,
    measure: Measure,
}

/// Against whom a target is set.
#[derive(Clone, Debug)]
pub enum Against {
    /// A contender of the same row, by name.
    Peer(&'static str),
    /// The fastest of some contenders of the same row.
    BestOf(&'static [&'static str]),
    /// A figure in the row's unit.
    Figure,
}

/// A target: Flue's figure is at most `must` times (or, against a figure, at most) what it is set against.
#[derive(Clone, Debug)]
pub struct Target {
    /// Against whom.
    pub against: Against,
    /// What must be reached.
    pub must: Option<f64>,
    /// What would be splendid.
    pub moonshot: Option<f64>,
}

/// One workload with everybody who runs it.
pub struct Row {
    /// `family/workload`.
    pub name: String,
    /// What its figures count.
    pub unit: Unit,
    /// How many operations one turn is.
    per: u64,
    contenders: Vec<Contender>,
    /// What Flue is held to.
    pub targets: Vec<Target>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Row {
    /// A row without contenders.
    pub fn new(name: impl Into<String>, unit: Unit) -> Self {
        Self { name: name.into(), unit, per: 1, contenders: Vec::new(), targets: Vec::new() }
    }

    /// A row of times.
    pub fn timed(name: impl Into<String>) -> Self {
        Self::new(name, Unit::Nanoseconds)
    }

    /// Says that one turn is `operations` operations.
    pub fn per(mut self, operations: u64) -> Self {
        self.per = operations;
        self
    }

    /// Adds a contender on one thread.
    pub fn turns(self, who: impl Into<String>, make: impl FnOnce() -> Window + 'static) -> Self {
        self.add(who, false, Measure::Turns(Box::new(make)))
    }

    /// Adds a contender on several cores.
    pub fn across(self, who: impl Into<String>, make: impl FnOnce() -> Window + 'static) -> Self {
        self.add(who, true, Measure::Turns(Box::new(make)))
    }

    /// Adds a contender that gives one figure a round.
    pub fn figure(self, who: impl Into<String>, figure: impl FnMut() -> f64 + 'static) -> Self {
        self.add(who, false, Measure::Figure(Box::new(figure)))
    }

    /// The same on several cores.
    pub fn figure_across(
        self,
        who: impl Into<String>,
        figure: impl FnMut() -> f64 + 'static,
    ) -> Self {
        self.add(who, true, Measure::Figure(Box::new(figure)))
    }

    fn add(mut self, who: impl Into<String>, across: bool, measure: Measure) -> Self {
        let who = who.into();
        self.contenders.push(Contender { who, across, measure });
        self
    }

    /// Holds Flue to a ratio to a peer.
    pub fn target(mut self, peer: &'static str, must: f64, moonshot: f64) -> Self {
        self.targets.push(Target {
            against: Against::Peer(peer),
            must: Some(must),
            moonshot: Some(moonshot),
        });
        self
    }

    /// Holds Flue to a ratio to a peer, without a moonshot.
    pub fn must(mut self, peer: &'static str, must: f64) -> Self {
        self.targets.push(Target {
            against: Against::Peer(peer),
            must: Some(must),
            moonshot: None,
        });
        self
    }

    /// Holds Flue to any target.
    pub fn hold(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// The work of one contender alone, set up.
    pub fn into_window(self, who: &str) -> Option<Window> {
        let contender = self.contenders.into_iter().find(|contender| contender.who == who)?;
        match contender.measure {
            Measure::Turns(make) => Some(make()),
            Measure::Figure(_) => None,
        }
    }

    /// The names of those who take part.
    pub fn contenders(&self) -> impl Iterator<Item = &str> {
        self.contenders.iter().map(|contender| contender.who.as_str())
    }
}

/// How much effort a run is given.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds of windows.
    pub rounds: usize,
    /// Rounds of figures that cost a set-up each.
    pub figures: usize,
    /// Windows of which a round takes the best.
    pub windows: usize,
    /// How long a window is.
    pub window: Duration,
    /// How large the largest growth is.
    pub crowd: usize,
}

impl Effort {
    /// What the README's table is made with.
    pub const FULL: Self = Self {
        rounds: 25,
        figures: 9,
        windows: 3,
        window: Duration::from_millis(2),
        crowd: 1_000_000,
    };
    /// Enough to see that everything runs.
    pub const QUICK: Self = Self {
        rounds: 3,
        figures: 2,
        windows: 1,
        window: Duration::from_millis(1),
        crowd: 100_000,
    };
}

/// The most turns of a window: what waits in a mailbox stays under its default limit.
const MOST_TURNS: u64 = 100_000;

/// How many windows of a round may be thrown away because their place changed.
const MOVES: usize = 8;

/// One round's figure of one contender.
#[derive(Clone, Copy, Debug)]
struct Sample {
    round: usize,
    place: Place,
    value: f64,
}

/// What a contender did in one place.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name.
    pub who: String,
    /// Its figure.
    pub own: Summary,
    /// Flue's figure divided by this one's, round by round.
    pub ratio: Option<Summary>,
}

/// A row that was run, in one place.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The row's name.
    pub name: String,
    /// What the figures count.
    pub unit: Unit,
    /// Where the windows ran.
    pub place: Place,
    /// Everybody, Flue first.
    pub standings: Vec<Standing>,
    /// What came of each target.
    pub verdicts: Vec<(Target, Verdict)>,
}

/// What came of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Who it was measured against.
    pub against: String,
    /// The ratio, or the figure itself.
    pub value: f64,
    /// The judgement.
    pub mark: Mark,
}

/// How well a target was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Beyond the moonshot.
    Moonshot,
    /// Met.
    Pass,
    /// There is only a moonshot, and it is not reached.
    Open,
    /// Missed by less than the slack that one run is given.
    Slack,
    /// Missed.
    Miss,
}

impl Mark {
    /// How much a ratio of one run may exceed its target.
    pub const SLACK: f64 = 1.25;

    fn of(value: f64, target: &Target) -> Self {
        let under =
            |bound: Option<f64>, slack: f64| bound.is_some_and(|bound| value <= bound * slack);
        if under(target.moonshot, 1.0) {
            Mark::Moonshot
        } else if target.must.is_none() {
            Mark::Open
        } else if under(target.must, 1.0) {
            Mark::Pass
        } else if under(target.must, Self::SLACK) {
            Mark::Slack
        } else {
            Mark::Miss
        }
    }

    /// How reports write it.
    pub fn label(self) -> &'static str {
        match self {
            Mark::Moonshot => "MOON",
            Mark::Pass => "pass",
            Mark::Open => "open",
            Mark::Slack => "slack",
            Mark::Miss => "MISS",
        }
    }
}

/// A contender that is set up.
struct Running {
    who: String,
    across: bool,
    work: Work,
    samples: Vec<Sample>,
}

enum Work {
    Turns { window: Window, turns: u64 },
    Figure(Box<dyn FnMut() -> f64>),
}

impl Running {
    fn set_up(contender: Contender, effort: &Effort) -> Self {
        let work = match contender.measure {
            Measure::Turns(make) => {
                let mut window = make();
                let turns = calibrate(&mut window, effort.window);
                Work::Turns { window, turns }
            }
            Measure::Figure(figure) => Work::Figure(figure),
        };
        Self { who: contender.who, across: contender.across, work, samples: Vec::new() }
    }

    fn round(&mut self, round: usize, per: u64, effort: &Effort, cores: &Cores) {
        let windows = match &self.work {
            Work::Turns { .. } => effort.windows,
            Work::Figure(_) if round < effort.figures => 1,
            Work::Figure(_) => return,
        };
        let mut best: Vec<Sample> = Vec::new();
        let mut left = windows;
        for _ in 0..windows + MOVES {
            if left == 0 {
                break;
            }
            let before = if self.across { cores.place() } else { Place::Here };
            let value = match &mut self.work {
                Work::Turns { window, turns } => {
                    window(*turns).as_nanos() as f64 / (*turns * per) as f64
                }
                Work::Figure(figure) => figure() / per as f64,
            };
            let after = if self.across { cores.place() } else { Place::Here };
            if before != after {
                continue;
            }
            left -= 1;
            match best.iter_mut().find(|sample| sample.place == before) {
                Some(sample) => sample.value = sample.value.min(value),
                None => best.push(Sample { round, place: before, value }),
            }
        }
        self.samples.extend(best);
    }

    fn at(&self, place: Place) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.place == place)
    }
}

/// Windows that are tried to tell how long one of a size takes.
const CALIBRATIONS: usize = 3;

/// How many turns fill a window.
pub(crate) fn calibrate(window: &mut Window, length: Duration) -> u64 {
    let mut turns = 1;
    loop {
        // The best of a few: one that was interrupted would make all windows too short.
        let tries = (0..CALIBRATIONS).map(|_| window(turns));
        let elapsed = tries.min().unwrap_or_default().max(Duration::from_nanos(1));
        if elapsed * 2 >= length || turns >= MOST_TURNS {
            let exact = turns as f64 * length.as_secs_f64() / elapsed.as_secs_f64();
            return (exact as u64).clamp(1, MOST_TURNS);
        }
        turns = (turns * 4).min(MOST_TURNS);
    }
}

/// Runs a row. It is given back once for every place in which all contenders were seen.
pub fn run(row: Row, effort: &Effort, cores: &Cores) -> Vec<Outcome> {
    let Row { name, unit, per, contenders, targets } = row;
    let mut running: Vec<_> =
        contenders.into_iter().map(|contender| Running::set_up(contender, effort)).collect();
    for round in 0..effort.rounds {
        // Everybody gets to go first.
        let first = round % running.len().max(1);
        let (late, early) = running.split_at_mut(first);
        for contender in early.iter_mut().chain(late) {
            contender.round(round, per, effort, cores);
        }
    }
    let mut places: Vec<Place> =
        running.iter().flat_map(|one| &one.samples).map(|sample| sample.place).collect();
    places.sort();
    places.dedup();
    // Where not everybody was seen there is little to compare, unless there is nothing else.
    let met = |place: &Place| running.iter().all(|one| one.at(*place).next().is_some());
    if places.iter().any(met) {
        places.retain(met);
    }
    places.into_iter().map(|place| judge(&name, unit, place, &running, &targets)).collect()
}

fn judge(name: &str, unit: Unit, place: Place, running: &[Running], targets: &[Target]) -> Outcome {
    let flue = running.iter().find(|one| one.who == FLUE);
    let standings: Vec<_> = running
        .iter()
        .filter_map(|one| {
            let own = Summary::of(&one.at(place).map(|sample| sample.value).collect::<Vec<_>>())?;
            let ratio = flue.and_then(|flue| ratio(flue, one, place, &own));
            Some(Standing { who: one.who.clone(), own, ratio })
        })
        .collect();
    let verdicts = targets
        .iter()
        .filter_map(|target| Some((target.clone(), verdict(target, &standings)?)))
        .collect();
    Outcome { name: name.into(), unit, place, standings, verdicts }
}

/// Flue's figure over `other`'s: round by round where they met, by their medians where they did not.
fn ratio(flue: &Running, other: &Running, place: Place, own: &Summary) -> Option<Summary> {
    let met: Vec<f64> = flue
        .at(place)
        .filter_map(|ours| {
            let theirs = other.at(place).find(|sample| sample.round == ours.round)?;
            Some(ours.value / theirs.value)
        })
        .collect();
    if met.len() >= 3 {
        return Summary::of(&met);
    }
    let flue = Summary::of(&flue.at(place).map(|sample| sample.value).collect::<Vec<_>>())?;
    Some(Summary { median: flue.median / own.median, ..flue })
}

fn verdict(target: &Target, standings: &[Standing]) -> Option<Verdict> {
    let standing = |who: &str| standings.iter().find(|standing| standing.who == who);
    let (against, value) = match &target.against {
        Against::Peer(who) => (who.to_string(), standing(who)?.ratio?.median),
        Against::BestOf(names) => {
            let best = names.iter().filter_map(|who| standing(who));
            let best = best.min_by(|a, b| a.own.median.total_cmp(&b.own.median))?;
            (best.who.clone(), best.ratio?.median)
        }
        Against::Figure => (String::new(), standing(FLUE)?.own.median),
    };
    Some(Verdict { against, value, mark: Mark::of(value, target) })
}

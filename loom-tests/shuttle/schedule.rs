//! Who runs next. Three manners find different faults: an even draw mixes all threads finely,
//! bursts let one run on while another stands in the middle of an operation, priorities (as in
//! PCT: Burckhardt and others 2010) let few stand still for very long.

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

use crate::source::Source;

#[derive(Clone, Debug)]
enum Manner {
    Even,
    /// On average so many steps before another thread may run.
    Bursts(usize),
    /// A priority for each thread, and how many steps the next change is away.
    Priorities {
        of: Vec<usize>,
        change_in: usize,
        changes: usize,
    },
    /// The bytes say who: 0 for the one that runs.
    Told,
}

/// A scheduler whose choices come from a source.
#[derive(Debug)]
pub struct Choices {
    seed: u64,
    source: Source,
    manner: Manner,
    executions: usize,
}

/// Steps between changes of priority, at most: about those of a history.
const SPAN: usize = 400;
/// Changes of priority in one execution.
const CHANGES: usize = 4;

impl Choices {
    /// So many executions, from seeds that count up from this one.
    pub fn seeded(seed: u64, executions: usize) -> Self {
        Self { seed, source: Source::seeded(seed), manner: Manner::Even, executions }
    }

    /// One execution, as the rest of a source says.
    #[allow(dead_code, reason = "for the fuzz target")]
    pub fn told(source: Source) -> Self {
        Self { seed: 0, source, manner: Manner::Told, executions: 1 }
    }
}

impl Scheduler for Choices {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.executions = self.executions.checked_sub(1)?;
        if !matches!(self.manner, Manner::Told) {
            self.source = Source::seeded(self.seed);
            self.seed += 1;
            self.manner = match self.source.below(4) {
                0 => Manner::Even,
                1 => Manner::Bursts(4),
                2 => Manner::Bursts(20),
                _ => Manner::Priorities {
                    of: Vec::new(),
                    change_in: self.source.below(SPAN),
                    changes: CHANGES,
                },
            };
        }
        Some(Schedule::new(self.seed))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        _is_yielding: bool,
    ) -> Option<TaskId> {
        let source = &mut self.source;
        let current = current.filter(|id| runnable.iter().any(|task| task.id() == *id));
        let any = |source: &mut Source| runnable[source.below(runnable.len())].id();
        Some(match (&mut self.manner, current) {
            (Manner::Bursts(length), Some(current)) if source.below(*length) > 0 => current,
            (Manner::Even | Manner::Bursts(_), _) => any(source),
            (Manner::Told, current) => match (source.below(runnable.len() + 1), current) {
                (0, Some(current)) => current,
                (choice, _) => runnable[choice % runnable.len()].id(),
            },
            (Manner::Priorities { of, change_in, changes }, current) => {
                if *change_in == 0 && *changes > 0 {
                    *changes -= 1;
                    *change_in = source.below(SPAN);
                    if let Some(id) = current {
                        of[usize::from(id)] = *changes; // Below all that were drawn.
                    }
                }
                *change_in = change_in.saturating_sub(1);
                for task in runnable {
                    while of.len() <= usize::from(task.id()) {
                        of.push(CHANGES + source.below(1 << 20));
                    }
                }
                let first = runnable.iter().max_by_key(|task| of[usize::from(task.id())]);
                first.expect("one at least can run").id()
            }
        })
    }

    fn next_u64(&mut self) -> u64 {
        self.source.below(usize::MAX) as u64
    }
}

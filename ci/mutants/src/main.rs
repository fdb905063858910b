//! Runs the tests of this workspace against every mutant that cargo-mutants finds in
//! `flue-core` and `flue-std`. All that can be are built in at once, where an environment
//! variable chooses one, so that a mutant costs only the tests that reach it. Those in
//! constants are built one by one.
//!
//! ```text
//! mutants ROOT SCRATCH PART/OF [PATTERN]...
//! ```
//!
//! PATTERN: a part of the names. Writes SCRATCH/results: outcome, test, mutant. What an earlier run
//! with the same SCRATCH has noticed in a file that has not changed since is not run again.

mod kept;
mod list;
mod schema;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::kept::Kept;
use crate::list::Mutant;
use crate::schema::{Apart, Source};
use crate::stage::{BUILDS, Binary, Build, Complaint, STAGES, Stage, Test};

/// The name by which both packages call it.
const CHOSEN: &str = "flue_core::mutant::chosen";

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A copy of the workspace for one build.
struct Workshop<'a> {
    root: &'a Path,
    tree: PathBuf,
    mutants: &'a [Mutant],
}

/// A build with all mutants, but those that are apart.
struct Made {
    package: &'static str,
    /// Not built in, though the compiler may have nothing against them.
    left: BTreeSet<usize>,
    /// What the compiler does not accept.
    refused: BTreeSet<usize>,
    /// In code that it leaves out.
    absent: BTreeSet<usize>,
    binaries: Vec<Binary>,
}

impl Made {
    fn has(&self, number: usize) -> bool {
        ![&self.left, &self.refused, &self.absent].iter().any(|set| set.contains(&number))
    }
}

impl<'a> Workshop<'a> {
    fn new(root: &'a Path, tree: PathBuf, mutants: &'a [Mutant]) -> Outcome<Self> {
        fs::create_dir_all(&tree)?;
        let script =
            "tar --exclude=target --exclude=.git --exclude=corpus -cf - . | tar -C \"$0\" -xmf -";
        let done = Command::new("sh").args(["-c", script]).arg(&tree).current_dir(root).status()?;
        if done.success() {
            Ok(Self { root, tree, mutants })
        } else {
            Err("the workspace was not copied".into())
        }
    }

    /// Writes what `schema` makes of each file, and says which mutants are not in it.
    fn write(
        &self,
        apart: &Apart,
        schema: impl Fn(&Path, &Source) -> String,
    ) -> Outcome<BTreeSet<usize>> {
        let mut files: BTreeMap<&Path, Vec<(usize, &Mutant)>> = BTreeMap::new();
        for (at, mutant) in self.mutants.iter().enumerate() {
            files.entry(&*mutant.file).or_default().push((at + 1, mutant));
        }
        let mut left = BTreeSet::new();
        for (file, mutants) in &files {
            let text = fs::read_to_string(self.root.join(file))?;
            let (source, not_there) = Source::new(text, mutants, apart)?;
            left.extend(not_there);
            fs::write(self.tree.join(file), schema(file, &source))?;
        }
        let home = Path::new("flue-core/src/lib.rs");
        let read_from = if files.contains_key(home) { &self.tree } else { self.root };
        let text = fs::read_to_string(read_from.join(home))?;
        fs::write(self.tree.join(home), text + include_str!("chosen.in.rs"))?;
        Ok(left)
    }

    /// Which mutants are in code that this build leaves out: those whose probe the compiler
    /// says nothing of.
    fn absent(&self, build: &Build, apart: &Apart) -> Outcome<BTreeSet<usize>> {
        let package = build.package;
        let is_asked = |file: &Path| file.starts_with(package);
        let probe = |file: &Path, source: &Source| {
            if is_asked(file) { source.probe(CHOSEN) } else { source.schema(CHOSEN) }
        };
        let left = self.write(apart, probe)?;
        let Err(complaints) = build.make(&self.tree)? else {
            return Err(format!("{}: no probe was noticed", build.name).into());
        };
        let present = complaints.iter().filter_map(|complaint| schema::probed(&complaint.message));
        let present: BTreeSet<usize> = present.collect();
        let is_absent = |number: &usize| {
            is_asked(&self.mutants[number - 1].file)
                && ![&left, &apart.mutants, &present].iter().any(|set| set.contains(number))
        };
        Ok((1..=self.mutants.len()).filter(is_absent).collect())
    }

    /// Leaves out what the compiler complains of until it does not.
    fn make(&self, build: &Build, kept: &Kept) -> Outcome<Made> {
        let mut apart = kept.apart(build.name);
        let absent = match apart.absent.take() {
            Some(absent) => absent,
            None => self.absent(build, &apart)?,
        };
        apart.absent = Some(absent.clone());
        for _ in 0..60 {
            let left = self.write(&apart, |_, source| source.schema(CHOSEN))?;
            match build.make(&self.tree)? {
                Ok(binaries) => {
                    kept.set_apart(build.name, &apart, self.mutants)?;
                    return Ok(Made {
                        package: build.package,
                        left,
                        refused: apart.mutants,
                        absent,
                        binaries,
                    });
                }
                Err(complaints) => {
                    complaints.iter().try_for_each(|complaint| self.blame(complaint, &mut apart))?
                }
            }
        }
        Err(format!("{}: the schemata do not compile", build.name).into())
    }

    fn blame(&self, complaint: &Complaint, apart: &mut Apart) -> Outcome<()> {
        for (file, byte) in &complaint.places {
            let Ok(text) = fs::read_to_string(self.tree.join(file)) else { continue };
            if let Some(number) = schema::mutant_at(&text, *byte) {
                apart.mutants.insert(number);
                return Ok(());
            }
        }
        // "cannot call non-const associated function `Word::<T>::new` in constants"
        if complaint.message.starts_with("cannot call non-const") {
            let name = complaint.message.split('`').nth(1).unwrap_or_default();
            let name = name.rsplit("::").next().unwrap_or_default();
            apart.constant.insert(name.to_owned());
            return Ok(());
        }
        Err(format!("{}: {:?}", complaint.message, complaint.places).into())
    }

    /// Builds one mutant alone; nothing if the compiler does not accept it.
    fn make_one(&self, build: &Build, mutant: &Mutant) -> Outcome<Option<Vec<Binary>>> {
        let text = fs::read_to_string(self.root.join(&mutant.file))?;
        fs::write(self.tree.join(&mutant.file), mutant.within(&text))?;
        let made = build.make(&self.tree);
        fs::write(self.tree.join(&mutant.file), text)?;
        Ok(made?.ok())
    }
}

/// Runs what reaches a mutant, in this order. Which test notices it, if one does.
fn judge(stage: &Stage, tests: &[&Test], number: usize, scratch: &Path) -> Outcome<Option<String>> {
    fs::create_dir_all(scratch)?;
    let began = Instant::now();
    for test in tests {
        let variable = ("FLUE_MUTANT", number.to_string());
        let limit = test.took * 5 + Duration::from_secs(3);
        if !stage.passes(test, (variable.0, OsStr::new(&variable.1)), limit, scratch)? {
            return Ok(Some(format!("{} {}", stage.build, test.name)));
        }
        if began.elapsed() > Duration::from_secs(stage.patience) {
            break;
        }
    }
    Ok(None)
}

/// Does something with each number, two at a time.
pub(crate) fn each(
    numbers: &[usize],
    work: impl Fn(usize, usize) -> Outcome<()> + Sync,
) -> Outcome<()> {
    let next = AtomicUsize::new(0);
    let worker = |worker: usize| {
        while let Some(&number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(worker, number).map_err(|error| error.to_string())?;
        }
        Ok::<_, String>(())
    };
    std::thread::scope(|scope| {
        let workers = [0, 1].map(|number| scope.spawn(move || worker(number)));
        workers
            .into_iter()
            .try_for_each(|worker| Ok(worker.join().map_err(|_| "a worker panicked")??))
    })
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, scratch, part, patterns @ ..] = &arguments[..] else {
        return Err("mutants ROOT SCRATCH PART/OF [PATTERN]...".into());
    };
    let (root, scratch) = (Path::new(root), Path::new(scratch));
    let (part, of) = part.split_once('/').ok_or("PART/OF")?;
    let (part, of): (usize, usize) = (part.parse()?, of.parse()?);

    let mut mutants = list::mutants(root, "flue-core")?;
    mutants.extend(list::mutants(root, "flue-std")?);
    let mutants = &mutants[..];
    let wanted = |number: &usize| {
        let name = &mutants[number - 1].name;
        number % of == part % of
            && (patterns.is_empty() || patterns.iter().any(|pattern| name.contains(&**pattern)))
    };
    let kept = Kept::open(root, scratch, mutants)?;
    let earlier = kept.noticed()?;
    println!("{} mutants, {} of them noticed before", mutants.len(), earlier.len());

    let mut made = BTreeMap::new();
    for build in &BUILDS {
        let began = Instant::now();
        let one = Workshop::new(root, scratch.join(build.name), mutants)?.make(build, &kept)?;
        println!(
            "{}: {} mutants absent, {} refused, {} not built in, {} s",
            build.name,
            one.absent.len(),
            one.refused.len(),
            one.left.len(),
            began.elapsed().as_secs()
        );
        made.insert(build.name, one);
    }

    let results = Mutex::new(fs::File::create(scratch.join("results"))?);
    let say = |number: usize, outcome: &str, by: &str| -> Outcome<()> {
        let line = format!("{outcome}\t{by}\t{}", mutants[number - 1].name);
        println!("{line}");
        if outcome == "noticed" && !earlier.contains_key(&number) {
            kept.notice(&mutants[number - 1], by)?;
        }
        Ok(writeln!(results.lock().map_err(|_| "a worker panicked")?, "{line}")?)
    };

    // A place is known by the first mutant of it.
    let mut place = vec![0; mutants.len() + 1];
    for number in 1..=mutants.len() {
        let mutant = &mutants[number - 1];
        let same = number > 1 && !mutant.is_body && mutant.is_where(&mutants[number - 2]);
        place[number] = if same { place[number - 1] } else { number };
    }
    let mut waiting: BTreeSet<usize> = (1..=mutants.len()).filter(wanted).collect();
    for (number, by) in earlier.iter().filter(|(number, _)| wanted(number)) {
        say(*number, "noticed", by)?;
        waiting.remove(number);
    }
    let about = fs::read_to_string(root.join("loom-tests/about"))?;
    let mut stages = Vec::new();
    for stage in &STAGES {
        let made = &made[stage.build];
        let is_mine = |number: &usize| mutants[number - 1].package == made.package;
        if !waiting.iter().any(is_mine) {
            continue;
        }
        let tests = stage.tests(&made.binaries, scratch)?;
        let all: Duration = tests.iter().map(|test| test.took).sum();
        let is_built = |number: &usize| made.has(*number);
        let mine: Vec<usize> =
            waiting.iter().copied().filter(|number| is_built(number) && is_mine(number)).collect();
        println!(
            "{}: {} mutants, {} tests, which take {} s",
            stage.build,
            mine.len(),
            tests.len(),
            all.as_secs()
        );
        let noticed = Mutex::new(BTreeSet::new());
        each(&mine, |worker, number| {
            let reaches = |test: &&Test| test.reaches.contains(&place[number]);
            let mut reaching: Vec<_> = tests.iter().filter(reaches).collect();
            // They were sorted by what they take, and stay so.
            reaching.sort_by_key(|test| !test.is_about(&mutants[number - 1].file, &about));
            if let Some(by) =
                judge(stage, &reaching, number, &scratch.join(format!("worker-{worker}")))?
            {
                say(number, "noticed", &by)?;
                noticed.lock().map_err(|_| "a worker panicked")?.insert(number);
            }
            Ok(())
        })?;
        let noticed = noticed.into_inner()?;
        waiting.retain(|number| !noticed.contains(number));
        stages.push((stage, tests));
    }

    // What no build has accepted does not count; what one has left out is built alone.
    let builds_of = |number: usize| {
        let package = &mutants[number - 1].package;
        BUILDS.iter().filter(move |build| build.package == *package)
    };
    let alone: Vec<usize> = waiting.iter().copied().collect();
    let shops =
        [0, 1].map(|worker| Workshop::new(root, scratch.join(format!("alone-{worker}")), mutants));
    let shops = shops.into_iter().collect::<Outcome<Vec<_>>>()?;
    each(&alone, |worker, number| {
        let mut is_accepted = builds_of(number).any(|build| made[build.name].has(number));
        let is_absent = builds_of(number).all(|build| made[build.name].absent.contains(&number));
        for build in builds_of(number).filter(|build| made[build.name].left.contains(&number)) {
            let Some(binaries) = shops[worker].make_one(build, &mutants[number - 1])? else {
                continue;
            };
            is_accepted = true;
            for (stage, tests) in stages.iter().filter(|(stage, _)| stage.build == build.name) {
                let tests: Vec<Test> = tests.iter().filter_map(|test| test.of(&binaries)).collect();
                let tests: Vec<&Test> = tests.iter().collect();
                if let Some(by) =
                    judge(stage, &tests, 0, &scratch.join(format!("worker-{worker}")))?
                {
                    return say(number, "noticed", &by);
                }
            }
        }
        let outcome = match (is_accepted, is_absent) {
            (true, _) => "missed",
            (_, true) => "absent",
            _ => "refused",
        };
        say(number, outcome, "-")
    })
}

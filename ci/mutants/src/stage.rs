//! The builds whose tests a mutant has to pass: which they are, and how one is made and run.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Outcome, each};

/// A build of tests, with all mutants that it can have.
#[derive(Debug, PartialEq)]
pub(crate) struct Build {
    pub(crate) name: &'static str,
    /// Whose mutants it is for.
    pub(crate) package: &'static str,
    /// For `cargo test`.
    arguments: &'static [&'static str],
    flags: &'static str,
}

pub(crate) const BUILDS: [Build; 5] = [
    Build {
        name: "std",
        package: "flue-core",
        arguments: &["-p", "flue-core", "--features", "std,bytes"],
        flags: "",
    },
    Build { name: "alloc", package: "flue-core", arguments: &["-p", "flue-core"], flags: "" },
    Build {
        name: "static",
        package: "flue-core",
        arguments: &["-p", "flue-core", "--no-default-features"],
        flags: "",
    },
    Build {
        name: "loom",
        package: "flue-core",
        arguments: &["-p", "loom-tests"],
        flags: "--cfg loom",
    },
    Build { name: "flue-std", package: "flue-std", arguments: &["-p", "flue-std"], flags: "" },
];

/// Tests of a build that a mutant has to pass.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) build: &'static str,
    environment: &'static [(&'static str, &'static str)],
    which: Which,
    /// For all of a mutant's tests, in seconds: after it no other is begun.
    pub(crate) patience: u64,
}

#[derive(Debug)]
enum Which {
    /// These binaries.
    Only(&'static [&'static str]),
    /// Each test whose name ends so, in a process of its own.
    Each(&'static str),
}

/// Nobody reads how it fails.
const SHORTENS: (&str, &str) = ("FLUE_SHORTENS", "0");

/// First what is quick and notices most; last the models: what only a race needs they alone can notice.
pub(crate) const STAGES: [Stage; 6] = [
    Stage {
        build: "std",
        environment: &[("FLUE_CASES", "400"), SHORTENS],
        which: Which::Only(&["flue_core", "conformance"]),
        patience: 60,
    },
    Stage { build: "std", environment: &[SHORTENS], which: Which::Each(""), patience: 30 },
    Stage { build: "alloc", environment: &[SHORTENS], which: Which::Each(""), patience: 30 },
    Stage { build: "static", environment: &[SHORTENS], which: Which::Each(""), patience: 30 },
    Stage {
        build: "loom",
        environment: &[("FLUE_LOOM_SECONDS", "3"), ("LOOM_MAX_PREEMPTIONS", "2")],
        which: Which::Each("::holds"),
        patience: 30,
    },
    Stage { build: "flue-std", environment: &[SHORTENS], which: Which::Each(""), patience: 30 },
];

/// What can be run by itself.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) name: String,
    binary: Binary,
    exact: Option<String>,
    /// What it took as it is.
    pub(crate) took: Duration,
    /// Places of mutants.
    pub(crate) reaches: BTreeSet<usize>,
}

impl Test {
    fn new(binary: &Binary, exact: Option<&str>) -> Self {
        let name = exact.map_or(binary.name.clone(), |exact| format!("{}::{exact}", binary.name));
        let exact = exact.map(str::to_owned);
        Self { name, binary: binary.clone(), exact, took: Duration::ZERO, reaches: BTreeSet::new() }
    }

    /// Whether `loom-tests/about`, which is `about`, says that it is about what is in `file`.
    pub(crate) fn is_about(&self, file: &Path, about: &str) -> bool {
        let file = file.strip_prefix("flue-core/src").unwrap_or(file).to_string_lossy();
        let mut lines = about.lines().map(|line| line.split(' '));
        let found = lines.find_map(|mut line| file.starts_with(line.next()?).then_some(line));
        found.is_some_and(|mut names| names.any(|name| name == self.binary.name))
    }

    /// The same one of another build.
    pub(crate) fn of(&self, binaries: &[Binary]) -> Option<Self> {
        let binary = binaries.iter().find(|binary| binary.name == self.binary.name)?;
        Some(Self { took: self.took, ..Self::new(binary, self.exact.as_deref()) })
    }
}

/// What the compiler says against a build.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) message: String,
    /// File, and byte in it.
    pub(crate) places: Vec<(PathBuf, usize)>,
}

/// A binary of tests.
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    name: String,
    path: PathBuf,
    /// Where they run.
    home: PathBuf,
}

fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("RUST_BACKTRACE", "0");
    for variable in ["FLUE_MUTANT", "FLUE_REACHED", "FLUE_SEED"] {
        command.env_remove(variable);
    }
    command
}

impl Build {
    /// What lies in `tree`.
    pub(crate) fn make(&self, tree: &Path) -> Outcome<Result<Vec<Binary>, Vec<Complaint>>> {
        let mut command = command("cargo");
        command.current_dir(tree).args([
            "test",
            "--no-run",
            "--quiet",
            "--message-format",
            "json",
            "--lib",
            "--tests",
        ]);
        command.args(self.arguments).env("RUSTFLAGS", format!("{} --cap-lints warn", self.flags));
        command.env("CARGO_TARGET_DIR", tree.join("target"));
        for (variable, value) in [("DEBUG", "0"), ("DEBUG_ASSERTIONS", "true")] {
            command.env(format!("CARGO_PROFILE_TEST_{variable}"), value);
        }
        let said = command.output()?;
        let mut binaries = Vec::new();
        let mut complaints = Vec::new();
        for line in said.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let said: Value = serde_json::from_slice(line)?;
            if let (true, Some(binary)) =
                (said["profile"]["test"] == true, said["executable"].as_str())
            {
                let home =
                    Path::new(said["manifest_path"].as_str().ok_or("a target without a manifest")?);
                binaries.push(Binary {
                    name: said["target"]["name"]
                        .as_str()
                        .ok_or("a target without a name")?
                        .to_owned(),
                    path: binary.into(),
                    home: home.parent().ok_or("a manifest without a directory")?.into(),
                });
            } else if said["message"]["level"] == "error" {
                complaints.extend(complaint(&said["message"]));
            }
        }
        if said.status.success() {
            return Ok(Ok(binaries));
        }
        if complaints.is_empty() {
            return Err(format!("{}: {}", self.name, String::from_utf8_lossy(&said.stderr)).into());
        }
        Ok(Err(complaints))
    }
}

impl Stage {
    /// Runs everything as it is, and keeps how long it took and what it reaches.
    pub(crate) fn tests(&self, binaries: &[Binary], scratch: &Path) -> Outcome<Vec<Test>> {
        let mut tests = Vec::new();
        for binary in binaries {
            match self.which {
                Which::Only(names) if !names.contains(&&*binary.name) => {}
                // What counts instructions counts those that choose, too.
                _ if binary.name == "steps" => {}
                Which::Only(_) => tests.push(Test::new(binary, None)),
                Which::Each(wanted) => {
                    let list =
                        String::from_utf8(command(&binary.path).arg("--list").output()?.stdout)?;
                    let models = list.lines().filter_map(|line| line.strip_suffix(": test"));
                    tests.extend(
                        models
                            .filter(|model| model.ends_with(wanted))
                            .map(|model| Test::new(binary, Some(model))),
                    );
                }
            }
        }
        let count = tests.len();
        let tests = Mutex::new(tests);
        each(&(0..count).collect::<Vec<_>>(), |worker, at| {
            let mut test = tests.lock().map_err(|_| "a worker panicked")?[at].clone();
            let scratch = scratch.join(format!("worker-{worker}"));
            std::fs::create_dir_all(&scratch)?;
            let reached = scratch.join("reached");
            File::create(&reached)?;
            let began = Instant::now();
            let variable = ("FLUE_REACHED", reached.as_os_str());
            if !self.passes(&test, variable, Duration::from_secs(600), &scratch)? {
                let log = scratch.join("log");
                return Err(format!(
                    "{}: {} fails as it is: {}",
                    self.build,
                    test.name,
                    log.display()
                )
                .into());
            }
            test.took = began.elapsed();
            for line in std::fs::read_to_string(&reached)?.lines() {
                test.reaches.insert(line.parse()?);
            }
            tests.lock().map_err(|_| "a worker panicked")?[at] = test;
            Ok(())
        })?;
        let mut tests = tests.into_inner()?;
        tests.sort_by_key(|test| test.took);
        Ok(tests)
    }

    /// Whether a test passes within so long.
    pub(crate) fn passes(
        &self,
        test: &Test,
        variable: (&str, &std::ffi::OsStr),
        limit: Duration,
        scratch: &Path,
    ) -> Outcome<bool> {
        // A mutant may allocate for ever, start others that outlive it, and outlive this program.
        let mut command = command("sh");
        command.envs(self.environment.iter().copied());
        command.args(["-c", "ulimit -v 12000000; exec timeout -s KILL \"$0\" \"$@\""]);
        command
            .arg((limit.as_secs() + 10).to_string())
            .arg(&test.binary.path)
            .current_dir(&test.binary.home);
        if let Some(exact) = &test.exact {
            command.args(["--exact", exact]);
        }
        let path = scratch.join("log");
        let log = File::create(&path)?;
        command.env(variable.0, variable.1).stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut child = command.spawn()?;
        let began = Instant::now();
        // One that fails is enough.
        let has_failed = || {
            std::fs::read(&path).is_ok_and(|log| log.windows(10).any(|text| text == b"... FAILED"))
        };
        let status = loop {
            match child.try_wait()? {
                None if began.elapsed() < limit && !has_failed() => {
                    std::thread::sleep(Duration::from_millis(10))
                }
                status => break status,
            }
        };
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -9 -{} 2>/dev/null", child.id())])
            .status()?;
        child.wait()?;
        Ok(status.is_some_and(|status| status.success()))
    }
}

fn complaint(said: &Value) -> Option<Complaint> {
    let message = said["message"].as_str()?.to_owned();
    let spans = said["spans"].as_array()?;
    let (first, others): (Vec<_>, Vec<_>) =
        spans.iter().partition(|span| span["is_primary"] == true);
    let place = |span: &&Value| {
        Some((span["file_name"].as_str()?.into(), span["byte_start"].as_u64()? as usize))
    };
    let places: Vec<_> = first.iter().chain(&others).filter_map(place).collect();
    (!places.is_empty()).then_some(Complaint { message, places })
}

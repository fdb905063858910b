//! What a run keeps for the next one: of files that have not changed, the mutants that tests have
//! noticed and those that the compiler does not accept. What changes a test alone changes neither.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::Outcome;
use crate::list::Mutant;
use crate::schema::Apart;

pub(crate) struct Kept<'a> {
    directory: PathBuf,
    /// By name.
    numbers: BTreeMap<&'a str, usize>,
    noticed: Mutex<fs::File>,
}

impl<'a> Kept<'a> {
    /// What `directory` has, after what is about files that have changed was deleted.
    pub(crate) fn open(root: &Path, directory: &Path, mutants: &'a [Mutant]) -> Outcome<Self> {
        fs::create_dir_all(directory)?;
        let mut sources = BTreeSet::new();
        for file in mutants.iter().map(|mutant| &mutant.file).collect::<BTreeSet<_>>() {
            let text = fs::read_to_string(root.join(file))?;
            let mut hasher = DefaultHasher::new();
            text.split("\nmod tests {").next().hash(&mut hasher); // The last in its file.
            sources.insert(format!("{}:{}", file.display(), hasher.finish()));
        }
        let file = directory.join("sources");
        let before = fs::read_to_string(&file).unwrap_or_default();
        let before: BTreeSet<&str> = before.lines().collect();
        let is_same = |name: &str| {
            let of = name.split(':').next().unwrap_or_default();
            sources
                .iter()
                .any(|source| source.starts_with(&format!("{of}:")) && before.contains(&**source))
        };
        let kept = mutants.iter().enumerate().filter(|(_, mutant)| is_same(&mutant.name));
        let numbers = kept.map(|(at, mutant)| (&*mutant.name, at + 1)).collect();
        let path = directory.join("noticed");
        let lines = fs::read_to_string(&path).unwrap_or_default();
        let lines: String = lines
            .split_inclusive('\n')
            .filter(|line| line.trim_end().split_once('\t').is_some_and(|(_, name)| is_same(name)))
            .collect();
        fs::write(&path, lines)?;
        // What is absent is asked again if any file has changed.
        let all_same = sources.iter().all(|source| before.contains(&**source));
        for apart in fs::read_dir(directory)? {
            let apart = apart?.path();
            if apart.extension().is_some_and(|extension| extension == "apart") {
                let lines = fs::read_to_string(&apart)?;
                let stays = |line: &&str| match line.trim_end().split_once('\t') {
                    Some(("constant", _)) => true,
                    Some(("refused", name)) => is_same(name),
                    _ => all_same,
                };
                fs::write(&apart, lines.split_inclusive('\n').filter(stays).collect::<String>())?;
            }
        }
        fs::write(&file, sources.into_iter().map(|source| source + "\n").collect::<String>())?;
        let noticed = fs::OpenOptions::new().append(true).open(path)?;
        Ok(Self { directory: directory.into(), numbers, noticed: Mutex::new(noticed) })
    }

    /// Which were noticed before, and by which test.
    pub(crate) fn noticed(&self) -> Outcome<BTreeMap<usize, String>> {
        let lines = fs::read_to_string(self.directory.join("noticed"))?;
        let lines = lines.lines().filter_map(|line| line.split_once('\t'));
        Ok(lines.filter_map(|(by, name)| Some((*self.numbers.get(name)?, by.to_owned()))).collect())
    }

    pub(crate) fn notice(&self, mutant: &Mutant, by: &str) -> Outcome<()> {
        let mut file = self.noticed.lock().map_err(|_| "a worker panicked")?;
        Ok(file.write_all(format!("{by}\t{}\n", mutant.name).as_bytes())?)
    }

    /// What a build left out.
    pub(crate) fn apart(&self, build: &str) -> Apart {
        let mut apart = Apart::default();
        let file = self.directory.join(format!("{build}.apart"));
        for line in fs::read_to_string(file).unwrap_or_default().lines() {
            let Some((what, name)) = line.split_once('\t') else { continue };
            let number = self.numbers.get(name).copied();
            match what {
                "constant" => _ = apart.constant.insert(name.to_owned()),
                "refused" => apart.mutants.extend(number),
                _ => apart.absent.get_or_insert_default().extend(number),
            }
        }
        apart
    }

    pub(crate) fn set_apart(&self, build: &str, apart: &Apart, mutants: &[Mutant]) -> Outcome<()> {
        let name = |number: &usize| mutants[number - 1].name.clone();
        let constant = apart.constant.iter().map(|name| ("constant", name.clone()));
        let refused = apart.mutants.iter().map(|number| ("refused", name(number)));
        let absent = apart.absent.iter().flatten().map(|number| ("absent", name(number)));
        let asked = apart.absent.iter().map(|_| ("absent", "-".to_owned()));
        let lines = constant
            .chain(refused)
            .chain(asked)
            .chain(absent)
            .map(|(what, name)| format!("{what}\t{name}\n"));
        Ok(fs::write(self.directory.join(format!("{build}.apart")), lines.collect::<String>())?)
    }
}

//! All workloads, Flue beside its peers, in one table. `--help` tells the options.

use benches::cores::Cores;
use benches::measure::{self, Effort};
use benches::{heap, plot, report, theirs, workload};
use clap::Parser;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// Flue beside its peers, interleaved in one run.
#[derive(Debug, Parser)]
struct Options {
    /// Only the workloads whose name contains this.
    filter: Option<String>,
    /// Ends within a minute: shows that everything runs, its figures are rough.
    #[arg(long)]
    quick: bool,
    /// Prints JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// Prints the name of every workload and contender instead of running them.
    #[arg(long)]
    list: bool,
    /// One burst of processes, in a program of its own: shape, who, how many.
    #[arg(long, num_args = 3, hide = true)]
    burst: Option<Vec<String>>,
    /// `cargo bench` passes this.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A kill that recursed would need it.
const STACK: usize = 256 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let program = thread::Builder::new().stack_size(STACK);
    let result = program.spawn(move || run(&options).map_err(|error| error.to_string()))?.join();
    result.map_err(|_| "a workload panicked")?.map_err(Into::into)
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let _context = theirs::runtime().enter();
    if let Some([shape, who, processes]) = options.burst.as_deref() {
        workload::memory::burst(shape, who, processes.parse()?);
        return Ok(());
    }
    let cores = Cores::take().ok_or("this system does not tell its cores")?;
    let effort = if options.quick { Effort::QUICK } else { Effort::FULL };
    let filter = options.filter.as_deref().unwrap_or("");
    let rows = workload::all(&effort, cores).into_iter().filter(|row| row.name.contains(filter));
    if options.list {
        for row in rows {
            row.contenders().for_each(|who| println!("{}\t{who}", row.name));
        }
        return Ok(());
    }
    if !cores.several() {
        eprintln!("one core only: the rows across cores share it");
    }
    if !options.json {
        println!("{}", report::HEAD);
    }
    let mut outcomes = Vec::new();
    for row in rows {
        for outcome in measure::run(row, &effort, cores) {
            if !options.json {
                print!("{}", report::lines(&outcome));
            }
            outcomes.push(outcome);
        }
    }
    let directory = target().join("peers");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("peers.csv"), report::csv(&outcomes))?;
    plot::draw(&outcomes, &directory.join("peers.svg"))?;
    if options.json {
        print!("{}", report::json(&outcomes));
    } else {
        print!("\n{}", report::summary(&outcomes));
        println!("wrote {}/peers.csv and peers.svg", directory.display());
    }
    Ok(())
}

/// The target directory: where cargo was told, or the one this program lies in.
fn target() -> PathBuf {
    let beside = || Some(env::current_exe().ok()?.parent()?.parent()?.parent()?.to_path_buf());
    let told = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    told.or_else(beside).unwrap_or_else(|| Path::new("target").into())
}

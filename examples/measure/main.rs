//! What the secret scanner finds, and what it cries wolf over: `cargo run --release --example measure -- --help`.
//! `docs/measuring.md` tells how to read the tables.

#![allow(clippy::print_stdout, reason = "it prints its figures")]

mod benign;
mod fetch;
mod grams;
mod history;
mod near_miss;
mod recall;
mod sources;
mod syntax;
mod tally;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

/// Measure recall and false alarms of the secret scanner.
#[derive(Parser)]
struct Args {
    /// Without a command: recall, near misses, and every corpus that is there.
    #[command(subcommand)]
    what: Option<What>,
    /// Samples of each format.
    #[arg(long, global = true, default_value_t = 3)]
    seeds: u64,
    /// So many findings are shown with their place, the surest first; never the secret.
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    show: usize,
}

#[derive(Subcommand)]
enum What {
    /// Samples of every rule in many syntaxes.
    Recall {
        /// This rule alone.
        #[arg(long)]
        rule: Option<String>,
        /// Every rule, not only those that miss something.
        #[arg(long)]
        all: bool,
    },
    /// What looks like a secret and is none.
    NearMiss,
    /// False alarms in folders; without any, in those that cargo and `fetch` left.
    Benign {
        /// Folders.
        folders: Vec<PathBuf>,
    },
    /// Every blob of a repository, and its messages.
    History {
        /// Repositories.
        #[arg(required = true)]
        repositories: Vec<PathBuf>,
    },
    /// The common grams of folders, for rules/common-grams.txt.
    Grams {
        /// Folders.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
    /// Download the corpora from the registries, about a gigabyte, into target/corpus.
    Fetch,
}

fn main() -> Result<(), String> {
    let args = Args::parse();
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/corpus");
    let benign = |folders: Vec<PathBuf>| {
        folders
            .iter()
            .try_for_each(|folder| benign::print(folder, args.show))
    };
    match args.what {
        Some(What::Recall { rule, all }) => recall::print(rule.as_deref(), args.seeds, all),
        Some(What::NearMiss) => near_miss::print(args.seeds, args.show),
        Some(What::Benign { folders }) if folders.is_empty() => benign(benign::corpora(&fetched))?,
        Some(What::Benign { folders }) => benign(folders)?,
        Some(What::History { repositories }) => {
            repositories
                .iter()
                .try_for_each(|repository| history::print(repository, args.show))?;
        }
        Some(What::Grams { folders }) => grams::print(&folders)?,
        Some(What::Fetch) => fetch::all(&fetched)?,
        None => {
            recall::print(None, args.seeds, false);
            near_miss::print(args.seeds, args.show);
            benign(benign::corpora(&fetched))?;
        }
    }
    Ok(())
}

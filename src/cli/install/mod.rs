//! `ringfence install` and `ringfence uninstall`: puts the hook where a host runs it.
//!
//! Never overwrites a hook that is not ours, never edits a host's configuration, and ends by looking at the result as
//! `doctor` does: a hook that git does not run is worse than none.

pub(super) mod lines;
pub(super) mod repositories;
pub(super) mod shim;
#[cfg(test)]
pub(super) mod tests;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{Exit, doctor};
use crate::check;
use crate::policy::Policy;
use crate::scan;
use lines::{Lines, shown};
use repositories::Settings;
use shim::{Found, Hook};

/// Which program runs the hook, and so where it looks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum HookHost {
    /// git alone: over a path, ssh, or git http-backend.
    Plain,
    /// Gitea or Forgejo.
    Gitea,
    /// GitLab.
    Gitlab,
    /// gitolite3.
    Gitolite,
    /// The git client of a developer or agent. Advisory.
    PrePush,
}

/// Which repositories.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Target {
    /// One repository, bare or with a work tree.
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// Every bare repository below this folder.
    #[arg(long, value_name = "DIR")]
    repo_root: Option<PathBuf>,
    /// gitolite's LOCAL_CODE folder: every repository that it manages.
    #[arg(long, value_name = "DIR")]
    local_code: Option<PathBuf>,
}

/// Arguments of `ringfence install`.
#[derive(Debug, clap::Args)]
pub(super) struct InstallArgs {
    /// Which program runs the hook.
    host: HookHost,
    #[command(flatten)]
    target: Target,
    /// The policy that the hook judges by.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The ringfence program that the hook calls [default: this one].
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
    /// Keep a hook that is already there: it runs after the gate has accepted, on the same input.
    #[arg(long)]
    chain: bool,
}

/// Arguments of `ringfence uninstall`.
#[derive(Debug, clap::Args)]
pub(super) struct UninstallArgs {
    /// Which program runs the hook.
    host: HookHost,
    #[command(flatten)]
    target: Target,
}

/// Runs `ringfence install`.
pub(super) fn install(args: &InstallArgs, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let mut lines = Lines::new(out);
    let plan = match Plan::of(args) {
        Ok(plan) => plan,
        Err(message) => return usage(err, &message),
    };
    let places = match places(args.host, &args.target, &mut lines) {
        Ok(places) => places,
        Err(message) => return usage(err, &message),
    };
    for place in &places {
        lines.plain(shown(&place.folder));
        match plan.put(place, &mut lines) {
            Ok(()) => {
                if let Some(git_dir) = &place.git_dir {
                    lines.only_findings = true;
                    doctor::examine(git_dir, Some(&plan.policy), &mut lines);
                    lines.only_findings = false;
                }
            }
            Err(Refusal { what, hint }) => lines.error(what, hint),
        }
    }
    if lines.errors() > 0 {
        return Exit::Refuse;
    }
    for hint in afterwards(args.host, &args.target) {
        lines.hint(hint);
    }
    Exit::Accept
}

/// Runs `ringfence uninstall`. The folder `ringfence/` stays: it holds the record.
pub(super) fn uninstall(args: &UninstallArgs, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let mut lines = Lines::new(out);
    let places = match places(args.host, &args.target, &mut lines) {
        Ok(places) => places,
        Err(message) => return usage(err, &message),
    };
    for place in &places {
        lines.plain(shown(&place.folder));
        for (_, file) in &place.hooks {
            if let Err(Refusal { what, hint }) = remove(file, &mut lines) {
                lines.error(what, hint);
            }
        }
    }
    if lines.errors() > 0 {
        Exit::Refuse
    } else {
        Exit::Accept
    }
}

fn usage(err: &mut dyn Write, message: &str) -> Exit {
    // A mistake in a policy comes with its own first word.
    let first = if message.contains("error: ") {
        ""
    } else {
        "error: "
    };
    let _ = writeln!(err, "{first}{}", message.trim_end());
    Exit::Usage
}

/// Why nothing was changed at one place, and what to do.
struct Refusal {
    what: String,
    hint: String,
}

fn refusal<T>(what: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        what: what.into(),
        hint: hint.into(),
    })
}

fn failed(file: &Path, error: &io::Error) -> Refusal {
    Refusal {
        what: format!("{}: {error}", shown(file)),
        hint: "run this as the account that owns the repository".to_owned(),
    }
}

/// One repository, or the folder that a host copies hooks from.
struct Place {
    /// As shown.
    folder: PathBuf,
    git_dir: Option<PathBuf>,
    hooks: Vec<(Hook, PathBuf)>,
}

fn places(host: HookHost, target: &Target, lines: &mut Lines<'_>) -> Result<Vec<Place>, String> {
    if let Some(folder) = &target.local_code {
        if host != HookHost::Gitolite {
            return Err("--local-code is for gitolite alone".to_owned());
        }
        if !folder.is_dir() {
            return Err(format!("{} is not a folder", shown(folder)));
        }
        let common = folder.join("hooks/common");
        return Ok(vec![Place {
            folder: folder.clone(),
            git_dir: None,
            hooks: [Hook::PreReceive, Hook::PostReceive]
                .map(|hook| (hook, common.join(hook.name())))
                .to_vec(),
        }]);
    }
    if host == HookHost::PrePush && target.repo_root.is_some() {
        return Err("pre-push is for one work tree: use --repo".to_owned());
    }
    let git_dirs = git_dirs(target.repo.as_deref(), target.repo_root.as_deref(), lines)?;
    Ok(git_dirs
        .into_iter()
        .map(|git_dir| Place {
            folder: git_dir.clone(),
            hooks: hook_files(host, &git_dir),
            git_dir: Some(git_dir),
        })
        .collect())
}

/// The repositories that `--repo` or `--repo-root` names.
pub(super) fn git_dirs(
    repo: Option<&Path>,
    root: Option<&Path>,
    lines: &mut Lines<'_>,
) -> Result<Vec<PathBuf>, String> {
    let Some(root) = root else {
        let found = match repo {
            Some(repo) => repositories::git_dir(repo),
            // The current folder may lie deep in a work tree.
            None => std::env::current_dir()
                .ok()
                .and_then(|here| here.ancestors().find_map(repositories::git_dir)),
        };
        let repo = repo.unwrap_or(Path::new("the current folder"));
        return match found {
            Some(git_dir) => Ok(vec![git_dir]),
            None => Err(format!("{} is not a git repository", shown(repo))),
        };
    };
    let root = root
        .canonicalize()
        .map_err(|error| format!("{}: {error}", shown(root)))?;
    let (found, unread) = repositories::bare_below(&root);
    for (folder, error) in unread {
        lines.error(
            format_args!("{}: {error}", shown(&folder)),
            "repositories below it are not covered; run this as the account that owns them",
        );
    }
    if found.is_empty() {
        return Err(format!("no bare repository below {}", shown(&root)));
    }
    Ok(found)
}

/// Where a host looks for hooks of one repository.
fn hook_files(host: HookHost, git_dir: &Path) -> Vec<(Hook, PathBuf)> {
    let both = [Hook::PreReceive, Hook::PostReceive];
    let folder = |name: &str| {
        both.map(|hook| {
            let folder = git_dir.join(name).join(format!("{}.d", hook.name()));
            // First by name, so that the gate's answer does not wait for the host's own checks.
            (hook, folder.join("00-ringfence"))
        })
        .to_vec()
    };
    match host {
        HookHost::Plain | HookHost::Gitolite => both
            .map(|hook| (hook, git_dir.join("hooks").join(hook.name())))
            .to_vec(),
        HookHost::Gitea => folder("hooks"),
        HookHost::Gitlab => folder("custom_hooks"),
        HookHost::PrePush => vec![(Hook::PrePush, git_dir.join("hooks/pre-push"))],
    }
}

/// What every hook of one run says.
struct Plan {
    host: HookHost,
    binary: PathBuf,
    policy: PathBuf,
    chain: bool,
}

impl Plan {
    fn of(args: &InstallArgs) -> Result<Self, String> {
        let binary = match &args.bin {
            Some(binary) => binary.clone(),
            None => std::env::current_exe()
                .map_err(|error| format!("this program cannot find itself: {error}; use --bin"))?,
        };
        // Absolute, but symbolic links stay: an upgrade may move the link.
        let binary =
            std::path::absolute(&binary).map_err(|error| format!("{}: {error}", shown(&binary)))?;
        let metadata = fs::metadata(&binary)
            .map_err(|error| format!("the program {}: {error}", shown(&binary)))?;
        if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
            return Err(format!("{} is not a program", shown(&binary)));
        }
        let policy = std::path::absolute(&args.policy)
            .map_err(|error| format!("{}: {error}", shown(&args.policy)))?;
        // A hook with a policy that cannot be used refuses every push.
        let read = Policy::load(&policy, &check::known()).map_err(|error| error.to_string())?;
        scan::examine(&read.rule_packs)
            .map_err(|error| format!("the rules of the policy: {error}"))?;
        Ok(Plan {
            host: args.host,
            binary,
            policy,
            chain: args.chain,
        })
    }

    /// Looks at everything first, then writes: a repository gets all of its hooks or none.
    fn put(&self, place: &Place, lines: &mut Lines<'_>) -> Result<(), Refusal> {
        if let Some(git_dir) = &place.git_dir {
            self.check_runs(git_dir)?;
        }
        let mut chain = Vec::new();
        for (_, file) in &place.hooks {
            if self.check_free(file)? {
                chain.push(file);
            }
        }
        if let Some(git_dir) = &place.git_dir {
            make_record_folder(git_dir, lines)?;
        }
        for file in chain {
            let kept = shim::chained(file);
            fs::rename(file, &kept).map_err(|error| failed(file, &error))?;
            lines.ok(format_args!(
                "the hook that was here is now {}",
                shown(&kept)
            ));
        }
        for (hook, file) in &place.hooks {
            let script = shim::render(*hook, &self.binary, &self.policy);
            if fs::read(file).is_ok_and(|old| old == script) && is_executable(file) {
                lines.ok(format_args!("{} is up to date", shown(file)));
                continue;
            }
            shim::write(file, &script).map_err(|error| failed(file, &error))?;
            lines.ok(format_args!("wrote {}", shown(file)));
        }
        Ok(())
    }

    /// A hook in a folder that git does not look at accepts everything.
    fn check_runs(&self, git_dir: &Path) -> Result<(), Refusal> {
        // Gitaly points `core.hooksPath` at itself, and runs custom hooks on its own.
        if self.host == HookHost::Gitlab {
            return Ok(());
        }
        let settings = match Settings::of(git_dir) {
            Ok(settings) => settings,
            Err(why) => {
                return refusal(why, "the configuration of the repository must be readable");
            }
        };
        let usual = git_dir.join("hooks");
        let folder = settings.hooks_folder(git_dir);
        let same = folder.canonicalize().ok() == usual.canonicalize().ok() && usual.is_dir();
        if settings.get("core.hookspath").is_some() && !same {
            return refusal(
                format!(
                    "core.hooksPath is {}: git would not run a hook in {}",
                    shown(&folder),
                    shown(&usual)
                ),
                "unset it (git config --unset core.hooksPath), or call ringfence from a hook in that folder",
            );
        }
        Ok(())
    }

    /// Whether a foreign hook has to make room; refuses when it may not.
    fn check_free(&self, file: &Path) -> Result<bool, Refusal> {
        match shim::look(file).map_err(|error| failed(file, &error))? {
            Found::Nothing | Found::Shim { .. } => Ok(false),
            Found::Dangling => refusal(
                format!("{} is a symbolic link to nothing", shown(file)),
                "remove the link, or restore what it points to",
            ),
            Found::NotAFile => refusal(
                format!("{} is not a file", shown(file)),
                "move it out of the way",
            ),
            Found::Foreign { .. } if !self.chain => refusal(
                format!("{} is a hook of somebody else", shown(file)),
                "use --chain to run it after the gate, or call ringfence from it and leave it there",
            ),
            Found::Foreign { .. } if !is_executable(file) => refusal(
                format!("{} is not executable, so git does not run it", shown(file)),
                "remove it, or make it executable to keep it with --chain",
            ),
            Found::Foreign { .. } if shim::chained(file).symlink_metadata().is_ok() => refusal(
                format!("{} keeps another hook already", shown(&shim::chained(file))),
                "join the two hooks by hand",
            ),
            Found::Foreign { .. } => Ok(true),
        }
    }
}

pub(super) fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

/// `<git dir>/ringfence/`: ledger and keys, for the account alone that runs git.
fn make_record_folder(git_dir: &Path, lines: &mut Lines<'_>) -> Result<(), Refusal> {
    let folder = git_dir.join("ringfence");
    if folder.is_dir() {
        return Ok(());
    }
    let owner = fs::metadata(git_dir).map_err(|error| failed(git_dir, &error))?;
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| failed(&folder, &error))?;
    // The administrator may be root; the hook is not, and a record that it cannot write refuses every push.
    let made = fs::metadata(&folder).map_err(|error| failed(&folder, &error))?;
    if (made.uid(), made.gid()) != (owner.uid(), owner.gid()) && made.uid() == 0 {
        // Never through a link: the folder above belongs to the account that may have put one here by now.
        std::os::unix::fs::lchown(&folder, Some(owner.uid()), Some(owner.gid()))
            .map_err(|error| failed(&folder, &error))?;
    }
    lines.ok(format_args!("made {}", shown(&folder)));
    Ok(())
}

fn remove(file: &Path, lines: &mut Lines<'_>) -> Result<(), Refusal> {
    match shim::look(file).map_err(|error| failed(file, &error))? {
        Found::Shim { .. } => {}
        Found::Nothing => {
            lines.ok(format_args!("{} is not there", shown(file)));
            return Ok(());
        }
        Found::Dangling | Found::NotAFile | Found::Foreign { .. } => {
            return refusal(
                format!("{} is not ours", shown(file)),
                "it stays as it is; if it calls ringfence, take the call out by hand",
            );
        }
    }
    let kept = shim::chained(file);
    if kept.symlink_metadata().is_ok() {
        fs::rename(&kept, file).map_err(|error| failed(file, &error))?;
        lines.ok(format_args!(
            "{} is the hook from before again",
            shown(file)
        ));
    } else {
        fs::remove_file(file).map_err(|error| failed(file, &error))?;
        lines.ok(format_args!("removed {}", shown(file)));
    }
    Ok(())
}

/// What no installer can do for the administrator.
fn afterwards(host: HookHost, target: &Target) -> &'static [&'static str] {
    match host {
        HookHost::Plain if target.repo_root.is_some() => &[
            "repositories made later have no hook: install again, or use init.templateDir of the account that makes them",
        ],
        HookHost::Plain => &[],
        HookHost::Gitea => &[
            "new repositories, forks and first wiki pages come without the hook. To cover them, set init.templateDir in the",
            "gitconfig of Gitea's git home, and put the same file into its hooks/pre-receive.d/ and hooks/post-receive.d/",
        ],
        HookHost::Gitlab => &[
            "new projects come without the hook. To cover them, put the same file into pre-receive.d/ and post-receive.d/",
            "of Gitaly's hooks.custom_hooks_dir",
        ],
        HookHost::Gitolite if target.local_code.is_some() => &[
            "now run: gitolite setup --hooks-only (LOCAL_CODE in .gitolite.rc must name this folder),",
            "and then: ringfence doctor --repo-root DIR, to see every repository covered",
        ],
        HookHost::Gitolite => {
            &["new repositories come without the hook; --local-code DIR covers them"]
        }
        HookHost::PrePush => &["advisory: git push --no-verify skips it. The server decides"],
    }
}

//! `ringfence doctor`: finds the states in which a push passes unseen, and those in which every push is refused.
//!
//! git runs no hook, and says nothing, when the file is absent, a dangling link, not executable, or when
//! `core.hooksPath` leads elsewhere. None of that shows until somebody looks.

mod packs;
mod record;
mod signers;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Exit;
use super::install::lines::{Lines, shown};
use super::install::repositories::{Settings, git_version};
use super::install::shim::{self, Found};
use super::install::{git_dirs, is_executable};
use crate::check;
use crate::policy::Policy;
use crate::push::HostKind;

/// Arguments of `ringfence doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// One repository [default: the one of the current folder].
    #[arg(long, value_name = "DIR", conflicts_with = "repo_root")]
    repo: Option<PathBuf>,
    /// Every bare repository below this folder.
    #[arg(long, value_name = "DIR")]
    repo_root: Option<PathBuf>,
    /// The policy that every hook must judge by.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// Runs `ringfence doctor`.
pub(super) fn run(args: &DoctorArgs, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let mut lines = Lines::new(out);
    let git_dirs = match git_dirs(args.repo.as_deref(), args.repo_root.as_deref(), &mut lines) {
        Ok(git_dirs) => git_dirs,
        Err(message) => {
            let _ = writeln!(err, "error: {message}");
            return Exit::Usage;
        }
    };
    check_git(&mut lines);
    for git_dir in &git_dirs {
        lines.plain(shown(git_dir));
        examine(git_dir, args.policy.as_deref(), &mut lines);
    }
    if lines.errors() > 0 {
        Exit::Refuse
    } else {
        Exit::Accept
    }
}

fn check_git(lines: &mut Lines<'_>) {
    match git_version() {
        Some(version) if version >= (2, 11) => lines.ok("git keeps pushed objects in quarantine"),
        Some((major, minor)) => lines.error(
            format_args!(
                "git {major}.{minor} has no quarantine: refused objects stay in the repository"
            ),
            "use git 2.11 or later",
        ),
        None => lines.error("git cannot be run", "put git on the PATH"),
    }
}

/// Looks at one repository, on whichever host it is.
pub(super) fn examine(git_dir: &Path, policy: Option<&Path>, lines: &mut Lines<'_>) {
    check_owner(git_dir, lines);
    let settings = match Settings::of(git_dir) {
        Ok(settings) => settings,
        Err(why) => {
            lines.error(
                why,
                "git refuses every push to this repository until its configuration is mended",
            );
            return;
        }
    };
    let installed = installed(git_dir, &settings, lines);
    let policy = match &installed {
        Some(hook) => check_hook(hook, policy, lines),
        None => policy.and_then(|file| check_policy(file, false, lines)),
    };
    let advisory = installed
        .as_ref()
        .is_some_and(|hook| hook.kind == Kind::PrePush);
    if !advisory {
        if let Some(hook) = &installed {
            check_post_receive(hook, lines);
        }
        record::check(git_dir, policy.as_ref(), lines);
        check_settings(&settings, lines);
    }
}

/// The policy that the installed hook judges by, when it is ours and says it.
pub(super) fn installed_policy(git_dir: &Path) -> Option<PathBuf> {
    let mut unheard = io::sink();
    let mut lines = Lines::new(&mut unheard);
    let settings = Settings::of(git_dir).ok()?;
    match installed(git_dir, &settings, &mut lines)?.found {
        Found::Shim { policy, .. } => Some(policy),
        _ => None,
    }
}

/// A check as another account proves little: files may be readable for one and not for the other.
fn check_owner(git_dir: &Path, lines: &mut Lines<'_>) {
    let uid = |path: &Path| fs::metadata(path).map(|metadata| metadata.uid()).ok();
    let (own, theirs) = (uid(Path::new("/proc/self")), uid(git_dir));
    if let (Some(own), Some(theirs)) = (own, theirs)
        && own != theirs
    {
        lines.warning(
            format_args!("the repository belongs to user {theirs}, and this runs as user {own}"),
            "run doctor as the account that runs git: its rights and its gitconfig decide",
        );
    }
}

/// Which program runs the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Gitea,
    Gitlab,
    PrePush,
}

/// A hook of ours, or one that names ringfence.
struct Installed {
    kind: Kind,
    file: PathBuf,
    found: Found,
}

/// Finds the hook where a host would run it; tells when there is none.
fn installed(git_dir: &Path, settings: &Settings, lines: &mut Lines<'_>) -> Option<Installed> {
    let usual = git_dir.join("hooks");
    let hooks = settings.hooks_folder(git_dir);
    let moved = settings.get("core.hookspath").is_some() && hooks != usual;
    let candidates = [
        (Kind::Gitlab, git_dir.join("custom_hooks/pre-receive")),
        (Kind::Gitlab, git_dir.join("custom_hooks/pre-receive.d")),
        (Kind::Gitea, hooks.join("pre-receive.d")),
        (Kind::Plain, hooks.join("pre-receive")),
        (Kind::PrePush, hooks.join("pre-push")),
    ];
    let mut broken = Vec::new();
    let server = settings.is("core.bare", true);
    for (kind, path) in &candidates {
        if *kind == Kind::PrePush && server {
            continue; // git runs it on the side that sends.
        }
        for file in files(path) {
            match shim::look(&file) {
                Ok(
                    found @ (Found::Shim { .. }
                    | Found::Foreign {
                        names_ringfence: true,
                    }),
                ) => {
                    let hook = Installed {
                        kind: *kind,
                        file,
                        found,
                    };
                    if hook.kind == Kind::Gitea {
                        check_dispatcher(&hooks, lines);
                    }
                    return Some(hook);
                }
                Ok(Found::Dangling) => {
                    broken.push(format!("{} is a symbolic link to nothing", shown(&file)))
                }
                Err(error) => broken.push(format!("{}: {error}", shown(&file))),
                Ok(Found::Nothing | Found::NotAFile | Found::Foreign { .. }) => {}
            }
        }
    }
    if let Some(name) = configured(settings) {
        check_configured(settings, &name, lines);
        return None;
    }
    let what = if moved && !hooks.is_dir() {
        format!(
            "core.hooksPath is {}, which is not a folder: git runs no hook",
            shown(&hooks)
        )
    } else if moved {
        format!(
            "core.hooksPath is {}, and no hook there calls ringfence",
            shown(&hooks)
        )
    } else if let Some(broken) = broken.first() {
        broken.clone()
    } else if hooks.join("pre-receive").exists() {
        format!(
            "{} does not call ringfence",
            shown(&hooks.join("pre-receive"))
        )
    } else {
        format!("no pre-receive hook in {}", shown(&hooks))
    };
    let hint = if moved {
        "unset core.hooksPath and run ringfence install, or call ringfence from a hook in that folder"
    } else {
        "every push is accepted unseen; run ringfence install"
    };
    lines.error(what, hint);
    None
}

/// A hook file itself, or every file of a `.d` folder, by name. Hosts leave out what ends in a tilde.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.extension().is_none_or(|extension| extension != "d") {
        return vec![path.to_path_buf()];
    }
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.retain(|file| !file.as_os_str().as_bytes().ends_with(b"~"));
    files.sort();
    files
}

/// Gitea's own `hooks/pre-receive` runs the folder beside it; without it nothing does.
fn check_dispatcher(hooks: &Path, lines: &mut Lines<'_>) {
    let file = hooks.join("pre-receive");
    let runs_folder = fs::read(&file).is_ok_and(|text| {
        let text = String::from_utf8_lossy(&text);
        text.contains("pre-receive.d")
            || text.contains("${hookname}.d")
            || text.contains("$hookname.d")
    });
    if !runs_folder || !is_executable(&file) {
        lines.error(
            format_args!(
                "{} does not run pre-receive.d: the gate is never called",
                shown(&file)
            ),
            "run: gitea admin regenerate hooks (on a plain server: ringfence install plain)",
        );
    }
}

/// Everything that the hook needs to judge. Gives the policy that it judges by, as far as that can be known.
fn check_hook(hook: &Installed, meant: Option<&Path>, lines: &mut Lines<'_>) -> Option<Policy> {
    let before = lines.errors();
    let file = &hook.file;
    if !is_executable(file) {
        lines.error(
            format_args!("{} is not executable: git does not run it", shown(file)),
            format_args!("chmod 755 {}", shown(file)),
        );
    }
    check_interpreter(file, lines);
    check_rights(file, lines);
    let kept = shim::chained(file);
    if kept.symlink_metadata().is_ok() && !is_executable(&kept) {
        lines.error(
            format_args!("{} cannot be run: every push is refused", shown(&kept)),
            "make it executable, or remove it",
        );
    }
    let policy = if let Found::Shim {
        binary,
        policy: used,
    } = &hook.found
    {
        check_binary(binary, lines);
        if let Some(meant) = meant
            && meant.canonicalize().ok() != used.canonicalize().ok()
        {
            lines.error(
                format_args!(
                    "the hook judges by {}, not by {}",
                    shown(used),
                    shown(meant)
                ),
                "run ringfence install with the policy that is meant",
            );
        }
        check_policy(used, hook.kind == Kind::PrePush, lines)
    } else {
        lines.warning(
            format_args!("{} calls ringfence in its own way", shown(file)),
            "its program, and the policy that it judges by, were not checked",
        );
        meant.and_then(|file| check_policy(file, hook.kind == Kind::PrePush, lines))
    };
    if let Some(policy) = &policy {
        check_pinned(hook.kind, policy, lines);
    }
    if lines.errors() == before {
        let note = match hook.kind {
            Kind::Plain => "git runs it",
            Kind::Gitea => "Gitea's dispatcher runs it",
            Kind::Gitlab => "GitLab runs it, and no other host",
            Kind::PrePush => "git's client runs it; advisory",
        };
        lines.ok(format_args!("{} ({note})", shown(file)));
    }
    policy
}

/// The same shim beside it, which records what landed.
fn check_post_receive(hook: &Installed, lines: &mut Lines<'_>) {
    let file = match hook.file.parent() {
        Some(folder) if folder.ends_with("pre-receive.d") => folder
            .with_file_name("post-receive.d")
            .join(hook.file.file_name().unwrap_or_default()),
        _ => hook.file.with_file_name("post-receive"),
    };
    let calls = matches!(
        shim::look(&file),
        Ok(Found::Shim { .. }
            | Found::Foreign {
                names_ringfence: true
            })
    );
    if !calls || !is_executable(&file) {
        lines.warning(
            format_args!(
                "{} does not call ringfence: what landed is not recorded",
                shown(&file)
            ),
            "run ringfence install",
        );
    }
}

/// A script whose interpreter is missing fails, so it refuses everything.
fn check_interpreter(file: &Path, lines: &mut Lines<'_>) {
    let Ok(text) = fs::read(file) else {
        lines.error(
            format_args!("{} cannot be read", shown(file)),
            "its owner must be able to read it",
        );
        return;
    };
    let Some(line) = text
        .strip_prefix(b"#!")
        .and_then(|rest| rest.split(|byte| *byte == b'\n').next())
    else {
        return; // A program, or a script that the shell takes.
    };
    let line = String::from_utf8_lossy(line);
    if let Some(interpreter) = line.split_whitespace().next()
        && !is_executable(Path::new(interpreter))
    {
        lines.error(
            format_args!(
                "{} needs {}, which is not there: every push is refused",
                shown(file),
                shown(Path::new(interpreter))
            ),
            "run ringfence install again",
        );
    }
}

/// Who can change a file that the gate depends on can switch the gate off.
fn check_rights(file: &Path, lines: &mut Lines<'_>) {
    let Ok(file) = file.canonicalize() else {
        return; // Told elsewhere.
    };
    for path in [Some(file.as_path()), file.parent()].into_iter().flatten() {
        check_mode(path, lines);
    }
}

fn check_mode(path: &Path, lines: &mut Lines<'_>) {
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode();
    // In a sticky folder such as /tmp nobody replaces a file of somebody else.
    let sticky = metadata.is_dir() && mode & 0o1000 != 0;
    if mode & 0o002 != 0 && !sticky {
        lines.error(
            format_args!(
                "{} can be changed by everybody on this machine",
                shown(path)
            ),
            format_args!("chmod o-w {}", shown(path)),
        );
    } else if mode & 0o020 != 0 && !sticky {
        lines.warning(
            format_args!("{} can be changed by group {}", shown(path), metadata.gid()),
            format_args!(
                "unless all of that group administer the gate: chmod g-w {}",
                shown(path)
            ),
        );
    }
}

fn check_binary(binary: &Path, lines: &mut Lines<'_>) {
    match fs::metadata(binary) {
        Ok(metadata) if metadata.is_file() && is_executable(binary) => check_rights(binary, lines),
        Ok(_) => lines.error(
            format_args!("{} is not a program: every push is refused", shown(binary)),
            "run ringfence install with --bin",
        ),
        Err(error) => lines.error(
            format_args!(
                "the program {}: {error}: every push is refused",
                shown(binary)
            ),
            "run ringfence install with --bin",
        ),
    }
}

/// Loads the policy as the hook will. `None`: it cannot be used, and that was told. `client`: the keys need not be here.
fn check_policy(file: &Path, client: bool, lines: &mut Lines<'_>) -> Option<Policy> {
    match Policy::load(file, &check::known()) {
        Ok(policy) => {
            check_rights(file, lines);
            check_suppressions(file, &policy, lines);
            packs::check(&policy.rule_packs, lines);
            if let Some(files) = policy.signers.as_ref().filter(|_| !client) {
                signers::check(files, lines);
            }
            Some(policy)
        }
        Err(error) => {
            lines.error(
                format_args!(
                    "the policy {} cannot be used, so every push is refused: {}",
                    shown(file),
                    error.brief()
                ),
                format_args!("ringfence policy check --policy {}", shown(file)),
            );
            None
        }
    }
}

/// What an expired entry named is refused again, and the pusher cannot mend that.
fn check_suppressions(file: &Path, policy: &Policy, lines: &mut Lines<'_>) {
    let now = jiff::Timestamp::now();
    for entry in policy.suppressions() {
        if entry.is_expired(now) {
            lines.warning(
                format_args!(
                    "suppression {} ({}:{}) expired on {}",
                    entry.id,
                    shown(file),
                    entry.line(),
                    entry.until
                ),
                "take it out, or look at the finding again and set a new day",
            );
        }
    }
}

/// A kind that is pinned for one host, and a hook in the place of another.
fn check_pinned(kind: Kind, policy: &Policy, lines: &mut Lines<'_>) {
    let fits = match policy.host.kind {
        None => true,
        Some(HostKind::Gitea) => kind == Kind::Gitea,
        Some(HostKind::Gitlab) => kind == Kind::Gitlab,
        Some(HostKind::Plain | HostKind::Http | HostKind::Gitolite | HostKind::Local) => {
            kind == Kind::Plain
        }
    };
    if !fits && kind != Kind::PrePush {
        lines.warning(
            "host: kind in the policy is not the host that the hook was installed for",
            "pin the host that runs the hook: another one's variables are not looked at",
        );
    }
}

/// The name of a hook in git's configuration (git 2.54) that runs ringfence for pre-receive.
fn configured(settings: &Settings) -> Option<String> {
    settings
        .starting("hook.")
        .filter_map(|(key, value)| Some((key.strip_suffix(".command")?, value)))
        .filter(|(_, command)| command.contains("ringfence"))
        .map(|(hook, _)| hook.to_owned())
        .find(|hook| {
            let event = format!("{hook}.event");
            settings
                .starting(&event)
                .any(|(key, value)| key == event && value == "pre-receive")
        })
}

fn check_configured(settings: &Settings, hook: &str, lines: &mut Lines<'_>) {
    if git_version().is_none_or(|version| version < (2, 54)) {
        lines.error(
            format_args!("{hook} is a hook in git's configuration, which this git ignores: every push is accepted unseen"),
            "use git 2.54 or later, or run ringfence install",
        );
    } else if settings.is(&format!("{hook}.enabled"), false)
        || settings.get(&format!("{hook}.event")) == Some("")
    {
        lines.error(
            format_args!(
                "{hook} is switched off in git's configuration: every push is accepted unseen"
            ),
            "remove the setting; a hook file does not depend on it",
        );
    } else {
        lines.ok(format_args!(
            "{hook} in git's configuration calls ringfence"
        ));
        lines.hint("program and policy were not checked");
    }
}

fn check_settings(settings: &Settings, lines: &mut Lines<'_>) {
    if settings.is("hook.pre-receive.enabled", false) {
        lines.error(
            "hook.pre-receive.enabled is false: git 2.54 and later run no pre-receive hook of the configuration",
            "git config --unset hook.pre-receive.enabled",
        );
    }
    if settings.is("receive.shallowupdate", true) {
        lines.warning(
            "receive.shallowUpdate is on: the gate refuses pushes from shallow clones all the same",
            "git config --unset receive.shallowUpdate, so that the client hears it from git",
        );
    }
    let hidden = ["receive.hiderefs", "transfer.hiderefs"];
    if hidden.iter().any(|key| settings.get(key).is_some()) {
        lines.hint("refs are hidden by receive.hideRefs or transfer.hideRefs; git refuses pushes to them, after the gate judged");
    }
}

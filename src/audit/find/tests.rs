use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use super::*;
use crate::push::HostKind;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name.as_ref())
    }

    /// A git folder as git makes one, as far as anybody asks here.
    fn git_dir(&self, name: impl AsRef<OsStr>) -> PathBuf {
        let dir = self.at(name);
        fs::create_dir_all(dir.join("objects/pack")).unwrap();
        fs::create_dir_all(dir.join("refs/heads")).unwrap();
        fs::write(dir.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(
            dir.join("config"),
            "[core]\n\trepositoryformatversion = 0\n",
        )
        .unwrap();
        dir
    }

    fn folder(&self, name: &str) -> PathBuf {
        let dir = self.at(name);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn git(&self, dir: &str, args: &[&str]) {
        let output = Command::new("git")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.0.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@example.com",
                "-c",
                "protocol.file.allow=always",
            ])
            .args(args)
            .current_dir(self.at(dir))
            .output()
            .expect("git is installed");
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn find(&self, names: &[&str]) -> Vec<Candidate> {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.at(name)).collect();
        find(&paths, None, &HostConfig::default())
    }

    /// Names, and of what failed the path below this place and why.
    fn names(&self, found: &[Candidate]) -> Vec<String> {
        let here = self.at("").to_string_lossy().into_owned();
        let tell = |candidate: &Candidate| match &candidate.layout {
            Ok(_) => candidate.name.to_string().replace(&here, "…/"),
            Err(why) => format!("{}: {}", candidate.name, why).replace(&here, "…/"),
        };
        found.iter().map(tell).collect()
    }
}

#[test]
fn a_path_is_a_repository_in_every_form_and_each_is_there_once() {
    let place = Place::new();
    place.git("", &["init", "-q", "-b", "main", "work"]);
    place.git("work", &["commit", "-q", "--allow-empty", "-m", "x"]);
    place.git(
        "work",
        &["worktree", "add", "-q", "-b", "side", "../linked"],
    );
    place.git("", &["clone", "-q", "--mirror", "work", "mirror.git"]);
    place.folder("work/sub/deep");
    symlink(place.at("work"), place.at("alias")).unwrap();
    let found = place.find(&[
        "linked",
        "work",
        "work/.git",
        "work/sub/deep",
        "alias",
        "alias/sub/..",
        "mirror.git",
        "mirror.git/refs/heads",
        "linked/.git",
        "work/.git/worktrees/linked",
    ]);
    let paths: Vec<_> = found.iter().map(|one| one.path.clone()).collect();
    assert_eq!(paths, [place.at("work"), place.at("mirror.git")]);
    for one in &found {
        let layout = one.layout.as_ref().unwrap();
        assert_eq!(layout.git_dir, layout.common_dir);
    }
    let last = place
        .at("")
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    assert_eq!(found[0].name, format!("{last}/work"));
    assert_eq!(found[0].names, [format!("{last}/work"), "work".into()]);
    assert_eq!(found[1].names, [format!("{last}/mirror"), "mirror".into()]);
}

#[test]
fn a_folder_is_searched_with_all_that_is_nested_in_it() {
    let place = Place::new();
    for work in ["src/lib", "src/site"] {
        place.folder(work);
        place.git(work, &["init", "-q", "-b", "main"]);
        place.git(work, &["commit", "-q", "--allow-empty", "-m", "x"]);
    }
    place.git(
        "src/site",
        &["submodule", "--quiet", "add", "../../src/lib", "libs/lib"],
    );
    place.git_dir("src/site/vendor/embedded.git");
    place.git_dir("src/site/a/nested/.git");
    // A submodule whose work tree is gone.
    place.git_dir("src/site/.git/modules/old/one");
    place.git_dir("src/site/.git/modules/old/one/modules/inner");
    // Nothing in there is a repository, whatever it looks like.
    place.git_dir("src/site/.git/objects/x.git");
    place.git_dir("src/site/.git/refs/heads/y.git");
    let found = place.find(&["src"]);
    assert_eq!(
        place.names(&found),
        [
            "lib",
            "site",
            "site/a/nested",
            "site/libs/lib",
            "site/vendor/embedded",
            "site/.git/modules/old/one",
            "site/.git/modules/old/one/modules/inner",
        ]
    );
    // The same ones when the work tree itself is given.
    let given = place.find(&["src/site", "src/lib", "src"]);
    let paths = |found: &[Candidate]| {
        found
            .iter()
            .map(|one| one.path.clone())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!((given.len(), paths(&given)), (found.len(), paths(&found)));
}

#[test]
fn names_follow_the_layout_of_the_host() {
    let hash = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
    let place = Place::new();
    let hashed = format!("gitlab/repositories/@hashed/6b/86/{hash}");
    for (kind, fullpath) in [
        ("", "group/sub/site"),
        (".wiki", "group/sub/site.wiki"),
        (".design", "group/sub/site"),
    ] {
        let dir = place.git_dir(format!("{hashed}{kind}.git"));
        fs::write(
            dir.join("config"),
            format!("[gitlab]\n\tfullpath = {fullpath}\n"),
        )
        .unwrap();
    }
    place.git_dir(format!("gitlab/repositories/@pools/6b/86/{hash}.git"));
    place.git_dir("gitlab/repositories/+gitaly/tmp/repo123");
    place.git_dir("gitlab/repositories/@cluster/repositories/6f/96/54771");
    let found = place.find(&["gitlab"]);
    assert_eq!(
        place.names(&found),
        [
            "@cluster/repositories/6f/96/54771",
            "group/sub/site.design",
            "group/sub/site",
            "group/sub/site.wiki",
            &format!("@pools/6b/86/{hash}"),
        ]
    );
    assert_eq!(found[1].names, ["group/sub/site.design"]);
    assert!(
        found[0].names.is_empty(),
        "no policy can name what nobody named"
    );

    let gitea = place.git_dir("gitea/data/gitea-repositories/org/site.git");
    place.git_dir("gitea/data/gitea-repositories/org/site.wiki.git");
    fs::create_dir_all(gitea.join("hooks/pre-receive.d")).unwrap();
    fs::write(gitea.join("hooks/pre-receive.d/gitea"), "").unwrap();
    let found = place.find(&["gitea"]);
    assert_eq!(place.names(&found), ["org/site", "org/site.wiki"]);
    assert_eq!(found[0].names, ["org/site"]);
    assert_eq!(found[1].names, ["org/site.wiki", "site.wiki"]);

    let team = place.git_dir("git/repositories/team/a/repositories/site.git");
    place.folder("git/.gitolite");
    fs::write(team.join("gl-conf"), "").unwrap();
    let found = place.find(&["git/repositories/team/a"]);
    assert_eq!(place.names(&found), ["team/a/repositories/site"]);
    assert_eq!(found[0].names, ["team/a/repositories/site"]);

    // The policy's word goes before a guess.
    place.git_dir("plain/x/y/z.git");
    let host = HostConfig {
        root: Some(place.at("plain")),
        ..HostConfig::default()
    };
    assert_eq!(
        find(&[place.at("plain/x/y")], None, &host)[0].names,
        ["x/y/z"]
    );
    let host = HostConfig {
        kind: Some(HostKind::Gitea),
        ..HostConfig::default()
    };
    assert_eq!(find(&[place.at("plain")], None, &host)[0].names, ["y/z"]);
}

/// Whoever pushes makes files in a work tree, and with them no repository of another name.
#[test]
fn a_pushed_folder_does_not_take_the_name_of_another_repository() {
    let place = Place::new();
    place.git_dir("src/site/.git");
    let fake = place.git_dir("src/site/@hashed/aa/bb/x.git");
    fs::write(fake.join("config"), "[gitlab]\nfullpath = org/payroll\n").unwrap();
    // Nor does it make the audit read a device.
    let endless = place.git_dir("src/site/endless.git");
    fs::remove_file(endless.join("config")).unwrap();
    symlink("/dev/zero", endless.join("config")).unwrap();
    // A link in it is content.
    symlink("/", place.at("src/site/root")).unwrap();
    let names = place.names(&place.find(&["src"]));
    assert_eq!(
        names,
        [
            "site",
            "site/@hashed/aa/bb/x",
            "…/src/site/endless.git: cannot open the repository: …/src/site/endless.git/config: it is not a regular file",
        ]
    );
}

#[test]
fn what_cannot_be_entered_is_told() {
    let place = Place::new();
    place.git_dir("srv/good.git");
    place.git_dir("elsewhere/moved.git");
    place.folder("elsewhere/team");
    for (link, target) in [
        ("srv/moved.git", "elsewhere/moved.git"),
        ("srv/team", "elsewhere/team"),
        ("srv/again", "srv"),
        ("srv/other-name.git", "srv/good.git"),
    ] {
        symlink(place.at(target), place.at(link)).unwrap();
    }
    symlink("loop", place.at("srv/loop")).unwrap();
    fs::remove_file(place.git_dir("srv/headless.git").join("HEAD")).unwrap();
    fs::remove_dir_all(place.git_dir("srv/gutted/.git").join("objects")).unwrap();
    fs::write(place.git_dir("srv/odd.git").join("config"), "[core\n").unwrap();
    fs::write(
        place.folder("srv/lost").join(".git"),
        "gitdir: ../nowhere\n",
    )
    .unwrap();
    fs::write(place.at("srv/file"), "").unwrap();
    let found = place.find(&[
        "srv",
        "srv/file",
        "srv/missing",
        "elsewhere/team",
        "srv/loop",
    ]);
    let told = place.names(&found);
    assert_eq!(
        told,
        [
            "good",
            "…/srv/gutted: its .git is no repository: HEAD, objects or refs are missing",
            "…/srv/headless.git: it looks like a repository, but HEAD, objects or refs are missing",
            "…/srv/loop: it is a symbolic link that leads nowhere",
            "…/srv/lost: cannot open the repository: …/srv/nowhere is not a git repository",
            "…/srv/odd.git: cannot open the repository: …/srv/odd.git/config: line 2 is malformed",
            "…/srv/file: it is no folder",
            "…/srv/missing: no such file or directory",
            "…/elsewhere/team: there is no repository in it",
            "…/srv/loop: too many levels of symbolic links",
            "…/srv/moved.git: it is a symbolic link, which a search does not follow: give the folder that it leads to",
        ]
    );
    // By its own name a link is followed.
    let found = place.find(&["srv/moved.git", "srv/other-name.git", "srv/good.git"]);
    let paths: Vec<_> = found.iter().map(|one| one.path.clone()).collect();
    assert_eq!(
        paths,
        [place.at("elsewhere/moved.git"), place.at("srv/good.git")]
    );
}

#[test]
fn a_folder_without_permission_is_told() {
    let place = Place::new();
    place.git_dir("srv/a.git");
    let closed = place.folder("srv/closed");
    let rights = |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
    rights(0o000);
    let is_root = fs::read_dir(&closed).is_ok();
    let told = place.names(&place.find(&["srv"]));
    rights(0o700);
    // Nothing is closed to root.
    let expected: &[&str] = match is_root {
        true => &["a"],
        false => &[
            "a",
            "…/srv/closed: it cannot be searched: permission denied",
        ],
    };
    assert_eq!(told, expected);
}

#[test]
fn a_folder_that_is_deeper_than_the_bound_is_told() {
    let place = Place::new();
    let deep = vec!["d"; DEPTH_MAX + 3].join("/");
    place.git_dir(format!("srv/{deep}/x.git"));
    place.git_dir("srv/y.git");
    let found = place.find(&["srv"]);
    assert_eq!(found.len(), 2);
    assert!(
        found[0]
            .layout
            .as_ref()
            .unwrap_err()
            .contains("folders deep")
    );
    assert_eq!(found[1].name, "y");
}

#[test]
fn lists_have_a_path_a_line_or_any_byte_with_nul() {
    let place = Place::new();
    let odd = OsString::from_vec(b"new\nline \xff\r".to_vec());
    place.git_dir(&odd);
    for name in ["a.git", "b c.git", "d.git"] {
        place.git_dir(name);
    }
    let path = |name: &OsStr| place.at(name).as_os_str().as_bytes().to_vec();
    let [a, b, d] = ["a.git", "b c.git", "d.git"].map(|name| path(OsStr::new(name)));
    let found = |list: Vec<u8>, is_nul| {
        let mut input = &*list;
        let list = List {
            input: &mut input,
            is_nul,
        };
        let found = find(&[], Some(list), &HostConfig::default());
        let told = |one: Candidate| {
            one.layout
                .map(|layout| layout.common_dir.as_os_str().as_bytes().to_vec())
        };
        found.into_iter().map(told).collect::<Vec<_>>()
    };
    let lines = [&*a, b"\n\n", &b, b"\r\n", &a, b"\n", &d].concat();
    assert_eq!(
        found(lines, false),
        [Ok(a.clone()), Ok(b.clone()), Ok(d.clone())]
    );
    let nul = [&*path(&odd), b"\0", &a, b"\0"].concat();
    assert_eq!(found(nul, true), [Ok(path(&odd)), Ok(a)]);
    let long = vec![b'x'; PATH_MAX as usize + 10];
    assert_eq!(
        found(long, false),
        [Err("the list has a path that is too long".to_owned())]
    );
    assert!(found(Vec::new(), false).is_empty());

    struct Torn;
    impl io::Read for Torn {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("torn"))
        }
    }
    let mut input = io::BufReader::new(Torn);
    let list = List {
        input: &mut input,
        is_nul: false,
    };
    let torn = find(&[], Some(list), &HostConfig::default());
    assert_eq!(
        torn[0].layout.as_ref().unwrap_err(),
        "the list cannot be read: torn"
    );
}

#[test]
fn two_of_one_name_are_told_by_their_paths() {
    let place = Place::new();
    for name in ["one/org/site.git", "two/org/site.git", "two/org/only.git"] {
        place.git_dir(name);
    }
    let found = place.find(&["one", "two"]);
    assert_eq!(
        place.names(&found),
        ["…/one/org/site.git", "org/only", "…/two/org/site.git"]
    );
    assert_eq!(found[0].names[0], "org/site");
}

#[test]
fn what_the_files_say_is_told() {
    let place = Place::new();
    place.git_dir("whole.git");
    fs::write(
        place.git_dir("shallow.git").join("shallow"),
        "0123456789012345678901234567890123456789\n",
    )
    .unwrap();
    let partial = place.git_dir("partial.git");
    fs::write(
        partial.join("config"),
        "[remote \"origin\"]\n\tpromisor = true\n",
    )
    .unwrap();
    fs::write(
        place
            .git_dir("promised.git")
            .join("objects/pack/pack-1.promisor"),
        "",
    )
    .unwrap();
    let borrows = place.git_dir("borrows.git");
    fs::create_dir_all(borrows.join("objects/info")).unwrap();
    fs::write(
        borrows.join("objects/info/alternates"),
        "../../whole.git/objects\n/nowhere/objects\n",
    )
    .unwrap();
    let about = |name: &str| place.find(&[name]).remove(0).about;
    assert_eq!(about("whole.git"), About::default());
    assert!(about("shallow.git").is_shallow);
    assert!(about("partial.git").is_partial && about("promised.git").is_partial);
    assert_eq!(
        about("borrows.git").alternates_missing,
        [Path::new("/nowhere/objects")]
    );
}

proptest::proptest! {
    /// However folders, repositories, links and arguments lie over each other: each repository once, none left out.
    #[test]
    fn no_repository_is_listed_twice(
        made in proptest::collection::vec((0_u8..4, "[ab]/[ab]/[abc]", "[ab]/[ab]/[abc]"), 1..10),
        asked in proptest::collection::vec("[ab](/[ab](/[abc])?)?", 0..5),
    ) {
        let place = Place::new();
        place.folder("r");
        let mut expected = BTreeSet::new();
        for (kind, name, other) in made {
            let name = format!("r/{name}");
            if place.at(&name).symlink_metadata().is_ok() {
                continue;
            }
            match kind {
                0 => drop(expected.insert(place.git_dir(format!("{name}/.git")))),
                1 => drop(expected.insert(place.git_dir(name))),
                2 => drop(place.folder(&name)),
                _ => {
                    fs::create_dir_all(place.at(&name).parent().unwrap()).unwrap();
                    symlink(place.at(format!("r/{other}")), place.at(&name)).unwrap();
                }
            }
        }
        let mut paths: Vec<PathBuf> = asked.iter().map(|name| place.at(format!("r/{name}"))).collect();
        paths.push(place.at("r"));
        let found = find(&paths, None, &HostConfig::default());
        let dirs: Vec<PathBuf> = found
            .iter()
            .filter_map(|one| Some(one.layout.as_ref().ok()?.common_dir.clone()))
            .collect();
        let distinct: BTreeSet<PathBuf> = dirs.iter().cloned().collect();
        proptest::prop_assert_eq!(dirs.len(), distinct.len());
        proptest::prop_assert_eq!(distinct, expected);
    }
}

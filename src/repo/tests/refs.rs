use super::*;

fn listed(fixture: &Fixture, dir: &str, prefix: &str) -> Vec<(String, String)> {
    let format = "--format=%(refname) %(objectname)";
    fixture
        .git(dir, &["for-each-ref", format, prefix])
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, id)| (name.into(), id.into()))
        .collect()
}

fn ours(repo: &Repo, prefix: &str) -> Vec<(String, String)> {
    repo.refs_under(prefix.as_bytes())
        .unwrap()
        .into_iter()
        .map(|(name, id)| {
            let name = String::from_utf8(name.as_bytes().to_vec()).unwrap();
            (name, id.to_string())
        })
        .collect()
}

/// Every ref that git lists resolves to the same value here, alone and in a listing.
fn compare(fixture: &Fixture, dir: &str, step: usize) -> usize {
    let repo = open(&fixture.path(dir));
    let all = listed(fixture, dir, "refs/");
    for (name, id) in all.iter().step_by(step) {
        let found = repo.resolve(&super::name(name)).unwrap();
        assert_eq!(
            found.value.map(|id| id.to_string()).as_ref(),
            Some(id),
            "{name}"
        );
    }
    assert_eq!(ours(&repo, "refs/"), all);
    let (every, broken) = repo.all_refs();
    assert!(broken.is_empty(), "{broken:?}");
    let every = every.into_iter().map(|(name, id)| (name, id.to_string()));
    let of_git = all.iter().map(|(name, id)| (super::name(name), id.clone()));
    assert!(every.eq(of_git));
    for prefix in [
        "refs/heads/",
        "refs/heads/group-3/",
        "refs/tags/",
        "refs/none/",
    ] {
        assert_eq!(
            ours(&repo, prefix),
            listed(fixture, dir, prefix),
            "{prefix}"
        );
    }
    assert_eq!(repo.has_any_ref().unwrap(), !all.is_empty());
    all.len()
}

/// Values for many refs: name, id.
fn many_refs(fixture: &Fixture, count: usize) -> Vec<(String, Oid)> {
    let ids = [
        fixture.commit("a", b"1", "First"),
        fixture.commit("a", b"2", "Second"),
    ];
    fixture.git("work", &["tag", "-a", "v1", "-m", "One"]);
    let tag = fixture.id("work", "v1");
    (0..count)
        .map(|number| {
            let (kind, id) = match number % 4 {
                // Packed with a second line, which says what the tag leads to.
                0 | 1 => ("tags", tag),
                other => ("heads", ids[other - 2]),
            };
            let padding = "x".repeat(number % 40);
            let group = number % 7;
            (format!("refs/{kind}/group-{group}/b{padding}{number}"), id)
        })
        .collect()
}

#[test]
fn thousands_of_packed_refs_resolve_as_git_resolves_them() {
    let fixture = Fixture::new(&[]);
    assert_eq!(compare(&fixture, "work", 1), 0);
    let lines: String = many_refs(&fixture, 5000)
        .iter()
        .map(|(name, id)| format!("{id} {name}\n"))
        .collect();
    fixture.write("work/.git/packed-refs", lines.as_bytes());
    // git sorts and peels what it finds there while it adds the loose ones.
    fixture.git("work", &["pack-refs", "--all"]);
    assert_eq!(compare(&fixture, "work", 7), 5002);
    let repo = open(&fixture.path("work"));
    let text = std::fs::read_to_string(fixture.path("work/.git/packed-refs")).unwrap();
    for absent in [
        "refs/a",
        "refs/heads/group-3/b",
        "refs/heads/group-3/zzz",
        "refs/zz/z",
        "refs/heads/mai",
        "refs/heads/main2",
    ] {
        assert!(!text.contains(&format!(" {absent}\n")));
        let found = repo.resolve(&name(absent)).unwrap();
        assert_eq!((found.value, found.symbolic), (None, false), "{absent}");
        assert_eq!(found.target, name(absent));
    }
    // A loose ref goes before a packed one, and a deleted one is gone.
    fixture.git("work", &["update-ref", "refs/heads/group-3/bxxx3", "HEAD~"]);
    fixture.git(
        "work",
        &["update-ref", "-d", "refs/heads/group-3/bxxxxxxxxxx10"],
    );
    assert_eq!(compare(&fixture, "work", 7), 5001);
    // Without the word of the header nothing is assumed about the order.
    let path = fixture.path("work/.git/packed-refs");
    let text = std::fs::read_to_string(&path).unwrap();
    let (_, lines) = text.split_once('\n').unwrap();
    let mut blocks: Vec<String> = Vec::new();
    for line in lines.lines() {
        match blocks.last_mut() {
            Some(last) if line.starts_with('^') => last.push_str(&format!("{line}\n")),
            _ => blocks.push(format!("{line}\n")),
        }
    }
    blocks.reverse();
    std::fs::write(
        &path,
        format!(
            "# pack-refs with: peeled fully-peeled \n{}",
            blocks.concat()
        ),
    )
    .unwrap();
    assert_eq!(compare(&fixture, "work", 100), 5001);
}

#[test]
fn symbolic_refs_are_followed_and_bounded() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", b"1", "First");
    for (from, to) in [
        ("refs/heads/alias", "refs/heads/main"),
        ("refs/heads/again", "refs/heads/alias"),
        ("refs/heads/unborn", "refs/heads/not-yet"),
        ("refs/heads/out", "HEAD"),
        ("refs/heads/round", "refs/heads/and-round"),
        ("refs/heads/and-round", "refs/heads/round"),
    ] {
        fixture.write(
            &format!("work/.git/{from}"),
            format!("ref: {to}\n").as_bytes(),
        );
    }
    let repo = open(&fixture.path("work"));
    for alias in ["refs/heads/alias", "refs/heads/again"] {
        let found = repo.resolve(&name(alias)).unwrap();
        assert_eq!(found.target, name("refs/heads/main"));
        assert_eq!((found.value, found.symbolic), (Some(id), true));
    }
    let found = repo.resolve(&name("refs/heads/unborn")).unwrap();
    assert_eq!(found.target, name("refs/heads/not-yet"));
    assert_eq!((found.value, found.symbolic), (None, true));
    for wrong in ["refs/heads/out", "refs/heads/round"] {
        assert!(
            matches!(repo.resolve(&name(wrong)), Err(RepoError::Refs(_))),
            "{wrong}"
        );
    }
    assert!(repo.refs_under(b"refs/heads/").is_err());
    std::os::unix::fs::symlink("refs/heads/main", fixture.path("work/.git/refs/tags-link"))
        .unwrap();
    let found = repo.resolve(&name("refs/tags-link")).unwrap();
    assert_eq!((found.value, found.symbolic), (Some(id), true));
    std::os::unix::fs::symlink("/etc/hostname", fixture.path("work/.git/refs/away")).unwrap();
    assert!(repo.resolve(&name("refs/away")).is_err());
}

#[test]
fn a_ref_that_holds_no_id_is_refused() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", b"1", "First");
    let zero = "0".repeat(40);
    let long = "a".repeat(64);
    for text in [
        "",
        "\n",
        "not an id\n",
        &id.to_string()[..39],
        &zero,
        &long,
        "ref: \n",
        "ref: refs/../x\n",
    ] {
        fixture.write("work/.git/refs/heads/odd", text.as_bytes());
        let repo = open(&fixture.path("work"));
        assert!(
            matches!(
                repo.resolve(&name("refs/heads/odd")),
                Err(RepoError::Refs(_))
            ),
            "{text:?}"
        );
    }
    fixture.write("work/.git/refs/heads/odd", format!("{id} \n\n").as_bytes());
    let repo = open(&fixture.path("work"));
    assert_eq!(
        repo.resolve(&name("refs/heads/odd")).unwrap().value,
        Some(id)
    );
    // A folder, a lock and a name too long for a file are no refs, and no error.
    fixture.write("work/.git/refs/heads/folder/x.lock", b"");
    let too_long = format!("refs/heads/{}", "n".repeat(300));
    for absent in [
        "refs/heads/folder",
        "refs/heads/folder/x",
        "refs/heads/main/x",
        &too_long,
    ] {
        assert_eq!(repo.resolve(&name(absent)).unwrap().value, None, "{absent}");
    }
    assert_eq!(repo.refs_under(b"refs/heads/").unwrap().len(), 2);
    for prefix in ["refs/heads", "heads/", "refs/../", "/"] {
        assert!(repo.refs_under(prefix.as_bytes()).is_err(), "{prefix}");
    }
    fixture.write("work/.git/packed-refs", b"what is this\n");
    assert!(repo.resolve(&name("refs/heads/absent")).is_err());
    fixture.write(
        "work/.git/packed-refs",
        format!("{id} refs/heads/cut-off").as_bytes(),
    );
    assert!(repo.resolve(&name("refs/heads/cut-off")).is_err());
    let nothing = format!("{} refs/heads/nothing\n", "0".repeat(40));
    fixture.write("work/.git/packed-refs", nothing.as_bytes());
    assert!(repo.resolve(&name("refs/heads/nothing")).is_err());
}

#[test]
fn what_cannot_be_read_is_not_taken_for_absent() {
    let fixture = Fixture::new(&[]);
    let repo = open(&fixture.path("work"));
    // A list without refs is no ref.
    let head = "# pack-refs with: peeled fully-peeled sorted \n";
    fixture.write("work/.git/packed-refs", head.as_bytes());
    assert!(!repo.has_any_ref().unwrap());
    let id = fixture.commit("a", b"1", "First");
    let line = format!("{head}{id} refs/heads/packed\n^{id}\n");
    fixture.git("work", &["update-ref", "-d", "refs/heads/main"]);
    assert!(!repo.has_any_ref().unwrap());
    fixture.write("work/.git/packed-refs", line.as_bytes());
    assert!(repo.has_any_ref().unwrap());
    // A file of the longest length, and one byte more.
    for (bytes, good) in [(16 << 10, true), ((16 << 10) + 1, false), (20_000, false)] {
        let text = format!("{id}{}", "\n".repeat(bytes - 40));
        fixture.write("work/.git/refs/heads/long", text.as_bytes());
        assert_eq!(
            repo.resolve(&name("refs/heads/long")).is_ok(),
            good,
            "{bytes}"
        );
    }
    fixture.git("work", &["update-ref", "-d", "refs/heads/long"]);
    // A link that leads to itself.
    let folder = fixture.path("work/.git/refs/heads/round");
    std::os::unix::fs::symlink("round", &folder).unwrap();
    assert!(repo.resolve(&name("refs/heads/round/x")).is_err());
    assert!(repo.refs_under(b"refs/heads/round/").is_err());
    std::fs::remove_file(&folder).unwrap();
    // A device that seems to be empty.
    let packed = fixture.path("work/.git/packed-refs");
    std::fs::remove_file(&packed).unwrap();
    assert_eq!(
        repo.resolve(&name("refs/heads/packed")).unwrap().value,
        None
    );
    for target in ["/dev/null", "packed-refs"] {
        std::os::unix::fs::symlink(target, &packed).unwrap();
        assert!(repo.resolve(&name("refs/heads/packed")).is_err());
        assert!(repo.has_any_ref().is_err());
        std::fs::remove_file(&packed).unwrap();
    }
    let config = fixture.path("work/.git/config");
    std::fs::remove_file(&config).unwrap();
    assert!(Layout::discover(&fixture.path("work")).is_ok());
    std::fs::create_dir(&config).unwrap();
    assert!(Layout::discover(&fixture.path("work")).is_err());
}

#[test]
fn head_names_a_branch_or_none() {
    let fixture = Fixture::new(&[]);
    let unborn = open(&fixture.path("server.git"));
    assert_eq!(unborn.head().unwrap(), Some(name("refs/heads/main")));
    assert!(!unborn.has_any_ref().unwrap());
    let detached = |repo: &Repo| {
        let (heads, broken) = repo.detached_heads();
        assert!(broken.is_empty(), "{broken:?}");
        heads
    };
    assert_eq!(detached(&unborn), []);
    let id = fixture.commit("a", b"1", "First");
    fixture.git("work", &["checkout", "-q", "--detach"]);
    let repo = open(&fixture.path("work"));
    assert_eq!(repo.head().unwrap(), None);
    assert_eq!(detached(&repo), [(b"HEAD".to_vec(), id)]);
    assert!(repo.has_any_ref().unwrap());
    fixture.write("work/.git/HEAD", b"ref: elsewhere\n");
    assert!(repo.head().is_err());
}

#[test]
fn a_linked_worktree_shares_all_but_a_few_refs() {
    let fixture = Fixture::new(&[]);
    let id = fixture.commit("a", b"1", "First");
    fixture.git(
        "work",
        &["worktree", "add", "-q", "-b", "side", "../linked"],
    );
    fixture.git("linked", &["update-ref", "refs/worktree/own", "HEAD"]);
    let layout = Layout::discover(&fixture.path("linked")).unwrap();
    assert_eq!(layout.git_dir, fixture.path("work/.git/worktrees/linked"));
    assert_eq!(layout.common_dir, fixture.path("work/.git"));
    let repo = Repo::open(layout).unwrap();
    assert_eq!(repo.head().unwrap(), Some(name("refs/heads/side")));
    for (found, value) in [
        ("refs/heads/main", Some(id)),
        ("refs/worktree/own", Some(id)),
        ("refs/none", None),
    ] {
        assert_eq!(repo.resolve(&name(found)).unwrap().value, value, "{found}");
    }
    assert!(repo.reader().is_stored(&id).unwrap());
    let main = open(&fixture.path("work"));
    assert_eq!(
        main.resolve(&name("refs/worktree/own")).unwrap().value,
        None
    );
    assert_eq!(main.head().unwrap(), Some(name("refs/heads/main")));
}

#[test]
fn reftable_is_read_through_git() {
    let fixture = Fixture::new(&["--ref-format=reftable"]);
    let empty = open(&fixture.path("work"));
    assert_eq!(empty.layout().refs, RefStorage::Reftable);
    assert_eq!(empty.head().unwrap(), Some(name("refs/heads/main")));
    assert!(!empty.has_any_ref().unwrap());
    let input: String = many_refs(&fixture, 20)
        .iter()
        .map(|(name, id)| format!("create {name} {id}\n"))
        .collect();
    let args = ["update-ref", "--stdin"];
    assert!(fixture.git_with("work", &args, input.as_bytes()).0);
    assert_eq!(compare(&fixture, "work", 1), 22);
    fixture.git(
        "work",
        &["symbolic-ref", "refs/heads/alias", "refs/heads/main"],
    );
    fixture.git(
        "work",
        &["symbolic-ref", "refs/heads/unborn", "refs/heads/not-yet"],
    );
    let repo = open(&fixture.path("work"));
    let found = repo.resolve(&name("refs/heads/alias")).unwrap();
    assert_eq!(
        (found.target, found.symbolic),
        (name("refs/heads/main"), true)
    );
    assert!(found.value.is_some());
    let found = repo.resolve(&name("refs/heads/unborn")).unwrap();
    assert_eq!(found.target, name("refs/heads/not-yet"));
    assert_eq!((found.value, found.symbolic), (None, true));
    // One that leads nowhere yet hides no other.
    assert_eq!(compare(&fixture, "work", 1), 23);
    assert_eq!(
        repo.resolve(&name("refs/heads/absent")).unwrap().value,
        None
    );
    assert_eq!(
        repo.resolve(&name("refs/heads/group-1")).unwrap().value,
        None
    );
    fixture.git("work", &["checkout", "-q", "--detach"]);
    assert_eq!(repo.head().unwrap(), None);
    // Broken tables are an error, not an empty repository.
    for file in std::fs::read_dir(fixture.path("work/.git/reftable")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "ref") {
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, b"broken").unwrap();
        }
    }
    assert!(repo.resolve(&name("refs/heads/main")).is_err());
    assert!(repo.resolve(&name("refs/heads/absent")).is_err());
    assert!(repo.has_any_ref().is_err());
    assert!(repo.refs_under(b"refs/heads/").is_err());
}

#[test]
fn repositories_are_found_from_where_one_stands() {
    let fixture = Fixture::new(&[]);
    fixture.commit("deep/er/a", b"1", "First");
    let git_dir = fixture.path("work/.git");
    for from in ["work", "work/deep/er", "work/.git", "work/.git/refs"] {
        assert_eq!(
            Layout::discover(&fixture.path(from)).unwrap().git_dir,
            git_dir,
            "{from}"
        );
    }
    let bare = fixture.path("server.git");
    for from in ["server.git", "server.git/objects"] {
        assert_eq!(
            Layout::discover(&fixture.path(from)).unwrap().git_dir,
            bare,
            "{from}"
        );
    }
    assert!(Layout::discover(&fixture.path(".")).is_err());
    assert!(Layout::discover(&fixture.path("nowhere")).is_err());
    // A folder of a work tree that has some of what a repository has.
    for file in [
        "some/HEAD",
        "some/objects/x",
        "other/objects/x",
        "other/refs/x",
    ] {
        fixture.write(&format!("work/{file}"), b"x");
    }
    for from in ["work/some", "work/other"] {
        let found = Layout::discover(&fixture.path(from)).unwrap();
        assert_eq!(found.git_dir, git_dir, "{from}");
    }
    fixture.write("pointing/.git", b"gitdir: ../work/.git\n");
    assert_eq!(
        Layout::discover(&fixture.path("pointing")).unwrap().git_dir,
        git_dir
    );
    for broken in ["", "gitdir: \n", "gitdir: ../nowhere\n", "../work/.git\n"] {
        fixture.write("pointing/.git", broken.as_bytes());
        assert!(
            Layout::discover(&fixture.path("pointing")).is_err(),
            "{broken:?}"
        );
    }
}

#[test]
fn what_is_not_here_is_told_by_the_files_of_a_repository() {
    let fixture = Fixture::new(&[]);
    let about = || {
        let layout = Layout::discover(&fixture.path("work")).unwrap();
        let about = layout.about().unwrap();
        (about.is_shallow, about.is_partial)
    };
    assert_eq!(about(), (false, false));
    fixture.write("work/.git/shallow", b"");
    fixture.write("work/.git/objects/pack/pack-1.promisor", b"");
    assert_eq!(about(), (false, true));
    fixture.write("work/.git/shallow", &[b'1'; 41]);
    std::fs::remove_file(fixture.path("work/.git/objects/pack/pack-1.promisor")).unwrap();
    assert_eq!(about(), (true, false));
    fixture.git("work", &["config", "remote.origin.promisor", "true"]);
    assert_eq!(about(), (true, true));
}

//! Commit-graphs as git writes them, one file or a chain, and damaged ones.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::repo::commit_graph::CommitGraph;

/// Commits with none to five parents, with dates of up to 34 bits.
fn stream(from: usize, to: usize) -> String {
    let mut text = String::new();
    for at in from..to {
        let date = at as i64 * 300_000_000;
        write!(
            text,
            "commit refs/heads/b{at}\nmark :{}\ncommitter C <c@example.com> {date} +0000\ndata 1\nM\n",
            at + 1
        )
        .unwrap();
        for (number, parent) in (0..at % 6)
            .filter_map(|back| at.checked_sub(1 + back * 2))
            .enumerate()
        {
            let word = if number == 0 { "from" } else { "merge" };
            writeln!(text, "{word} refs/heads/b{parent}").unwrap();
        }
        write!(text, "M 100644 inline a\ndata 2\n{:02}\n", at % 100).unwrap();
    }
    text
}

fn compare(fixture: &Fixture, hash: HashKind, wanted: usize) {
    let graph = CommitGraph::open(&fixture.path("server.git/objects"), hash).unwrap();
    let all = fixture.git("server.git", &["log", "--all", "--format=%H %T %ct %P"]);
    let mut count = 0;
    for line in all.lines() {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let mut id = || {
            words
                .next()
                .map(|hex| Oid::from_hex(hex.as_bytes()).unwrap())
        };
        let (commit, tree) = (id().unwrap(), id().unwrap());
        let date: i64 = line.split(' ').nth(2).unwrap().parse().unwrap();
        let parents = line.split(' ').skip(3).filter(|word| !word.is_empty());
        let parents: Vec<Oid> = parents
            .map(|hex| Oid::from_hex(hex.as_bytes()).unwrap())
            .collect();
        let listed = graph.find(&commit).unwrap();
        assert_eq!((listed.tree, listed.parents), (tree, parents), "{commit}");
        assert_eq!(listed.date, date, "{commit}");
        count += 1;
    }
    assert_eq!(count, wanted);
    assert!(graph.find(&hash.empty_blob()).is_none());
}

#[test]
fn commit_graphs_list_what_the_commits_say() {
    for (format, hash) in [("sha1", HashKind::Sha1), ("sha256", HashKind::Sha256)] {
        let fixture = Fixture::new(&[&format!("--object-format={format}")]);
        let import = |from, to| {
            let text = stream(from, to);
            assert!(
                fixture
                    .git_with("server.git", &["fast-import", "--quiet"], text.as_bytes())
                    .0
            );
        };
        let write = |how| fixture.git("server.git", &["commit-graph", "write", "--reachable", how]);
        assert!(CommitGraph::open(&fixture.path("server.git/objects"), hash).is_none());
        import(0, 30);
        write("--no-progress");
        compare(&fixture, hash, 30);
        std::fs::remove_file(fixture.path("server.git/objects/info/commit-graph")).unwrap();
        write("--split=no-merge");
        import(30, 45);
        write("--split=no-merge");
        let chain = fixture.path("server.git/objects/info/commit-graphs/commit-graph-chain");
        assert_eq!(std::fs::read_to_string(chain).unwrap().lines().count(), 2);
        compare(&fixture, hash, 45);
    }
}

/// Whatever is done to the file: it is not used, or lists something, and nothing ends the program.
#[test]
fn damaged_commit_graphs_end_nothing() {
    let fixture = Fixture::new(&[]);
    let text = stream(0, 20);
    assert!(
        fixture
            .git_with("server.git", &["fast-import", "--quiet"], text.as_bytes())
            .0
    );
    fixture.git("server.git", &["commit-graph", "write", "--reachable"]);
    let objects = fixture.path("server.git/objects");
    let whole = std::fs::read(objects.join("info/commit-graph")).unwrap();
    let ids = fixture.git("server.git", &["rev-list", "--all"]);
    let ids: Vec<Oid> = ids
        .lines()
        .map(|hex| Oid::from_hex(hex.as_bytes()).unwrap())
        .collect();
    let damaged = fixture.path("damaged");
    std::fs::create_dir_all(damaged.join("info")).unwrap();
    let look = |bytes: &[u8], objects: &Path| {
        let path = objects.join("info/commit-graph");
        _ = std::fs::remove_file(&path);
        std::fs::write(path, bytes).unwrap();
        let graph = CommitGraph::open(objects, HashKind::Sha1);
        graph.map_or(0, |graph| {
            ids.iter().filter(|id| graph.find(id).is_some()).count()
        })
    };
    assert_eq!(look(&whole, &damaged), 20);
    for at in (0..whole.len()).step_by(3) {
        look(&whole[..at], &damaged);
        for other in [0, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = other;
            look(&bytes, &damaged);
        }
    }
}

//! The walks of the commit graph: their answers against sets that are worked out one commit after the other, and how
//! much they read for them.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use proptest::test_runner::TestRunner;

use super::oracle::{Dice, config, numbers};
use super::world::*;
use super::*;
use crate::budget::{Bounds, Exhausted, Resource};
use crate::repo::graph::Fresh;

const DAY: i64 = 86_400;

fn empty_tree() -> Oid {
    Oid::from_hex(b"4b825dc642cb6eb9a060e54bf8d69288fbee4904").unwrap()
}

/// A commit that no other one equals, be its parents and its date the same.
fn commit(world: &World, sent: bool, parents: &[Oid], date: i64, number: usize) -> Oid {
    let parents: String = parents.iter().map(|id| format!("parent {id}\n")).collect();
    let who = format!("A <a@example.com> {date} +0000");
    let text = format!(
        "tree {}\n{parents}author {who}\ncommitter {who}\n\nCommit {number}\n",
        empty_tree()
    );
    world.object(sent, git2::ObjectType::Commit, text.as_bytes())
}

/// Commits, told by their numbers. A parent has a lower number than its child.
struct Dag {
    parents: Vec<Vec<usize>>,
    dates: Vec<i64>,
    ids: Vec<Oid>,
    known: Vec<usize>,
}

impl Dag {
    /// Makes commits, the known ones and all that they reach in the store, the others wherever it comes.
    fn roll(world: &World, dice: &mut Dice<'_>, since: i64) -> Dag {
        let count = 2 + dice.below(11);
        let mut dag = Dag {
            parents: Vec::new(),
            dates: Vec::new(),
            ids: Vec::new(),
            known: Vec::new(),
        };
        let lies = dice.of(&[1, 2, 1_000]);
        for at in 0..count {
            let mut parents = Vec::new();
            for _ in 0..dice.of(&[0, 1, 1, 1, 2, 2, 3]).min(at) {
                let parent = at - 1 - dice.below(at.min(6));
                if !parents.contains(&parent) {
                    parents.push(parent);
                }
            }
            let place = if dice.one_in(lies) {
                dice.below(count)
            } else {
                at
            };
            dag.parents.push(parents);
            dag.dates.push(since + place as i64 * DAY);
        }
        dag.known = (0..dice.below(4)).map(|_| dice.below(count)).collect();
        let stored = dag.below(&dag.known);
        for at in 0..count {
            let sent = !stored.contains(&at) && dice.one_in(2);
            let parents: Vec<Oid> = dag.parents[at].iter().map(|at| dag.ids[*at]).collect();
            let id = commit(world, sent, &parents, dag.dates[at], at);
            if !sent && dice.one_in(4) {
                world.send_again(&id);
            }
            dag.ids.push(id);
        }
        dag
    }

    /// All that some commits reach, themselves among it.
    fn below(&self, tips: &[usize]) -> BTreeSet<usize> {
        let mut found: BTreeSet<usize> = tips.iter().copied().collect();
        for at in (0..self.parents.len()).rev() {
            if found.contains(&at) {
                found.extend(&self.parents[at]);
            }
        }
        found
    }

    /// What both sides reach, less what something else of that reaches; the oldest first.
    fn bases(&self, one: usize, others: &[usize]) -> Vec<Oid> {
        let others = self.below(others);
        let both: Vec<usize> = self.below(&[one]).intersection(&others).copied().collect();
        let mut best: Vec<usize> = both
            .iter()
            .copied()
            .filter(|at| {
                both.iter()
                    .all(|other| other == at || !self.below(&[*other]).contains(at))
            })
            .collect();
        best.sort_by_key(|at| (self.dates[*at], self.ids[*at]));
        best.into_iter().map(|at| self.ids[at]).collect()
    }

    fn numbers(&self, graph: &Graph<'_>, nodes: &[Node]) -> Vec<usize> {
        let number = |node: &Node| self.ids.iter().position(|id| *id == graph.id(*node));
        nodes.iter().map(|node| number(node).unwrap()).collect()
    }

    fn assert_ordered(&self, numbers: &[usize]) {
        for (place, at) in numbers.iter().enumerate() {
            let behind = &numbers[place..];
            assert!(
                self.parents[*at].iter().all(|it| !behind.contains(it)),
                "a child before its parent"
            );
        }
    }
}

fn check_walks(world: &World, dice: &mut Dice<'_>, since: i64) {
    let dag = Dag::roll(world, dice, since);
    if dice.one_in(16) {
        list(world, dag.known.iter().map(|at| dag.ids[*at]));
    }
    let (repo, budget) = (world.repo(), Budget::new(Bounds::default()));
    let reader = repo.reader();
    let new_graph = || Graph::new(&reader, &budget, || shallow(&repo));
    let count = dag.ids.len();

    // Several walks over one graph, as the updates of one push make them.
    let mut graph = new_graph();
    let mut all = Vec::new();
    for _ in 0..3 {
        let tip = dice.below(count);
        // A known tag is not the commit that it names.
        let peeled = dice.one_in(3);
        let old = dag.known.first().copied().filter(|_| dice.one_in(2));
        let is_known = |id: &Oid| !peeled && dag.known.iter().any(|at| dag.ids[*at] == *id);
        let (node, old_node) = (
            graph.node(&dag.ids[tip]),
            old.map(|old| graph.node(&dag.ids[old])),
        );
        let Fresh { commits, met_old } = graph
            .fresh(node, old_node, is_known, |graph| {
                Ok(dag
                    .known
                    .iter()
                    .map(|at| graph.node(&dag.ids[*at]))
                    .collect())
            })
            .unwrap();
        let reached = dag.below(&[tip]);
        let found = dag.numbers(&graph, &commits);
        dag.assert_ordered(&found);
        let expected: BTreeSet<usize> = &reached - &dag.below(&dag.known);
        assert_eq!(found.len(), expected.len(), "each once");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        assert!(!met_old || reached.contains(&old.unwrap()), "a false old");
        for node in commits {
            if !all.contains(&node) {
                all.push(node);
            }
        }
    }
    let ordered = graph.in_order(&all).unwrap();
    assert_eq!(ordered.len(), all.len());
    assert!(all.iter().all(|node| ordered.contains(node)));
    dag.assert_ordered(&dag.numbers(&graph, &ordered));

    for old in 0..count {
        for new in 0..count {
            let (old_node, new_node) = (graph.node(&dag.ids[old]), graph.node(&dag.ids[new]));
            assert_eq!(
                graph.is_ancestor(old_node, new_node).unwrap(),
                dag.below(&[new]).contains(&old)
            );
        }
        let others: Vec<usize> = (0..=dice.below(3)).map(|_| dice.below(count)).collect();
        for graph in [&mut graph, &mut new_graph()] {
            let one = graph.node(&dag.ids[old]);
            let nodes: Vec<Node> = others.iter().map(|at| graph.node(&dag.ids[*at])).collect();
            let bases = graph.merge_bases(one, &nodes).unwrap();
            let bases: Vec<Oid> = bases.into_iter().map(|base| graph.id(base)).collect();
            assert_eq!(bases, dag.bases(old, &others));
        }
    }
}

#[test]
fn walks_give_what_the_sets_say_whatever_the_dates() {
    let world = World::new();
    let since = Cell::new(0);
    let mut config = config();
    config.cases *= 8;
    let result = TestRunner::new(config).run(&numbers(), |numbers| {
        // Every case has commits of its own, which are then stored or sent as it says.
        since.set(since.get() + 1_000 * DAY);
        check_walks(&world, &mut Dice::new(&numbers), since.get());
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Has git list the commits and all that they reach in a commit-graph.
fn list(world: &World, commits: impl Iterator<Item = Oid>) {
    let commits: String = commits.map(|id| format!("{id}\n")).collect();
    let arguments = ["commit-graph", "write", "--stdin-commits", "--append"];
    world.git_with(&arguments, commits.as_bytes());
}

#[test]
fn a_long_walk_takes_what_a_commit_graph_lists() {
    let world = World::new();
    let main = chain(&world, false, &[], 40, 1_000);
    let tip = main[39];
    let branch = chain(&world, true, &[main[1]], 1, 3_000);
    let new = || new_within(&world, 100, branch[0], &[tip]);
    assert_eq!(new().unwrap(), branch);
    list(&world, [tip].into_iter());
    let hex = main[20].to_string();
    let path = world
        .server()
        .join("objects")
        .join(&hex[..2])
        .join(&hex[2..]);
    std::fs::remove_file(path).unwrap();
    assert_eq!(new().unwrap(), branch, "it was not read");
    // Where history is cut off the file lists what is not there, and git does not look into it either.
    let shallow = world.server().join("shallow");
    std::fs::write(&shallow, format!("{}\n", main[0])).unwrap();
    assert!(matches!(new(), Err(RepoError::Missing(id)) if id == main[20]));
    std::fs::remove_file(shallow).unwrap();
    let listed = world.server().join("objects/info/commit-graph");
    let mut bytes = std::fs::read(&listed).unwrap();
    bytes.truncate(100);
    std::fs::remove_file(&listed).unwrap();
    std::fs::write(&listed, bytes).unwrap();
    assert!(matches!(new(), Err(RepoError::Missing(id)) if id == main[20]));
}

/// `count` commits one upon the other, the oldest first.
fn chain(world: &World, sent: bool, from: &[Oid], count: usize, since: i64) -> Vec<Oid> {
    let mut commits: Vec<Oid> = from.to_vec();
    for at in 0..count {
        let parents: Vec<Oid> = commits.last().copied().into_iter().collect();
        commits.push(world.commit_tree(sent, &parents, empty_tree(), since + at as i64));
    }
    commits.drain(..from.len());
    commits
}

fn few_commits(commits: u64) -> Budget {
    Budget::new(Bounds {
        commits,
        time: Duration::from_secs(120),
        ..Bounds::default()
    })
}

/// What is new at `tip`, when no more commits may be read.
fn new_within(
    world: &World,
    commits: u64,
    tip: Oid,
    trusted: &[Oid],
) -> Result<Vec<Oid>, RepoError> {
    let (repo, budget) = (world.repo(), few_commits(commits));
    let reader = repo.reader();
    let mut graph = Graph::new(&reader, &budget, || shallow(&repo));
    let tip = graph.node(&tip);
    let fresh = graph.fresh(
        tip,
        None,
        |id| trusted.contains(id),
        |graph| Ok(trusted.iter().map(|id| graph.node(id)).collect()),
    )?;
    Ok(fresh.commits.iter().map(|node| graph.id(*node)).collect())
}

#[test]
fn a_push_reads_its_own_commits_and_little_more() {
    let world = World::new();
    let main = chain(&world, false, &[], 60, 1_000);
    let tip = main[59];
    let new = chain(&world, true, &[tip], 2, 2_000);
    assert_eq!(new_within(&world, 2, new[1], &[tip]).unwrap(), new);
    assert!(new_within(&world, 1, new[1], &[tip]).is_err());
    // From the middle of known history: down to where the branch begins.
    let branch = chain(&world, true, &[main[56]], 2, 3_000);
    assert_eq!(new_within(&world, 7, branch[1], &[tip]).unwrap(), branch);
    // What is stored and known, though sent again.
    assert!(new_within(&world, 5, main[56], &[tip]).unwrap().is_empty());
    world.send_again(&main[56]);
    assert!(new_within(&world, 5, main[56], &[tip]).unwrap().is_empty());
    // Two ways up from the same commit.
    let sides = [5_000, 6_000].map(|since| chain(&world, true, &[main[54]], 1, since)[0]);
    let merge = world.commit_tree(true, &sides, empty_tree(), 7_000);
    let expected = [sides[0], sides[1], merge];
    assert_eq!(new_within(&world, 9, merge, &[tip]).unwrap(), expected);
    // Both of them known, and stored as well, though that shows late: below a commit with an earlier date.
    let sides = [5_001, 6_001].map(|since| chain(&world, false, &[main[54]], 1, since)[0]);
    let merge = world.commit_tree(false, &sides, empty_tree(), 7_001);
    let top = chain(&world, false, &[merge], 1, 2_500)[0];
    let found = new_within(&world, 5, merge, &[top]).unwrap();
    assert!(found.is_empty());
}

/// A clock that went wrong, or lies, makes the walk go on for a while and then stop, whatever is known below.
#[test]
fn what_is_parked_is_told_from_what_is_known_without_reading_all_of_it() {
    let world = World::new();
    let main = chain(&world, false, &[], 1_200, 10_000);
    let tip = main[1_199];
    // Nothing known reaches it, so what is left to read is known history: a thousand commits of it, and no more.
    let parked = chain(&world, false, &[main[1_190]], 2, 20_000);
    for tips in [vec![tip], vec![main[1_195], tip]] {
        assert_eq!(new_within(&world, 1_100, parked[1], &tips).unwrap(), parked);
        assert!(matches!(
            new_within(&world, 900, parked[1], &tips),
            Err(RepoError::Exhausted(_))
        ));
    }
    // What is below a commit with a wrong date is known all the same.
    let late = world.commit_tree(false, &[main[1_189]], empty_tree(), 0);
    let above = chain(&world, false, &[late], 1, 30_000);
    let found = new_within(&world, 1_300, main[1_189], &above).unwrap();
    assert!(found.is_empty());
    // More parked commits than the walk goes on for: they are no known ones, and do not end it.
    let many = chain(&world, false, &[main[1_190]], 1_100, 40_000);
    assert_eq!(
        new_within(&world, 2_200, many[1_099], &[tip]).unwrap(),
        many
    );
}

/// What was walked by as new is known from the moment that a known commit is seen to reach it, and so are its parents.
#[test]
fn what_was_walked_by_before_it_showed_to_be_known_is_not_new() {
    let world = World::new();
    let low = chain(&world, false, &[], 2, 1_000);
    let high = chain(&world, false, &[low[1]], 2, 10);
    let new = world.commit_tree(true, &[low[1], low[0]], empty_tree(), 2_000);
    assert_eq!(new_within(&world, 5, new, &[high[1]]).unwrap(), [new]);
}

#[test]
fn a_merge_base_is_found_without_reading_what_lies_below() {
    let world = World::new();
    let main = chain(&world, false, &[], 60, 1_000);
    let sides = [2_000, 2_100].map(|since| chain(&world, false, &[main[56]], 2, since)[1]);
    let within = |commits, one: Oid, other: Oid| {
        let (repo, budget) = (world.repo(), few_commits(commits));
        let reader = repo.reader();
        let mut graph = Graph::new(&reader, &budget, || shallow(&repo));
        let nodes = [graph.node(&one), graph.node(&other)];
        let is_below = graph.is_ancestor(nodes[0], nodes[1])?;
        let bases = graph.merge_bases(nodes[0], &nodes[1..])?;
        let bases: Vec<Oid> = bases.into_iter().map(|base| graph.id(base)).collect();
        Ok::<_, RepoError>((is_below, bases))
    };
    assert_eq!(
        within(6, sides[0], sides[1]).unwrap(),
        (false, vec![main[56]])
    );
    assert!(within(4, sides[0], sides[1]).is_err());
    assert_eq!(
        within(6, main[56], main[59]).unwrap(),
        (true, vec![main[56]])
    );
    assert_eq!(
        within(6, main[59], main[56]).unwrap(),
        (false, vec![main[56]])
    );
    assert_eq!(
        within(7, sides[0], main[59]).unwrap(),
        (false, vec![main[56]])
    );
}

/// Many lines from older and older commits do not hide that the youngest of these has all others below it.
#[test]
fn one_base_above_many_others_is_found_at_once() {
    let world = World::new();
    let main = chain(&world, false, &[], 100, 1_000);
    let sides: Vec<Oid> = (0..20)
        .map(|at| world.commit_tree(false, &[main[60 + at]], empty_tree(), 2_000 + at as i64))
        .collect();
    let merge = world.commit_tree(false, &sides, empty_tree(), 3_000);
    let (repo, budget) = (world.repo(), few_commits(64));
    let reader = repo.reader();
    let mut graph = Graph::new(&reader, &budget, || shallow(&repo));
    let (one, other) = (graph.node(&merge), graph.node(&main[99]));
    for (one, other) in [(one, other), (other, one)] {
        let bases = graph.merge_bases(one, &[other]).unwrap();
        assert_eq!(bases, [graph.node(&main[79])]);
    }
}

/// Commits that were read before cost nothing of the budget but time.
#[test]
fn a_walk_over_what_was_read_ends_when_the_time_is_up() {
    let world = World::new();
    let main = chain(&world, false, &[], 600, 1_000);
    let repo = world.repo();
    let mut time = Duration::from_millis(100);
    let error = loop {
        let budget = Budget::new(Bounds {
            time,
            ..Bounds::default()
        });
        let reader = repo.reader();
        let mut graph = Graph::new(&reader, &budget, || shallow(&repo));
        let (old, new) = (graph.node(&main[0]), graph.node(&main[599]));
        match graph.is_ancestor(old, new) {
            Ok(found) => {
                assert!(found);
                std::thread::sleep(time.saturating_sub(budget.elapsed()));
                break graph.is_ancestor(old, new).unwrap_err();
            }
            // A slow machine.
            Err(_) => time *= 2,
        }
    };
    let RepoError::Exhausted(Exhausted { resource, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(resource, Resource::Time);
}

#[test]
fn what_is_not_there_is_no_edge_of_a_shallow_store() {
    let world = World::new();
    let nowhere = Oid::from_hex(b"1111111111111111111111111111111111111111").unwrap();
    let edge = world.commit_tree(false, &[nowhere], empty_tree(), 1);
    std::fs::write(world.server().join("shallow"), format!("{edge}\n")).unwrap();
    let (repo, budget) = (world.repo(), few_commits(100));
    let reader = repo.reader();
    let is_missing = |error: RepoError| matches!(error, RepoError::Missing(id) if id == nowhere);
    // Without a child it is just missing.
    let mut graph = Graph::new(&reader, &budget, || shallow(&repo));
    let (gone, known) = (graph.node(&nowhere), graph.node(&edge));
    assert!(is_missing(graph.is_ancestor(gone, known).unwrap_err()));
    // Below the edge it can be passed by, and has no tree, whatever is compared with that.
    let mut graph = Graph::new(&reader, &budget, || shallow(&repo));
    let (known, gone) = (graph.node(&edge), graph.node(&nowhere));
    assert_eq!(graph.tree(known).unwrap(), empty_tree());
    assert!(graph.is_ancestor(gone, known).unwrap());
    assert!(is_missing(graph.tree(gone).unwrap_err()));
}

use super::*;

#[test]
fn refs_that_nobody_pushed_are_told_when_they_are_younger_than_the_ledger() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    let mut history = line(6);
    // 6: made past the gate, on old history.
    history.0.push((vec![1], 2));
    let refs = [
        (MAIN, 4),
        ("refs/heads/old", 3),
        ("refs/tags/v2", 6),
        ("refs/pull/7/head", 5),
    ];
    let compared = bench.compare(&history, &refs);
    assert_eq!(
        told(&compared),
        ["ref-update refs/tags/v2 -..6", "commit 6"]
    );
    assert_eq!(
        compared.ledger.notes.len(),
        2,
        "{:?}",
        compared.ledger.notes
    );
    // The same, found by the first push to it.
    bench.push(&[("refs/tags/v2", Some(6), None)]);
    assert_eq!(
        told(&bench.compare(&history, &[(MAIN, 4)])),
        ["ref-update refs/tags/v2 -..6"]
    );
}

#[test]
fn a_symbolic_ref_moves_with_what_it_leads_to() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    bench.push(&[(MAIN, Some(4), Some(5))]);
    let refs = [(MAIN, 5), ("refs/heads/to/main", 5)];
    let compared = bench.compare(&line(6), &refs);
    assert_eq!(told(&compared), [""; 0]);
    assert_eq!(
        compared.ledger.notes,
        ["the ledger does not mention 1 symbolic refs: what they lead to is compared instead"]
    );
    // What it leads to has moved past the gate: told once.
    let refs = [(MAIN, 6), ("refs/heads/to/main", 6)];
    assert_eq!(
        told(&bench.compare(&line(7), &refs)),
        ["ref-update main 5..6", "commit 6"]
    );
    // Nothing compares what this one leads to.
    let refs = [
        (MAIN, 5),
        ("refs/heads/to/pull", 6),
        ("refs/pull/1/head", 6),
    ];
    assert_eq!(
        told(&bench.compare(&line(7), &refs)),
        ["ref-update to/pull -..6", "commit 6"]
    );
}

#[test]
fn refs_of_the_host_are_not_compared_though_a_push_once_moved_them() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(4))]);
    bench.push(&[("refs/pull/1/head", None, Some(5))]);
    for refs in [
        &[(MAIN, 4), ("refs/pull/1/head", 6)][..],
        &[(MAIN, 4), ("refs/prefetch/remotes/up/main", 6)],
        &[(MAIN, 4)],
    ] {
        let compared = bench.compare(&line(7), refs);
        assert_eq!(told(&compared), [""; 0], "{refs:?}");
    }
    // What comes from there to a branch past the gate is told.
    let refs = [(MAIN, 6), ("refs/pull/1/head", 6)];
    assert_eq!(
        told(&bench.compare(&line(7), &refs)),
        ["ref-update main 4..6", "commit 6"]
    );
}

#[test]
fn a_commit_that_is_dated_back_hides_on_no_commit_that_was_pushed() {
    let mut bench = Bench::new();
    bench.push(&[(MAIN, Some(2), Some(5))]);
    let mut history = line(6);
    // 6 and 7: made past the gate and dated back, on what a push brought and on what was there before.
    history.0.push((vec![5], -50));
    history.0.push((vec![2], -50));
    let refs = [(MAIN, 5), ("refs/heads/old", 7), ("refs/heads/x", 6)];
    assert_eq!(
        told(&bench.compare(&history, &refs)),
        ["ref-update x -..6", "commit 6"]
    );
}

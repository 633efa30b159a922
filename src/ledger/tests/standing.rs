//! What entries carry on: who is suspended, and how late it is.

use super::*;

#[test]
fn a_suspension_is_carried_by_every_entry_and_outlives_a_rotation() {
    let (_folder, path) = ledger_of(1);
    let stopped = |name: &str| Stopped {
        identity: name.into(),
        by: "alice (uid 1000)".into(),
        reason: Some("looks odd".into()),
    };
    let ledger = Ledger::open(&path).unwrap();
    ledger.suspend(stopped("docs-bot"), PATIENCE).unwrap();
    ledger.suspend(stopped("porter"), PATIENCE).unwrap();
    ledger.append(&sample(), PATIENCE).unwrap();
    let names = |path: &Path| -> Vec<String> {
        let standing = standing_beside(path).unwrap().unwrap_or_default();
        standing.suspended.into_keys().collect()
    };
    assert_eq!(names(&path), ["docs-bot", "porter"]);
    // The file alone is enough, and so is the ledger alone.
    let list = suspended::beside(&path, ".suspended");
    let kept = fs::read(&list).unwrap();
    fs::remove_file(&list).unwrap();
    assert_eq!(names(&path), ["docs-bot", "porter"]);
    fs::write(&list, kept).unwrap();
    fs::rename(&path, path.with_extension("1")).unwrap();
    ledger.append(&sample(), PATIENCE).unwrap();
    assert_eq!(names(&path), ["docs-bot", "porter"]);
    assert!(
        ledger
            .resume(stopped("docs-bot"), PATIENCE)
            .unwrap()
            .is_some()
    );
    assert!(
        ledger
            .resume(stopped("docs-bot"), PATIENCE)
            .unwrap()
            .is_none()
    );
    assert_eq!(names(&path), ["porter"]);
    ledger.append(&sample(), PATIENCE).unwrap();
    ledger.resume(stopped("porter"), PATIENCE).unwrap().unwrap();
    assert!(names(&path).is_empty() && !list.exists());
    ledger.append(&sample(), PATIENCE).unwrap();
    assert!(names(&path).is_empty());
    check(&path).unwrap();
}

#[test]
fn a_list_of_suspended_that_was_edited_is_not_believed() {
    let (_folder, path) = ledger_of(1);
    let ledger = Ledger::open(&path).unwrap();
    let stopped = Stopped {
        identity: "docs-bot".into(),
        by: "alice".into(),
        reason: None,
    };
    ledger.suspend(stopped, PATIENCE).unwrap();
    let list = suspended::beside(&path, ".suspended");
    let text = fs::read_to_string(&list).unwrap();
    for edited in [
        text.replace("docs-bot", "docs-b0t"),
        "{}\n".to_owned(),
        String::new(),
        text.lines().next().unwrap().to_owned(),
        text.clone() + "\n",
    ] {
        fs::write(&list, edited).unwrap();
        let read = ledger.standing();
        assert!(matches!(read, Err(LedgerError::Suspended(_))), "{read:?}");
        assert!(ledger.append(&sample(), PATIENCE).is_err());
    }
    fs::write(&list, text).unwrap();
    ledger.append(&sample(), PATIENCE).unwrap();
}

#[test]
fn the_latest_moment_is_carried_until_somebody_says_that_the_clock_is_right() {
    let (_folder, path) = ledger_of(0);
    let ledger = Ledger::open(&path).unwrap();
    let at = |time: &str| time.parse::<Timestamp>().unwrap();
    let landed = |time: &str| {
        let entry = Entry::landed(Vec::new(), None, &[], at(time));
        ledger.append(&entry, PATIENCE).unwrap();
        ledger.standing().unwrap().latest.unwrap()
    };
    assert_eq!(landed("2026-11-22T10:00:00Z"), at("2026-11-22T10:00:00Z"));
    assert_eq!(landed("2026-11-22T12:00:00Z"), at("2026-11-22T12:00:00Z"));
    assert_eq!(landed("2026-11-22T11:00:00Z"), at("2026-11-22T12:00:00Z"));
    assert_eq!(landed("2026-11-22T11:30:00Z"), at("2026-11-22T12:00:00Z"));
    let right = Entry::clock("alice".into(), at("2026-11-22T11:40:00Z"));
    ledger.append(&right, PATIENCE).unwrap();
    assert_eq!(landed("2026-11-22T11:41:00Z"), at("2026-11-22T11:41:00Z"));
    assert_eq!(landed("2026-11-22T13:00:00Z"), at("2026-11-22T13:00:00Z"));
}

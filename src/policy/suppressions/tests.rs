use super::*;
use crate::policy::tests::{KNOWN, policy};
use crate::policy::{REPOSITORY_POLICY, RepositoryPolicy};

const SUPPRESSIONS: &str = include_str!("../../../testdata/policies/valid/suppressions.yaml");

#[test]
fn a_suppression_names_what_it_says_and_nothing_else() {
    let policy = policy(SUPPRESSIONS);
    let print = |text: &str| Fingerprint::parse(text);
    let moment = |text: &str| text.parse().expect("a moment");
    let now: jiff::Timestamp = moment("2026-06-01T00:00:00Z");
    let repository = ["org/site".to_owned(), "site".to_owned()];
    let bot = policy.suppressions_for(Some("bot"), "docs", &repository, now);
    let find = |entries: &InForce<'_>, rule: &str, value: Option<&str>, path: Option<&str>| {
        entries
            .find(rule, value.and_then(print), path.map(str::as_bytes))
            .map(|entry| (entry.id.to_string(), entry.expired))
    };
    let (key, vector, at) = (
        "secret/private-key",
        Some("0a09a2c64215"),
        Some("tests/fixtures/a"),
    );
    assert_eq!(
        find(&bot, key, vector, at),
        Some(("test-vectors".into(), false))
    );
    for (rule, value, path) in [
        ("secret/github-pat", vector, at),
        ("secret/already-present", vector, at),
        (key, Some("0a09a2c64216"), at),
        (key, None, at),
        (key, vector, Some("tests/a")),
        (key, vector, Some("Tests/fixtures/a")),
        (key, vector, Some("tests/fixtures")),
        (key, vector, None),
        ("ref/force", Some("123456789012"), None),
        ("limit/unscanned", Some("123456789012"), at),
        ("secret/acme-token", None, Some("docs/a/b.md")),
        ("secret/acme-token", None, None),
    ] {
        assert_eq!(
            find(&bot, rule, value, path),
            None,
            "{rule} {value:?} {path:?}"
        );
    }
    for digits in ["123456789012", "1234567890e1"] {
        let found = find(&bot, "secret/any", Some(digits), None);
        assert_eq!(found.expect(digits).0, "digits");
    }
    let own = |entries: &InForce<'_>| find(entries, "secret/acme-token", None, Some("docs/a.md"));
    assert_eq!(own(&bot), Some(("own".into(), false)));
    let elsewhere = ["other/site".to_owned(), "site".to_owned()];
    for (identity, boundary, names) in [
        (Some("bot"), "docs", &elsewhere[..]),
        (Some("bot"), "docs", &[]),
        (Some("bob"), "docs", &repository),
        (None, "docs", &repository),
        (Some("bot"), "code", &repository),
    ] {
        let entries = policy.suppressions_for(identity, boundary, names, now);
        assert_eq!(own(&entries), None, "{identity:?} {boundary} {names:?}");
    }
    let until = moment("2027-01-01T00:00:00Z");
    let late = policy.suppressions_for(Some("bot"), "docs", &repository, until);
    assert_eq!(
        own(&late),
        Some(("own".into(), true)),
        "over at the first moment of `until`"
    );
}

#[test]
fn rules_of_packs_are_known_only_where_there_are_packs() {
    let known = |text: &str| Policy::parse("policy.yaml", text.as_bytes(), &KNOWN);
    let text = SUPPRESSIONS.replace("secret/private-key", "secret/github-pat");
    let policy = known(&text).expect("a valid policy");
    assert_eq!(
        policy.rule_packs,
        [std::path::Path::new("/etc/ringfence/rules")]
    );
    assert!(known(&text.replace("rules: [/etc/ringfence/rules]\n", "")).is_err());
    for wrong in [
        "secrets/acme-token",
        "secret/",
        "secret/Acme",
        "secret/a/b",
        "ref/acme",
    ] {
        assert!(
            known(&text.replace("secret/acme-token", wrong)).is_err(),
            "{wrong}"
        );
    }
    let own = |packs| {
        let known = Known { packs, ..KNOWN };
        let text = b"version: 1\nboundaries: { docs: { checks: { secret/acme-token: deny } } }\n";
        RepositoryPolicy::parse(REPOSITORY_POLICY, text, &known).is_ok()
    };
    assert!(own(true) && !own(false));
}

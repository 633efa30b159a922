//! Gitea and Forgejo.

use super::*;
use crate::push::RefName;

pub(super) fn gitea(vars: &[(&str, &str)]) -> Host {
    Host::new(&[
        ("GITEA_REPO_NAME", "site"),
        ("GITEA_REPO_USER_NAME", "org"),
        ("GITEA_REPO_ID", "7"),
        ("GITEA_REPO_IS_WIKI", "false"),
        ("GITEA_PUSHER_NAME", "bot"),
        ("GITEA_PUSHER_ID", "3"),
        ("GITEA_PUSHER_EMAIL", "bot@example.org"),
        ("GITEA_ROOT_URL", "http://localhost/"),
    ])
    .with(vars)
}

#[test]
fn gitea_ssh_push_with_a_user_key() {
    let push = gitea(&[
        ("GITEA_KEY_ID", "5"),
        ("GITEA_DEPLOY_KEY_ID", "0"),
        ("GITEA_PR_ID", "0"),
        ("SSH_ORIGINAL_COMMAND", "git-receive-pack 'org/site.git'"),
    ])
    .push()
    .unwrap();
    assert_eq!(push.host, HostKind::Gitea);
    assert_eq!(
        push.pusher,
        account("bot", Some("3"), Some("bot@example.org"))
    );
    assert_eq!(push.errand, Errand::None);
    assert_eq!(push.repository, ["org/site"]);
}

#[test]
fn gitea_http_push_hides_the_mail_address() {
    let push = gitea(&[("SSH_ORIGINAL_COMMAND", "receive-pack")])
        .without("GITEA_PUSHER_EMAIL")
        .push()
        .unwrap();
    assert_eq!(push.pusher, account("bot", Some("3"), None));
    assert_eq!(push.errand, Errand::None);
}

#[test]
fn gitea_deploy_key_is_not_the_owner() {
    let push = gitea(&[("GITEA_KEY_ID", "9"), ("GITEA_DEPLOY_KEY_ID", "4")])
        .push()
        .unwrap();
    let key = Pusher {
        deploy_key: Some("4".to_owned()),
        ..Pusher::default()
    };
    assert_eq!(push.pusher, key);
}

#[test]
fn gitea_actions_before_1_26_have_no_task_number() {
    let push = gitea(&[
        ("GITEA_PUSHER_ID", "-2"),
        ("GITEA_PUSHER_NAME", "gitea-actions"),
        ("GITEA_ACTION_PERM", "2"),
    ])
    .push()
    .unwrap();
    assert_eq!(push.pusher.ci_task.as_deref(), Some("unknown"));
    assert_eq!(push.pusher.account.as_deref(), Some("gitea-actions"));
    assert_eq!(push.pusher.account_id.as_deref(), Some("-2"));
    assert_eq!(push.pusher.email, None);
}

#[test]
fn gitea_actions_of_1_26_have_one() {
    let push = gitea(&[
        ("GITEA_PUSHER_ID", "-2"),
        ("GITEA_PUSHER_NAME", "gitea-actions"),
        ("GITEA_ACTIONS_TASK_ID", "81"),
    ])
    .push()
    .unwrap();
    assert_eq!(push.pusher.ci_task.as_deref(), Some("81"));
}

#[test]
fn gitea_job_token_never_acts_as_a_user() {
    let push = gitea(&[("GITEA_ACTIONS_TASK_ID", "81")]).push().unwrap();
    let task = Pusher {
        ci_task: Some("81".to_owned()),
        ..Pusher::default()
    };
    assert_eq!(push.pusher, task);
}

#[test]
fn gitea_ghost_is_nobody() {
    let push = gitea(&[("GITEA_PUSHER_ID", "-1"), ("GITEA_PUSHER_NAME", "Ghost")])
        .push()
        .unwrap();
    assert_eq!(push.pusher, Pusher::default());
}

#[test]
fn gitea_web_editor_and_api() {
    let push = gitea(&[
        ("SSH_ORIGINAL_COMMAND", "gitea-internal"),
        ("GITEA_PR_ID", "0"),
    ])
    .push()
    .unwrap();
    assert_eq!(push.errand, Errand::Web);
    assert_eq!(
        push.pusher,
        account("bot", Some("3"), Some("bot@example.org"))
    );
}

#[test]
fn gitea_merge_is_the_mergers_whoever_wrote_the_commits() {
    for extra in [
        // 1.22 to 1.25, 1.26, and before 1.22.
        &[("GITEA_PUSH_TRIGGER", "pr-merge-to-base")][..],
        &[
            ("GITEA_PUSH_TRIGGER", "pr-merge-to-base"),
            ("GITEA_PR_INDEX", "2"),
        ],
        &[("GITEA_PUSH_TRIGGER", "pr-update-with-base")],
        &[],
    ] {
        let push = gitea(&[
            ("SSH_ORIGINAL_COMMAND", "gitea-internal"),
            ("GITEA_PUSHER_NAME", "alice"),
            ("GITEA_PUSHER_ID", "1"),
            ("GITEA_PUSHER_EMAIL", "alice@example.org"),
            ("GITEA_PR_ID", "12"),
            ("GIT_AUTHOR_NAME", "bot"),
        ])
        .with(extra)
        .push()
        .unwrap();
        assert_eq!(push.errand, Errand::Merge);
        assert_eq!(
            push.pusher,
            account("alice", Some("1"), Some("alice@example.org"))
        );
    }
}

#[test]
fn gitea_bookkeeping_holds_for_its_ref_shape_alone() {
    let internal = |stdin: String| {
        let push = gitea(&[("GITEA_INTERNAL_PUSH", "true")])
            .stdin(stdin)
            .push();
        push.unwrap().errand
    };
    assert_eq!(internal(create("refs/pull/12/head")), Errand::Bookkeeping);
    assert_eq!(
        internal(create("refs/pull/12/head") + &create("refs/pull/3/head")),
        Errand::Bookkeeping
    );
    for name in [
        "refs/heads/main",
        "refs/pull/12/merge",
        "refs/pull/12/x/head",
        "refs/pull/x/head",
        "refs/pull/head",
        "refs/pull/12/head/head",
        "refs/pulls/12/head",
    ] {
        assert_eq!(internal(create(name)), Errand::None, "{name}");
        assert_eq!(
            internal(create("refs/pull/12/head") + &create(name)),
            Errand::None,
            "{name}"
        );
    }
    let delete = format!("{NEW} {ZERO} refs/pull/12/head\n");
    assert_eq!(internal(delete), Errand::None);
    let push = gitea(&[("GITEA_INTERNAL_PUSH", "false")])
        .stdin(create("refs/pull/12/head"))
        .push();
    assert_eq!(push.unwrap().errand, Errand::None);
}

#[test]
fn gitea_wiki_is_a_repository_of_its_own() {
    for name in ["site", "site.wiki"] {
        let push = gitea(&[("GITEA_REPO_IS_WIKI", "true"), ("GITEA_REPO_NAME", name)])
            .folder("org/site.wiki.git")
            .push()
            .unwrap();
        assert_eq!(push.repository, ["org/site.wiki"]);
    }
}

#[test]
fn gitea_old_name_in_the_url_does_not_choose_the_boundary() {
    let push = gitea(&[("GITEA_REPO_NAME", "docs-site")]).push().unwrap();
    assert_eq!(push.repository, ["org/site"]);
    // The folder is lower case; the case of the name may be that of the URL.
    let push = gitea(&[("GITEA_REPO_NAME", "Site"), ("GITEA_REPO_USER_NAME", "Org")])
        .push()
        .unwrap();
    assert_eq!(push.repository, ["org/site"]);
    // A repository that was given to another owner.
    let push = gitea(&[("GITEA_REPO_USER_NAME", "docs-team")])
        .push()
        .unwrap();
    assert_eq!(push.repository, ["org/site"]);
    // Kept in a layout of somebody's own.
    let push = gitea(&[]).folder("storage/0017.git").push().unwrap();
    assert_eq!(push.repository, ["org/site"]);
}

#[test]
fn gitea_agit_push_is_an_ordinary_one() {
    let push = gitea(&[
        ("GIT_PUSH_OPTION_COUNT", "1"),
        ("GIT_PUSH_OPTION_0", "topic=x"),
    ])
    .stdin(create("refs/for/main/topic"))
    .push()
    .unwrap();
    assert_eq!(push.errand, Errand::None);
    assert_eq!(
        push.commands[0].name,
        RefName::new("refs/for/main/topic").unwrap()
    );
}

#[test]
fn gitea_odd_variables_are_refused() {
    let refused = |name: &str, value: &str| gitea(&[(name, value)]).refused();
    assert_eq!(
        refused("GITEA_PUSHER_ID", "x"),
        "environment variable GITEA_PUSHER_ID is not a whole number"
    );
    assert_eq!(
        refused("GITEA_DEPLOY_KEY_ID", "4x"),
        "environment variable GITEA_DEPLOY_KEY_ID is not a whole number"
    );
    assert_eq!(
        refused("GITEA_PUSHER_NAME", "a\nb"),
        "environment variable GITEA_PUSHER_NAME holds a control character"
    );
    assert_eq!(
        refused("GITEA_PUSHER_NAME", &"a".repeat(4097)),
        "environment variable GITEA_PUSHER_NAME is longer than 4096 bytes"
    );
    assert_eq!(
        refused("GITEA_REPO_NAME", ""),
        "environment variable GITEA_REPO_NAME is missing or empty"
    );
    let mut host = gitea(&[]);
    host.vars.insert(
        "GITEA_PUSHER_NAME".to_owned(),
        OsString::from_vec(vec![0xff]),
    );
    assert_eq!(
        host.refused(),
        "environment variable GITEA_PUSHER_NAME is not UTF-8"
    );
}

#[test]
fn gitea_pinned_but_absent_is_refused() {
    for name in ["GITEA_REPO_ID", "GITEA_PUSHER_ID", "GITEA_REPO_USER_NAME"] {
        assert_eq!(
            gitea(&[]).without(name).pinned(HostKind::Gitea).refused(),
            format!("environment variable {name} is missing or empty")
        );
    }
}

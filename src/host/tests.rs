//! Every line of the tables of variables that hosts set, as observed on running hosts.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::*;

mod gitea;

use self::gitea::gitea;

const AUTO: HostConfig = HostConfig {
    kind: None,
    account_env: None,
    judge_bookkeeping: false,
    root: None,
};
const NEW: &str = "2222222222222222222222222222222222222222";
const ZERO: &str = "0000000000000000000000000000000000000000";

/// A host to be: its variables, its folder of a repository, and what it feeds.
struct Host {
    vars: HashMap<String, OsString>,
    config: HostConfig,
    root: tempfile::TempDir,
    folder: &'static str,
    stdin: String,
}

impl Host {
    fn new(vars: &[(&str, &str)]) -> Self {
        Host {
            vars: HashMap::new(),
            config: AUTO,
            root: tempfile::tempdir().unwrap(),
            folder: "org/site.git",
            stdin: create("refs/heads/x"),
        }
        .with(vars)
    }

    fn with(mut self, vars: &[(&str, &str)]) -> Self {
        for (name, value) in vars {
            self.vars.insert((*name).to_owned(), value.into());
        }
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.vars.remove(name).expect("was set");
        self
    }

    fn pinned(mut self, kind: HostKind) -> Self {
        self.config.kind = Some(kind);
        self
    }

    fn account_env(mut self, name: &str) -> Self {
        self.config.account_env = Some(name.to_owned());
        self
    }

    fn folder(mut self, folder: &'static str) -> Self {
        self.folder = folder;
        self
    }

    fn stdin(mut self, stdin: String) -> Self {
        self.stdin = stdin;
        self
    }

    fn push(&self) -> Result<Push, InputError> {
        let git_dir = self.root.path().join(self.folder);
        std::fs::create_dir_all(&git_dir).unwrap();
        receive(
            &|name| self.vars.get(name).cloned(),
            &mut self.stdin.as_bytes(),
            &self.config,
            &git_dir,
            HashKind::Sha1,
            100,
        )
    }

    fn refused(&self) -> String {
        self.push().unwrap_err().to_string()
    }
}

fn create(name: &str) -> String {
    format!("{ZERO} {NEW} {name}\n")
}

fn account(name: &str, id: Option<&str>, email: Option<&str>) -> Pusher {
    Pusher {
        account: Some(name.to_owned()),
        account_id: id.map(str::to_owned),
        email: email.map(str::to_owned),
        ..Pusher::default()
    }
}

// GitLab

fn gitlab(vars: &[(&str, &str)]) -> Host {
    Host::new(&[
        ("GL_ID", "user-17"),
        ("GL_USERNAME", "bot"),
        ("GL_REPOSITORY", "project-3"),
        ("GL_PROJECT_PATH", "group/sub/site"),
        ("GL_PROTOCOL", "ssh"),
    ])
    .folder("@hashed/aa/bb/aabb.git")
    .with(vars)
}

#[test]
fn gitlab_user() {
    let push = gitlab(&[]).push().unwrap();
    assert_eq!(push.host, HostKind::Gitlab);
    assert_eq!(push.pusher, account("bot", Some("17"), None));
    assert_eq!(push.repository, ["group/sub/site"]);
    assert_eq!(push.errand, Errand::None);
    let push = gitlab(&[("GL_PROTOCOL", "http")]).push().unwrap();
    assert_eq!(push.errand, Errand::None);
    let push = gitlab(&[("GL_PROTOCOL", "web")]).push().unwrap();
    assert_eq!(push.errand, Errand::Web);
}

#[test]
fn gitlab_deploy_key_and_unknown_kinds_are_no_account() {
    let push = gitlab(&[("GL_ID", "key-8")]).push().unwrap();
    let key = Pusher {
        deploy_key: Some("8".to_owned()),
        ..Pusher::default()
    };
    assert_eq!(push.pusher, key);
    for id in ["deploy-token-4", "user-", "user-x", "user-1 ", "17"] {
        let push = gitlab(&[("GL_ID", id)]).push().unwrap();
        assert_eq!(push.pusher, Pusher::default(), "{id}");
    }
}

#[test]
fn gitlab_repositories_beside_the_code_have_names_of_their_own() {
    for (told, name) in [
        ("wiki-3", "group/sub/site.wiki"),
        ("group-3-wiki", "group/sub/site.wiki"),
        ("design-3", "group/sub/site.design"),
        ("snippet-3", "group/sub/site.snippet"),
        ("odd", "group/sub/site.odd"),
    ] {
        let push = gitlab(&[("GL_REPOSITORY", told)]).push().unwrap();
        assert_eq!(push.repository, [name]);
    }
    let wiki = [
        ("GL_REPOSITORY", "wiki-3"),
        ("GL_PROJECT_PATH", "group/site.wiki"),
    ];
    assert_eq!(
        gitlab(&wiki).push().unwrap().repository,
        ["group/site.wiki"]
    );
}

#[test]
fn gitlab_pinned_but_absent_is_refused() {
    for name in ["GL_ID", "GL_REPOSITORY", "GL_PROJECT_PATH"] {
        assert_eq!(
            gitlab(&[]).without(name).pinned(HostKind::Gitlab).refused(),
            format!("environment variable {name} is missing or empty")
        );
    }
}

// gitolite

fn gitolite(vars: &[(&str, &str)]) -> Host {
    Host::new(&[
        ("GL_USER", "bot"),
        ("GL_REPO", "team/site"),
        ("GL_TID", "4711"),
        ("GL_LIBDIR", "/usr/share/gitolite3/lib"),
        ("SSH_ORIGINAL_COMMAND", "git-receive-pack 'team/site'"),
        ("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 22"),
    ])
    .with(vars)
}

#[test]
fn gitolite_user() {
    let push = gitolite(&[]).push().unwrap();
    assert_eq!(push.host, HostKind::Gitolite);
    assert_eq!(push.pusher, account("bot", None, None));
    assert_eq!(push.repository, ["team/site"]);
}

#[test]
fn gitolite_pinned_but_absent_is_refused() {
    for name in ["GL_USER", "GL_REPO"] {
        assert_eq!(
            gitolite(&[])
                .without(name)
                .pinned(HostKind::Gitolite)
                .refused(),
            format!("environment variable {name} is missing or empty")
        );
    }
}

#[test]
fn gitlab_and_gitolite_share_a_prefix_and_nothing_else() {
    // A GitLab environment pinned to gitolite, and the reverse.
    assert!(gitlab(&[]).pinned(HostKind::Gitolite).push().is_err());
    assert!(gitolite(&[]).pinned(HostKind::Gitlab).push().is_err());
}

// git http-backend

fn http(vars: &[(&str, &str)]) -> Host {
    Host::new(&[
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("GIT_PROJECT_ROOT", "/srv/git"),
        ("GIT_HTTP_EXPORT_ALL", ""),
        ("GIT_PROTOCOL", ""),
        ("HTTP_AUTHORIZATION", "Basic x"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_USER", "bot"),
    ])
    .with(vars)
}

#[test]
fn http_user() {
    let push = http(&[]).push().unwrap();
    assert_eq!(push.host, HostKind::Http);
    assert_eq!(push.pusher, account("bot", None, None));
    assert_eq!(push.repository, ["org/site", "site"]);
    let push = http(&[]).without("GATEWAY_INTERFACE").push().unwrap();
    assert_eq!(push.host, HostKind::Http);
}

#[test]
fn http_without_a_user_is_unknown() {
    for host in [
        http(&[]).without("REMOTE_USER"),
        http(&[("REMOTE_USER", "")]),
    ] {
        let push = host.push().unwrap();
        assert_eq!(push.host, HostKind::Http);
        assert_eq!(push.pusher, Pusher::default());
    }
}

#[test]
fn http_pinned_but_another_way_in_is_refused() {
    assert_eq!(
        Host::new(&[]).pinned(HostKind::Http).refused(),
        "environment variable GATEWAY_INTERFACE is missing, though the policy pins host: http"
    );
}

#[test]
fn only_the_variables_of_the_host_are_read() {
    let host = http(&[]);
    let asked = std::cell::RefCell::new(Vec::new());
    let git_dir = host.root.path().join(host.folder);
    std::fs::create_dir_all(&git_dir).unwrap();
    receive(
        &|name| {
            asked.borrow_mut().push(name.to_owned());
            host.vars.get(name).cloned()
        },
        &mut host.stdin.as_bytes(),
        &AUTO,
        &git_dir,
        HashKind::Sha1,
        100,
    )
    .unwrap();
    assert!(asked.borrow().iter().all(|name| !name.starts_with("HTTP_")));
}

// plain git

#[test]
fn plain_git_knows_nobody() {
    for vars in [&[][..], &[("SSH_CONNECTION", "127.0.0.1 1 127.0.0.1 22")]] {
        let push = Host::new(vars).push().unwrap();
        assert_eq!(push.host, HostKind::Plain);
        assert_eq!(push.pusher, Pusher::default());
        assert_eq!(push.repository, ["org/site", "site"]);
    }
}

#[test]
fn plain_ssh_tells_the_key() {
    let host = Host::new(&[]);
    let file = host.root.path().join("auth");
    std::fs::write(&file, "password\n").unwrap();
    let host = host.with(&[("SSH_USER_AUTH", file.to_str().unwrap())]);
    assert_eq!(host.push().unwrap().pusher, Pusher::default());
    std::fs::write(&file, "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\n").unwrap();
    let push = host.push().unwrap();
    assert!(push.pusher.ssh_key.unwrap().starts_with("SHA256:"));
    std::fs::write(&file, "publickey ssh-rsa AAAAC3NzaC1lZDI1NTE5\n").unwrap();
    assert_eq!(
        host.refused(),
        "SSH_USER_AUTH: a key is of another type than its line says"
    );
    std::fs::write(&file, vec![b'x'; 300 << 10]).unwrap();
    assert_eq!(
        host.refused(),
        "SSH_USER_AUTH: the file that it names is too long"
    );
    std::fs::remove_file(&file).unwrap();
    assert!(
        host.refused()
            .starts_with("SSH_USER_AUTH: the file that it names cannot be read")
    );
}

#[test]
fn repository_names_follow_the_root() {
    let mut host = Host::new(&[]);
    host.config.root = Some(host.root.path().to_path_buf());
    assert_eq!(host.push().unwrap().repository, ["org/site"]);
    let mut host = host.folder("a/b/c/site.git");
    assert_eq!(host.push().unwrap().repository, ["a/b/c/site"]);
    host.config.root = Some(host.root.path().join("a"));
    assert_eq!(host.push().unwrap().repository, ["b/c/site"]);
    let elsewhere = tempfile::tempdir().unwrap();
    host.config.root = Some(elsewhere.path().to_path_buf());
    assert_eq!(
        host.refused(),
        "the repository cannot be named: it is not below host: root of the policy"
    );
    host.config.root = Some(PathBuf::from("/no/such/folder"));
    assert!(host.push().is_err());
}

#[test]
fn repository_names_leave_out_a_work_trees_own_folder_and_resolve_links() {
    let host = Host::new(&[]).folder("org/site/.git");
    assert_eq!(host.push().unwrap().repository, ["org/site", "site"]);
    std::os::unix::fs::symlink(host.root.path().join("org"), host.root.path().join("lax")).unwrap();
    let host = host.folder("lax/site/.git");
    assert_eq!(host.push().unwrap().repository, ["org/site", "site"]);
}

// Pins, and what is refused

#[test]
fn account_env_is_the_account_or_nobody_pushes() {
    let host = Host::new(&[("WHO", "bot")]).account_env("WHO");
    assert_eq!(host.push().unwrap().pusher, account("bot", None, None));
    assert_eq!(
        host.with(&[("WHO", "")]).refused(),
        "environment variable WHO is missing or empty"
    );
    assert!(Host::new(&[]).account_env("WHO").push().is_err());
    let mut host = Host::new(&[]).account_env("WHO");
    host.vars
        .insert("WHO".to_owned(), OsString::from_vec(vec![0xff]));
    assert_eq!(host.refused(), "environment variable WHO is not UTF-8");
}

#[test]
fn account_env_replaces_the_hosts_word() {
    let push = http(&[("WHO", "alice")]).account_env("WHO").push().unwrap();
    assert_eq!(push.pusher.account.as_deref(), Some("alice"));
}

#[test]
fn account_env_does_not_make_an_account_of_a_deploy_key() {
    let host = gitea(&[("GITEA_DEPLOY_KEY_ID", "4")]).account_env("GITEA_PUSHER_NAME");
    assert_eq!(host.push().unwrap().pusher.account, None);
    let host = gitea(&[("GITEA_ACTIONS_TASK_ID", "4")]).account_env("GITEA_PUSHER_NAME");
    assert_eq!(host.push().unwrap().pusher.account, None);
}

#[test]
fn a_pinned_kind_ignores_other_hosts_variables() {
    let push = gitea(&[]).pinned(HostKind::Plain).push().unwrap();
    assert_eq!(push.host, HostKind::Plain);
    assert_eq!(push.pusher, Pusher::default());
}

#[test]
fn hosts_that_are_not_supported_say_how_to_go_on() {
    for (name, account) in [
        ("GOGS_REPO_ID", "GOGS_AUTH_USER_NAME"),
        ("SOFT_SERVE_REPO_NAME", "SOFT_SERVE_USERNAME"),
    ] {
        let host = Host::new(&[(name, "1"), (account, "bot")]);
        assert!(host.refused().contains("not supported"));
        let push = host
            .pinned(HostKind::Plain)
            .account_env(account)
            .push()
            .unwrap();
        assert_eq!(push.pusher, self::account("bot", None, None));
    }
}

#[test]
fn git_namespaces_are_refused() {
    let host = Host::new(&[("GIT_NAMESPACE", "tenant")]);
    assert!(host.refused().contains("GIT_NAMESPACE"));
    assert!(Host::new(&[("GIT_NAMESPACE", "")]).push().is_ok());
}

#[test]
fn too_many_ref_updates_are_refused_before_any_is_read() {
    let lines: String = (0..101)
        .map(|index| create(&format!("refs/heads/{index}")))
        .collect();
    let error = Host::new(&[]).stdin(lines).push().unwrap_err();
    assert!(matches!(error, InputError::Exhausted(_)));
    assert_eq!(
        error.to_string(),
        "the bound on ref updates is reached: 100"
    );
}

#[test]
fn endless_input_is_refused() {
    let mut endless = std::io::repeat(b'0');
    let result = receive(
        &|_| None,
        &mut endless,
        &AUTO,
        Path::new("/"),
        HashKind::Sha1,
        100,
    );
    assert!(matches!(result, Err(InputError::TooLong)));
}

#[test]
fn unreadable_input_is_refused() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    let folder = Path::new("/");
    let result = receive(&|_| None, &mut Broken, &AUTO, folder, HashKind::Sha1, 1);
    assert!(matches!(result, Err(InputError::Read(_))));
}

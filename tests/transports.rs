//! The same pushes through each way into a git server: a local path, a real sshd, and smart HTTP behind a real web
//! server, all on loopback. Only the source of the identity differs.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::samples::github_pat;
use crate::world::{Clone, Setup, World, default_policy};

/// Where Debian puts servers; `PATH` of an ordinary user does not name it.
const SERVER_FOLDERS: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin"];

/// A program that a test needs. A missing one fails the test: skipping would look like success.
fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SERVER_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is missing: run `tests/setup`, or install Debian's package {package}")
        })
}

/// A server process, ended when the test ends.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a server on a free port. Another process may take the port first: then it is tried again.
fn serve(log: &Path, mut start: impl FnMut(u16) -> Command) -> Server {
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let output = fs::File::create(log).unwrap();
        let mut process = start(port)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline && process.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Server { process, port };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = process.kill();
        let _ = process.wait();
    }
    panic!(
        "the server does not start:\n{}",
        fs::read_to_string(log).unwrap()
    );
}

/// An accepted push, and rejected ones: by path, by content, by ref, and of an identity that is not known.
fn judge_pushes(builder: &Clone<'_>, address: &str) {
    let push = |refspec: &str| builder.push_to(address.as_ref(), &[refspec]);
    builder.write("src/feature.rs", "pub fn feature() {}\n");
    let id = builder.commit("Feature");
    push("main:refs/heads/agents/builder/feature").expect_accept();
    assert_eq!(builder.world().id("refs/heads/agents/builder/feature"), id);

    push("main:main").expect_reject(&["ref/out-of-boundary"]);

    builder.write(".github/workflows/ci.yml", "on: issue_comment\n");
    let token = github_pat("transport");
    builder.write(
        "src/config.rs",
        format!("const TOKEN: &str = \"{token}\";\n"),
    );
    builder.commit("Too much");
    let pushed = push("main:refs/heads/agents/builder/feature");
    pushed.expect_reject(&["path/denied", "secret/github-pat"]);
    assert!(
        !pushed.everything.contains(&token[4..]),
        "the secret is shown"
    );
    let report = pushed.said.lines().last().unwrap();
    assert!(report.starts_with("ringfence-report: {"), "{}", pushed.said);
}

/// The default policy with other sources of identity.
fn policy(host: &str, builder: &str, alice: &str) -> String {
    let policy = default_policy()
        .replace(
            "host: { kind: plain, account_env: RINGFENCE_TEST_ACCOUNT }",
            host,
        )
        .replace("{ account: builder }", builder)
        .replace("{ account: alice }", alice);
    assert!(policy.contains(host) && policy.contains(builder) && policy.contains(alice));
    policy
}

fn server_with(policy: String) -> World {
    World::with(Setup {
        policy: Some(policy),
        ..Setup::default()
    })
}

#[test]
fn over_a_local_path() {
    let world = World::new();
    let builder = world.clone_for("builder");
    judge_pushes(&builder, &format!("file://{}", world.server().display()));
}

/// The ssh key that authenticated is the identity; no name in the environment counts.
#[test]
fn over_ssh() {
    let sshd = program("sshd", "openssh-server");
    let keygen = program("ssh-keygen", "openssh-client");
    let ssh = program("ssh", "openssh-client");
    let scratch = World::new();
    let dir = scratch.path("ssh");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    let mut fingerprints = Vec::new();
    let mut authorized = String::new();
    for name in ["host", "builder", "alice", "stranger"] {
        let key = dir.join(name);
        let mut command = Command::new(&keygen);
        command
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&key);
        assert!(command.status().unwrap().success());
        let shown = Command::new(&keygen).arg("-lf").arg(&key).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        fingerprints.push(shown.split(' ').nth(1).unwrap().to_owned());
        if name != "host" {
            authorized += &fs::read_to_string(key.with_extension("pub")).unwrap();
        }
    }
    fs::write(dir.join("authorized_keys"), authorized).unwrap();
    let world = server_with(policy(
        "host: { kind: plain }",
        &format!("{{ ssh_key: \"{}\" }}", fingerprints[1]),
        &format!("{{ ssh_key: \"{}\" }}", fingerprints[2]),
    ));
    let config = format!(
        "ListenAddress 127.0.0.1\nHostKey {dir}/host\nPidFile none\nUsePAM no\nStrictModes no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         AuthorizedKeysFile {dir}/authorized_keys\nExposeAuthInfo yes\n\
         SetEnv HOME={home} GIT_CONFIG_NOSYSTEM=1\n",
        dir = dir.display(),
        home = world.path("home").display(),
    );
    fs::write(dir.join("sshd_config"), config).unwrap();
    let server = serve(&dir.join("log"), |port| {
        let mut command = Command::new(&sshd);
        command
            .args(["-D", "-e", "-p", &port.to_string(), "-f"])
            .arg(dir.join("sshd_config"));
        command
    });

    let user = Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(user.stdout).unwrap();
    let address = format!(
        "ssh://{}@127.0.0.1:{}{}",
        user.trim(),
        server.port,
        world.server().display()
    );
    let as_key = |clone: &Clone<'_>, key: &str| {
        clone.set(
            "GIT_SSH_COMMAND",
            format!(
                "{} -F none -i {}/{key} -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
                 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
                ssh.display(),
                dir.display(),
            ),
        );
    };
    let builder = world.clone_for("builder");
    as_key(&builder, "builder");
    judge_pushes(&builder, &address);

    let alice = world.clone_for("alice");
    as_key(&alice, "alice");
    alice.write(".github/workflows/ci.yml", "on: push # by a person\n");
    alice.commit("CI");
    alice
        .push_to(address.as_ref(), &["main:main"])
        .expect_accept();

    as_key(&builder, "stranger");
    let pushed = builder.push_to(address.as_ref(), &["main~1:refs/heads/agents/builder/y"]);
    pushed.expect_reject(&["identity/unknown"]);
}

/// The web server authenticates, and hands the name over as REMOTE_USER.
#[test]
fn over_smart_http() {
    let lighttpd = program("lighttpd", "lighttpd");
    let world = server_with(policy(
        "host: { kind: http }",
        "{ account: builder }",
        "{ account: alice }",
    ));
    let dir = world.path("http");
    fs::create_dir(&dir).unwrap();
    fs::write(
        dir.join("users"),
        "builder:one\nalice:two\nstranger:three\n",
    )
    .unwrap();
    let backend = world.server_git(&["--exec-path"]) + "/git-http-backend";
    let server = serve(&dir.join("log"), |port| {
        let config = format!(
            r#"server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{dir}"
server.upload-dirs = ( "{dir}" )
server.modules = ( "mod_auth", "mod_authn_file", "mod_cgi", "mod_alias", "mod_setenv" )
auth.backend = "plain"
auth.backend.plain.userfile = "{dir}/users"
auth.require = ( "/git/" => ( "method" => "basic", "realm" => "git", "require" => "valid-user" ) )
alias.url = ( "/git" => "{backend}" )
cgi.assign = ( "" => "" )
setenv.set-environment = ( "GIT_PROJECT_ROOT" => "{root}", "GIT_HTTP_EXPORT_ALL" => "1",
    "HOME" => "{root}/home", "GIT_CONFIG_NOSYSTEM" => "1" )
"#,
            dir = dir.display(),
            root = world.path("").display(),
        );
        fs::write(dir.join("lighttpd.conf"), config).unwrap();
        let mut command = Command::new(&lighttpd);
        command.arg("-D").arg("-f").arg(dir.join("lighttpd.conf"));
        command
    });

    let address = |user: &str| format!("http://{user}@127.0.0.1:{}/git/org/site.git", server.port);
    let builder = world.clone_for("builder");
    judge_pushes(&builder, &address("builder:one"));

    let alice = world.clone_for("alice");
    alice.write(".github/workflows/ci.yml", "on: push # by a person\n");
    alice.commit("CI");
    alice
        .push_to(address("alice:two").as_ref(), &["main:main"])
        .expect_accept();

    let known_to_the_server = address("stranger:three");
    let pushed = builder.push_to(
        known_to_the_server.as_ref(),
        &["main~1:refs/heads/agents/builder/y"],
    );
    pushed.expect_reject(&["identity/unknown"]);

    // The password reaches the hook's environment as HTTP_AUTHORIZATION; it must reach no record.
    let ledger = fs::read(world.server().join("ringfence/ledger.jsonl")).unwrap();
    let password = data_encoding::BASE64.encode(b"builder:one");
    assert!(memchr::memmem::find(&ledger, password.as_bytes()).is_none());
}

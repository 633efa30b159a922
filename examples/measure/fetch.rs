//! Gets the benign corpora from the registries, through their own clients: bounded lists of large, well-known packages.
//! Only when asked for, never in tests. Nothing of a package is run: crates are fetched, wheels unpacked, npm packages
//! packed without scripts.

use std::path::Path;
use std::process::Command;

/// Crates, with all that they depend on.
const CRATES: &[&str] = &[
    "actix-web",
    "axum",
    "bevy_ecs",
    "clap",
    "diesel",
    "hyper",
    "image",
    "jsonwebtoken",
    "lapin",
    "mongodb",
    "oauth2",
    "polars-core",
    "redis",
    "reqwest",
    "ring",
    "rocket",
    "rusqlite",
    "rustls",
    "sea-orm",
    "sqlx",
    "ssh-key",
    "tokio",
    "tonic",
    "tracing",
    "wasmtime-environ",
];

/// Python packages, as wheels, without what they depend on.
const PYTHON: &[&str] = &[
    "ansible-core",
    "apache-airflow-core",
    "azure-storage-blob",
    "boto3",
    "botocore",
    "celery",
    "cryptography",
    "django",
    "django-allauth",
    "fastapi",
    "flask",
    "google-cloud-storage",
    "jupyterlab",
    "keyring",
    "kubernetes",
    "matplotlib",
    "notebook",
    "numpy",
    "openai",
    "pandas",
    "paramiko",
    "pip",
    "plotly",
    "pyjwt",
    "pylint",
    "requests",
    "salt",
    "scikit-learn",
    "scipy",
    "scrapy",
    "sphinx",
    "sqlalchemy",
    "stripe",
    "sympy",
    "twilio",
    "twisted",
    "urllib3",
    "werkzeug",
];

/// npm packages.
const NPM: &[&str] = &[
    "@angular/core",
    "@aws-sdk/client-s3",
    "@babel/core",
    "@octokit/rest",
    "@sentry/node",
    "aws-sdk",
    "axios",
    "bootstrap",
    "chart.js",
    "core-js",
    "d3",
    "electron-builder",
    "eslint",
    "express",
    "firebase",
    "firebase-admin",
    "googleapis",
    "graphql",
    "highlight.js",
    "jose",
    "jquery",
    "jsonwebtoken",
    "lodash",
    "mongodb",
    "monaco-editor",
    "next",
    "node-forge",
    "openai",
    "passport",
    "pg",
    "playwright-core",
    "prettier",
    "puppeteer-core",
    "react-dom",
    "rxjs",
    "stripe",
    "swagger-ui-dist",
    "three",
    "twilio",
    "typescript",
    "vite",
    "vue",
    "webpack",
];

/// The releases of one project that become a history, oldest first.
const HISTORY: (&str, &[&str]) = (
    "django",
    &[
        "1.8.19", "1.9.13", "1.10.8", "1.11", "1.11.10", "1.11.20", "1.11.29", "2.0", "2.0.13",
        "2.1", "2.1.15", "2.2", "2.2.10", "2.2.20", "2.2.28", "3.0", "3.0.14", "3.1", "3.1.14",
        "3.2", "3.2.10", "3.2.25", "4.0", "4.0.10", "4.1", "4.1.13", "4.2", "4.2.10", "4.2.20",
        "5.0", "5.0.14", "5.1", "5.1.10", "5.2", "5.2.5",
    ],
);

/// Fills `target/corpus`. What cannot be had is told, and the rest is used.
pub(crate) fn all(corpus: &Path) -> Result<(), String> {
    crates(&corpus.join("crates.package"))?;
    python(&corpus.join("python"))?;
    npm(&corpus.join("npm"))?;
    releases(&corpus.join("django.git"), &corpus.join("django.releases"))
}

/// cargo unpacks them where it keeps all sources, a corpus already.
fn crates(package: &Path) -> Result<(), String> {
    let wanted: String = CRATES
        .iter()
        .map(|name| format!("{name} = \"*\"\n"))
        .collect();
    write(&package.join("src/lib.rs"), "")?;
    write(
        &package.join("Cargo.toml"),
        &format!(
            "[package]\nname = \"corpus\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{wanted}"
        ),
    )?;
    let mut cargo = Command::new("cargo");
    cargo
        .args(["fetch", "--quiet", "--manifest-path"])
        .arg(package.join("Cargo.toml"));
    run(&mut cargo)
}

fn python(into: &Path) -> Result<(), String> {
    for name in PYTHON {
        wheel(name, &into.join(name));
    }
    Ok(())
}

/// Downloads one wheel and unpacks it. `false`: it cannot be had, which is told.
fn wheel(wanted: &str, into: &Path) -> bool {
    if into.is_dir() {
        return true;
    }
    let got = (|| {
        let download = into.with_extension("download");
        folder(&download)?;
        let mut pip = Command::new("pip");
        pip.args([
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--dest",
        ])
        .arg(&download)
        .arg(wanted);
        run(&mut pip)?;
        for file in crate::sources::files(&download) {
            let mut unzip = Command::new("python3");
            unzip
                .args(["-m", "zipfile", "-e"])
                .arg(&file)
                .arg(folder(into)?);
            run(&mut unzip)?;
        }
        std::fs::remove_dir_all(&download).map_err(|error| error.to_string())
    })();
    told(wanted, got)
}

fn npm(into: &Path) -> Result<(), String> {
    for name in NPM {
        let into = into.join(name.trim_start_matches('@').replace('/', "-"));
        if into.is_dir() {
            continue;
        }
        let got = (|| {
            let download = into.with_extension("download");
            folder(&download)?;
            let mut npm = Command::new("npm");
            npm.args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
                .arg(&download)
                .arg(name);
            run(npm.stdout(std::process::Stdio::null()))?;
            for file in crate::sources::files(&download) {
                let mut tar = Command::new("tar");
                tar.arg("-xzf").arg(&file).arg("-C").arg(folder(&into)?);
                run(&mut tar)?;
            }
            std::fs::remove_dir_all(&download).map_err(|error| error.to_string())
        })();
        told(name, got);
    }
    Ok(())
}

/// A repository with one commit for each release: the history of a large project, as far as a package registry has it.
fn releases(repository: &Path, unpacked: &Path) -> Result<(), String> {
    if repository.is_dir() {
        return Ok(());
    }
    let (name, versions) = HISTORY;
    let git = |tree: &Path| {
        let mut git = Command::new("git");
        git.arg("--git-dir")
            .arg(repository)
            .arg("--work-tree")
            .arg(tree);
        git.args([
            "-c",
            "core.bare=false",
            "-c",
            "user.name=corpus",
            "-c",
            "user.email=corpus@example.invalid",
        ]);
        git
    };
    let mut init = Command::new("git");
    run(init.args(["init", "--quiet", "--bare"]).arg(repository))?;
    for version in versions {
        let tree = unpacked.join(version);
        if wheel(&format!("{name}=={version}"), &tree) {
            run(git(&tree).args(["add", "--all", "--force", "."]))?;
            run(git(&tree).args(["commit", "--quiet", "--message", version]))?;
        }
    }
    Ok(())
}

fn told(name: &str, got: Result<(), String>) -> bool {
    match got {
        Ok(()) => true,
        Err(why) => {
            println!("  not got: {name}: {why}");
            false
        }
    }
}

fn folder(path: &Path) -> Result<&Path, String> {
    std::fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    folder(path.parent().unwrap_or(path))?;
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program}: {status}")),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

//! A real browser without a window, spoken to over pipes by the protocol of its developer tools. It finds no name in any
//! network, and all that it keeps is in a temporary folder.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Browser {
    child: Child,
    to: File,
    from: Receiver<Value>,
    session: Option<String>,
    next: u64,
    events: VecDeque<Value>,
    pages: u32,
    folder: TempDir,
}

impl Browser {
    pub(crate) fn start() -> Browser {
        let folder = tempfile::tempdir().unwrap();
        let [to, from] = ["to", "from"].map(|name| folder.path().join(name));
        let made = Command::new("mkfifo").args([&to, &from]).status().unwrap();
        assert!(made.success(), "mkfifo");
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        let child = Command::new("sh")
            // The browser reads commands from 3 and answers on 4.
            .args([
                "-c",
                r#"exec 3<"$1" 4>"$2"; shift 2; exec chromium "$@""#,
                "sh",
            ])
            .args([&to, &from])
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
            ])
            .args([
                "--disable-component-update",
                "--disable-sync",
                "--disable-extensions",
            ])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND")
            .arg(format!("--user-data-dir={}", home.display()))
            .env("HOME", &home)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = OpenOptions::new().write(true).open(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for message in from.split(0) {
                let message = message
                    .ok()
                    .and_then(|bytes| serde_json::from_slice(&bytes).ok());
                if message.is_none_or(|message| sender.send(message).is_err()) {
                    return;
                }
            }
        });
        let mut browser = Browser {
            child,
            to,
            from: receiver,
            session: None,
            next: 0,
            events: VecDeque::new(),
            pages: 0,
            folder,
        };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.ask("Target.attachToTarget", target);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser.width(1300);
        browser
    }

    fn receive(&mut self) -> Value {
        (self.from.recv_timeout(PATIENCE))
            .expect("the browser answers; without one, tests/setup installs the package chromium")
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let sent = self.to.write_all(format!("{message}\0").as_bytes());
        sent.expect("the browser listens; without one, tests/setup installs the package chromium");
        loop {
            let answer = self.receive();
            if answer["id"] != id {
                self.events.push_back(answer);
                continue;
            }
            assert!(answer["error"].is_null(), "{method}: {answer}");
            return answer["result"].clone();
        }
    }

    /// Opens a page from a file, and waits until it is there.
    pub(crate) fn open(&mut self, page: &str) {
        self.pages += 1;
        let path = self.folder.path().join(format!("{}.html", self.pages));
        fs::write(&path, page).unwrap();
        self.events.clear();
        self.ask(
            "Page.navigate",
            json!({ "url": format!("file://{}", path.display()) }),
        );
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(loaded) {
            let event = self.receive();
            self.events.push_back(event);
        }
    }

    /// What an expression gives in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.ask("Runtime.evaluate", asked);
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Presses a key and lets it go.
    pub(crate) fn key(&mut self, key: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let mut event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text }));
    }

    pub(crate) fn width(&mut self, width: u32) {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", size);
    }

    /// `light` or `dark`.
    pub(crate) fn media(&mut self, scheme: &str) {
        let wanted = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", wanted);
    }

    /// The text of the page as it is printed.
    pub(crate) fn paper(&mut self) -> String {
        let printed = self.ask("Page.printToPDF", json!({ "preferCSSPageSize": true }));
        let printed = printed["data"].as_str().unwrap().as_bytes();
        let path = self.folder.path().join("page.pdf");
        fs::write(&path, data_encoding::BASE64.decode(printed).unwrap()).unwrap();
        let mut command = Command::new("pdftotext");
        let output = command.arg("-layout").arg(&path).arg("-").output();
        let output = output.expect("tests/setup installs poppler-utils");
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the browser had to say of the page: errors of its policy and of its script.
    pub(crate) fn said(&mut self) -> Vec<String> {
        // An answer comes after what happened before it was asked for.
        self.value("new Promise((done) => setTimeout(done, 50))");
        let is_loud = |event: &&Value| {
            let method = event["method"].as_str().unwrap_or_default();
            matches!(
                method,
                "Log.entryAdded" | "Runtime.exceptionThrown" | "Page.javascriptDialogOpening"
            )
        };
        self.events
            .iter()
            .filter(is_loud)
            .map(Value::to_string)
            .collect()
    }

    /// No error, no dialog, and no request but that for the page itself.
    pub(crate) fn was_quiet(&mut self) {
        let said = self.said();
        assert!(said.is_empty(), "{said:?}");
        let asked = |event: &&Value| event["method"] == "Network.requestWillBeSent";
        let urls: Vec<String> = (self.events.iter().filter(asked))
            .map(|event| event["params"]["request"]["url"].to_string())
            .collect();
        assert!(
            urls.len() == 1 && urls[0].starts_with("\"file://"),
            "{urls:?}"
        );
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        let close = json!({ "id": 0, "method": "Browser.close" });
        let _ = self.to.write_all(format!("{close}\0").as_bytes());
        // It ends by itself, and its processes with it; one that does not is ended.
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

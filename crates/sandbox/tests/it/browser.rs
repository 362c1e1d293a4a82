//! A headless Chromium, driven through the pipe of its `DevTools` protocol.
//!
//! `--dump-dom` will not do here: with a virtual clock it waits for the event stream to end, without one it is done before the first message is drawn.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const CHROMIUM: &str = "/usr/bin/chromium";

/// The protocol's pipe is file descriptors 3 (in) and 4 (out).
const COMMAND: &str = r#"exec "$0" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --window-size=1280,900 --remote-debugging-pipe --user-data-dir="$1" about:blank 3<&0 4>&1 >/dev/null 2>&1"#;

/// Whether there is a browser to test with. Where `TEST_BROWSER` is set there has to be one.
#[expect(
    clippy::disallowed_methods,
    reason = "tells a machine without a browser from one whose browser is gone"
)]
pub(crate) fn is_installed() -> bool {
    let installed = std::path::Path::new(CHROMIUM).exists();
    let demanded = std::env::var("TEST_BROWSER").is_ok();
    assert!(
        installed || !demanded,
        "TEST_BROWSER is set, but there is no {CHROMIUM}"
    );
    if !installed {
        eprintln!("SKIPPED: there is no {CHROMIUM}, so the inbox page is not tested");
    }
    installed
}

/// A browser with one tab.
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    tab: Option<String>,
    next: u64,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", COMMAND, CHROMIUM])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut browser = Self {
            commands: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
            tab: None,
            next: 0,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", &json!({"url": url}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", &target);
        browser.tab = session["sessionId"].as_str().map(str::to_owned);
        browser
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let mut command = json!({"id": self.next, "method": method, "params": params});
        if let Some(tab) = &self.tab {
            command["sessionId"] = json!(tab);
        }
        let mut bytes = serde_json::to_vec(&command).unwrap();
        bytes.push(0);
        self.commands.write_all(&bytes).unwrap();
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).unwrap();
            assert_eq!(answer.pop(), Some(0), "the browser is gone");
            let mut answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == json!(self.next) {
                return answer["result"].take();
            }
        }
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        self.call("Runtime.evaluate", &params)["result"]["value"].take()
    }

    /// Waits until the expression is true.
    pub(crate) fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.value(expression) != json!(true) {
            assert!(
                Instant::now() < deadline,
                "never true: {expression}\n{}",
                self.text()
            );
            // The page's own clock, so that this thread does not spin.
            self.value("new Promise((done) => setTimeout(done, 20))");
        }
    }

    /// What a reader sees.
    pub(crate) fn text(&mut self) -> String {
        let text = self.value("document.body.innerText");
        text.as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

//! A real Chromium, driven through chromedriver (the W3C protocol: JSON over HTTP).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use http::{Method, Request};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::exchange;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The tab key, for [`Chromium::press`].
pub const TAB: &str = "\u{e004}";

/// The enter key.
pub const ENTER: &str = "\u{e007}";

/// The escape key.
pub const ESCAPE: &str = "\u{e00c}";

/// The key of an element in replies of the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A headless Chromium with a fresh profile. It ends on drop, and so does its driver.
#[derive(Debug)]
pub struct Chromium {
    driver: Child,
    /// `127.0.0.1:port`.
    authority: String,
    /// `/session/…`
    session: String,
    browser: Option<u64>,
    profile: PathBuf,
}

/// A cookie, as stored by the browser.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The host; with a leading dot if the cookie also goes to all hosts below.
    pub domain: String,
    /// Its path.
    pub path: String,
    /// Whether it is `Secure`.
    pub secure: bool,
    /// Whether it is `HttpOnly`.
    pub http_only: bool,
    /// Its `SameSite`.
    pub same_site: String,
    /// When it expires, in seconds since 1970; `None` for a session cookie.
    pub expiry: Option<u64>,
}

impl Chromium {
    /// Starts a browser.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start() -> Self {
        Self::start_with(&json!({}), &[]).await
    }

    /// Starts a browser that keeps no pages as they were for the Back button: each is made of a response again, stored or requested.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_without_back_forward_cache() -> Self {
        Self::start_with(&json!({}), &["--disable-features=BackForwardCache"]).await
    }

    /// Starts a browser that runs no scripts of pages.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_without_scripts() -> Self {
        const BLOCK: u8 = 2;
        let preferences = json!({ "profile.managed_default_content_settings.javascript": BLOCK });
        Self::start_with(&preferences, &[]).await
    }

    async fn start_with(preferences: &Value, arguments: &[&str]) -> Self {
        let (driver, port) = start_driver();
        let mut chromium = Self {
            driver,
            authority: format!("127.0.0.1:{port}"),
            session: "/session".to_owned(),
            browser: None,
            profile: new_folder(),
        };
        let mut options = json!({
            "args": [
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                format!("--user-data-dir={}", chromium.profile.display()),
            ],
            "prefs": preferences,
        });
        let all = options["args"].as_array_mut().expect("it is a list");
        all.extend(arguments.iter().map(|argument| json!(argument)));
        if let Some(program) = env::var_os("CHROMIUM") {
            options["binary"] = json!(program.to_string_lossy());
        }
        // The default of the driver is five minutes.
        let patience = json!({ "pageLoad": PATIENCE.as_millis(), "script": PATIENCE.as_millis() });
        let wanted =
            json!({ "alwaysMatch": { "goog:chromeOptions": options, "timeouts": patience } });
        let begun = chromium.call("", json!({ "capabilities": wanted })).await;
        let id = begun["sessionId"].as_str().expect("a session has an id");
        chromium.browser = begun["capabilities"]["goog:processID"].as_u64();
        chromium.session = format!("/session/{id}");
        chromium
    }

    /// Opens a page, and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.call("/url", json!({ "url": url })).await;
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.call("/refresh", json!({})).await;
    }

    /// Goes back to the page before, as the Back button does, and waits for it.
    pub async fn back(&self) {
        let page = self.page().await;
        self.run("history.back()").await;
        self.gone(&page).await;
    }

    /// The page's title.
    pub async fn title(&self) -> String {
        text_of(&self.get("/title").await)
    }

    /// The visible text of an element.
    pub async fn text(&self, selector: &str) -> String {
        let element = self.element(selector).await;
        text_of(&self.get(&format!("{element}/text")).await)
    }

    /// An attribute of an element.
    pub async fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let element = self.element(selector).await;
        let value = self.get(&format!("{element}/attribute/{name}")).await;
        value.as_str().map(str::to_owned)
    }

    /// How many elements there are.
    pub async fn count(&self, selector: &str) -> usize {
        let found = self.call("/elements", by_css(selector)).await;
        found.as_array().map_or(0, Vec::len)
    }

    /// Types into a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.call(&format!("{element}/clear"), json!({})).await;
        let keys = json!({ "text": text });
        self.call(&format!("{element}/value"), keys).await;
    }

    /// Presses keys one after the other, in the element that has the focus: characters, [`TAB`], [`ENTER`] and
    /// [`ESCAPE`].
    pub async fn press(&self, keys: &str) {
        let press = |key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        let actions: Vec<_> = keys.chars().flat_map(press).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.call("/actions", json!({ "actions": [keyboard] }))
            .await;
    }

    /// Clicks on an element, without waiting for another page.
    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.call(&format!("{element}/click"), json!({})).await;
    }

    /// Clicks on an element that leads to another page, and waits for that page.
    pub async fn follow(&self, selector: &str) {
        let page = self.page().await;
        self.click(selector).await;
        self.gone(&page).await;
    }

    /// The current page, for [`gone`](Self::gone).
    pub async fn page(&self) -> String {
        self.element("html").await
    }

    /// Waits until a page was replaced by another.
    ///
    /// # Panics
    ///
    /// When it does not within some seconds.
    pub async fn gone(&self, page: &str) {
        let deadline = Instant::now() + PATIENCE;
        let name = format!("{page}/name");
        while self.request(Method::GET, &name, None).await.is_ok() {
            assert!(Instant::now() < deadline, "the page does not change");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sets the width of the page, in CSS pixels, as on a device with a screen of this width.
    pub async fn set_width(&self, width: u32) {
        let metrics =
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600 });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.call("/goog/cdp/execute", command).await;
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> Value {
        let script = json!({ "script": script, "args": [] });
        self.call("/execute/sync", script).await
    }

    /// The cookies that are sent to the page's server.
    ///
    /// # Panics
    ///
    /// When the reply of the driver cannot be parsed.
    pub async fn cookies(&self) -> Vec<Cookie> {
        let cookies = self.get("/cookie").await;
        serde_json::from_value(cookies).expect("a list of cookies")
    }

    /// The tabs.
    ///
    /// # Panics
    ///
    /// When the reply of the driver cannot be parsed.
    pub async fn tabs(&self) -> Vec<String> {
        let tabs = self.get("/window/handles").await;
        serde_json::from_value(tabs).expect("a list of handles")
    }

    /// Switches to a tab.
    pub async fn turn_to(&self, tab: &str) {
        self.call("/window", json!({ "handle": tab })).await;
    }

    async fn element(&self, selector: &str) -> String {
        let found = self.call("/element", by_css(selector)).await;
        let id = found[ELEMENT].as_str().expect("an element has an id");
        format!("/element/{id}")
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path, None).await;
        response.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    async fn call(&self, path: &str, body: Value) -> Value {
        let response = self.request(Method::POST, path, Some(&body)).await;
        response.unwrap_or_else(|error| panic!("POST {path} {body}: {error}"))
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.session))
            .body(body)
            .map_err(|error| error.to_string())?;
        let response = exchange(&self.authority, request).await;
        let response = response.map_err(|error| error.to_string())?;
        let mut body: Value =
            serde_json::from_str(&response.body).map_err(|error| error.to_string())?;
        if response.status.is_success() {
            Ok(body["value"].take())
        } else {
            Err(body["value"]["message"].to_string())
        }
    }

    /// Asks the driver to close the browser. Blocking, since it is called on drop.
    fn close(&self) -> std::io::Result<()> {
        let (session, authority) = (&self.session, &self.authority);
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "DELETE {session} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
        )?;
        // It responds when it is done, and keeps the connection open.
        stream.read(&mut [0; 64]).map(|_| ())
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        drop(self.close());
        // By its id, in case the driver failed to close it.
        if let Some(id) = self.browser {
            let mut kill = Command::new("kill");
            kill.args(["-s", "KILL", &id.to_string()]);
            drop(kill.stderr(Stdio::null()).status());
        }
        drop(self.driver.kill());
        drop(self.driver.wait());
        drop(fs::remove_dir_all(&self.profile));
    }
}

/// Starts the driver, and retries if it exits: it needs one port on both IPv4 and IPv6, which another
/// program may use on one of them.
fn start_driver() -> (Child, u16) {
    let started = (0..5).find_map(|_| try_to_start_driver());
    started.expect("chromedriver prints its port")
}

fn try_to_start_driver() -> Option<(Child, u16)> {
    let program = env::var_os("CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
    let mut driver = Command::new(program)
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is installed");
    let stdout = driver.stdout.take().expect("it is piped");
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    // "ChromeDriver was started successfully on port 34567."
    let mut ports = lines.filter_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    let Some(port) = ports.next() else {
        drop(driver.kill());
        drop(driver.wait());
        return None;
    };
    Some((driver, port))
}

fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("cloakroom-chromium-{}-{number}", process::id());
    Path::new(&env::temp_dir()).join(name)
}

fn by_css(selector: &str) -> Value {
    json!({ "using": "css selector", "value": selector })
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

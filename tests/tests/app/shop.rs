//! The running app, and what its users do.

use std::net::SocketAddr;
use std::time::Duration;

use app_example::database::Database;
use app_example::{App, Config, Outbox, Storage, provider, router, sessions};
use axum::Router;
use tests::chromium::Chromium;
use tests::device_scenarios::until;
use tests::redis::RedisServer;
use tokio::net::TcpListener;

/// How long a sign-in counts as recent: short, so that a test can wait for its end.
pub(crate) const RECENT: Duration = Duration::from_secs(10);

/// The servers of the app, its identity provider, and its database. All servers have the same host, so a browser sends
/// its cookies to each of them.
pub(crate) struct Shop {
    urls: [String; 2],
    pub(crate) database: Database,
    outboxes: Vec<Outbox>,
    _redis: Option<RedisServer>,
}

impl Shop {
    /// One server, in memory.
    pub(crate) async fn memory() -> Self {
        Self::open(&[Storage::memory()], None).await
    }

    /// Two servers on one Redis.
    pub(crate) async fn redis() -> Self {
        let redis = RedisServer::start();
        let url = redis.url();
        let storages = [Storage::redis(&url).await, Storage::redis(&url).await];
        let storages = storages.map(|storage| storage.expect("it runs"));
        Self::open(&storages, Some(redis)).await
    }

    async fn open(storages: &[Storage], redis: Option<RedisServer>) -> Self {
        let database = Database::open(None).await.expect("it is in memory");
        let mut shop = Self {
            urls: [const { String::new() }; 2],
            database,
            outboxes: Vec::new(),
            _redis: redis,
        };
        for (server, storage) in storages.iter().enumerate() {
            let url = shop.start(storage).await;
            if server == 0 {
                shop.urls = [url.clone(), url];
            } else {
                shop.urls[1] = url;
            }
        }
        shop
    }

    /// Starts a server with a provider of its own, and returns its URL.
    async fn start(&mut self, storage: &Storage) -> String {
        let (listener, port) = listen().await;
        let (at_provider, provider_port) = listen().await;
        let config = Config {
            url: format!("http://localhost:{port}"),
            provider: format!("http://127.0.0.1:{provider_port}"),
            secret: "a secret of at least thirty-two bytes".to_owned(),
            recent_sign_in: RECENT,
            prints_mail: false,
        };
        let provider = provider::router(&config.provider, &config.url);
        tokio::spawn(async move { axum::serve(at_provider, provider).await });
        let url = config.url.clone();
        let layer = sessions(storage, &config).expect("the options are valid");
        let app = App::new(config, self.database.clone(), storage);
        let app = app.expect("the options are valid");
        for (name, is_staff) in [("Ada", false), ("Mona", true)] {
            let password = format!("{}-password", name.to_lowercase());
            // Another server may have added them.
            let added = app.add_user(name, &password, is_staff).await;
            added.expect("the database responds");
        }
        app.start_audit_log(&layer.sessions())
            .expect("there is a bus");
        self.outboxes.push(app.outbox().clone());
        let service = router(app, &layer).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        url
    }

    /// A path on the first server.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.urls[0])
    }

    /// A path on the second server, if there are two.
    pub(crate) fn at_other(&self, path: &str) -> String {
        format!("{}{path}", self.urls[1])
    }

    /// The code that was sent to an address.
    pub(crate) fn mailed(&self, to: &str) -> String {
        let newest = self.outboxes.iter().find_map(|outbox| outbox.newest(to));
        newest.expect("a letter was sent").code
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    (listener, port)
}

/// Another site, with these pages.
pub(crate) async fn other_site(pages: Router) -> String {
    let (listener, port) = listen().await;
    tokio::spawn(async move { axum::serve(listener, pages).await });
    format!("http://127.0.0.1:{port}")
}

/// Opens the sign-in page of this address, and signs in.
pub(crate) async fn sign_in(browser: &Chromium, page: &str, name: &str, password: &str) {
    browser.open(page).await;
    browser.fill("[name=name]", name).await;
    browser.fill("[name=password]", password).await;
    browser.follow("#submit").await;
}

/// Signs in as one of the users who exist from the beginning.
pub(crate) async fn sign_in_as(browser: &Chromium, shop: &Shop, name: &str) {
    let password = format!("{}-password", name.to_lowercase());
    sign_in(browser, &shop.at("/sign-in"), name, &password).await;
    assert_eq!(browser.text("#user").await, name);
}

/// Signs out, if a user is signed in.
pub(crate) async fn be_a_guest(browser: &Chromium, shop: &Shop) {
    browser.open(&shop.at("/")).await;
    if browser.count("#sign-out").await > 0 {
        browser.follow("#sign-out").await;
    }
}

/// Waits until the sign-in of a page of the app is not recent any more.
pub(crate) async fn is_not_recent(browser: &Chromium) {
    let script = "return (async () => {
        for (;;) {
            const page = await fetch('/account/password', { headers: { accept: 'text/html' } });
            if (page.url.includes('/confirm') || page.status === 401) return true;
            await new Promise((go) => setTimeout(go, 300));
        }
    })()";
    assert_eq!(browser.run(script).await, true);
}

/// Opens a page that needs a recent sign-in, and sends its form. On a busy machine the sign-in may not be recent any more when
/// the form is sent: then it starts over.
pub(crate) async fn send_sensitive(
    browser: &Chromium,
    page: &str,
    password: &str,
    send: impl AsyncFn(),
) {
    for _ in 0..10 {
        open_sensitive(browser, page, password).await;
        if !is_refused(browser).await {
            send().await;
            if !is_refused(browser).await {
                return;
            }
        }
    }
    panic!("the form was never sent in time");
}

/// Whether the page says that the sign-in is not recent.
pub(crate) async fn is_refused(browser: &Chromium) -> bool {
    let page = page_text(browser).await;
    path(browser).await.starts_with("/confirm") || page.contains("needs a recent sign-in")
}

/// Opens a page that needs a recent sign-in, and enters the password if there is none.
async fn open_sensitive(browser: &Chromium, page: &str, password: &str) {
    browser.open(page).await;
    if path(browser).await.starts_with("/confirm") {
        browser.fill("[name=password]", password).await;
        browser.follow("#submit").await;
    }
}

/// The path of the page, with its query.
pub(crate) async fn path(browser: &Chromium) -> String {
    let path = browser
        .run("return location.pathname + location.search")
        .await;
    path.as_str().expect("a text").to_owned()
}

/// What the page says, all of it.
pub(crate) async fn page_text(browser: &Chromium) -> String {
    browser.text("body").await
}

/// Checks that the page says something.
#[track_caller]
pub(crate) fn assert_says(page: &str, text: &str) {
    assert!(page.contains(text), "{text:?} is missing: {page}");
}

/// Waits until the page listens to the end of its session.
pub(crate) async fn listens(browser: &Chromium) {
    until("the page listens", async || {
        let script = "return 'live' in document.documentElement.dataset";
        browser.run(script).await == true
    })
    .await;
}

/// Waits until the page says, without being loaded again, that the session has ended.
pub(crate) async fn is_ended(browser: &Chromium, reason: &str) {
    until("the page says that the session has ended", async || {
        let script = "return document.querySelector('h1')?.textContent";
        browser.run(script).await == "You were signed out"
    })
    .await;
    assert_eq!(browser.text("#ended-reason").await, reason);
}

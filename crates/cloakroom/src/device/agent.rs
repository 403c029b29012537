//! The names of browser and system in a `User-Agent` header.
//!
//! A user agent lists what it is compatible with: Edge contains `Chrome/` and `Safari/`, Chrome contains
//! `Safari/`, Android contains `Linux`. So the tables are in order of precedence, and the first token that the
//! text contains decides. A browser that is missing here is shown by the name of the one that it is based on.

/// Tokens of user agents, and the names of their browsers.
const BROWSERS: [(&str, &str); 27] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("Opera", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("UCBrowser/", "UC Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("MSIE ", "Internet Explorer"),
    ("Trident/", "Internet Explorer"),
    ("Safari/", "Safari"),
    ("curl/", LIBRARY),
    ("Wget/", LIBRARY),
    ("python-requests/", LIBRARY),
    ("Go-http-client/", LIBRARY),
    ("okhttp/", LIBRARY),
    ("reqwest/", LIBRARY),
    ("PostmanRuntime/", LIBRARY),
];

const LIBRARY: &str = "HTTP Library";

/// Tokens of user agents, and the names of their systems. Windows 11 calls itself `Windows NT 10.0`.
const SYSTEMS: [(&str, &str); 18] = [
    ("Windows Phone", "Windows Phone"),
    ("Windows NT 10.0", "Windows 10"),
    ("Windows NT 6.3", "Windows 8.1"),
    ("Windows NT 6.2", "Windows 8"),
    ("Windows NT 6.1", "Windows 7"),
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("iPod", "iPod"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("PlayStation", "PlayStation"),
    ("Nintendo", "Nintendo"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Tizen", "Tizen"),
    ("Linux", "Linux"),
];

/// Returns the name of the browser, if the user agent contains a known one.
pub(super) fn browser(agent: &str) -> Option<&'static str> {
    first_in(agent, &BROWSERS)
}

/// Returns the name of the operating system, if the user agent contains a known one.
pub(super) fn system(agent: &str) -> Option<&'static str> {
    first_in(agent, &SYSTEMS)
}

fn first_in(agent: &str, table: &[(&str, &'static str)]) -> Option<&'static str> {
    let found = table.iter().find(|(token, _)| agent.contains(token));
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_of_the_browser_and_not_of_what_it_is_compatible_with() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (start, end, expected) in [
            (
                "Windows NT 10.0; Win64; x64",
                "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
                ("Edge", "Windows 10"),
            ),
            (
                "Windows NT 6.1",
                "Chrome/109.0.0.0 Safari/537.36 OPR/95.0",
                ("Opera", "Windows 7"),
            ),
            (
                "Linux; Android 14; SM-S918B",
                "SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
                ("Samsung Internet", "Android"),
            ),
            (
                "iPhone; CPU iPhone OS 17_5 like Mac OS X",
                "CriOS/126.0 Mobile/15E148 Safari/604.1",
                ("Chrome", "iPhone"),
            ),
            (
                "iPad; CPU OS 17_5 like Mac OS X",
                "FxiOS/127.0 Mobile/15E148 Safari/605.1.15",
                ("Firefox", "iPad"),
            ),
            (
                "Macintosh; Intel Mac OS X 10_15_7",
                "Version/17.5 Safari/605.1.15",
                ("Safari", "macOS"),
            ),
            (
                "X11; CrOS x86_64 14541.0.0",
                "Chrome/131.0.0.0 Safari/537.36",
                ("Chrome", "ChromeOS"),
            ),
            (
                "X11; Linux x86_64",
                "HeadlessChrome/131.0.0.0 Safari/537.36",
                ("Chrome", "Linux"),
            ),
        ] {
            let agent = format!("Mozilla/5.0 ({start}) {webkit} {end}");
            assert_eq!(browser(&agent), Some(expected.0), "{agent}");
            assert_eq!(system(&agent), Some(expected.1), "{agent}");
        }
        let old = "Mozilla/5.0 (Windows NT 6.3; Trident/7.0; rv:11.0) like Gecko";
        assert_eq!(browser(old), Some("Internet Explorer"));
        assert_eq!(system(old), Some("Windows 8.1"));
    }

    #[test]
    fn an_unknown_agent_has_no_name() {
        for agent in ["", "-", "Mozilla/5.0", "<script>", "x\u{fc}"] {
            assert_eq!((browser(agent), system(agent)), (None, None), "{agent}");
        }
    }
}

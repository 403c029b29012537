//! How many servers a load needs, computed from measured figures: the section of `docs/performance.md`.

mod figures;

use std::fmt::Write as _;

pub use self::figures::{Cost, Costs, Figures, Topology};

/// How busy a core is planned to be, of the app and of Redis.
const UTILIZATION: f64 = 0.5;

/// The memory of a primary for sessions, in bytes: two thirds of 16 GiB.
const PRIMARY_BYTES: f64 = 16.0 * GIB * 2.0 / 3.0;

/// The cores of a server of the app.
const SERVER_CORES: f64 = 8.0;

/// The share of requests that change their session. The others read it.
const WRITES: f64 = 0.1;

/// How many times a session's last-seen is updated at most, in one idle timeout.
const TOUCHES: f64 = 10.0;

/// The idle timeout, and the mean life of a session: a day in seconds.
const DAY: f64 = 86_400.0;

/// The fewest primaries of a Cluster.
const MIN_CLUSTER: f64 = 3.0;

/// A session, and the index of its user.
const KEYS_PER_SESSION: f64 = 2.0;

const GIB: f64 = (1_u64 << 30) as f64;
const SESSIONS: [u64; 3] = [1_000_000, 10_000_000, 100_000_000];
const RATES: [u64; 3] = [10_000, 100_000, 1_000_000];

/// What an app has to serve.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Live sessions.
    pub sessions: f64,
    /// Requests per second that use their session.
    pub requests: f64,
}

/// What it needs.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Primaries of Redis; one is a single server, and more are a Cluster.
    pub primaries: f64,
    /// Cores for the app, with everything that a request costs.
    pub cores: f64,
}

impl Load {
    /// Sign-ins per second: as many as sessions end.
    fn sign_ins(self) -> f64 {
        self.sessions / DAY
    }

    fn writes(self) -> f64 {
        self.requests * WRITES
    }

    fn reads(self) -> f64 {
        self.requests - self.writes()
    }

    /// Updates of last-seen per second. A write is one as well.
    fn touches(self) -> f64 {
        (self.sessions * TOUCHES / DAY).min(self.reads())
    }

    /// Messages per second to each server with a near cache: one for each change of a session.
    fn changes(self) -> f64 {
        // A session that ends is a change, too.
        self.writes() + self.touches() + self.sign_ins() * 2.0
    }

    /// CPU seconds per second.
    fn cpu(self, costs: &Costs, of: fn(&Cost) -> f64) -> f64 {
        let micros = self.reads() * of(&costs.read)
            + self.writes() * of(&costs.write)
            + self.touches() * of(&costs.touch)
            + self.sign_ins() * of(&costs.sign_in);
        micros / 1e6
    }
}

impl Figures {
    /// The bytes of a session in Redis, with everything that belongs to it.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.session_bytes + KEYS_PER_SESSION * self.key_bytes
    }

    /// Computes what a load needs.
    #[must_use]
    pub fn size(&self, load: Load, with_near_cache: bool) -> Size {
        let costs = |topology: &Topology| {
            if with_near_cache {
                topology.near
            } else {
                topology.plain
            }
        };
        let by_memory = load.sessions * self.bytes() / PRIMARY_BYTES;
        let primaries = |costs: &Costs| {
            let by_cpu = load.cpu(costs, |cost| cost.redis) / UTILIZATION;
            by_memory.max(by_cpu).ceil().max(1.0)
        };
        let (mut chosen, mut count) = (costs(&self.one_server), 1.0);
        if primaries(&chosen) > 1.0 {
            chosen = costs(&self.cluster);
            count = primaries(&chosen).max(MIN_CLUSTER);
        }
        let mut cores = load.cpu(&chosen, |cost| cost.app) / UTILIZATION;
        if with_near_cache {
            // Each server processes all changes.
            let servers = (cores / SERVER_CORES).ceil();
            cores += servers * load.changes() * self.change / 1e6 / UTILIZATION;
        }
        Size {
            primaries: count,
            cores: cores.ceil(),
        }
    }

    /// Returns the tables of the documentation.
    #[must_use]
    pub fn tables(&self) -> String {
        let mut out = self.throughput();
        out.push_str(
            "\n| sessions | requests per second | memory of Redis | primaries | cores of the app | with a near cache: \
             primaries | cores of the app | messages per second to each server |\n|---|---|---|---|---|---|---|---|\n",
        );
        for sessions in SESSIONS {
            for rate in RATES {
                let load = Load {
                    sessions: sessions as f64,
                    requests: rate as f64,
                };
                let [plain, near] = [false, true].map(|near| self.size(load, near));
                let cells = [
                    grouped(load.sessions),
                    grouped(load.requests),
                    format!("{:.1} GiB", load.sessions * self.bytes() / GIB),
                    grouped(plain.primaries),
                    grouped(plain.cores),
                    grouped(near.primaries),
                    grouped(near.cores),
                    grouped(load.changes()),
                ];
                row(&mut out, &cells);
            }
        }
        out
    }

    /// What a core does, and how many sessions fit into memory.
    fn throughput(&self) -> String {
        let mut out = String::from(
            "| per second | reads: app, Redis | writes | sign-ins |\n|---|---|---|---|\n",
        );
        for (name, costs) in [
            ("one server", self.one_server.plain),
            ("one server, near cache", self.one_server.near),
            ("Cluster", self.cluster.plain),
            ("Cluster, near cache", self.cluster.near),
        ] {
            let cells = [costs.read, costs.write, costs.sign_in].map(|cost| {
                let [app, redis] = [cost.app, cost.redis].map(per_core);
                format!("{app}, {redis}")
            });
            let [read, write, sign_in] = cells;
            row(&mut out, &[name.to_owned(), read, write, sign_in]);
        }
        let fit = GIB / self.bytes();
        let bytes = grouped(self.bytes());
        let fit = grouped((fit / 1000.0).round() * 1000.0);
        writeln!(
            out,
            "\nA session takes {bytes} bytes of Redis: {fit} in a GiB."
        )
        .expect("a String can be written to");
        out
    }
}

/// The comments around the tables in the page.
const COMMENTS: [&str; 2] = [
    "<!-- begin: written by scripts/sizing -->\n",
    "<!-- end: written by scripts/sizing -->\n",
];

/// Returns the tables that a page has; `None` if it has no place for them.
#[must_use]
pub fn tables_in(page: &str) -> Option<&str> {
    let [begin, end] = COMMENTS;
    let (_, rest) = page.split_once(begin)?;
    let (tables, _) = rest.split_once(end)?;
    Some(tables.trim_matches('\n'))
}

/// Returns a page with these tables; `None` if it has no place for them.
#[must_use]
pub fn replace_in(page: &str, tables: &str) -> Option<String> {
    let [begin, end] = COMMENTS;
    let (before, rest) = page.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{tables}\n{end}{after}"))
}

fn row(out: &mut String, cells: &[String]) {
    writeln!(out, "| {} |", cells.join(" | ")).expect("a String can be written to");
}

/// How often a core does in a second what takes so many µs: two digits.
fn per_core(micros: f64) -> String {
    if micros < 0.15 {
        return "-".to_owned();
    }
    let rate = 1e6 / micros;
    let unit = 10_f64.powf(rate.log10().floor() - 1.0);
    grouped((rate / unit).round() * unit)
}

/// A whole number with commas.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

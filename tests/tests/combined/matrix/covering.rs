//! A small table of combinations in which every two settings of two features meet.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use cloakroom::{CookieConfig, SessionLimit};

use crate::setup::{Features, Near, Phase, Seal};

/// What is combined, with the number of its settings.
const FACTORS: [(&str, usize); 12] = [
    ("storage", 3),
    ("near cache", 3),
    ("rotation", 2),
    ("devices", 2),
    ("limit", 3),
    ("migration", 3),
    ("header", 2),
    ("sealed-cookies", 3),
    ("session type", 3),
    ("former cookie", 3),
    ("cross-site request", 2),
    ("long request", 2),
];

const STORAGE: usize = 0;
const NEAR: usize = 1;
const MIGRATION: usize = 5;

/// Where the sessions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Memory,
    Redis,
    /// On Redis, and writes wait for a replica.
    Replicated,
}

/// The sessions that handlers edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edits {
    Native,
    Bridge014,
    Bridge015,
}

/// The cookie that the previous version of the app sets, where the cookie has changed.
pub(super) const FORMER: &str = "sid";

/// Years from now.
const LATER: u64 = 4_000_000_000;

/// A row of the table: a setting of each factor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row([usize; FACTORS.len()]);

impl Row {
    pub(crate) const fn on(self) -> On {
        match self.0[STORAGE] {
            0 => On::Memory,
            1 => On::Redis,
            _ => On::Replicated,
        }
    }

    pub(crate) const fn edits(self) -> Edits {
        match self.0[8] {
            0 => Edits::Native,
            1 => Edits::Bridge014,
            _ => Edits::Bridge015,
        }
    }

    /// Whether a page of another site causes a request.
    pub(crate) const fn is_visited_cross_site(self) -> bool {
        self.0[10] == 1
    }

    /// Whether a request takes longer than the idle timeout.
    pub(crate) const fn has_long_request(self) -> bool {
        self.0[11] == 1
    }

    pub(crate) fn features(self) -> Features {
        let [
            _,
            near,
            rotation,
            devices,
            limit,
            migration,
            header,
            seal,
            _,
            former,
            ..,
        ] = self.0;
        Features {
            near: [Near::Off, Near::Stale, Near::Cache][near],
            rotation: rotation == 1,
            devices: devices == 1,
            limit: match limit {
                0 => None,
                1 => Some(SessionLimit::evict_oldest(3)),
                _ => Some(SessionLimit::reject_above(3)),
            },
            phase: [Phase::Off, Phase::SideBySide, Phase::Cutover][migration],
            header: header == 1,
            seal: [Seal::Off, Seal::Signed, Seal::Encrypted][seal],
            cookie: match former {
                0 => None,
                // The deploy is in progress, and: it is complete.
                1 => Some(renamed(LATER)),
                _ => Some(renamed(1)),
            },
            realm: (former > 0).then_some(FORMER),
        }
    }

    /// Whether there is such a combination: the near cache and the legacy sessions are on Redis.
    const fn is_possible(&self) -> bool {
        let needs_redis = self.0[NEAR] == 2 || self.0[MIGRATION] != 0;
        self.0[STORAGE] != 0 || !needs_redis
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let features = self.features();
        write!(
            f,
            "{:?}, near {:?}, rotation {}, devices {}, limit {}, migration {:?}, header {}, seal {:?}, {:?}, \
             former {}, cross-site {}, long {}",
            self.on(),
            features.near,
            features.rotation,
            features.devices,
            ["none", "evict", "reject"][self.0[4]],
            features.phase,
            features.header,
            features.seal,
            self.edits(),
            ["none", "set", "accepted"][self.0[9]],
            self.is_visited_cross_site(),
            self.has_long_request(),
        )
    }
}

/// A cookie with a new name, which is set from this time on.
fn renamed(set_until: u64) -> CookieConfig {
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let former = CookieConfig::new(FORMER);
    CookieConfig::new("__Host-Http-shop").with_former(former, at(set_until), at(LATER + 1))
}

/// Two settings of two factors.
type Pair = ((usize, usize), (usize, usize));

fn pairs_of(row: &Row) -> Vec<Pair> {
    let settings: Vec<_> = row.0.iter().copied().enumerate().collect();
    let mut pairs = Vec::new();
    for (index, one) in settings.iter().enumerate() {
        pairs.extend(settings[index + 1..].iter().map(|two| (*one, *two)));
    }
    pairs
}

fn all_rows() -> Vec<Row> {
    let mut rows = vec![[0; FACTORS.len()]];
    for (factor, (_, settings)) in FACTORS.iter().enumerate() {
        let with = |row: &[usize; FACTORS.len()], setting| {
            let mut row = *row;
            row[factor] = setting;
            row
        };
        rows = rows
            .iter()
            .flat_map(|row| (0..*settings).map(move |setting| with(row, setting)))
            .collect();
    }
    rows.into_iter().map(Row).filter(Row::is_possible).collect()
}

/// Every pair that any possible row has.
fn possible_pairs(rows: &[Row]) -> Vec<Pair> {
    let mut pairs: Vec<_> = rows.iter().flat_map(pairs_of).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Rows that cover all pairs: always the row next that covers the most of those left.
pub(crate) fn table() -> Vec<Row> {
    let rows = all_rows();
    let mut left = possible_pairs(&rows);
    let mut table = Vec::new();
    while !left.is_empty() {
        let covers = |row: &&Row| {
            let pairs = pairs_of(row);
            pairs
                .iter()
                .filter(|pair| left.binary_search(pair).is_ok())
                .count()
        };
        let best = *rows.iter().max_by_key(covers).expect("there are rows");
        let pairs = pairs_of(&best);
        left.retain(|pair| !pairs.contains(pair));
        table.push(best);
    }
    table
}

#[test]
fn every_pair_of_settings_meets() {
    let (rows, table) = (all_rows(), table());
    let covered = possible_pairs(&table);
    assert_eq!(covered, possible_pairs(&rows));
    // Only what the constraint excludes is missing: memory with the near cache, and with either phase.
    let settings = FACTORS.map(|(_, settings)| settings);
    let mut all = 0;
    for (index, settings_of_one) in settings.iter().enumerate() {
        all += settings_of_one * settings[index + 1..].iter().sum::<usize>();
    }
    assert_eq!(covered.len(), all - 3);
    assert!(table.len() <= 20, "{} rows: {table:#?}", table.len());
}

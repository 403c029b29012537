//! The measured figures from which sizes are computed.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// CPU time in µs: of the app, and of Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Of the app.
    pub app: f64,
    /// Of Redis, all primaries together.
    pub redis: f64,
}

/// What requests cost in a topology.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Costs {
    /// A request that reads its session.
    pub read: Cost,
    /// One that changes it.
    pub write: Cost,
    /// One that signs a user in.
    pub sign_in: Cost,
    /// What an update of last-seen adds to a read.
    pub touch: Cost,
}

/// Without and with a near cache.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Topology {
    /// Without.
    pub plain: Costs,
    /// With it.
    pub near: Costs,
}

/// All figures, as `docs/bench/sizing.json` has them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// How the costs were measured.
    pub measured_by: String,
    /// Of one Redis server.
    pub one_server: Topology,
    /// Of a Cluster.
    pub cluster: Topology,
    /// Bytes in Redis of a session of five entries and its part of an index, by `MEMORY USAGE`.
    pub session_bytes: f64,
    /// Bytes of a key that `MEMORY USAGE` does not count: places in hash tables, and the time of its expiry. By
    /// `cargo run -p measure --bin memory`.
    pub key_bytes: f64,
    /// CPU time in µs of a server with a near cache for each change of a session that it does not cache. By
    /// `cargo run --release -p measure --bin invalidation`, under load.
    pub change: f64,
}

impl Figures {
    /// Reads the figures of the documentation.
    ///
    /// # Errors
    ///
    /// If the file is missing or invalid.
    pub fn read() -> Result<Self> {
        Ok(serde_json::from_slice(&fs::read(file())?)?)
    }

    /// Writes the figures of the documentation.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs::write(file(), text)?)
    }

    /// Replaces the costs and sizes by those in results of `scripts/bench --json` or `--docs`. What they do not
    /// contain stays.
    ///
    /// # Errors
    ///
    /// If a topology was measured without one of the subjects and routes.
    pub fn update(&mut self, results: &Value, command: &str) -> Result<()> {
        for one in results.as_array().ok_or("not a list of results")? {
            let topology = Topology {
                plain: costs(one, "cloakroom")?,
                near: costs(one, "cloakroom-near")?,
            };
            if one["conditions"]["setting"]["cluster"] == true {
                self.cluster = topology;
            } else {
                self.one_server = topology;
                self.session_bytes = figure(one, "cloakroom", None, "all_bytes")?;
            }
        }
        command.clone_into(&mut self.measured_by);
        Ok(())
    }
}

fn costs(results: &Value, subject: &str) -> Result<Costs> {
    let cost = |subject: &str, route: &str| -> Result<Cost> {
        Ok(Cost {
            app: figure(results, subject, Some(route), "cpu_ms")?,
            redis: figure(results, subject, Some(route), "redis_cpu_ms")?,
        })
    };
    // The baseline of a touch is a read without a near cache: it is the same for both.
    let (touching, rolling) = (
        cost("cloakroom-touching", "rolling")?,
        cost("cloakroom", "rolling")?,
    );
    Ok(Costs {
        read: cost(subject, "read")?,
        write: cost(subject, "write")?,
        sign_in: cost(subject, "sign-in")?,
        touch: Cost {
            app: round(touching.app - rolling.app),
            redis: round(touching.redis - rolling.redis),
        },
    })
}

fn figure(results: &Value, subject: &str, route: Option<&str>, metric: &str) -> Result<f64> {
    let rows = results["results"].as_array().ok_or("no results")?;
    let mut rows = rows
        .iter()
        .filter(|row| row["subject"] == subject && row["route"].as_str() == route);
    let median = rows.find_map(|row| row["figures"][metric]["median"].as_f64());
    let missing = || {
        format!(
            "there is no {metric} of {subject}, {}",
            route.unwrap_or("by itself")
        )
    };
    Ok(round(median.ok_or_else(missing)?))
}

/// A figure as the page shows it.
fn round(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/bench/sizing.json")
}

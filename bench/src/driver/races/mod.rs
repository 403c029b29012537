//! Races between two requests of one session, on two servers: does the user lose a change, come back after
//! signing out, or get signed out by accident? The same requests for all libraries.

mod jar;
mod table;
mod trial;

use clap::ValueEnum;
use tokio::task::JoinSet;

use self::table::table;
use self::trial::{Outcome, Ports};
use super::nodes::Nodes;
use super::process::{Server, package_folder};
use super::{http, missing, progress};
use crate::BoxError;
use crate::args::{Options, ServeArgs};
use crate::report;
use crate::subject::Subject;

/// Trials that run at the same time, each with a session of its own.
const AT_A_TIME: usize = 8;

/// The libraries that are compared, in the order of the columns.
const SUBJECTS: [Subject; 6] = [
    Subject::Cloakroom,
    Subject::CloakroomNear,
    Subject::TowerSessions,
    Subject::AxumSessionUncached,
    Subject::ActixSession,
    Subject::ExpressSession,
];

/// Two requests that meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Race {
    /// Two requests change different entries.
    Edits,
    /// A slow request changes an entry, and the user signs out meanwhile.
    SignOut,
    /// A slow request changes an entry, and the visitor signs in meanwhile.
    SignIn,
    /// Two requests renew the session, and each changes an entry.
    TwoRenewals,
    /// Two requests sign the same visitor in.
    TwoSignIns,
}

/// How the trials of a race have ended, for one subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub(super) subject: Subject,
    pub(super) race: Race,
    pub(super) trials: usize,
    /// Trials in which the user has lost something, or is signed in again.
    pub(super) failed: usize,
    /// Trials in which a request got another response than a success.
    pub(super) refused: usize,
}

/// Runs all races with all libraries that can run here, prints the table, and rewrites the README's.
pub(super) fn run(options: &Options) -> Result<String, BoxError> {
    let mut tallies = Vec::new();
    for subject in SUBJECTS {
        if let Some(missing) = missing(subject) {
            progress(format_args!("without {}: {missing}", subject.name()))?;
            continue;
        }
        progress(format_args!("races of {}", subject.name()))?;
        let redis = Nodes::start(false)?;
        let args = ServeArgs {
            subject,
            redis: redis.port(),
            setting: options.setting,
            sessions: 1,
            extra_entries: 0,
            entry_bytes: 0,
        };
        let servers = [Server::start(args, false)?, Server::start(args, false)?];
        let ports = servers.each_ref().map(Server::port);
        for &race in Race::value_variants() {
            let tally = http::block_on(tally(subject, race, ports, options.trials))?;
            tallies.push(tally);
        }
    }
    Ok(table(&tallies))
}

/// Writes the table into the README.
pub(super) fn rewrite_readme(table: &str) -> Result<(), BoxError> {
    report::rewrite_page(&package_folder().join("../README.md"), "--races", table)
}

async fn tally(
    subject: Subject,
    race: Race,
    ports: Ports,
    trials: usize,
) -> Result<Tally, BoxError> {
    let mut tally = Tally {
        subject,
        race,
        trials,
        failed: 0,
        refused: 0,
    };
    let mut running = JoinSet::new();
    for number in 0..trials {
        if running.len() == AT_A_TIME {
            tally.count(running.join_next().await)?;
        }
        running.spawn(trial::run(race, ports, number));
    }
    while !running.is_empty() {
        tally.count(running.join_next().await)?;
    }
    Ok(tally)
}

type Joined = Option<Result<Result<Outcome, BoxError>, tokio::task::JoinError>>;

impl Tally {
    fn count(&mut self, joined: Joined) -> Result<(), BoxError> {
        if let Some(outcome) = joined {
            let outcome = outcome??;
            self.failed += usize::from(outcome.has_failed);
            self.refused += usize::from(outcome.is_refused);
        }
        Ok(())
    }
}

//! What is checked, and which line keeps which promise.

use super::{Index, Kind, Line, Writes, properties};
use crate::check::Protocol;

impl Protocol for Index {
    type Line = Line;

    const NAME: &'static str = "user index";

    const LINES: &'static [(Line, &'static str)] = &[
        (Line::IndexFirst, properties::LISTED),
        (Line::WaitForBoth, properties::LISTED),
        (Line::OnlyFreshTogether, properties::LISTED),
        (Line::RemoveLast, properties::LISTED),
        (Line::TombstoneForMissing, properties::LISTED),
        (Line::OnlyOldAreDead, properties::LISTED),
        (Line::TakeOver, properties::TAKEN_OVER),
        (Line::EvictFirst, properties::LIMIT),
        (Line::CountAgain, properties::LIMIT),
        (Line::ReadAgain, properties::REVOKED),
    ];

    fn configurations(long: bool) -> Vec<Self> {
        use Kind::{Migrate, Renew, RevokeAll, SignIn};
        use Writes::{InOrder, OneScript, Together};
        const UNLIMITED: usize = usize::MAX;
        let configuration = |limit, writes, crashes, tasks: &[Kind]| Self {
            limit,
            tasks: tasks.to_vec(),
            writes,
            crashes,
            removed: None,
        };
        let mut all = Vec::new();
        for (limit, writes) in [(2, InOrder), (2, OneScript), (UNLIMITED, Together)] {
            all.extend([
                configuration(limit, writes, 1, &[SignIn, SignIn, RevokeAll]),
                configuration(limit, writes, 1, &[SignIn, Renew, RevokeAll]),
            ]);
        }
        all.extend([
            configuration(1, InOrder, 1, &[SignIn, SignIn, SignIn]),
            configuration(1, InOrder, 1, &[SignIn, Renew, SignIn]),
            configuration(UNLIMITED, Together, 1, &[Migrate, RevokeAll]),
        ]);
        if long {
            all.extend([
                configuration(1, OneScript, 1, &[SignIn, SignIn, SignIn]),
                configuration(2, InOrder, 1, &[SignIn, SignIn, Renew, RevokeAll]),
                configuration(2, OneScript, 2, &[SignIn, SignIn, Renew, RevokeAll]),
                configuration(UNLIMITED, Together, 2, &[SignIn, Migrate, Renew, RevokeAll]),
            ]);
        }
        all
    }

    fn without(self, line: Line) -> Self {
        Self {
            removed: Some(line),
            ..self
        }
    }
}

//! Lets the commands of requests that are ready at the same moment leave together.
//!
//! fred writes in one go what it finds in its queue. By itself it finds one command at a time: tokio
//! runs the task that a sender wakes right after the sender, before the other requests that are ready.
//! So a command that comes while others are under way lets those that are ready come too ([`meeting`]);
//! then all are begun at once ([`packet`]), or carried out as a single one ([`joint`]). Nobody waits for
//! a clock, and a command that is alone on its connection waits for nobody.

mod joint;
mod meeting;
mod packet;

use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use self::joint::{Due, Joint, jointly};
pub(crate) use self::meeting::Meeting;
pub(crate) use self::packet::{Answer, Waiting, in_one_packet};
use crate::command::{Call, Get};

/// Where the commands of one connection meet.
#[derive(Default)]
pub(crate) struct Coalescer {
    in_flight: AtomicUsize,
    /// Those that are sent one behind the other.
    pub(crate) packets: Meeting<Waiting>,
    /// Those that become one.
    pub(crate) gets: Meeting<Due<Get>>,
    pub(crate) calls: Meeting<Due<Call>>,
}

impl Coalescer {
    /// How many commands are under way, those counted that are not begun yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts one more command under way, until the guard goes.
    pub(crate) fn one_more(&self) -> OneMore<'_> {
        let is_alone = self.in_flight.fetch_add(1, Ordering::Relaxed) == 0;
        OneMore {
            count: &self.in_flight,
            is_alone,
        }
    }
}

/// A command that is under way.
pub(crate) struct OneMore<'a> {
    count: &'a AtomicUsize,
    /// Whether there was no other.
    pub(crate) is_alone: bool,
}

impl Drop for OneMore<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

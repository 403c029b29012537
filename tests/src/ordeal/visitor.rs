//! A visitor: uses sessions of its own, one after the other, and knows what was acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use tokio::time::sleep;

use super::outcome::Book;
use super::shop::{Answer, Seen, ask};
use crate::dice::Dice;

/// How many different notes a session gets.
const NOTES: u32 = 24;

/// Of so many sessions that were ended or put away, the cookies are kept, to be shown again.
const KEPT: usize = 300;

/// Every so many-th visitor is faithful.
const FAITHFUL: u64 = 4;

/// Somebody with a browser, who writes down what was acknowledged.
#[derive(Debug)]
pub(super) struct Visitor {
    servers: [Router; 2],
    book: Arc<Book>,
    number: u64,
    dice: Dice,
    sessions: u64,
    known: Option<Known>,
    /// Cookies of sessions whose ending was acknowledged.
    ended: Vec<String>,
    /// Never renews nor leaves. Once the outcome of a log-out is unknown, a session that is missing
    /// proves nothing; a faithful visitor's sessions must be there, whatever was answered.
    faithful: bool,
    /// Sessions that a faithful visitor has left alone, to look at them in the end.
    put_away: Vec<Known>,
}

/// What is known of a session.
#[derive(Debug)]
struct Known {
    cookie: String,
    mark: u64,
    acknowledged: u64,
    unknown: u64,
    notes: BTreeSet<u32>,
    /// An ending or a renewal of unknown outcome: it may be gone.
    perhaps_gone: bool,
}

impl Visitor {
    pub(super) fn new(number: u64, servers: [Router; 2], book: Arc<Book>) -> Self {
        Self {
            servers,
            book,
            number,
            dice: Dice::new(number),
            sessions: 0,
            known: None,
            ended: Vec::new(),
            faithful: number.is_multiple_of(FAITHFUL),
            put_away: Vec::new(),
        }
    }

    /// Does one thing.
    pub(super) async fn step(&mut self) {
        let dice = self.dice.roll() % 100;
        let Some(known) = self.known.take() else {
            return self.begin().await;
        };
        self.known = match dice {
            0..35 => self.look(known).await,
            35..65 => self.hit_twice_at_once(known).await,
            65..80 => self.note(known).await,
            80..93 if self.faithful => self.put_away(known),
            80..87 => self.renew(known).await,
            87..93 => self.leave(known).await,
            _ => {
                self.show_what_has_ended().await;
                Some(known)
            }
        };
    }

    /// Looks a last time, at what is there and at what must not be.
    pub(super) async fn leaves(mut self) {
        if let Some(known) = self.known.take() {
            self.look(known).await;
        }
        for known in std::mem::take(&mut self.put_away) {
            self.look(known).await;
        }
        for cookie in std::mem::take(&mut self.ended) {
            self.check_ended(cookie).await;
        }
    }

    async fn begin(&mut self) {
        self.sessions += 1;
        let mark = self.number * 1_000_000 + self.sessions;
        let answer = self.send(&format!("/begin/{mark}"), None).await;
        if answer.status != StatusCode::OK {
            return;
        }
        let Some(cookie) = answer.cookie else {
            return self
                .book
                .wrong("a session began without a cookie".to_owned());
        };
        self.known = Some(Known {
            cookie,
            mark,
            acknowledged: 0,
            unknown: 0,
            notes: BTreeSet::new(),
            perhaps_gone: false,
        });
    }

    async fn look(&mut self, mut known: Known) -> Option<Known> {
        let answer = self.send("/look", Some(&known)).await;
        self.check(&mut known, &answer).then_some(known)
    }

    async fn hit_twice_at_once(&mut self, mut known: Known) -> Option<Known> {
        let [one, other] = &self.servers;
        let (one, other) = tokio::join!(
            self.send_to(one, "/hit", Some(&known)),
            self.send_to(other, "/hit", Some(&known))
        );
        // Either may have seen the other, before it was acknowledged.
        known.unknown += 2;
        let mut there = true;
        for answer in [one, other] {
            there &= self.check(&mut known, &answer);
            if answer.status == StatusCode::OK && answer.seen.is_some() {
                known.acknowledged += 1;
                known.unknown -= 1;
            }
        }
        there.then_some(known)
    }

    async fn note(&mut self, mut known: Known) -> Option<Known> {
        let note = u32::try_from(self.dice.roll() % u64::from(NOTES)).expect("it is small");
        let answer = self.send(&format!("/note/{note}"), Some(&known)).await;
        let there = self.check(&mut known, &answer);
        if answer.status == StatusCode::OK && answer.seen.is_some() {
            known.notes.insert(note);
        }
        there.then_some(known)
    }

    async fn renew(&mut self, mut known: Known) -> Option<Known> {
        let answer = self.send("/renew", Some(&known)).await;
        if !self.check(&mut known, &answer) {
            return None;
        }
        match (answer.status, answer.cookie) {
            (StatusCode::OK, Some(cookie)) => {
                let old = std::mem::replace(&mut known.cookie, cookie);
                self.keep(old);
            }
            (StatusCode::OK, None) => {
                let what = "a renewal was acknowledged without a cookie";
                self.book.wrong(what.to_owned());
            }
            _ => known.perhaps_gone = true,
        }
        Some(known)
    }

    async fn leave(&mut self, mut known: Known) -> Option<Known> {
        let answer = self.send("/leave", Some(&known)).await;
        if !self.check(&mut known, &answer) {
            return None;
        }
        if answer.status == StatusCode::OK {
            self.keep(known.cookie);
            return None;
        }
        known.perhaps_gone = true;
        Some(known)
    }

    fn put_away(&mut self, known: Known) -> Option<Known> {
        if self.put_away.len() == KEPT {
            return Some(known);
        }
        self.put_away.push(known);
        None
    }

    async fn show_what_has_ended(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let which = usize::try_from(self.dice.roll()).unwrap_or_default() % self.ended.len();
        let cookie = self.ended.swap_remove(which);
        if self.check_ended(cookie.clone()).await {
            self.ended.push(cookie);
        }
    }

    /// Whether it is over still.
    async fn check_ended(&self, cookie: String) -> bool {
        let answer = self.request(&self.servers[0], "/look", Some(cookie)).await;
        let revived = answer.seen.is_some();
        if revived {
            self.book.revived();
        }
        !revived
    }

    /// Holds what was seen against what is known. Whether the session is there, as far as one can say.
    fn check(&self, known: &mut Known, answer: &Answer) -> bool {
        if answer.status != StatusCode::OK {
            return true;
        }
        let Some(seen) = &answer.seen else {
            if !known.perhaps_gone {
                self.book.lost(1);
            }
            return false;
        };
        self.check_content(known, seen);
        true
    }

    fn check_content(&self, known: &mut Known, seen: &Seen) {
        if seen.mark != known.mark {
            let what = format!("{} was shown the session of {}", known.mark, seen.mark);
            return self.book.wrong(what);
        }
        if seen.hits < known.acknowledged {
            self.book.lost(known.acknowledged - seen.hits);
            known.acknowledged = seen.hits;
        }
        let most = known.acknowledged + known.unknown;
        if seen.hits > most {
            let what = format!("{} hits of {most} that were sent", seen.hits);
            self.book.wrong(what);
        }
        let there: BTreeSet<_> = seen.notes.iter().copied().collect();
        let lost = known.notes.difference(&there).count();
        if lost > 0 {
            self.book.lost(u64::try_from(lost).unwrap_or(u64::MAX));
            known.notes = &known.notes & &there;
        }
    }

    fn keep(&mut self, cookie: String) {
        if self.ended.len() < KEPT {
            self.ended.push(cookie);
        }
    }

    async fn send(&mut self, path: &str, known: Option<&Known>) -> Answer {
        let which = usize::from(self.dice.roll().is_multiple_of(2));
        self.send_to(&self.servers[which], path, known).await
    }

    async fn send_to(&self, server: &Router, path: &str, known: Option<&Known>) -> Answer {
        let cookie = known.map(|known| known.cookie.clone());
        self.request(server, path, cookie).await
    }

    async fn request(&self, server: &Router, path: &str, cookie: Option<String>) -> Answer {
        let began = Instant::now();
        let answer = ask(server.clone(), path.to_owned(), cookie).await;
        match answer.status {
            StatusCode::OK => self.book.succeeded(began.elapsed()),
            StatusCode::SERVICE_UNAVAILABLE => {
                self.book.unavailable(began.elapsed());
                // Nobody reloads faster.
                sleep(Duration::from_millis(10)).await;
            }
            status => self.book.wrong(format!("{path} was answered {status}")),
        }
        answer
    }
}

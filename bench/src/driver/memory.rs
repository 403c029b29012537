//! What a request costs in memory: allocations, and what it keeps while its handler waits.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::http::Visitor;
use super::stage::Stage;
use crate::Problem;
use crate::report::{Book, Metric};
use crate::subject::{Route, Subject};

/// So many requests live at the same time.
const LIVE: usize = 256;

/// Measures a subject once: nothing here depends on how busy the machine is.
pub(super) fn measure(subject: Subject, routes: &[Route], book: &mut Book) -> Result<(), Problem> {
    let mut stage = Stage::set_with(subject, LIVE, (0, 0), true)?;
    for &route in routes.iter().filter(|&&route| subject.has(route)) {
        // The first requests fill pools and buffers.
        stage.load(route, 16, 0.2)?;
        let before = Told::by(&mut stage)?;
        let requests = stage.load(route, 16, 0.3)?.outcome.requests;
        let after = Told::by(&mut stage)?;
        if after.allocations > 0 {
            let each = (after.allocations - before.allocations) as f64 / requests as f64;
            book.note(subject, route, Metric::Allocations, each);
        }
    }
    if subject != Subject::CloakroomTouching {
        book.note(subject, None, Metric::LiveBytes, live(&mut stage)?);
    }
    Ok(())
}

/// The bytes that one of many waiting requests keeps, besides its connection.
fn live(stage: &mut Stage) -> Result<f64, Problem> {
    let port = stage.server.port();
    let mut visitors = Vec::with_capacity(LIVE);
    for cookies in &stage.cookies {
        visitors.push(Visitor::open(port, cookies)?);
    }
    // What all need at the same time even without waiting is there before it is looked at.
    for _ in 0..3 {
        for visitor in &mut visitors {
            visitor.send(Route::Read.path())?;
        }
        for visitor in &mut visitors {
            visitor.receive()?;
        }
    }
    let idle = Told::by(stage)?;
    for visitor in &mut visitors {
        visitor.send("/hold")?;
    }
    let until = Instant::now() + Duration::from_secs(10);
    while stage.server.order("held")? != LIVE.to_string() {
        if Instant::now() > until {
            return Err("not all requests came to wait".into());
        }
        sleep(Duration::from_millis(5));
    }
    let busy = Told::by(stage)?;
    stage.server.order("open")?;
    for visitor in &mut visitors {
        visitor.receive()?;
    }
    Ok((busy.live - idle.live) / LIVE as f64)
}

/// What a server tells of its memory.
struct Told {
    live: f64,
    allocations: u64,
}

impl Told {
    fn by(stage: &mut Stage) -> Result<Self, Problem> {
        let told = stage.server.order("memory")?;
        let (live, allocations) = told.split_once(' ').ok_or("half of an answer")?;
        Ok(Self {
            live: live.parse()?,
            allocations: allocations.parse()?,
        })
    }
}

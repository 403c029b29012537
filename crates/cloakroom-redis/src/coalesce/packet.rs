//! Commands that are begun one right after the other, so that they leave in one packet.

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker, ready};

use super::meeting::{Errand, Meeting, lock};

/// A command that is not sent before it is polled. In a box: fred's futures are of 7 KiB, and whatever
/// holds one by value is copied at each layer above.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Carries out a command, begun together with others.
pub(crate) async fn in_one_packet<T>(commands: &Meeting<Waiting>, command: Answer<T>) -> T
where
    T: Send + 'static,
{
    let command = Arc::new(Command(Mutex::new(State::UnderWay(command))));
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let weak: Weak<Command<T>> = Arc::downgrade(&command);
    let errand = Waiting {
        command: weak,
        waker,
    };
    commands.hand_in(errand);
    let mut is_handed_in = true;
    poll_fn(|cx| match mem::take(&mut is_handed_in) {
        // Whoever begins it lets it wake this task.
        true => Poll::Pending,
        false => command.poll(cx),
    })
    .await
}

/// A command that is to be begun, unless it was given up, and who waits for its answer.
pub(crate) struct Waiting {
    command: Weak<dyn Begin>,
    waker: Waker,
}

impl Errand for Waiting {
    async fn begin(errands: Vec<Self>) {
        for Self { command, waker } in errands {
            if let Some(command) = command.upgrade() {
                command.begin(&waker);
            }
        }
    }

    fn give_up(errands: Vec<Self>) {
        // They begin them themselves.
        errands.iter().for_each(|errand| errand.waker.wake_by_ref());
    }
}

/// A command that one request has and another may begin.
struct Command<T>(Mutex<State<T>>);

enum State<T> {
    UnderWay(Answer<T>),
    Answered(Option<T>),
}

impl<T> Command<T> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = lock(&self.0);
        match &mut *state {
            State::UnderWay(command) => {
                let answer = ready!(command.as_mut().poll(cx));
                // It may still be in a queue, to be begun.
                *state = State::Answered(None);
                Poll::Ready(answer)
            }
            State::Answered(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
        }
    }
}

trait Begin: Send + Sync {
    fn begin(&self, waker: &Waker);
}

impl<T: Send> Begin for Command<T> {
    fn begin(&self, waker: &Waker) {
        let mut state = lock(&self.0);
        if let State::UnderWay(command) = &mut *state
            && let Poll::Ready(answer) = command.as_mut().poll(&mut Context::from_waker(waker))
        {
            *state = State::Answered(Some(answer));
            waker.wake_by_ref();
        }
    }
}

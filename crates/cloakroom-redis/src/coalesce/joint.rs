//! Commands that become one.

use std::mem;

use fred::error::{Error as FredError, ErrorKind as FredErrorKind};
use tokio::sync::oneshot;

use super::meeting::{Errand, Meeting};
use super::packet::Answer;

/// So many become one at most: while it runs, the server does nothing else.
const MOST: usize = 64;

/// A command that can be carried out as one with others of its kind.
pub(crate) trait Joint: Send + Sized + 'static {
    /// What it is answered.
    type Reply: Send + 'static;

    /// Carries them all out. Gives the replies in their order.
    fn carry_out(commands: Vec<Self>) -> Answer<Vec<Result<Self::Reply, FredError>>>;
}

/// Carries a command out, as one with those that come at the same moment.
pub(crate) async fn jointly<J: Joint>(
    meeting: &Meeting<Due<J>>,
    command: J,
) -> Result<J::Reply, FredError> {
    let (answer, answered) = oneshot::channel();
    meeting.hand_in(Due { command, answer });
    let lost = || FredError::new(FredErrorKind::Canceled, "The runtime is shutting down.");
    answered.await.unwrap_or_else(|_| Err(lost()))
}

/// A command that is to be carried out, and who waits for its answer.
pub(crate) struct Due<J: Joint> {
    command: J,
    answer: oneshot::Sender<Result<J::Reply, FredError>>,
}

impl<J: Joint> Errand for Due<J> {
    async fn begin(mut dues: Vec<Self>) {
        while dues.len() > MOST {
            let rest = dues.split_off(MOST);
            tokio::spawn(carry_out(mem::replace(&mut dues, rest)));
        }
        carry_out(dues).await;
    }

    fn give_up(_: Vec<Self>) {
        // Their answers are dropped, which is told.
    }
}

async fn carry_out<J: Joint>(dues: Vec<Due<J>>) {
    let dues = dues.into_iter().map(|due| (due.command, due.answer));
    let (commands, answers): (Vec<_>, Vec<_>) = dues.unzip();
    let replies = J::carry_out(commands).await;
    for (answer, reply) in answers.into_iter().zip(replies) {
        drop(answer.send(reply));
    }
}

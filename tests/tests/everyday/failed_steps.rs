//! Steps that fail while another task of the request edits the session.

use cloakroom::{Session, SessionError};
use cloakroom_core::StoreErrorKind;
use tests::app::Fixture;
use tests::faulty_store::{Fault, Verb};

use super::impersonation::{impersonate, set, users};
use super::sign_in;

/// Signs `ada` in, who acts as `bob` if `is_acting`. Then a step that renews the session fails, since the old one cannot be
/// ended, while another task of the request inserts an entry. Returns who uses the session afterwards.
async fn fail_while_inserting<T, F>(
    is_acting: bool,
    step: impl FnOnce(Session) -> F + Send + 'static,
) -> String
where
    T: std::fmt::Debug + Send + 'static,
    F: Future<Output = Result<T, SessionError>> + Send + 'static,
{
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    sign_in(&mut browser, "ada").await;
    if is_acting {
        impersonate(&mut browser, "bob").await;
    }
    set(&mut browser, 1).await;
    let gate = fixture.store.hold(Verb::Create);
    let refused = Fault::Refuse(StoreErrorKind::Refused);
    fixture.store.next(Verb::End, refused);
    let response = browser
        .request(move |session| async move {
            let insert = async {
                gate.reached().await;
                session.insert("n", 7)?;
                gate.open();
                Ok::<_, SessionError>(())
            };
            let (step, inserted) = tokio::join!(step(session.clone()), insert);
            inserted?;
            step.expect_err("the store has refused it");
            assert_eq!(session.get("n")?, Some(7), "it is unrelated");
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(browser.read().await, Some(7));
    users(&mut browser).await
}

#[tokio::test]
async fn a_step_that_fails_undoes_no_edit_that_was_made_meanwhile() {
    let impersonate = |session: Session| async move { session.impersonate("bob").await };
    assert_eq!(fail_while_inserting(false, impersonate).await, "ada");
    let sign_in = |session: Session| async move { session.sign_in("ada").await };
    assert_eq!(fail_while_inserting(false, sign_in).await, "ada");
    let renew = |session: Session| async move {
        session.renew()?;
        session.save().await
    };
    assert_eq!(fail_while_inserting(false, renew).await, "ada");
    let stop = |session: Session| async move { session.stop_impersonating().await };
    assert_eq!(fail_while_inserting(true, stop).await, "bob by ada");
}

/// What another task of the request has asked for meanwhile is not undone either.
#[tokio::test]
async fn a_step_that_fails_undoes_no_choice_that_was_made_meanwhile() {
    let fixture = Fixture::memory();
    let mut ada = fixture.browser();
    sign_in(&mut ada, "ada").await;
    let gate = fixture.store.hold(Verb::Create);
    let refused = Fault::Refuse(StoreErrorKind::Refused);
    fixture.store.next(Verb::End, refused);
    let response = ada
        .request(move |session| async move {
            session.renew()?;
            let choose = async {
                gate.reached().await;
                session.sign_in("carl").on_save()?;
                gate.open();
                Ok::<_, SessionError>(())
            };
            let (saved, chosen) = tokio::join!(session.save(), choose);
            chosen?;
            saved.expect_err("the store has refused it");
            Ok(())
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(users(&mut ada).await, "carl");
}

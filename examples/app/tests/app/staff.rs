//! What somebody who acts as a user may not do.

use app_example::Storage;
use test_support::http::Client;

use super::{database, post, sign_in, sign_in_as, start, token};

#[tokio::test]
async fn an_acting_session_ends_no_session_of_the_user_and_uses_up_no_attempt() {
    let address = start(&database().await, &Storage::memory()).await;
    let mut ada = Client::new(&address);
    assert_eq!(sign_in(&mut ada, "ada-password").await, 303);
    let mut mona = Client::new(&address);
    assert_eq!(sign_in_as(&mut mona, "Mona", "mona-password").await, 303);
    let csrf = token(&mut mona, "/admin").await;
    let act = post(&mut mona, "/admin/act-as/1", &[("csrf", &csrf)]).await;
    assert_eq!(act, 303);

    let devices = mona.get("/devices").await.body;
    assert!(devices.contains("acts as"), "{devices}");
    let (_, id) = devices.split_once("name=\"id\" value=\"").expect("Ada's");
    let id = id.split('"').next().expect("it ends");
    let csrf = token(&mut mona, "/devices").await;
    let form = [("csrf", &*csrf), ("id", id), ("code", "000000")];
    for path in [
        "/devices/sign-out",
        "/devices/sign-out-others",
        "/second-factor",
    ] {
        let response = mona.post(path, &form).await;
        assert_eq!(response.status, 403, "{path}");
        assert!(response.body.contains("You may not do this."), "{path}");
    }
    assert!(ada.get("/").await.body.contains("Hello, Ada."));
}

//! Which servers are trusted: by an authority, by a pin, and by another name than the one in the URL.

use cloakroom_redis::{ConnectErrorKind, RedisStoreBuilder};
use tests::generous;
use tests::topology::{Authority, Identity, TlsServer};

async fn connects(builder: RedisStoreBuilder) {
    let store = builder.connect().await.expect("the server is trusted");
    store.ping().await.expect("the server responds");
}

/// The error for a server that is not trusted: in plain words, which name what to do.
async fn is_not_trusted(builder: RedisStoreBuilder, remedy: &str) {
    let error = builder.connect().await.expect_err("it is not trusted");
    assert_eq!(error.kind(), ConnectErrorKind::Unreachable, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("not trusted") && text.contains(remedy),
        "{text}"
    );
    assert!(!text.contains(['{', '"']) && !text.contains("::"), "{text}");
}

#[tokio::test]
async fn a_pin_trusts_a_self_signed_certificate_and_no_other() {
    let own = Identity::self_signed("redis.internal");
    let server = TlsServer::start_as(&own, &Authority::new(), "no");
    let builder = || generous::redis(server.url(), "shop");
    let with_colons = |digits: &str| {
        let pairs: Vec<_> = digits
            .as_bytes()
            .chunks(2)
            .map(String::from_utf8_lossy)
            .collect();
        pairs.join(":").to_uppercase()
    };
    for pin in [
        own.fingerprint.clone(),
        with_colons(&own.fingerprint),
        own.public_key_fingerprint.clone(),
    ] {
        connects(builder().with_tls_pin(pin)).await;
    }
    let another = Identity::self_signed("redis.internal");
    let both = builder()
        .with_tls_pin(&another.fingerprint)
        .with_tls_pin(&own.fingerprint);
    connects(both).await;
    is_not_trusted(builder().with_tls_pin(another.fingerprint), "with_tls_pin").await;
    is_not_trusted(
        builder().with_tls_pin(another.public_key_fingerprint),
        "with_tls_pin",
    )
    .await;
}

#[tokio::test]
async fn a_self_signed_certificate_as_an_authority_leads_to_the_pin() {
    let authority = Authority::new();
    for own in [authority.identity(), Identity::self_signed("127.0.0.1")] {
        let server = TlsServer::start_as(&own, &authority, "no");
        let builder = || generous::redis(server.url(), "shop");
        let as_authority = builder().with_tls_ca(own.certificate);
        match as_authority.clone().connect().await {
            // That would be as good.
            Ok(store) => drop(store.ping().await.expect("the server responds")),
            Err(_) => is_not_trusted(as_authority, "with_tls_pin").await,
        }
        is_not_trusted(builder(), "with_tls_pin").await;
        connects(builder().with_tls_pin(own.fingerprint)).await;
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_is_trusted_by_name() {
    let authority = Authority::new();
    let own = authority.issue("redis.internal");
    let server = TlsServer::start_as(&own, &authority, "no");
    let builder = || {
        let builder = generous::redis(server.url(), "shop");
        builder.with_tls_ca(authority.certificate())
    };
    is_not_trusted(builder(), "with_tls_server_name").await;
    connects(builder().with_tls_server_name("redis.internal")).await;
    let wrong = builder().with_tls_server_name("127.0.0.1");
    is_not_trusted(wrong, "with_tls_server_name").await;
    // The name is not instead of an authority.
    let stranger = generous::redis(server.url(), "shop")
        .with_tls_ca(Authority::new().certificate())
        .with_tls_server_name("redis.internal");
    is_not_trusted(stranger, "with_tls_ca").await;
}

#[tokio::test]
async fn a_url_with_the_wrong_kind_of_port_suggests_the_right_scheme() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "no");
    let plain = server.url().replace("rediss://", "redis://");
    let error = generous::connect(plain, "shop").await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("use a `rediss` URL"), "{error}");

    let tls = server.server().url().replace("redis://", "rediss://");
    let builder = generous::redis(tls, "shop").with_tls_ca(authority.certificate());
    let error = builder.connect().await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("use a `redis` URL"), "{error}");
}

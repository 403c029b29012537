//! What lies between the app and the server.

use std::time::Duration;

use super::{Loss, Ordeal, Outcome, WHILE, aside, sleep};
use crate::proxy::{Proxy, Weather, deliver};
use crate::redis::RedisServer;
use crate::topology::Replicated;

async fn on_the_way() -> (RedisServer, Proxy, Ordeal) {
    let server = aside(RedisServer::start);
    let (proxy, load) = through_a_proxy(&server).await;
    (server, proxy, load)
}

async fn through_a_proxy(server: &RedisServer) -> (Proxy, Ordeal) {
    let proxy = Proxy::start(server.port()).await;
    let load = Ordeal::begin(&proxy.url()).await;
    (proxy, load)
}

/// Every command later than its time limit.
pub async fn slow() -> Outcome {
    let (_server, proxy, load) = on_the_way().await;
    load.strikes();
    proxy.set(Weather::Slow(Duration::from_millis(400)));
    sleep(WHILE).await;
    proxy.set(Weather::Fair);
    load.passes("400 ms of latency", Loss::Nothing).await
}

/// Answers arrive by half, and then the connection is cut.
pub async fn answers_cut_in_the_middle() -> Outcome {
    let (_server, proxy, load) = on_the_way().await;
    load.strikes();
    for _ in 0..10 {
        proxy.set(Weather::CutInAnswers);
        sleep(WHILE / 20).await;
        proxy.set(Weather::Fair);
        sleep(WHILE / 20).await;
    }
    load.passes("cut in the middle of answers", Loss::Nothing)
        .await
}

/// Connections stay open, and nothing arrives any more.
pub async fn half_open() -> Outcome {
    let (_server, proxy, load) = on_the_way().await;
    load.strikes();
    proxy.set(Weather::Swallowed);
    sleep(WHILE * 2).await;
    proxy.set(Weather::Fair);
    load.passes("half-open connections", Loss::Nothing).await
}

/// Commands are held back until their requests were answered, and delivered then; and all that was
/// delivered in good time is delivered once more.
pub async fn commands_that_arrive_late_and_twice() -> Outcome {
    let (server, proxy, load) = on_the_way().await;
    load.strikes();
    proxy.record();
    sleep(WHILE).await;
    proxy.set(Weather::KeptBack);
    sleep(WHILE).await;
    let sent = proxy.take_kept();
    proxy.cut();
    proxy.set(Weather::Fair);
    // Sessions go on, end and begin; then the past comes back.
    sleep(WHILE).await;
    deliver(server.port(), &sent).await;
    deliver(server.port(), &sent).await;
    load.passes("commands late, and twice", Loss::Nothing).await
}

/// The name leads to another server, which has the data: as after a failover behind DNS or a balancer.
pub async fn the_address_moves() -> Outcome {
    let servers = aside(|| Replicated::start(1));
    let (proxy, load) = through_a_proxy(servers.primary()).await;
    let heir = &servers.replicas()[0];
    load.strikes();
    aside(|| heir.command(&["REPLICAOF", "NO", "ONE"]));
    sleep(WHILE / 3).await;
    proxy.lead_to(heir.port());
    load.passes("the address leads elsewhere", Loss::Late).await
}

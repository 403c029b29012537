//! The section on sizes of `docs/performance.md`.

use serde_json::{Value, json};
use tests::sizing::{Cost, Figures, Load, replace_in, tables_in};

use crate::tree::read;

fn load(sessions: f64, requests: f64) -> Load {
    Load { sessions, requests }
}

#[test]
fn the_page_has_the_tables_that_the_program_computes() {
    let tables = Figures::read().expect("the figures").tables();
    let page = read("docs/performance.md");
    let shown = tables_in(&page).expect("the page has the tables");
    assert_eq!(shown, tables.trim_matches('\n'), "run scripts/sizing");
    assert_eq!(replace_in(&page, &tables), Some(page.clone()));
}

/// Within one topology: on several primaries a request may cost less than on one.
#[test]
fn a_larger_load_never_needs_less() {
    let mut figures = Figures::read().expect("the figures");
    figures.cluster = figures.one_server;
    for near in [false, true] {
        let mut least = figures.size(load(1e6, 1e4), near);
        for (sessions, requests) in [(1e7, 1e4), (1e7, 1e5), (1e8, 1e5), (1e8, 1e6)] {
            let more = figures.size(load(sessions, requests), near);
            assert!(more.primaries >= least.primaries && more.cores >= least.cores);
            least = more;
        }
        assert!(least.primaries > 3.0 && least.cores > 10.0);
    }
}

/// A load computed by hand.
#[test]
fn a_size_is_what_the_costs_add_up_to() {
    let mut figures = Figures::read().expect("the figures");
    let cost = |app, redis| Cost { app, redis };
    for costs in [&mut figures.one_server.plain, &mut figures.one_server.near] {
        costs.read = cost(10.0, 1.0);
        costs.write = cost(20.0, 5.0);
        costs.touch = cost(0.0, 0.0);
        costs.sign_in = cost(0.0, 0.0);
    }
    // 9000 reads and 1000 writes: 0.11 cores of the app and 0.014 of Redis, half of which is used.
    let size = figures.size(load(1000.0, 10_000.0), false);
    assert_eq!((size.primaries, size.cores), (1.0, 1.0));
    let size = figures.size(load(1000.0, 100_000.0), false);
    assert_eq!((size.primaries, size.cores), (1.0, 3.0));
    // Two thirds of 16 GiB.
    figures.session_bytes = 1024.0;
    figures.key_bytes = 0.0;
    let sessions = f64::from(1 << 20) * 10.0;
    assert_eq!(figures.size(load(sessions, 1.0), false).primaries, 1.0);
    assert_eq!(
        figures.size(load(sessions * 1.1, 1.0), false).primaries,
        3.0
    );
}

/// As `scripts/bench --json` writes them.
fn results(cluster: bool) -> Value {
    let mut rows = vec![json!({
        "subject": "cloakroom", "route": null, "figures": {"all_bytes": {"median": 464.0}},
    })];
    for (subject, app) in [
        ("cloakroom", 1.0),
        ("cloakroom-near", 2.0),
        ("cloakroom-touching", 4.5),
    ] {
        for route in ["read", "rolling", "write", "sign-in"] {
            let figures = json!({"cpu_ms": {"median": app}, "redis_cpu_ms": {"median": app * 2.0}});
            rows.push(json!({"subject": subject, "route": route, "figures": figures}));
        }
    }
    json!([{"conditions": {"setting": {"workers": "one", "cluster": cluster}}, "results": rows}])
}

#[test]
fn the_figures_come_from_results_of_the_benchmark() {
    let mut figures = Figures::read().expect("the figures");
    let before = figures.cluster.near.read;
    figures
        .update(&results(false), "a command")
        .expect("complete");
    assert_eq!(
        figures.one_server.near.read,
        Cost {
            app: 2.0,
            redis: 4.0
        }
    );
    assert_eq!(
        figures.one_server.plain.touch,
        Cost {
            app: 3.5,
            redis: 7.0
        }
    );
    assert_eq!(
        (figures.session_bytes, &*figures.measured_by),
        (464.0, "a command")
    );
    assert_eq!(figures.cluster.near.read, before);
    figures
        .update(&results(true), "a command")
        .expect("complete");
    assert_eq!(
        figures.cluster.near.read,
        Cost {
            app: 2.0,
            redis: 4.0
        }
    );

    let mut incomplete = results(false);
    let rows = incomplete[0]["results"].as_array_mut().expect("rows");
    rows.retain(|row| row["subject"] != "cloakroom-near" || row["route"] != "write");
    let error = figures.update(&incomplete, "a command").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no cpu_ms of cloakroom-near, write"
    );
}

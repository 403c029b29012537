//! The store passes the whole conformance suite.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloakroom_core::conformance::{self, Subject};
use cloakroom_core::{ManualClock, StoreAdmin};
use custom_store_example::FileStore;

/// A store in a directory of its own, whose clock the test moves.
struct Files {
    store: FileStore,
    clock: ManualClock,
}

impl Files {
    fn new(name: &str) -> Self {
        let clock = ManualClock::default();
        let store = FileStore::open_with_clock(directory(name), clock.clone());
        Self {
            store: store.expect("the directory can be created"),
            clock,
        }
    }
}

impl Subject for Files {
    type Store = FileStore;

    async fn store(&self) -> FileStore {
        self.store.clone()
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// Returns the path of a test's directory, which does not exist yet.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("the directory of the previous run is removed");
    }
    path
}

#[tokio::test]
async fn sessions_conform() {
    conformance::all(&Files::new("sessions")).await;
}

#[tokio::test]
async fn the_index_conforms() {
    conformance::index::all(&Files::new("index")).await;
}

#[tokio::test]
async fn the_administration_conforms() {
    conformance::admin::all(&Files::new("admin")).await;
}

#[tokio::test]
async fn the_bus_conforms() {
    conformance::bus::all(&Files::new("bus")).await;
}

/// The suite cannot see what is left on the disk.
#[tokio::test]
async fn nothing_expired_is_left() {
    let files = Files::new("expired");
    conformance::all(&files).await;
    conformance::index::all(&files).await;
    files.clock.advance(Duration::from_secs(60 * 24 * 60 * 60));
    let deleted = files.store.delete_expired().await;
    deleted.expect("the files can be deleted");
    let page = files.store.scan_ids(None).await;
    assert_eq!(page.expect("the directory is there").ids, []);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("expired");
    assert_eq!(
        fs::read_dir(path).expect("it is there").count(),
        1,
        "the lock"
    );
}

#[tokio::test]
async fn a_directory_has_one_store() {
    let path = directory("shared");
    let first = FileStore::open(&path).expect("nobody uses it");
    let second = FileStore::open(&path);
    let error = second.expect_err("it is in use");
    assert_eq!(error.to_string(), "another process uses it");
    drop(first);
    FileStore::open(&path).expect("nobody uses it any more");
}

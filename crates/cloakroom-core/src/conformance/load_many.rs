//! The test of loading several sessions.

use super::fixtures::{LONG, Subject, create, new_id, numbered, sample, tombstone_of};
use crate::clock::{Clock, SystemClock};
use crate::store::{Loaded, MAX_LOADED, Store};

pub(super) async fn each_is_loaded_in_order(subject: &impl Subject) {
    let store = subject.store().await;
    let (mut ids, mut expected) = (Vec::new(), Vec::new());
    for number in 0..MAX_LOADED {
        let (id, record) = sample(numbered(number.try_into().expect("it is small")));
        ids.push(id);
        expected.push(match number % 3 {
            0 => Loaded::Nothing,
            1 => {
                create(&store, id, &record, LONG).await;
                Loaded::Record(record)
            }
            _ => {
                let tombstone = tombstone_of(&record);
                let ended = store.end(id, None, &tombstone, LONG).await;
                ended.expect("end succeeds");
                Loaded::Tombstone(tombstone)
            }
        });
    }
    let loaded = store.load_many(&ids).await.into_iter();
    let loaded: Vec<_> = loaded
        .map(|loaded| loaded.expect("load_many succeeds"))
        .collect();
    assert_eq!(loaded, expected);
    assert!(store.load_many(&[]).await.is_empty());
    let missing = store.load_many(&[new_id(SystemClock.now())]).await;
    assert!(matches!(missing[..], [Ok(Loaded::Nothing)]));
}

//! The log of edits and its replay: of two concurrent writers, neither loses an update.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use cloakroom_core::entries::Entry;
use cloakroom_core::{Changes, Entries, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// An edit, to be applied to the model and to the real log.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Set(u8, i64),
    Remove(u8),
    Take(u8),
    Clear,
    /// An increment, which must never be lost.
    Add(u8, i64),
}

impl Edit {
    /// Returns the key, if the edit has one.
    const fn key(self) -> Option<u8> {
        match self {
            Self::Set(key, _) | Self::Remove(key) | Self::Take(key) | Self::Add(key, _) => {
                Some(key)
            }
            Self::Clear => None,
        }
    }
}

/// A plain map with which results are compared.
type Model = BTreeMap<u8, i64>;

fn name(key: u8) -> String {
    format!("key {key}")
}

fn apply_to_model(model: &mut Model, edits: &[Edit]) {
    for &edit in edits {
        match edit {
            Edit::Set(key, value) => _ = model.insert(key, value),
            Edit::Remove(key) | Edit::Take(key) => _ = model.remove(&key),
            Edit::Clear => model.clear(),
            Edit::Add(key, by) => *model.entry(key).or_default() += by,
        }
    }
}

/// Applies the edits to `entries`, and returns the log.
fn apply(entries: &mut Entries, edits: &[Edit]) -> Changes {
    let mut changes = Changes::new();
    for &edit in edits {
        match edit {
            Edit::Set(key, value) => changes
                .set(entries, &name(key), &value)
                .expect("a number is JSON"),
            Edit::Remove(key) => _ = changes.remove(entries, &name(key)),
            Edit::Take(key) => _ = changes.take(entries, &name(key)),
            Edit::Clear => changes.clear(entries),
            Edit::Add(key, by) => {
                let add = move |value: Option<i64>| value.unwrap_or(0) + by;
                changes
                    .update(entries, &name(key), add)
                    .expect("every entry is a number");
            }
        }
    }
    assert_eq!(changes.len(), edits.len());
    changes
}

fn entries(model: &Model) -> Entries {
    let mut entries = Entries::new();
    for (&key, value) in model {
        entries.set(&name(key), value).expect("a number is JSON");
    }
    entries
}

/// An independent implementation of `overwritten`, key by key. A key is reported if its value is no longer that
/// of the base, and the first edit of it neither reads the fresher value (`take`, `update`) nor sets the same
/// value.
fn overwritten(base: &Model, fresher: &Model, edits: &[Edit]) -> BTreeSet<String> {
    let keys: BTreeSet<u8> = base.keys().chain(fresher.keys()).copied().collect();
    let keys = keys
        .into_iter()
        .chain(edits.iter().filter_map(|edit| edit.key()));
    keys.filter(|key| {
        let there = fresher.get(key);
        let concerns = |edit: &&Edit| edit.key().is_none_or(|of| of == *key);
        let conflicts = match edits.iter().find(concerns) {
            Some(Edit::Set(_, value)) => there != Some(value),
            Some(Edit::Remove(_) | Edit::Clear) => there.is_some(),
            Some(Edit::Take(_) | Edit::Add(..)) | None => false,
        };
        conflicts && there != base.get(key)
    })
    .map(name)
    .collect()
}

/// Few keys and few values, so that edits conflict often.
fn edit() -> impl Strategy<Value = Edit> {
    let (key, value) = (0..4_u8, 0..4_i64);
    prop_oneof![
        4 => (key.clone(), value.clone()).prop_map(|(key, value)| Edit::Set(key, value)),
        2 => key.clone().prop_map(Edit::Remove),
        1 => key.clone().prop_map(Edit::Take),
        1 => Just(Edit::Clear),
        4 => (key, value).prop_map(|(key, by)| Edit::Add(key, by)),
    ]
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    vec(edit(), 0..8)
}

fn model() -> impl Strategy<Value = Model> {
    btree_map(0..4_u8, 0..4_i64, 0..4)
}

proptest! {
    #![proptest_config(support::config(support::regressions!("changes")))]

    #[test]
    fn a_replay_equals_running_the_second_request_later(base in model(), a in edits(), b in edits()) {
        let mut expected = base.clone();
        apply_to_model(&mut expected, &a);
        let between = expected.clone();
        apply_to_model(&mut expected, &b);

        let base_entries = entries(&base);
        let mut fresher = base_entries.clone();
        apply(&mut fresher, &a);
        prop_assert_eq!(&fresher, &entries(&between));
        let changes = apply(&mut base_entries.clone(), &b);
        let replay = changes.replay(&base_entries, &fresher).expect("every entry is a number");

        prop_assert_eq!(&replay.entries, &entries(&expected));
        let reported: Vec<_> = replay.overwritten.iter().map(ToString::to_string).collect();
        let unique: BTreeSet<_> = reported.iter().cloned().collect();
        prop_assert_eq!(unique.len(), reported.len(), "a key is reported twice");
        prop_assert_eq!(unique, overwritten(&base, &between, &b));
    }

    #[test]
    fn edits_of_different_keys_are_both_kept(
        base in model(),
        a in vec((0..2_u8, any::<i64>()), 1..4),
        b in vec((2..4_u8, any::<i64>()), 1..4),
    ) {
        let as_edits = |pairs: &[(u8, i64)]| -> Vec<Edit> {
            pairs.iter().map(|&(key, value)| Edit::Set(key, value)).collect()
        };
        let base = entries(&base);
        let mut fresher = base.clone();
        apply(&mut fresher, &as_edits(&a));
        let mut mine = base.clone();
        let changes = apply(&mut mine, &as_edits(&b));

        let replay = changes.replay(&base, &fresher).expect("nothing is decoded");
        for (from, keys) in [(&fresher, 0..2), (&mine, 2..4)] {
            for key in keys.map(name) {
                let (merged, theirs) = (replay.entries.entry(&key), from.entry(&key));
                prop_assert_eq!(merged, theirs);
            }
        }
        prop_assert!(replay.overwritten.is_empty());
    }

    #[test]
    fn no_increment_is_lost(start in any::<i32>(), writers in vec(vec(-9..10_i64, 0..5), 0..6)) {
        let base = entries(&Model::from([(0, i64::from(start))]));
        let mut stored = base.clone();
        for writer in &writers {
            // Each writer starts from the base, and replays on what the writers before it have stored.
            let adds: Vec<_> = writer.iter().map(|&by| Edit::Add(0, by)).collect();
            let changes = apply(&mut base.clone(), &adds);
            let replay = changes.replay(&base, &stored).expect("the entry is a number");
            prop_assert!(replay.overwritten.is_empty());
            stored = replay.entries;
        }
        let sum = i64::from(start) + writers.iter().flatten().sum::<i64>();
        prop_assert_eq!(stored.get::<i64>(&name(0)).expect("the entry is a number"), Some(sum));
    }

    /// Also what was removed, taken or cleared again: it must not come back in the session of a sign-in.
    #[test]
    fn own_edits_are_what_the_edits_leave_without_the_session(base in model(), edits in edits()) {
        let changes = apply(&mut entries(&base), &edits);
        let mut alone = Model::new();
        for edit in edits {
            // What an update has computed may come from the session.
            if !matches!(edit, Edit::Add(..)) {
                apply_to_model(&mut alone, &[edit]);
            }
        }
        prop_assert_eq!(changes.own(), entries(&alone));
    }

    /// For a sign-in as another user: what it removes is the previous user's.
    #[test]
    fn edits_without_removals_set_the_same_and_remove_nothing(
        base in model(),
        others in model(),
        edits in edits(),
    ) {
        let changes = apply(&mut entries(&base), &edits);
        let own = changes.without_removals();
        let on = |changes: &Changes, there: &Entries| {
            changes.replay(&Entries::new(), there).expect("every entry is a number").entries
        };
        let alone = on(&own, &Entries::new());
        prop_assert_eq!(&alone, &on(&changes, &Entries::new()));

        let others = entries(&others);
        let merged = on(&own, &others);
        for key in others.keys().filter(|key| !alone.contains(key)) {
            prop_assert_eq!(merged.entry(key), others.entry(key));
        }
        prop_assert!(alone.keys().all(|key| merged.contains(key)));
    }

    #[test]
    fn stored_edits_need_not_be_replayed(base in model(), edits in edits(), at in 0..8_usize) {
        let at = at.min(edits.len());
        let base = entries(&base);
        let mut whole = base.clone();
        let mut rest = apply(&mut whole, &edits);
        let mut first = rest.clone();
        prop_assert_eq!(first.split_off(at).len(), edits.len() - at);
        prop_assert_eq!(rest.take_first(at).len(), at);

        let stored = first.replay(&base, &base).expect("every entry is a number").entries;
        let merged = rest.replay(&stored, &stored).expect("every entry is a number").entries;
        prop_assert_eq!(merged, whole);
    }
}

fn json(json: &str) -> Entries {
    Entries::from_json(json).expect("the test's own JSON")
}

#[test]
fn an_edit_that_overwrites_an_unseen_change_is_reported() {
    let base = json(r#"{"a":1,"b":1,"c":1}"#);
    let fresher = json(r#"{"a":2,"b":2,"c":1}"#);
    let mut mine = base.clone();
    let mut changes = Changes::new();
    changes.set(&mut mine, "a", &9).unwrap();
    changes.remove(&mut mine, "b");
    changes.set(&mut mine, "c", &9).unwrap();
    let replay = changes.replay(&base, &fresher).unwrap();
    assert_eq!(replay.overwritten, ["a".into(), "b".into()]);
    assert_eq!(replay.entries, json(r#"{"a":9,"c":9}"#));
}

#[test]
fn the_same_value_from_both_is_not_a_conflict() {
    let base = json("{}");
    let mut changes = Changes::new();
    changes.set(&mut base.clone(), "a", &9).unwrap();
    let replay = changes.replay(&base, &json(r#"{"a":9}"#)).unwrap();
    assert!(replay.overwritten.is_empty());
}

#[test]
fn an_update_merges_and_a_set_after_it_is_not_a_conflict() {
    let base = json(r#"{"n":1}"#);
    let fresher = json(r#"{"n":5}"#);
    let mut mine = base.clone();
    let mut changes = apply(&mut mine, &[]);
    changes
        .update(&mut mine, "n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .unwrap();
    let replay = changes.replay(&base, &fresher).unwrap();
    assert_eq!(replay.entries.get("n").unwrap(), Some(6));
    changes.set(&mut mine, "n", &0).unwrap();
    assert!(
        changes
            .replay(&base, &fresher)
            .unwrap()
            .overwritten
            .is_empty()
    );
}

#[test]
fn clear_removes_what_others_added_and_reports_it() {
    let base = json(r#"{"a":1}"#);
    let mut changes = Changes::new();
    changes.clear(&mut base.clone());
    let replay = changes.replay(&base, &json(r#"{"a":1,"b":2}"#)).unwrap();
    assert!(replay.entries.is_empty());
    assert_eq!(replay.overwritten, ["b".into()]);
}

#[test]
fn after_a_clear_or_an_update_nothing_is_a_conflict() {
    let base = json(r#"{"a":1,"n":1}"#);
    let fresher = json(r#"{"n":5}"#);
    let mut mine = base.clone();
    let mut changes = Changes::new();
    changes
        .update(&mut mine, "n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .unwrap();
    changes.clear(&mut mine);
    changes.set(&mut mine, "a", &9).unwrap();
    assert!(
        changes
            .replay(&base, &fresher)
            .unwrap()
            .overwritten
            .is_empty()
    );
}

#[test]
fn take_returns_the_entry_of_the_fresher_record() {
    let base = json(r#"{"once":"x"}"#);
    let mut changes = Changes::new();
    assert!(changes.take(&mut base.clone(), "once").is_some());
    assert!(changes.replay(&base, &base).unwrap().taken.is_some());
    assert!(changes.replay(&base, &json("{}")).unwrap().taken.is_none());
}

#[test]
fn an_update_of_another_type_is_an_error_that_names_the_key_and_not_the_value() {
    let mut mine = json(r#"{"n":"secret words"}"#);
    let error = Changes::new()
        .update(&mut mine, "n", |n: Option<u32>| n.unwrap_or(0))
        .unwrap_err();
    assert!(error.to_string().contains("`n`"));
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn a_replay_that_finds_another_type_is_an_error() {
    let base = json("{}");
    let changes = apply(&mut base.clone(), &[Edit::Add(0, 1)]);
    let fresher = json(r#"{"key 0":"words"}"#);
    assert_eq!(changes.replay(&base, &fresher).unwrap_err().key(), "key 0");
}

#[test]
fn debug_of_a_log_shows_keys_and_not_values() {
    let mut changes = Changes::new();
    changes.set(&mut Entries::new(), "name", "Erika").unwrap();
    assert_eq!(format!("{changes:?}"), r#"[("set", "name")]"#);
}

#[test]
fn entries_are_put_with_their_lifetimes() {
    let until = Timestamp::from_millis(5_000);
    let (mut others, mut log) = (Entries::new(), Changes::new());
    log.put_until(&mut others, Entry::encode("a", &1).unwrap(), until);
    log.put(&mut others, Entry::encode("b", &2).unwrap());

    let (mut entries, mut changes) = (Entries::new(), Changes::new());
    changes.put_all(&mut entries, &others);
    assert_eq!(entries, others);
    assert_eq!(changes.len(), 2);
    let fresher = json(r#"{"c":3}"#);
    let replayed = changes.replay(&Entries::new(), &fresher).unwrap().entries;
    let mut expected = fresher;
    changes.put_all(&mut expected, &others);
    assert_eq!(replayed, expected);
    assert_eq!(replayed.get("a").unwrap(), Some(1));
}

#[test]
fn logs_are_split_and_appended_in_their_order() {
    let log = |edits: &[(&str, i32)]| {
        let mut changes = Changes::new();
        for (key, value) in edits {
            changes.set(&mut Entries::new(), key, value).unwrap();
        }
        changes
    };
    for (first, second, own) in [
        (
            &[("a", 1), ("b", 2)][..],
            &[("a", 3)][..],
            r#"{"a":3,"b":2}"#,
        ),
        (&[], &[("a", 3)], r#"{"a":3}"#),
        (&[("a", 1)], &[], r#"{"a":1}"#),
    ] {
        let mut changes = log(first);
        changes.append(log(second));
        assert_eq!(changes.len(), first.len() + second.len());
        assert_eq!(changes.own(), json(own));

        let taken = changes.take_first(first.len());
        assert_eq!((taken.len(), changes.len()), (first.len(), second.len()));
        assert_eq!(taken.own(), log(first).own());
        assert_eq!(changes.own(), log(second).own());
    }
    let mut changes = log(&[("a", 1), ("b", 2)]);
    assert_eq!(changes.split_off(5).len(), 0);
    assert_eq!(changes.split_off(1).own(), json(r#"{"b":2}"#));
    assert_eq!(changes.own(), json(r#"{"a":1}"#));
}

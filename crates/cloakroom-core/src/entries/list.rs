//! Lists of entries, sorted by key.

use std::mem;
use std::sync::Arc;

use super::entry::Entry;

/// In a list of up to so many entries, keys are compared one by one.
const MAX_SCANNED: usize = 16;

/// Entries, sorted by key. Shared until they are edited: a request holds the stored entries and its own copy.
#[derive(Clone, Default)]
pub(super) enum List {
    /// Until there was an entry, so that a request that never loads its session allocates nothing.
    #[default]
    None,
    /// As they were read. One allocation less to follow, which counts for sessions that are not in the CPU's cache.
    Read(Arc<[Entry]>),
    Edited(Arc<Vec<Entry>>),
}

/// Returns the entry of `key` in a list.
pub(super) fn look_up<'a>(list: &'a [Entry], key: &str) -> Option<&'a Entry> {
    if list.len() > MAX_SCANNED {
        return Some(&list[find(list, key).ok()?]);
    }
    // Most keys have other lengths, so their text is not even read.
    list.iter()
        .find(|entry| entry.key_len() == key.len() && entry.key() == key)
}

/// Returns the index of `key` in a list, or as an error the index at which it would be inserted.
pub(super) fn find(list: &[Entry], key: &str) -> Result<usize, usize> {
    // Most lookups of a missing key are for a reserved one, which sorts before the others.
    if list.first().is_none_or(|first| first.key() > key) {
        return Err(0);
    }
    list.binary_search_by(|entry| entry.key().cmp(key))
}

/// Sorts a list by key, and removes all but the last entry of each key. Returns how much of the shared text the
/// removed values have, in bytes.
pub(super) fn sort(list: &mut Vec<Entry>) -> usize {
    let mut stale = 0;
    // A stable sort: of entries with one key, the last in the text stays last.
    list.sort_by(|a, b| a.key().cmp(b.key()));
    list.dedup_by(|later, kept| {
        let is_repeated = later.key() == kept.key();
        if is_repeated {
            mem::swap(later, kept);
            stale += later.len_in_shared_text();
        }
        is_repeated
    });
    stale
}

/// Inserts an entry into a list. Returns the entry that it replaces.
pub(super) fn put_into(list: &mut Vec<Entry>, entry: Entry) -> Option<Entry> {
    // Reserved entries that `clear` keeps come in sorted order.
    if list.last().is_none_or(|last| last.key() < entry.key()) {
        list.push(entry);
        return None;
    }
    match find(list, entry.key()) {
        Ok(index) => Some(mem::replace(&mut list[index], entry)),
        Err(index) => {
            list.insert(index, entry);
            None
        }
    }
}

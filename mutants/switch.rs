//! Added to each crate in the copy of the sources: which mutant is switched on, and which ones a program has reached.
//!
//! The functions that ask may be `const`, so the variables are `static mut`. A constant whose value depends on a switch does
//! not compile, and `scripts/mutants` drops the mutant. The number is read before `main`, and the list written after it.

use std::fs::OpenOptions;
use std::io::Write as _;

const COUNT: usize = 8192;

static mut ACTIVE: u32 = 0;
static mut REACHED: [bool; COUNT] = [false; COUNT];

/// Whether a mutant is switched on.
pub(crate) const fn active(mutant: u32) -> bool {
    // SAFETY: the index is less than `COUNT`. Threads write the same value, and nothing reads it before the program ends;
    // `ACTIVE` does not change after `begin`.
    unsafe {
        (&raw mut REACHED).cast::<bool>().add(mutant as usize).write(true);
        (&raw const ACTIVE).read() == mutant
    }
}

/// The replacement, if there is one; otherwise the original.
#[allow(dead_code)]
pub(crate) fn either<T>(
    replacement: Option<impl Iterator<Item = T>>,
    original: impl Iterator<Item = T>,
) -> impl Iterator<Item = T> {
    let original = replacement.is_none().then_some(original);
    replacement.into_iter().flatten().chain(original.into_iter().flatten())
}

extern "C" fn begin() {
    let number = std::env::var("CLOAKROOM_MUTANT").unwrap_or_default();
    // SAFETY: no other thread exists before `main`.
    unsafe { ACTIVE = number.parse().unwrap_or(0) };
}

extern "C" fn end() {
    let Ok(path) = std::env::var("CLOAKROOM_MUTANTS_REACHED") else { return };
    // SAFETY: a copy; a thread that still writes to it writes `true`.
    let reached = unsafe { (&raw const REACHED).read() };
    let numbers = (0..COUNT).filter(|&number| reached[number]);
    let text: String = numbers.map(|number| format!("{number}\n")).collect();
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("the list can be written");
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

#[used]
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = end;

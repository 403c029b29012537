//! Writes `fuzz/seeds` anew: needed when the form of a token, a cookie or a record changes.

fn main() {
    tests::fuzz::seeds::write();
}

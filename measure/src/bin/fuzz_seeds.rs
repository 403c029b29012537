//! Rewrites `fuzz/seeds`: needed when the format of a token, a cookie or a record changes.

fn main() {
    tests::fuzz::seeds::write();
}

//! Random bytes.

/// Returns random bytes of the operating system.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

/// Returns 128 random bits as text.
pub(crate) fn text() -> String {
    let bytes: [u8; 16] = bytes();
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// Returns a code of six digits, to be typed.
pub(crate) fn code() -> String {
    let bytes: [u8; 8] = bytes();
    format!("{:06}", u64::from_be_bytes(bytes) % 1_000_000)
}

//! Numbers as text of a fixed width, and durations.

use std::str;
use std::time::Duration;

/// Lower-case hexadecimal.
pub(super) const HEX: Digits = Digits {
    bits: 4,
    digits: b"0123456789abcdef",
};

/// The characters of base64url, in the order of ASCII: the order of texts of one width is that of their numbers.
pub(super) const BASE64: Digits = Digits {
    bits: 6,
    digits: b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz",
};

/// The longest text of a number: 64 bits in hexadecimal.
const MAX_WIDTH: usize = 16;

/// The digits of numbers to a base that is a power of two.
pub(super) struct Digits {
    bits: u32,
    digits: &'static [u8],
}

impl Digits {
    /// Appends the last digits of a number, sixteen at most.
    pub(super) fn write(&self, out: &mut String, number: u64, width: usize) {
        let (mut text, mut rest) = ([0; MAX_WIDTH], number);
        for digit in text[..width].iter_mut().rev() {
            let value = rest & ((1 << self.bits) - 1);
            *digit = self.digits[usize::try_from(value).expect("it is less than 64")];
            rest >>= self.bits;
        }
        out.push_str(str::from_utf8(&text[..width]).expect("digits are text"));
    }

    /// Reads a number of exactly this many digits. Returns `None` for any other text, and if the number has more
    /// than 64 bits.
    pub(super) fn read(&self, text: &str, width: usize) -> Option<u64> {
        let add = |number: u64, byte: u8| {
            let has_space = number.leading_zeros() >= self.bits;
            let digit = self.value(byte).filter(|_| has_space)?;
            Some((number << self.bits) | u64::from(digit))
        };
        let number = text.bytes().try_fold(0, add)?;
        (text.len() == width).then_some(number)
    }

    fn value(&self, byte: u8) -> Option<u8> {
        let value = match (self.bits, byte) {
            (4, b'0'..=b'9') => byte - b'0',
            (4, b'a'..=b'f') => byte - b'a' + 10,
            (6, b'-') => 0,
            (6, b'0'..=b'9') => byte - b'0' + 1,
            (6, b'A'..=b'Z') => byte - b'A' + 11,
            (6, b'_') => 37,
            (6, b'a'..=b'z') => byte - b'a' + 38,
            _ => return None,
        };
        Some(value)
    }
}

/// The units of durations, in milliseconds, the longest first.
const UNITS: [(u64, &str); 5] = [
    (24 * 3_600_000, "d"),
    (3_600_000, "h"),
    (60_000, "m"),
    (1000, "s"),
    (1, "ms"),
];

/// Appends a duration in whole numbers of the longest unit that gives it exactly: `30m`, `90s`.
pub(super) fn write_duration(out: &mut String, duration: Duration) {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let unit = UNITS.iter().find(|(unit, _)| millis.is_multiple_of(*unit));
    let (unit, name) = unit.expect("every number is a multiple of one");
    out.push_str(&(millis / unit).to_string());
    out.push_str(name);
}

/// Reads a duration exactly as [`write_duration`] writes it; `None` for any other text.
pub(super) fn read_duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    let name = &text[digits.len()..];
    let (unit, _) = UNITS.iter().find(|(_, unit)| *unit == name)?;
    let millis = digits.parse::<u64>().ok()?.checked_mul(*unit)?;
    let duration = Duration::from_millis(millis);
    let mut written = String::new();
    write_duration(&mut written, duration);
    (written == text).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(digits: &Digits, number: u64, width: usize) -> String {
        let mut out = String::new();
        digits.write(&mut out, number, width);
        out
    }

    #[test]
    fn each_digit_has_a_value_of_its_own_and_they_are_in_order() {
        for digits in [HEX, BASE64] {
            assert!(digits.digits.is_sorted() && digits.digits.len() == 1 << digits.bits);
            for byte in 0..=u8::MAX {
                let position = digits.digits.iter().position(|&digit| digit == byte);
                assert_eq!(digits.value(byte).map(usize::from), position, "{byte}");
            }
        }
    }

    #[test]
    fn numbers_are_read_as_they_are_written_and_in_no_other_form() {
        for number in [0, 1, 63, 64, 0x0191_e0c4_8f2a, (1 << 48) - 1, u64::MAX] {
            for (digits, width) in [(HEX, 16), (BASE64, 11)] {
                let text = written(&digits, number, width);
                assert_eq!(digits.read(&text, width), Some(number));
                assert_eq!(digits.read(&text[1..], width), None);
            }
        }
        // 65 bits in eleven digits.
        assert_eq!(BASE64.read("F----------", 11), None);
        assert_eq!(HEX.read("10000000000000000", 17), None);
        for text in ["", "12 4", "12+4", "12/4", "12é"] {
            assert_eq!(BASE64.read(text, 4), None, "{text}");
        }
    }

    #[test]
    fn durations_have_one_form() {
        for (millis, text) in [
            (0, "0d"),
            (1, "1ms"),
            (1000, "1s"),
            (90_000, "90s"),
            (1_800_000, "30m"),
            (5_400_000, "90m"),
            (86_400_000, "1d"),
            ((1 << 48) - 1, "281474976710655ms"),
        ] {
            let (duration, mut written) = (Duration::from_millis(millis), String::new());
            write_duration(&mut written, duration);
            assert_eq!(written, text);
            assert_eq!(read_duration(text), Some(duration));
        }
        for text in [
            "",
            "d",
            "1",
            "1 d",
            "+1d",
            "01d",
            "24h",
            "60m",
            "1000ms",
            "1D",
            "1w",
            "é",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert_eq!(read_duration(text), None, "{text}");
        }
    }
}

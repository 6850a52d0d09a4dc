//! Base64 without padding, in both of its alphabets (RFC 4648, sections 4 and 5).

use std::fmt::Write;

pub(super) const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
pub(super) const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) fn encode(alphabet: &[u8; 64], bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=chunk.len() {
            let digit = group >> (18 - 6 * place) & 63;
            text.push(char::from(alphabet[digit as usize]));
        }
    }
    text
}

/// `None` for anything but the one canonical encoding of some bytes.
pub(super) fn decode(alphabet: &[u8; 64], text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut group = 0_u32;
        for place in 0..4 {
            let digit = chunk.get(place).map_or(Some(0), |c| alphabet.iter().position(|a| a == c))?;
            group = group << 6 | u32::try_from(digit).ok()?;
        }
        bytes.extend_from_slice(&group.to_be_bytes()[1..chunk.len()]);
    }
    (encode(alphabet, &bytes) == text).then_some(bytes)
}

/// Lower-case hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a String cannot fail.
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_4648_hold() {
        for (bytes, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(encode(STANDARD, bytes.as_bytes()), text);
            assert_eq!(decode(STANDARD, text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(encode(URL_SAFE, &[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn what_is_not_the_canonical_encoding_is_refused() {
        for bad in ["A", "Zh", "Zg==", "Zm9v\n", "Z g", "é", "Zm9vA"] {
            assert_eq!(decode(STANDARD, bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_survive_a_round_trip(bytes: Vec<u8>) {
            prop_assert_eq!(decode(URL_SAFE, &encode(URL_SAFE, &bytes)), Some(bytes));
        }
    }
}

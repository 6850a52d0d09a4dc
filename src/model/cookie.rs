//! What stands in a `Cookie` field (RFC 6265, section 4.2.1).

/// Names and values, as they were sent. What is no pair is passed over.
pub fn pairs(field: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    field.split(|byte| *byte == b';').filter_map(|pair| {
        let pair = pair.trim_ascii();
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        Some((&pair[..equals], &pair[equals + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_pairs_and_a_value_may_hold_equals_signs() {
        let found: Vec<_> = pairs(b"a=1; b=x=y;c= ; nonsense;;=v; \xff=2").collect();
        let expected: [(&[u8], &[u8]); 5] =
            [(b"a", b"1"), (b"b", b"x=y"), (b"c", b""), (b"", b"v"), (b"\xff", b"2")];
        assert_eq!(found, expected);
    }
}

//! Bytes that nobody can guess.

use argon2::password_hash::phc::Salt;

/// 256 bits from the operating system's generator, through the one that salts our passwords.
pub(super) fn random_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    for half in bytes.chunks_mut(Salt::RECOMMENDED_LENGTH) {
        half.copy_from_slice(Salt::generate().as_ref());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_half_of_any_two_draws_is_the_same() {
        let (first, second) = (random_bytes(), random_bytes());
        let mut halves = [&first[..16], &first[16..], &second[..16], &second[16..]];
        halves.sort_unstable();
        assert!(halves.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

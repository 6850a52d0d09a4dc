//! Money, counted in cents.

use std::fmt;
use std::str::FromStr;

/// An amount such as `12.50`. Never a floating-point number, which cannot hold ten cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price {
    cents: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an amount such as \"12.50\", from 0.01 to 9999999.99")]
pub struct NotAPrice;

impl Price {
    const HIGHEST_IN_CENTS: i64 = 999_999_999;

    pub fn from_cents(cents: i64) -> Result<Self, NotAPrice> {
        if (1..=Self::HIGHEST_IN_CENTS).contains(&cents) { Ok(Self { cents }) } else { Err(NotAPrice) }
    }

    pub fn cents(self) -> i64 {
        self.cents
    }
}

impl FromStr for Price {
    type Err = NotAPrice;

    fn from_str(text: &str) -> Result<Self, NotAPrice> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "00"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let shaped = matches!(whole.len(), 1..=7) && matches!(fraction.len(), 1..=2);
        if !(shaped && digits(whole) && digits(fraction)) {
            return Err(NotAPrice);
        }
        // "12.5" is twelve and fifty cents: pad, then read everything as one whole number.
        format!("{whole}{fraction:0<2}").parse().map_err(|_| NotAPrice).and_then(Self::from_cents)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_to_the_cent() {
        for (text, written) in
            [("12.50", "12.50"), ("12.5", "12.50"), ("12", "12.00"), ("0.01", "0.01"), ("007", "7.00")]
        {
            assert_eq!(text.parse::<Price>().unwrap().to_string(), written);
        }
        assert_eq!("9999999.99".parse::<Price>().unwrap().cents(), 999_999_999);
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        let refused =
            ["", ".", "0", "0.00", "-1", "+1", "1.", ".5", "1.005", "1e3", "1,50", "12.50 ", "10000000", "١"];
        for text in refused {
            assert_eq!(text.parse::<Price>(), Err(NotAPrice), "{text:?}");
        }
    }
}

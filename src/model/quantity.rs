//! Quantities that carry their unit: memory, processors, ports.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// A number of bytes, written `128MiB`, `1GiB`, `64KiB` or `500MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Units, largest first, so that formatting takes the first that divides evenly.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}; write {example}")]
pub struct QuantityError {
    pub text: String,
    pub what: &'static str,
    pub example: &'static str,
}

impl ByteSize {
    #[must_use]
    pub const fn from_mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes << 20)
    }

    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, factor)| *factor);
        let amount = number.parse::<u64>().ok().filter(|&n| n > 0);
        amount.zip(factor).and_then(|(amount, factor)| amount.checked_mul(factor)).map(Self).ok_or_else(
            || QuantityError { text: text.to_owned(), what: "size", example: "\"128MiB\" or \"1GiB\"" },
        )
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) =
            UNITS.iter().find(|(_, factor)| self.0.is_multiple_of(*factor)).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

/// A share of processors, in thousandths of one: `0.5` is half a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpus {
    millis: u32,
}

impl Cpus {
    /// # Errors
    /// When `count` is not a number between 0.01 and 1024.
    pub fn from_count(count: f64) -> Result<Self, QuantityError> {
        if !(0.01..=1024.0).contains(&count) {
            return Err(QuantityError {
                text: count.to_string(),
                what: "number of processors",
                example: "0.5 or 2 (from 0.01 to 1024)",
            });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be within 0.01 and 1024"
        )]
        Ok(Self { millis: (count * 1000.0).round() as u32 })
    }

    /// Billionths of a processor, the unit of the engine's API.
    #[must_use]
    pub fn nanos(self) -> i64 {
        i64::from(self.millis) * 1_000_000
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.millis) / 1000.0)
    }
}

/// A TCP port that can be dialled: 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(NonZeroU16);

impl Port {
    #[must_use]
    pub fn number(self) -> u16 {
        self.0.get()
    }
}

impl TryFrom<i64> for Port {
    type Error = QuantityError;

    fn try_from(number: i64) -> Result<Self, QuantityError> {
        u16::try_from(number).ok().and_then(NonZeroU16::new).map(Self).ok_or_else(|| QuantityError {
            text: number.to_string(),
            what: "port",
            example: "a number from 1 to 65535",
        })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit_and_written_the_same() {
        for text in ["128MiB", "1GiB", "64KiB", "500MB", "1B"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        assert_eq!("128MiB".parse::<ByteSize>().unwrap().bytes(), 134_217_728);
    }

    #[test]
    fn sizes_without_a_unit_or_out_of_range_are_refused_with_an_example() {
        for text in ["", "128", "0MiB", "-1MiB", "1.5GiB", "999999999999999GiB", "MiB", "128 mib"] {
            let error = text.parse::<ByteSize>().unwrap_err();
            assert_eq!(error.to_string(), format!("{text:?} is not a size; write \"128MiB\" or \"1GiB\""));
        }
    }

    #[test]
    fn processors_are_counted_in_thousandths() {
        assert_eq!(Cpus::from_count(0.5).unwrap().nanos(), 500_000_000);
        assert_eq!(Cpus::from_count(0.5).unwrap().to_string(), "0.5");
        assert!(Cpus::from_count(0.0).is_err() && Cpus::from_count(f64::NAN).is_err());
    }

    #[test]
    fn ports_are_between_1_and_65535() {
        assert_eq!(Port::try_from(8080).unwrap().number(), 8080);
        assert_eq!(
            Port::try_from(0).unwrap_err().to_string(),
            "\"0\" is not a port; write a number from 1 to 65535"
        );
        assert!(Port::try_from(65_536).is_err() && Port::try_from(-1).is_err());
    }
}

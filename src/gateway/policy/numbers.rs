//! Counts as what is calculated with, and random bits as what is chosen with.

/// Exact up to 2^32, which is more than there is of anything here.
pub(super) fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// At least 0, less than 1.
pub(super) fn fraction(random: u64) -> f64 {
    f64::from((random >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
}

/// One of `0..count`, of which there has to be one.
pub(super) fn below(random: u64, count: usize) -> usize {
    usize::try_from(random % count as u64).unwrap_or(0)
}

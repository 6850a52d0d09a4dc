//! Consistent hashing by the highest random weight: every key ranks all instances in an order of its
//! own and goes to the first.
//!
//! An instance that leaves moves only its own keys, one that comes takes only those that it now ranks
//! first for; there is nothing to build and nothing to keep. Ranking is a multiplication or two for
//! each instance. The hash is the same in every process, so that several gateways agree.

/// A number for a name or a key. Not for secrets, and not against those who choose keys on purpose.
pub fn hash(bytes: &[u8]) -> u64 {
    let step = |state: u64, &byte: &u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// How high `key` ranks the instance; both are [`hash`]es.
pub fn rank(key: u64, instance: u64) -> u64 {
    mix(key ^ instance)
}

/// Every bit of the input changes about half of the output's (the finaliser of SplitMix64).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

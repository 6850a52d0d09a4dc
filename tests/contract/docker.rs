//! Containers keep the contract.

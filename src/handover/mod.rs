//! Passes open sockets on to the process that replaces this one, so that nobody who connects in
//! between is refused.
//!
//! The one that serves has a [`Post`]: a unix socket of its user (0600, and the kernel is asked who is
//! at the other end). The one that comes takes ([`take()`]):
//!
//! | | the newcomer says | the old one says |
//! |---|---|---|
//! | 1 | `Hello`, with the version of this protocol | |
//! | 2 | | `Offer`, then every descriptor (SCM_RIGHTS), or `Refused` |
//! | 3 | `Taken`, as soon as nothing can fail any more | |
//! | 4 | `Over`, should it be told to end first | closes when its last connection has ended |
//!
//! **`Taken` decides.** Until it is written the old one serves; from then on the new one does. The old
//! one stops waiting by closing its receiving side *first*: what was written before that is still
//! read, and nothing can be written after it. So both always agree, whoever is slow, hangs or dies.
//! An old one that gives up says `Withdrawn`, even when it panics; if it just vanishes after its
//! offer, it was killed, and the new one goes on with the sockets that it holds already.
//!
//! The sockets are not bound again, they are the same ones: connections that nobody has accepted yet
//! wait in them all the while. The post is one of them, so that there is no moment without it.
//!
//! This room does NOT know what the sockets are for, nor what the note beside them says.

mod post;
mod take;
mod wire;

#[cfg(test)]
mod tests;

pub use post::{Newcomer, OfferError, Post, Successor};
pub use take::{Estate, Predecessor, TakeError, claim, take};

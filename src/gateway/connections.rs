//! The connections of clients: how many there may be, and which to give up when the system has no room
//! for more.
//!
//! Over the cap, a connection is closed at once, before anything is read from it. When the system
//! runs out of file descriptors or memory for sockets, those that rest give way, the oldest first: their
//! clients lose nothing but the way they came.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::activity::Activity;
use super::limits::Limits;

/// How many give way at once.
const SHED: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
    accepted: AtomicU64,
    refused: AtomicU64,
    shed: AtomicU64,
}

/// How it went so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionCounts {
    pub open: usize,
    pub accepted: u64,
    /// Closed at once, because there were too many.
    pub refused: u64,
    /// Closed while they rested, because the system had no room for others.
    pub shed: u64,
}

#[derive(Debug, Default)]
struct Open {
    /// By number, which is by age.
    all: BTreeMap<u64, Arc<Activity>>,
    /// Kept only where there is a cap for each.
    by_client: HashMap<IpAddr, usize>,
    next: u64,
    /// When it was last looked for those that stall.
    swept: Option<Instant>,
}

/// Who comes, and whether it may be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guest {
    Client(IpAddr),
    /// An instance of the platform's own.
    Inside,
}

/// An open connection's place among them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    client: Option<IpAddr>,
}

impl Connections {
    /// `None` where there are too many.
    pub(super) fn admit(
        self: &Arc<Self>,
        guest: Guest,
        activity: &Arc<Activity>,
        limits: &Limits,
    ) -> Option<Place> {
        let mut open = self.open();
        let client = match guest {
            Guest::Client(address) => limits.connections_per_client.map(|most| (network(address), most)),
            Guest::Inside => None,
        };
        let is_full = guest != Guest::Inside && open.all.len() >= limits.connections;
        let has_too_many =
            client.is_some_and(|(client, most)| open.by_client.get(&client).is_some_and(|&has| has >= most));
        if is_full || has_too_many {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let number = open.next;
        open.next += 1;
        open.all.insert(number, Arc::clone(activity));
        let client = client.map(|(client, _)| client);
        if let Some(client) = client {
            *open.by_client.entry(client).or_default() += 1;
        }
        Some(Place { connections: Arc::clone(self), number, client })
    }

    /// Makes room: some of those that rest end. How many.
    pub(super) fn shed(&self) -> usize {
        let open = self.open();
        let resting =
            open.all.values().filter(|activity| activity.is_resting() && !activity.ending().is_cancelled());
        let count = resting.take(SHED).map(|activity| activity.end()).count();
        self.shed.fetch_add(count as u64, Ordering::Relaxed);
        count
    }

    /// Looks every `period`, for as long as it is polled, for responses that their clients have stopped
    /// taking, and ends them.
    pub(super) async fn sweep(&self, period: Duration) -> Infallible {
        loop {
            sleep(period).await;
            let now = Instant::now();
            self.busy(now, period).iter().for_each(|activity| activity.sweep(now));
        }
    }

    /// Those with open requests. None where somebody else has asked for them just now: one gateway may
    /// be run many times.
    fn busy(&self, now: Instant, period: Duration) -> Vec<Arc<Activity>> {
        let mut open = self.open();
        if open.swept.is_some_and(|swept| now.duration_since(swept) < period / 2) {
            return Vec::new();
        }
        open.swept = Some(now);
        open.all.values().filter(|activity| activity.is_busy()).cloned().collect()
    }

    pub(super) fn counts(&self) -> ConnectionCounts {
        ConnectionCounts {
            open: self.open().all.len(),
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            shed: self.shed.load(Ordering::Relaxed),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Each change leaves it whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.all.remove(&self.number);
        let Some(client) = self.client else { return };
        if let Some(count) = open.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                open.by_client.remove(&client);
            }
        }
    }
}

/// Who has one IPv6 address has 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & (u128::MAX << 64)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use http::Version;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn activity() -> Arc<Activity> {
        Arc::new(Activity::ending_with(CancellationToken::new()))
    }

    fn client(address: &str) -> Guest {
        Guest::Client(address.parse().unwrap())
    }

    #[test]
    fn no_more_than_the_cap_are_open_at_once() {
        let connections = Arc::<Connections>::default();
        let limits = Limits { connections: 2, ..Limits::default() };
        let admit = |guest| connections.admit(guest, &activity(), &limits);
        let first = admit(client("10.0.0.1")).unwrap();
        let _second = admit(client("10.0.0.1")).unwrap();
        assert!(admit(client("10.0.0.2")).is_none());
        // Services do not suffer from what clients do.
        let _inside = admit(Guest::Inside).unwrap();
        drop(first);
        assert!(admit(client("10.0.0.2")).is_none());
        let counts = connections.counts();
        assert_eq!((counts.open, counts.accepted, counts.refused), (2, 3, 2));
    }

    #[test]
    fn a_client_has_no_more_than_its_share() {
        let connections = Arc::<Connections>::default();
        let limits = Limits { connections_per_client: Some(1), ..Limits::default() };
        let admit = |guest| connections.admit(guest, &activity(), &limits);
        let first = admit(client("10.0.0.1")).unwrap();
        assert!(admit(client("::ffff:10.0.0.1")).is_none());
        let _other = admit(client("10.0.0.2")).unwrap();
        drop(first);
        let _again = admit(client("10.0.0.1")).unwrap();
        let _v6 = admit(client("2001:db8::1")).unwrap();
        assert!(admit(client("2001:db8::2")).is_none());
        let _elsewhere = admit(client("2001:db8:0:1::1")).unwrap();
    }

    #[test]
    fn nothing_is_kept_of_those_who_left() {
        let connections = Arc::<Connections>::default();
        let limits = Limits { connections_per_client: Some(2), ..Limits::default() };
        let places: Vec<Place> = (0..50)
            .filter_map(|n| connections.admit(client(&format!("10.0.0.{n}")), &activity(), &limits))
            .collect();
        drop(places);
        let open = connections.open();
        assert!(open.all.is_empty() && open.by_client.is_empty());
    }

    #[test]
    fn those_that_rest_give_way_the_oldest_first() {
        let connections = Arc::<Connections>::default();
        let activities: Vec<_> = (0..SHED + 5).map(|_| activity()).collect();
        let limits = Limits::default();
        let _places: Vec<_> =
            activities.iter().map(|activity| connections.admit(Guest::Inside, activity, &limits)).collect();
        let _busy = activities[0].begin();
        activities[1].becomes_opaque();
        activities[2].hears(Version::HTTP_2);
        assert_eq!(connections.shed(), SHED);
        let ending: Vec<bool> = activities.iter().map(|activity| activity.ending().is_cancelled()).collect();
        let expected: Vec<bool> = (0..SHED + 5).map(|number| number > 1 && number < SHED + 2).collect();
        assert_eq!(ending, expected);
        assert_eq!(connections.shed(), 3);
        assert_eq!(connections.counts().shed, SHED as u64 + 3);
    }
}

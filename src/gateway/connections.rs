//! The connections of clients: how many there may be, and which to give up when the system has no room
//! for more.
//!
//! At the cap, and when the system runs out of file descriptors or memory for sockets, those that rest
//! give way, the oldest first: their clients lose nothing but the way they came. Where none rests, a
//! connection over the cap is closed at once, before anything is read from it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::activity::Activity;
use super::limits::Limits;
use super::policy::limiter::network;

/// How many give way at once. So many may be open beyond the cap while they are on their way out.
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
    /// Closed while they rested, because there was no room for others.
    pub shed: u64,
}

#[derive(Debug, Default)]
struct Open {
    /// By number, which is by age.
    all: BTreeMap<u64, Arc<Activity>>,
    /// Those of them that were told to give way.
    leaving: BTreeSet<u64>,
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
        let has_too_many =
            client.is_some_and(|(client, most)| open.by_client.get(&client).is_some_and(|&has| has >= most));
        if has_too_many || (guest != Guest::Inside && !self.has_room(&mut open, limits.connections)) {
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
        self.give_way(&mut self.open(), SHED)
    }

    /// Whether there is room below the cap, if need be that of some which rest.
    fn has_room(&self, open: &mut Open, cap: usize) -> bool {
        let is_full = open.all.len() - open.leaving.len() >= cap;
        // Many at once, because looking for them costs the more the more there are.
        if is_full && self.give_way(open, (cap / 100).clamp(1, SHED)) == 0 {
            return false;
        }
        // Who is told to go needs not go at once.
        open.all.len() < cap.saturating_add(SHED)
    }

    fn give_way(&self, open: &mut Open, most: usize) -> usize {
        let resting = open
            .all
            .iter()
            .filter(|(_, activity)| activity.is_resting() && !activity.ending().is_cancelled())
            .take(most);
        let before = open.leaving.len();
        open.leaving.extend(resting.map(|(number, activity)| {
            activity.end();
            *number
        }));
        let count = open.leaving.len() - before;
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
        open.leaving.remove(&self.number);
        let Some(client) = self.client else { return };
        if let Some(count) = open.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                open.by_client.remove(&client);
            }
        }
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
    fn no_more_than_the_cap_are_busy_at_once() {
        let connections = Arc::<Connections>::default();
        let limits = Limits { connections: 2, ..Limits::default() };
        let busy = activity();
        let _busy = busy.begin();
        let admit = |guest| connections.admit(guest, &busy, &limits);
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
    fn at_the_cap_the_oldest_that_rests_gives_way_before_anybody_is_refused() {
        let connections = Arc::<Connections>::default();
        let limits = Limits { connections: 2, ..Limits::default() };
        let activities: Vec<_> = (0..4).map(|_| activity()).collect();
        let admit = |number: usize| connections.admit(client("10.0.0.1"), &activities[number], &limits);
        let _busy = activities[0].begin();
        let _first = admit(0).unwrap();
        let second = admit(1).unwrap();
        let _third = admit(2).unwrap();
        let told = || activities.iter().map(|activity| activity.ending().is_cancelled()).collect::<Vec<_>>();
        assert_eq!(told(), [false, true, false, false]);
        // Its place is free already, and is so only once.
        drop(second);
        let _fourth = admit(3).unwrap();
        assert_eq!(told(), [false, true, true, false]);
        assert_eq!((connections.counts().shed, connections.counts().refused), (2, 0));
    }

    #[test]
    fn who_is_told_to_go_and_stays_does_not_let_others_in_without_end() {
        let connections = Arc::<Connections>::default();
        let limits = Limits { connections: 2, ..Limits::default() };
        let admitted = (0..100).filter_map(|_| connections.admit(client("10.0.0.1"), &activity(), &limits));
        let places: Vec<_> = admitted.collect();
        assert_eq!(places.len(), 2 + SHED);
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

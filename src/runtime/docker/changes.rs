//! The engine's stream of events, as calls to look again.

use std::collections::{BTreeSet, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::models::{EventMessage, EventMessageTypeEnum as Type};
use bollard::query_parameters::{EventsOptionsBuilder, InspectContainerOptions};
use futures_util::StreamExt;
use futures_util::future::{join_all, ready};
use futures_util::stream::BoxStream;

use super::Docker;
use crate::model::name::ServiceName;
use crate::runtime::{Change, RuntimeError, labels};

/// What changes an instance's state or address. Engines name some of it differently.
const EVENTS: [&str; 14] = [
    "create",
    "start",
    "die",
    "died",
    "kill",
    "oom",
    "pause",
    "unpause",
    "stop",
    "destroy",
    "remove",
    "rename",
    "connect",
    "disconnect",
];

/// How many events are taken together at most. More than that are simply two changes.
const LARGEST_BURST: usize = 64;

impl Docker {
    pub(super) async fn watch(&self) -> Result<BoxStream<'static, Change>, RuntimeError> {
        // From this moment on, though the engine hears of it only when the stream is first asked.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        self.api.ping().await.map_err(self.engine.failed_to("answer a ping"))?;
        let filters = HashMap::from([("type", vec!["container", "network"]), ("event", EVENTS.to_vec())]);
        let options = EventsOptionsBuilder::default().since(&since).filters(&filters).build();
        let events = self.api.events(Some(options));
        // The first failure is the end.
        let events = events.take_while(|event| ready(event.is_ok())).filter_map(|event| ready(event.ok()));
        let (platform, network) = (labels::of_platform(&self.platform), self.network_name());
        let ours = events.filter_map(move |event| {
            ready(change_of(&event, &platform, &network).map(|change| (container_of(&event), change)))
        });
        let api = self.api.clone();
        // Whatever happened while the last change was dealt with is one change, and one new look.
        let bursts = ours.ready_chunks(LARGEST_BURST).map(together);
        Ok(bursts.then(move |(containers, change)| settled(api.clone(), containers, change)).boxed())
    }
}

/// One change for many, with every container that they are about named once.
fn together(burst: Vec<(Option<String>, Change)>) -> (BTreeSet<String>, Change) {
    let (containers, changes): (Vec<_>, Vec<_>) = burst.into_iter().unzip();
    let services: BTreeSet<Option<ServiceName>> = changes.into_iter().map(|change| change.service).collect();
    let service = if services.len() == 1 { services.into_iter().next().flatten() } else { None };
    (containers.into_iter().flatten().collect(), Change { service })
}

/// The engine tells of an end before its list of containers shows it. A question about the container
/// itself waits until it does, so that whoever looks again sees what has changed.
async fn settled(api: bollard::Docker, containers: BTreeSet<String>, change: Change) -> Change {
    // The answers do not matter, nor that there is none where a container is gone.
    let asked = containers.iter().map(|id| api.inspect_container(id, None::<InspectContainerOptions>));
    let _ = join_all(asked).await;
    change
}

/// Which container an event is about.
fn container_of(event: &EventMessage) -> Option<String> {
    let actor = event.actor.as_ref()?;
    match event.typ? {
        Type::CONTAINER => actor.id.clone(),
        _ => actor.attributes.as_ref()?.get("container").cloned(),
    }
}

/// What an event means to us; `None` where it is about somebody else.
fn change_of(event: &EventMessage, platform: &[(String, String)], network: &str) -> Option<Change> {
    let attributes = event.actor.as_ref()?.attributes.as_ref()?;
    match event.typ? {
        Type::CONTAINER => {
            let ours = platform.iter().all(|(key, value)| attributes.get(key) == Some(value));
            let service = attributes.get(labels::SERVICE).and_then(|name| name.parse().ok());
            ours.then_some(Change { service })
        }
        // A network's events carry its name, not its labels.
        Type::NETWORK => (attributes.get("name")? == network).then_some(Change { service: None }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::EventActor;

    fn event(kind: Type, attributes: &[(&str, &str)]) -> EventMessage {
        let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        EventMessage {
            typ: Some(kind),
            actor: Some(EventActor { id: None, attributes: Some(attributes.collect()) }),
            ..EventMessage::default()
        }
    }

    fn check(event: &EventMessage, expected: Option<&Change>) {
        let platform = [
            (labels::PLATFORM.to_owned(), "store".to_owned()),
            (labels::WORKTREE.to_owned(), "3fa9c1".to_owned()),
        ];
        assert_eq!(change_of(event, &platform, "store-3fa9c1").as_ref(), expected);
    }

    #[test]
    fn an_event_of_our_container_names_its_service() {
        let ours = [(labels::PLATFORM, "store"), (labels::WORKTREE, "3fa9c1"), (labels::SERVICE, "order")];
        check(&event(Type::CONTAINER, &ours), Some(&Change { service: Some("order".parse().unwrap()) }));
    }

    #[test]
    fn another_worktree_of_the_same_platform_is_somebody_else() {
        let other = [(labels::PLATFORM, "store"), (labels::WORKTREE, "000000"), (labels::SERVICE, "order")];
        check(&event(Type::CONTAINER, &other), None);
        check(&event(Type::CONTAINER, &[]), None);
    }

    #[test]
    fn our_network_may_change_anything() {
        check(&event(Type::NETWORK, &[("name", "store-3fa9c1")]), Some(&Change { service: None }));
        check(&event(Type::NETWORK, &[("name", "bridge")]), None);
    }
    fn about(container: &str, service: Option<&str>) -> (Option<String>, Change) {
        let service = service.map(|name| name.parse().unwrap());
        (Some(container.to_owned()), Change { service })
    }

    #[test]
    fn a_burst_of_events_is_one_change_that_asks_about_each_container_once() {
        let burst = [about("c1", Some("order")), about("c2", Some("order")), about("c1", Some("order"))];
        let (containers, change) = together(burst.into());
        assert_eq!(containers.into_iter().collect::<Vec<_>>(), ["c1", "c2"]);
        assert_eq!(change.service, Some("order".parse().unwrap()));
    }

    #[test]
    fn a_burst_about_several_services_may_be_about_anything() {
        let (_, change) = together(vec![about("c1", Some("order")), about("c2", Some("product"))]);
        assert_eq!(change.service, None);
        let (_, change) = together(vec![about("c1", Some("order")), about("c1", None)]);
        assert_eq!(change.service, None);
    }
}

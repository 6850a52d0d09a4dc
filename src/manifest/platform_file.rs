//! `msctl.toml`: the platform, checked as far as it can be on its own.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

use crate::model::name::PlatformName;
use crate::model::platform::{AuthSettings, Budget, GatewaySettings};
use crate::model::quantity::ByteSize;

use super::build_section::is_image_reference;
use super::problems::Problems;
use super::section::Section;
use super::source::{Located, Source};
use super::suggestion::similar_name;
use super::values::Value;
use super::variables::{self, Variables};
use super::{gateway_section, syntax};

const DEFAULT_SERVICES: &str = "services/*";
const DEFAULT_TOKEN_TTL: Duration = Duration::from_secs(15 * 60);
/// Shorter and a token dies on its way; longer and a stolen one lives for days.
const TOKEN_TTL: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 60 * 60);

/// One serves; of more than a thousand, nobody knows what they were.
const KEPT_GENERATIONS: RangeInclusive<i64> = 1..=1000;

pub struct PlatformFile {
    /// `None` where it was missing or wrong.
    pub name: Option<PlatformName>,
    /// Patterns of folders relative to the root.
    pub services: Vec<Located<String>>,
    pub gateway: GatewaySettings,
    pub auth: AuthSettings,
    pub configuration: Variables,
    pub images: Images,
}

/// `[images]`.
pub struct Images {
    pub aliases: BTreeMap<String, String>,
    pub budget: Budget,
}

/// `None` where the text is not TOML.
pub fn read(source: &Rc<Source>, problems: &Problems) -> Option<PlatformFile> {
    let tree = syntax::parse(source, problems)?;
    let mut file = Section::of_file(tree, source, problems);
    let (name, services) = read_platform(file.section("platform"));
    let platform = PlatformFile {
        name,
        services,
        gateway: gateway_section::read(file.section("gateway")),
        auth: read_auth(file.section("auth")),
        configuration: variables::read(file.section("configuration")),
        images: read_images(file.section("images")),
    };
    file.close();
    Some(platform)
}

fn read_platform(mut section: Section<'_>) -> (Option<PlatformName>, Vec<Located<String>>) {
    let example = "[\"services/*\"]";
    let name = section.require("name", "\"store\"").and_then(|value| {
        value.parsed::<PlatformName>("\"store\"", |text| format!("for example {:?}", similar_name(text)))
    });
    let services = match section.take("services") {
        None => vec![Located { value: DEFAULT_SERVICES.to_owned(), place: section.place.clone() }],
        Some(value) => {
            let elements = value.list(example).unwrap_or_default();
            elements.into_iter().filter_map(|element| element.filled_text(example)).collect()
        }
    };
    section.close();
    (name.map(|name| name.value), services)
}

fn read_auth(mut section: Section<'_>) -> AuthSettings {
    let access_token_ttl = section
        .take("access_token_ttl")
        .and_then(|value| value.duration_within(TOKEN_TTL, "\"15m\""))
        .unwrap_or(DEFAULT_TOKEN_TTL);
    let issuer = section.take("issuer").and_then(read_issuer);
    section.close();
    AuthSettings { access_token_ttl, issuer }
}

fn read_issuer(value: Value<'_>) -> Option<String> {
    let (name, problems) = (value.name(), value.problems);
    let issuer = value.text("\"https://idp.example.com\"")?;
    let Some(fault) = fault_of_issuer(&issuer.value) else { return Some(issuer.value) };
    let message = format!("{name} is {:?}: {fault}", issuer.value);
    problems.report(&issuer.place, message, "for example issuer = \"https://idp.example.com\"");
    None
}

/// OpenID Connect Discovery 1.0, section 3: a URL without query or fragment. Issuers are compared as
/// texts, so a slash at the end would make another one of it.
fn fault_of_issuer(text: &str) -> Option<&'static str> {
    let uri = text.parse::<http::Uri>().ok();
    let authority = uri.as_ref().and_then(http::Uri::authority);
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Some("it must start with http:// or https://");
    }
    if text.ends_with('/') {
        return Some("leave out the \"/\" at its end");
    }
    if text.contains(['?', '#']) {
        return Some("it must not have a query or a fragment");
    }
    match authority {
        None => Some("it is not a URL"),
        Some(authority) if authority.as_str().contains('@') => Some("it must not hold a user"),
        Some(_) => None,
    }
}

fn read_images(mut section: Section<'_>) -> Images {
    let aliases = read_aliases(section.section("aliases"));
    let budget = read_budget(&mut section);
    section.close();
    Images { aliases, budget }
}

fn read_budget(section: &mut Section<'_>) -> Budget {
    let usual = Budget::default();
    let generations = section.take("keep").and_then(|value| value.integer_within(KEPT_GENERATIONS, "3"));
    let bytes = section.take("keep_bytes").and_then(|value| {
        value.parsed::<ByteSize>("\"5GB\"", |_| "for example keep_bytes = \"5GB\"".to_owned())
    });
    Budget {
        generations: generations.and_then(|count| count.try_into().ok()).unwrap_or(usual.generations),
        bytes: bytes.map(|bytes| bytes.value).or(usual.bytes),
    }
}

fn read_aliases(mut aliases: Section<'_>) -> BTreeMap<String, String> {
    let problems = aliases.problems;
    let mut images = BTreeMap::new();
    for (from, value) in aliases.take_all() {
        let Some(to) = value.text("\"registry.local/redis:7\"") else { continue };
        for image in [&from, &to].into_iter().filter(|image| !is_image_reference(&image.value)) {
            let message = format!("{:?} is not the name of an image", image.value);
            problems.report(&image.place, message, "for example \"redis:7\" = \"registry.local/redis:7\"");
        }
        images.insert(from.value, to.value);
    }
    images
}

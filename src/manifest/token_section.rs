//! `[auth]` of a gateway that runs alone: whose tokens count, and where their keys are.

use std::path::Path;

use crate::model::standalone::{EndpointUrl, KeySource, TokenSettings};

use super::section::Section;
use super::values::Value;

/// Paths are taken from `folder`. `None` where something is missing or wrong, which was reported.
pub fn read(mut section: Section<'_>, folder: &Path) -> Option<TokenSettings> {
    let text = |section: &mut Section<'_>, key, example| {
        section.require(key, example).and_then(|value| value.filled_text(example))
    };
    let issuer = text(&mut section, "issuer", "\"https://idp.example.com\"");
    let audience = text(&mut section, "audience", "\"shop\"");
    let keys = section.require("jwks", "\"jwks.json\"").and_then(|value| read_source(value, folder));
    section.close();
    Some(TokenSettings { issuer: issuer?.value, audience: audience?.value, keys: keys? })
}

fn read_source(value: Value<'_>, folder: &Path) -> Option<KeySource> {
    let (name, problems) = (value.name(), value.problems);
    let text = value.filled_text("\"jwks.json\"")?;
    if !text.value.contains("://") {
        return Some(KeySource::File(folder.join(&text.value)));
    }
    let source = url(&text.value);
    if source.is_none() {
        let message = format!("{name} is {:?}, which is neither a file nor an http:// URL", text.value);
        let hint =
            "keys are fetched by plain HTTP from beside the gateway; keep those from elsewhere in a file";
        problems.report(&text.place, message, hint);
    }
    source
}

fn url(text: &str) -> Option<KeySource> {
    let uri: http::Uri = text.parse().ok()?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"))?;
    let url: EndpointUrl = format!("http://{authority}").parse().ok()?;
    Some(KeySource::Url(url, uri.path_and_query()?.as_str().to_owned()))
}

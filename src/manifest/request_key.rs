//! What of a request is counted or hashed: `"client"`, `"subject"`, `"everyone"`, `"header:name"` or
//! `"cookie:name"`.

use http::HeaderName;

use crate::model::traffic::RequestKey;

use super::suggestion::did_you_mean;
use super::values::Value;

const EXAMPLE: &str = "\"client\"";
const KINDS: [&str; 5] = ["client", "subject", "everyone", "header:x-api-key", "cookie:session"];

pub fn read(value: Value<'_>) -> Option<RequestKey> {
    let (name, problems) = (value.name(), value.problems);
    let text = value.text(EXAMPLE)?;
    let key = parse(&text.value);
    if key.is_none() {
        let message = format!("{name} is {:?}, which is nothing of a request", text.value);
        problems.report(&text.place, message, did_you_mean(&text.value, "it can be", &KINDS));
    }
    key
}

fn parse(text: &str) -> Option<RequestKey> {
    match text.split_once(':') {
        None if text == "client" => Some(RequestKey::Client),
        None if text == "subject" => Some(RequestKey::Subject),
        None if text == "everyone" => Some(RequestKey::Everyone),
        Some(("header", name)) => header_name(name).map(RequestKey::Header),
        Some(("cookie", name)) => is_cookie_name(name).then(|| RequestKey::Cookie(name.to_owned())),
        _ => None,
    }
}

/// Lower case, as the gateway compares them.
pub fn header_name(text: &str) -> Option<String> {
    text.parse::<HeaderName>().ok().map(|name| name.as_str().to_owned())
}

/// A token, like the name of a header (RFC 6265, section 4.1.1), but case counts.
pub fn is_cookie_name(text: &str) -> bool {
    header_name(text).is_some()
}

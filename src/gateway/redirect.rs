//! Routes that answer with another address. Pure.

use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};

use super::body::Body;
use super::problem::Problem;
use crate::model::traffic::Redirect;

/// `rest` is what follows the route's own path in that of the request.
///
/// # Errors
/// When the request's address cannot be one of a header.
pub(super) fn answer(
    redirect: &Redirect,
    rest: &str,
    query: Option<&str>,
) -> Result<Response<Body>, Problem> {
    let location = location(&redirect.to, rest, query);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(redirect.status).map_err(|_| Problem::Internal)?;
    let location = HeaderValue::from_str(&location).map_err(|_| Problem::Internal)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// A `*` at the end of `to` stands for `rest`. The request's query goes along, before a fragment.
fn location(to: &str, rest: &str, query: Option<&str>) -> String {
    let mut location = match to.strip_suffix('*') {
        // Without its slashes: "//evil.example" would be another host.
        Some(stem) => format!("{stem}{}", rest.trim_start_matches(['/', '\\'])),
        None => to.to_owned(),
    };
    if let Some(query) = query {
        let end = location.find('#').unwrap_or(location.len());
        let sign = if location[..end].contains('?') { '&' } else { '?' };
        location.insert_str(end, &format!("{sign}{query}"));
    }
    location
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(to: &str, rest: &str, query: Option<&str>, expected: &str) {
        assert_eq!(location(to, rest, query), expected, "{to} {rest} {query:?}");
    }

    #[test]
    fn a_redirect_leads_where_it_says_with_the_query() {
        check("/new", "/", None, "/new");
        check("/new", "/7", Some("a=b"), "/new?a=b");
        check("/new?x=1", "/", Some("a=b"), "/new?x=1&a=b");
        check("/new#top", "/", Some("a=b"), "/new?a=b#top");
        check("https://shop.example/", "/7", None, "https://shop.example/");
    }

    #[test]
    fn a_star_stands_for_what_follows_the_route() {
        check("/new/*", "/7/x", Some(""), "/new/7/x?");
        check("/new/*", "/", None, "/new/");
        check("https://shop.example/*", "/7", None, "https://shop.example/7");
    }

    #[test]
    fn nobody_is_sent_to_a_host_of_the_requests_choice() {
        check("/*", "//evil.example", None, "/evil.example");
        check("/*", "/\\evil.example", None, "/evil.example");
        check("/*", "///evil.example/x", None, "/evil.example/x");
    }
}

//! A problem as a page for people. It is complete in itself: no script, no picture, nothing to load.

use super::problem::Problem;

const STYLE: &str = "\
    :root{color-scheme:light dark}\
    body{font:1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:15vh auto;padding:0 1.5rem}\
    h1{font-size:1.4rem;margin:0 0 .5rem}\
    p{margin:.5rem 0}\
    code{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}\
    footer{margin-top:2rem;opacity:.7;font-size:.9rem}";

pub(super) fn render(problem: &Problem, request_id: &str) -> String {
    let status = problem.status();
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Error"));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\n\
         <body><main><h1>{title}</h1>\n<p>{}</p>\n<p>{}</p></main>\n\
         <footer>Code <code>{}</code> · request <code>{}</code></footer></body></html>\n",
        escaped(&sentence(&problem.to_string())),
        next_step(problem),
        problem.code(),
        escaped(request_id),
    )
}

/// What the person may do about it.
fn next_step(problem: &Problem) -> &'static str {
    match problem.status().as_u16() {
        401 => "Sign in, then try again.",
        403 => "You are signed in, but this is not open to you.",
        404 => "Check the address.",
        _ if problem.is_retryable() => "Try again in a moment.",
        400..=499 => "The request cannot be served as it is.",
        _ => "If it happens again, tell whoever runs this, with the request's id below.",
    }
}

fn sentence(fragment: &str) -> String {
    let mut characters = fragment.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + characters.as_str() + "."
}

/// Safe as text and within quoted attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_happened_and_what_to_do() {
        insta::assert_snapshot!(render(&Problem::TokenMissing, "0198").replace(STYLE, ""), @r#"
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>401 Unauthorized</title><style></style></head>
        <body><main><h1>401 Unauthorized</h1>
        <p>A token is needed.</p>
        <p>Sign in, then try again.</p></main>
        <footer>Code <code>token_missing</code> · request <code>0198</code></footer></body></html>
        "#);
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<a b='c' d=\"e\">&"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;");
    }
}

//! Takes out of a text what differs from run to run, so that the rest can be asserted as it is.

use std::path::Path;

/// The folder becomes `[DIR]`, the number of its state folder `[ID]`, ports of 127.0.0.1 and of services' names
/// `[PORT]`, times `[TIME]`, process ids `[PID]`.
pub fn plain(text: &str, folder: &Path) -> String {
    let text = text.replace(&folder.display().to_string(), "[DIR]");
    let text = after(&text, "/shop-", "[ID]", |c| c.is_ascii_hexdigit());
    let text = after(&text, "127.0.0.1:", "[PORT]", |c| c.is_ascii_digit());
    let text = after(&text, ".shop.localhost:", "[PORT]", |c| c.is_ascii_digit());
    let text = after(&text, "(process ", "[PID]", |c| c.is_ascii_digit());
    times(&text)
}

/// Replaces the digits that follow each `mark`.
fn after(text: &str, mark: &str, by: &str, is_digit: fn(char) -> bool) -> String {
    let mut parts = text.split(mark);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(is_digit);
        let replaced = if rest.len() == part.len() { "" } else { by };
        plain.extend([mark, replaced, rest]);
    }
    plain
}

/// Replaces `12 ms`, `1.2 s` and `2 m 5 s`.
fn times(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let mut plain: Vec<String> = Vec::new();
        for word in words {
            let unit = word.trim_end_matches([')', ';', ',']);
            let number = plain.last().map(|last| last.trim_start_matches('(').to_owned());
            match (unit, number) {
                ("ms" | "s" | "m", Some(number)) if number == "[TIME]" || number.parse::<f64>().is_ok() => {
                    let before = plain.pop().unwrap_or_default();
                    let open = if before.starts_with('(') { "(" } else { "" };
                    plain.push(format!("{open}[TIME]{}", &word[unit.len()..]));
                }
                _ => plain.push(word.to_owned()),
            }
        }
        plain.join(" ").replace("[TIME] [TIME]", "[TIME]")
    });
    let mut text: String = lines.collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

#[test]
fn what_differs_from_run_to_run_is_taken_out() {
    let text = "up at http://127.0.0.1:8123 in 12 ms (1.2 s); 2 m 5 s of /tmp/x/y (process 12)";
    let expected = "up at http://127.0.0.1:[PORT] in [TIME] ([TIME]); [TIME] of [DIR]/y (process [PID])\n";
    assert_eq!(plain(text, Path::new("/tmp/x")), expected);
}

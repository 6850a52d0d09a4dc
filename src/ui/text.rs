//! Small texts: durations, ages, and what came from elsewhere.

use std::time::{Duration, SystemTime};

/// `850 ms`, `1.2 s`, `2 m 5 s`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} m {} s", duration.as_secs() / 60, duration.as_secs() % 60),
    }
}

/// How long ago, in one unit: `12s`, `4m`, `3h`, `2d`.
#[must_use]
pub fn age(since: SystemTime, now: SystemTime) -> String {
    let seconds = now.duration_since(since).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A size on disk, in at most seven characters: `512 B`, `3.4 MB`, `187 MB`, `1.2 GB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        None => format!("{bytes} B"),
        Some((unit, name)) if bytes / unit < 10 => {
            format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
        }
        Some((unit, name)) => format!("{} {name}", bytes / unit),
    }
}

/// The text in at most so many columns; what is cut off leaves a mark.
#[must_use]
pub fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

/// How often, in at most five characters: `999`, `12.3k`, `4.5M`.
#[must_use]
pub fn count(count: u64) -> String {
    let scaled = |unit: u64, name: &str| match count / unit {
        whole @ 0..100 => format!("{whole}.{}{name}", count % unit * 10 / unit),
        whole => format!("{whole}{name}"),
    };
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => scaled(1_000, "k"),
        1_000_000..1_000_000_000 => scaled(1_000_000, "M"),
        _ => scaled(1_000_000_000, "G"),
    }
}

/// One number in a hundred of another: `0 %`, `0.4 %`, `12 %`; never 0 if there is any.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    match (part.saturating_mul(1000) / whole).max(1) {
        tenths @ 0..100 => format!("{}.{} %", tenths / 10, tenths % 10),
        tenths => format!("{} %", tenths / 10),
    }
}

/// How long a request took, short enough for a column: `80 µs`, `1.2 ms`, `3.4 s`.
#[must_use]
pub fn latency(duration: Option<Duration>) -> String {
    let Some(duration) = duration else { return "-".to_owned() };
    let tenths = |micros: u128, unit: u128| format!("{}.{}", micros / unit, micros % unit * 10 / unit);
    match duration.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros @ 1_000..100_000 => format!("{} ms", tenths(micros, 1_000)),
        micros @ 100_000..1_000_000 => format!("{} ms", micros / 1_000),
        micros => format!("{} s", tenths(micros, 1_000_000)),
    }
}

/// The text with control characters made visible, so that nothing that a service prints can move
/// the cursor or change the terminal. Tabs are kept.
#[must_use]
pub fn escape_control(text: &str) -> String {
    if !text.chars().any(is_dangerous) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_dangerous(c) { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    escaped
}

/// C0 and C1 controls, and the marks that reorder text on screen.
fn is_dangerous(c: char) -> bool {
    (c.is_control() && c != '\t')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (millis, text) in [(0, "0 ms"), (850, "850 ms"), (1_240, "1.2 s"), (125_000, "2 m 5 s")] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn ages_have_one_unit_and_never_go_below_zero() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(200_000);
        for (seconds, text) in [(5, "5s"), (130, "2m"), (7_300, "2h"), (180_000, "2d")] {
            assert_eq!(age(now - Duration::from_secs(seconds), now), text);
        }
        assert_eq!(age(now + Duration::from_secs(5), now), "0s");
    }

    #[test]
    fn sizes_are_short() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (3_456, "3.4 kB"),
            (34_567_000, "34 MB"),
            (9_990_000_000, "9.9 GB"),
            (1_234_000_000_000, "1234 GB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn what_is_cut_off_leaves_a_mark() {
        for (columns, text) in [(5, "größe"), (4, "grö…"), (1, "…")] {
            assert_eq!(cut("größe", columns), text);
        }
    }

    #[test]
    fn counts_shares_and_latencies_fit_in_a_column() {
        for (number, text) in
            [(0, "0"), (9_999, "9999"), (12_345, "12.3k"), (345_678, "345k"), (4_560_000, "4.5M")]
        {
            assert_eq!(count(number), text);
        }
        for (part, text) in [(0, "0 %"), (1, "0.1 %"), (44, "0.4 %"), (1_234, "12 %"), (10_000, "100 %")] {
            assert_eq!(share(part, 10_000), text);
        }
        for (micros, text) in [(80, "80 µs"), (1_250, "1.2 ms"), (250_000, "250 ms"), (3_400_000, "3.4 s")] {
            assert_eq!(latency(Some(Duration::from_micros(micros))), text);
        }
        assert_eq!((share(0, 0).as_str(), latency(None).as_str()), ("0 %", "-"));
    }

    #[test]
    fn a_service_cannot_move_the_cursor() {
        assert_eq!(escape_control("plain\tö"), "plain\tö");
        assert_eq!(escape_control("\x1b[2Jgone\r\n"), "\\u{1b}[2Jgone\\r\\n");
        assert_eq!(escape_control("a\u{202e}b\u{9b}"), "a\\u{202e}b\\u{9b}");
    }
}

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
    fn a_service_cannot_move_the_cursor() {
        assert_eq!(escape_control("plain\tö"), "plain\tö");
        assert_eq!(escape_control("\x1b[2Jgone\r\n"), "\\u{1b}[2Jgone\\r\\n");
        assert_eq!(escape_control("a\u{202e}b\u{9b}"), "a\\u{202e}b\\u{9b}");
    }
}

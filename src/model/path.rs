//! Paths, as people read them.

use std::fmt;
use std::path::Path;

/// The path on one line, whatever its name holds: a control character would move the cursor of whoever
/// reads it, and not every name is text. Those, and bytes that are no UTF-8, are shown escaped.
pub struct Shown<'a>(pub &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_os_str().as_encoded_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    write!(f, "{character}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_name_is_shown_on_one_line_whatever_it_holds() {
        let cases: [(&[u8], &str); 3] = [
            (b"/elsewhere/a b", "/elsewhere/a b"),
            (b"caf\xc3\xa9.rs", "café.rs"),
            (b"caf\xe9\n\x1b[31m", "caf\\xe9\\n\\u{1b}[31m"),
        ];
        for (name, expected) in cases {
            assert_eq!(Shown(Path::new(OsStr::from_bytes(name))).to_string(), expected);
        }
    }
}

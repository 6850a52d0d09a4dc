//! Helpers for templates: a free text as a literal of the language it is rendered into.
//!
//! `{{rust description}}` gives `"…"`, quotes included, so that no text can end its literal early.
//! Values are never rendered a second time: `{{7*7}}` as a value stays those seven characters.

use std::fmt::Write as _;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderErrorReason,
};

/// Registers one helper for each language.
pub(super) fn register_helpers(handlebars: &mut Handlebars<'_>) {
    let helpers: [(&str, fn(&str) -> String); 6] = [
        ("json", quote_json),
        ("toml", quote_json),
        ("python", quote_json),
        ("typescript", quote_json),
        ("rust", quote_rust),
        ("shell", quote_shell),
    ];
    for (name, quote) in helpers {
        handlebars.register_helper(name, Box::new(Quote(quote)));
    }
}

struct Quote(fn(&str) -> String);

impl HelperDef for Quote {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let missing = || RenderErrorReason::ParamNotFoundForIndex("quote", 0);
        let text = helper.param(0).and_then(|value| value.value().as_str()).ok_or_else(missing)?;
        out.write(&(self.0)(text))?;
        Ok(())
    }
}

/// Escapes by `\uXXXX` whatever is not plain ASCII: JSON (RFC 8259, section 7), TOML basic strings,
/// Python and TypeScript string literals all read it the same way, as long as no surrogate pair is
/// needed; characters beyond the basic plane are therefore written as they are.
fn quote_json(text: &str) -> String {
    quote(text, |out, c| match u32::from(c) {
        code @ (0..0x20 | 0x7f..0xa0 | 0x2028 | 0x2029) => write!(out, "\\u{code:04x}"),
        _ => write!(out, "{c}"),
    })
}

fn quote_rust(text: &str) -> String {
    quote(
        text,
        |out, c| if c.is_control() { write!(out, "{}", c.escape_unicode()) } else { write!(out, "{c}") },
    )
}

fn quote(text: &str, other: impl Fn(&mut String, char) -> std::fmt::Result) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        let written = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            _ => other(&mut out, c),
        };
        written.expect("writing to a String cannot fail");
    }
    out + "\""
}

fn quote_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_cannot_end_its_literal() {
        assert_eq!(quote_json("a\"; x\\\n"), r#""a\"; x\\\u000a""#);
        assert_eq!(quote_rust("a\"\u{7}"), r#""a\"\u{7}""#);
        assert_eq!(quote_shell("it's; rm -rf /"), r"'it'\''s; rm -rf /'");
    }

    proptest! {
        #[test]
        fn json_and_toml_read_back_what_was_quoted(text in "\\PC{0,20}|.{0,20}") {
            let json: String = serde_json::from_str(&quote_json(&text)).unwrap();
            prop_assert_eq!(&json, &text);
            let toml: toml::Table = toml::from_str(&format!("x = {}", quote_json(&text))).unwrap();
            prop_assert_eq!(toml["x"].as_str().unwrap(), &text);
        }
    }
}

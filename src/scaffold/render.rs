//! Pure: a template and values become files.

use handlebars::{Handlebars, RenderError};
use serde_json::{Map, Value};

use super::error::ScaffoldError;
use super::file_plan::{FileOp, check_path};
use super::quote;
use super::source::SourceFile;
use super::template::Template;

/// What the template's texts may refer to, by name.
pub type Values = Map<String, Value>;

const RENDERED_ENDING: &str = ".hbs";

/// Renders every file of `template`, in the order of its paths.
pub fn render(template: &Template, values: &Values) -> Result<Vec<FileOp>, ScaffoldError> {
    let handlebars = new_handlebars();
    template.files.iter().map(|file| render_file(&handlebars, template, file, values)).collect()
}

/// Strict: a value that is not there is an error. Nothing is escaped on its own, because only the
/// template knows which language it is written in.
fn new_handlebars() -> Handlebars<'static> {
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(handlebars::no_escape);
    quote::register_helpers(&mut handlebars);
    handlebars
}

fn render_file(
    handlebars: &Handlebars<'_>,
    template: &Template,
    file: &SourceFile,
    values: &Values,
) -> Result<FileOp, ScaffoldError> {
    let path = render_path(&file.path, values);
    let (path, contents) = match path.strip_suffix(RENDERED_ENDING) {
        Some(path) => (path.to_owned(), render_text(handlebars, file, values)),
        None => (path, Ok(file.contents.clone())),
    };
    let failed =
        |reason| ScaffoldError::Render { template: template.name.clone(), file: file.path.clone(), reason };
    let contents = contents.map_err(failed)?;
    check_path(path.as_ref())?;
    // `#!/`, because a Rust file may start with `#![…]`.
    let executable = contents.starts_with(b"#!/");
    Ok(FileOp { path: path.into(), contents, executable })
}

fn render_text(handlebars: &Handlebars<'_>, file: &SourceFile, values: &Values) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(&file.contents).map_err(|_| "it is not UTF-8".to_owned())?;
    let rendered = handlebars.render_template(text, values).map_err(|error| describe(&error))?;
    Ok(rendered.into_bytes())
}

fn describe(error: &RenderError) -> String {
    match error.line_no {
        Some(line) => format!("line {line}: {}", error.reason()),
        None => error.reason().to_string(),
    }
}

/// Replaces `__variable__` by the value of a variable. What no variable is called stays as it is:
/// `__init__.py` is a name that Python needs.
fn render_path(path: &str, values: &Values) -> String {
    let texts = values.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
    texts.fold(path.to_owned(), |path, (name, text)| path.replace(&format!("__{name}__"), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "name = 'x'\nkind = 'service'\ndescription = 'd'\nlanguage = 'C'\n";

    /// Renders one file with `name = "orders"` and `text = "{{7*7}} <&>"`.
    fn check(path: &str, contents: &str, expected: &str) {
        let files = vec![SourceFile::new("template.toml", TOML), SourceFile::new(path, contents)];
        let template = Template::from_files("here", files).unwrap();
        let values = serde_json::json!({ "name": "orders", "text": "{{7*7}} <&>", "up": "../x" });
        let found = match render(&template, values.as_object().unwrap()).as_deref() {
            Ok([file]) => format!("{}: {}", file.path.display(), String::from_utf8_lossy(&file.contents)),
            Ok(files) => panic!("one file was expected: {files:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_with_the_ending_is_rendered_and_loses_it() {
        check("a.md.hbs", "# {{name}}", "a.md: # orders");
    }

    #[test]
    fn any_other_file_is_copied_as_it_is() {
        check("a.md", "# {{name}}", "a.md: # {{name}}");
    }

    #[test]
    fn a_value_is_never_rendered_again_and_never_escaped_for_html() {
        check("a.hbs", "{{text}}", "a: {{7*7}} <&>");
    }

    #[test]
    fn a_helper_quotes_for_its_language() {
        check("a.hbs", "{{rust text}} {{shell text}}", "a: \"{{7*7}} <&>\" '{{7*7}} <&>'");
    }

    #[test]
    fn names_of_files_and_folders_take_variables_and_leave_pythons_alone() {
        check("__name__/__init__.py", "", "orders/__init__.py: ");
    }

    #[test]
    fn an_unknown_value_is_an_error_and_not_an_empty_text() {
        check(
            "a.hbs",
            "{{nmae}}",
            "render a.hbs of the template \"x\": line 1: Failed to access variable in strict mode Some(\"nmae\")",
        );
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused_after_rendering_too() {
        let fault = "it must stay inside its folder: no leading \"/\", no \".\" and no \"..\"";
        check("../../.bashrc", "", &format!("write \"../../.bashrc\": {fault}"));
        check("a/__up__", "", &format!("write \"a/../x\": {fault}"));
        check("/etc/x.hbs", "", &format!("write \"/etc/x\": {fault}"));
    }
}

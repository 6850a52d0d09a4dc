//! `[build]` and `[process]`: how sources become something that runs.

use std::path::{Component, Path, PathBuf};

use crate::model::platform::{Build, ProcessRecipe};

use super::ground::Ground;
use super::section::Section;
use super::shared_folders;
use super::source::Located;
use super::suggestion::did_you_mean;
use super::values::Value;

const DEFAULT_DOCKERFILE: &str = "Dockerfile";
const CACHE_PREFIX: &str = "$MSCTL_CACHE/";
const TARGET_VARIABLE: &str = "$MSCTL_TARGET";

/// Which keys go with which strategy, for messages and for finding keys of another strategy.
const STRATEGIES: [(&str, &[&str]); 3] =
    [("pack", &["command", "artifact"]), ("dockerfile", &["file"]), ("image", &["image"])];

/// Always gives a build; where the section has none to give, it has reported why. With the folders that
/// are built from, too.
pub fn read(mut section: Section<'_>, ground: Ground<'_>) -> (Build, Vec<Located<PathBuf>>) {
    let strategy = section
        .require("strategy", "\"pack\", \"dockerfile\" or \"image\"")
        .and_then(|value| value.text("\"dockerfile\""));
    let build = match strategy.as_ref().map(|strategy| strategy.value.as_str()) {
        Some("pack") => read_pack(&mut section),
        Some("dockerfile") => read_dockerfile(&mut section),
        Some("image") => read_image(&mut section),
        _ => stand_in(),
    };
    if let Some(strategy) = &strategy {
        check_strategy(&section, strategy);
        refuse_keys_of_others(&mut section, &strategy.value);
    } else {
        STRATEGIES.iter().flat_map(|(_, keys)| *keys).for_each(|key| drop(section.take(key)));
    }
    let shared = section.take("shared");
    let shared = shared.map(|value| read_shared(value, strategy.as_ref(), ground)).unwrap_or_default();
    section.close();
    (build, shared)
}

/// `[process]`, if there is one.
pub fn read_process(mut section: Section<'_>) -> Option<ProcessRecipe> {
    let build = section.take("build").and_then(|value| value.filled_text("\"npm ci\""));
    let command = section
        .require("command", "\"node server.js\"")
        .and_then(|value| value.filled_text("\"node server.js\""));
    section.close();
    Some(ProcessRecipe { build: build.map(|build| build.value), command: command?.value })
}

fn stand_in() -> Build {
    Build::Image { reference: String::new() }
}

fn check_strategy(section: &Section<'_>, strategy: &Located<String>) {
    let names = STRATEGIES.map(|(name, _)| name);
    if !names.contains(&strategy.value.as_str()) {
        let message = format!("{:?} is not a build strategy", strategy.value);
        let hint = did_you_mean(&strategy.value, "the strategies", &names);
        section.problems.report(&strategy.place, message, hint);
    }
}

fn refuse_keys_of_others(section: &mut Section<'_>, strategy: &str) {
    let own = STRATEGIES.iter().find(|(name, _)| *name == strategy).map(|(_, keys)| *keys);
    for (other, keys) in STRATEGIES.iter().filter(|(name, _)| *name != strategy) {
        for key in *keys {
            let (Some(value), Some(own)) = (section.take(key), own) else { continue };
            value.report(
                format!("{key} does not go with strategy {strategy:?}, only with {other:?}"),
                format!("{strategy:?} takes {}", own.join(" and ")),
            );
        }
    }
}

fn read_shared(
    value: Value<'_>,
    strategy: Option<&Located<String>>,
    ground: Ground<'_>,
) -> Vec<Located<PathBuf>> {
    let strategy = strategy.map(|strategy| strategy.value.as_str()).unwrap_or_default();
    let hint = match strategy {
        "dockerfile" => {
            "the engine is sent the service's own folder alone: keep what is needed there, or build with \"pack\""
        }
        "image" => "an image is not built here: leave it out",
        _ => return shared_folders::read(value, ground),
    };
    value.report(format!("shared does not go with strategy {strategy:?}, only with \"pack\""), hint);
    Vec::new()
}

fn read_pack(section: &mut Section<'_>) -> Build {
    let command = section
        .require("command", "\"cargo build --release\"")
        .and_then(|value| value.filled_text("\"cargo build --release\""));
    let artifact = section.require("artifact", "\"target/release/order\"").and_then(read_artifact);
    match (command, artifact) {
        (Some(command), Some(artifact)) => Build::Pack { command: command.value, artifact },
        _ => stand_in(),
    }
}

fn read_artifact(value: Value<'_>) -> Option<String> {
    let problems = value.problems;
    let artifact = value.filled_text("\"target/release/order\"")?;
    let within = artifact.value.strip_prefix(CACHE_PREFIX).unwrap_or(&artifact.value);
    let plain = within.replace(TARGET_VARIABLE, "target");
    let (fault, hint) = if plain.contains('$') {
        (
            "holds a variable that is not known here",
            "it may start with $MSCTL_CACHE/ and hold $MSCTL_TARGET, nothing else is filled in",
        )
    } else if !stays_within(Path::new(&plain)) {
        (
            "leads out of the service's folder",
            "write a path relative to the folder, or one that starts with $MSCTL_CACHE/",
        )
    } else {
        return Some(artifact.value);
    };
    problems.report(&artifact.place, format!("the artifact {:?} {fault}", artifact.value), hint);
    None
}

fn read_dockerfile(section: &mut Section<'_>) -> Build {
    let Some(value) = section.take("file") else {
        return Build::Dockerfile { file: DEFAULT_DOCKERFILE.into() };
    };
    let Some(file) = value.filled_text("\"Dockerfile\"") else { return stand_in() };
    if !stays_within(Path::new(&file.value)) {
        section.problems.report(
            &file.place,
            format!("the Dockerfile {:?} leads out of the service's folder", file.value),
            "write a path relative to the folder, without \"..\"",
        );
    }
    Build::Dockerfile { file: file.value.into() }
}

fn stays_within(path: &Path) -> bool {
    let mut components = path.components().filter(|component| *component != Component::CurDir).peekable();
    components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
}

fn read_image(section: &mut Section<'_>) -> Build {
    let reference = section.require("image", "\"redis:7\"").and_then(|value| value.text("\"redis:7\""));
    let Some(reference) = reference else { return stand_in() };
    if !is_image_reference(&reference.value) {
        let message = format!("{:?} is not the name of an image", reference.value);
        section.problems.report(&reference.place, message, "for example image = \"redis:7\"");
    }
    Build::Image { reference: reference.value }
}

/// Whether an engine could know an image by this name: `[registry[:port]/]name[:tag][@digest]`. The
/// engine has the last word; this keeps out what is certainly wrong.
pub fn is_image_reference(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    let edges = [text.bytes().next(), text.bytes().last()];
    text.len() <= 255
        && text.bytes().all(allowed)
        && edges.iter().all(|edge| edge.is_some_and(|byte| byte.is_ascii_alphanumeric()))
        && !text.contains("//")
}

//! A Dockerfile in two: what rarely changes, and the copies from the context that come last.
//!
//! Where the last stage ends in `COPY`s of plain paths, with nothing after the first of them but
//! settings of the image, the same image is had by building the file without them (the *base*) and
//! laying the copied files over it. Settings commute with such copies: they neither read nor write
//! files, and `COPY` obeys none of them but `WORKDIR`, which ends the search. Whatever is not
//! understood beyond doubt gives no split, and the engine then builds the file as it is.

use super::Reader;
use super::instructions::{Instruction, instructions};

/// Instructions that only set what an image says about itself.
const SETTINGS: [&str; 12] = [
    "ARG",
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
];
/// What patterns, variables, quotes and escapes are made of: a path without these means itself.
const SPECIAL: [char; 8] = ['$', '*', '?', '[', ']', '\\', '"', '\''];

#[derive(Debug, PartialEq, Eq)]
pub struct Split {
    /// The file without the copies; its other lines keep their numbers.
    pub base: String,
    /// What of the context it needs: these, and what is in them.
    pub inputs: Vec<String>,
    /// Never empty.
    pub copies: Vec<Copy>,
}

/// A `COPY` from the context, of plain paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Relative to the context, normalised; the whole of it is empty.
    pub sources: Vec<String>,
    /// As it is written: a slash at its end matters.
    pub destination: String,
    pub owner: (u32, u32),
    /// Instead of each file's own.
    pub mode: Option<u32>,
}

/// `None` where the file does not end in such copies, or that cannot be told.
pub fn split(text: &str) -> Option<Split> {
    let all = instructions(text);
    let mut reader = Reader::default();
    for instruction in &all {
        reader.read(instruction);
    }
    let is_strange = |instruction: &Instruction| instruction.keyword() == "ONBUILD";
    if reader.is_unsure || has_foreign_syntax(text) || all.iter().any(is_strange) {
        return None;
    }
    let start = start_of_copies(&all)?;
    let is_copy = |instruction: &&Instruction| instruction.keyword() == "COPY";
    let (before, after) = all.split_at(start);
    let last: Vec<&Instruction> = after.iter().filter(is_copy).collect();
    let copies: Option<Vec<Copy>> = last.iter().map(|instruction| copy(instruction)).collect();
    let copies = copies.filter(|copies| !copies.is_empty())?;
    Some(Split { base: without(text, &last), inputs: inputs(before)?, copies })
}

/// Where in the last stage nothing but plain copies and settings comes from; `None` where that stage
/// has no content before.
fn start_of_copies(all: &[Instruction]) -> Option<usize> {
    let from = all.iter().rposition(|instruction| instruction.keyword() == "FROM")?;
    let is_plain = |instruction: &Instruction| {
        let keyword = instruction.keyword();
        SETTINGS.contains(&keyword.as_str()) || (keyword == "COPY" && copy(instruction).is_some())
    };
    let start = all.iter().rposition(|instruction| !is_plain(instruction))? + 1;
    let is_empty = start == from + 1 && all[from].rest().starts_with("scratch");
    (start > from && !is_empty).then_some(start)
}

/// Other frontends may mean other things by the same words.
fn has_foreign_syntax(text: &str) -> bool {
    let directives = text.lines().map_while(|line| line.trim().strip_prefix('#'));
    let mut values = directives.filter_map(|line| line.split_once('='));
    let syntax = values.find(|(name, _)| name.trim().eq_ignore_ascii_case("syntax"));
    syntax.is_some_and(|(_, frontend)| !frontend.trim().starts_with("docker/dockerfile:"))
}

fn copy(instruction: &Instruction) -> Option<Copy> {
    let (mut owner, mut mode) = ((0, 0), None);
    for flag in instruction.flags() {
        match flag.split_once('=')? {
            ("--chown", value) => owner = owner_of(value)?,
            ("--chmod", value) => {
                mode = Some(u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777)?)
            }
            _ => return None,
        }
    }
    let mut paths = arguments(instruction)?;
    let destination = paths.pop()?;
    let sources: Option<Vec<String>> = paths.iter().map(|path| normal(path)).collect();
    let sources = sources.filter(|sources| !sources.is_empty())?;
    let is_inside = !destination.split('/').any(|part| part == "..");
    is_inside.then_some(Copy { sources, destination, owner, mode })
}

/// Numbers only: names are in the image's own list of users.
fn owner_of(value: &str) -> Option<(u32, u32)> {
    let (user, group) = value.split_once(':').unwrap_or((value, value));
    Some((user.parse().ok()?, group.parse().ok()?))
}

/// The paths of a `COPY` or `ADD`, of either form, if they mean themselves.
fn arguments(instruction: &Instruction) -> Option<Vec<String>> {
    let rest = instruction.rest();
    let paths: Vec<String> = if rest.starts_with('[') {
        serde_json::from_str(rest).ok()?
    } else {
        rest.split_whitespace().map(str::to_owned).collect()
    };
    let is_plain = |path: &String| !path.is_empty() && !path.contains(SPECIAL) && !path.starts_with("<<");
    paths.iter().all(is_plain).then_some(paths)
}

/// Without what means nothing in a path; `None` where it leads upwards.
fn normal(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

/// The text with these instructions blanked.
fn without(text: &str, instructions: &[&Instruction]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut next = 0;
    for instruction in instructions {
        kept.push_str(&text[next..instruction.span.start]);
        kept.extend(text[instruction.span.clone()].chars().filter(|c| *c == '\n'));
        next = instruction.span.end;
    }
    kept + &text[next..]
}

/// `None` where they may use all of the context, or that cannot be told: every edit changes the base.
fn inputs(instructions: &[Instruction]) -> Option<Vec<String>> {
    let mut paths = Vec::new();
    for instruction in instructions {
        match instruction.keyword().as_str() {
            "COPY" | "ADD" if instruction.flags().any(|flag| flag.starts_with("--from=")) => {}
            "COPY" | "ADD" => paths.extend(sources(instruction)?),
            "RUN" if instruction.flags().any(binds_context) => return None,
            _ => {}
        }
    }
    (!paths.iter().any(String::is_empty)).then_some(paths)
}

fn sources(instruction: &Instruction) -> Option<Vec<String>> {
    let mut paths = arguments(instruction)?;
    paths.pop();
    paths.iter().map(|path| normal(path)).collect()
}

/// Whether a flag of `RUN` shows it the context: the kind of mount that there is when none is named.
fn binds_context(flag: &str) -> bool {
    let Some(mount) = flag.strip_prefix("--mount=") else { return false };
    let other =
        |option: &str| option.starts_with("from=") || (option.starts_with("type=") && option != "type=bind");
    !mount.split(',').any(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: &str = "FROM python:3.12\nWORKDIR /service\nCOPY requirements.txt .\n\
                          RUN pip install -r requirements.txt\n\n# Sources\nCOPY app app\n\nUSER 1\nCMD [\"x\"]\n";

    fn copies(text: &str) -> Vec<Copy> {
        split(text).map(|split| split.copies).unwrap_or_default()
    }

    #[test]
    fn the_copies_at_the_end_are_taken_out_and_other_lines_keep_their_numbers() {
        let split = split(PYTHON).unwrap();
        let copy = Copy {
            sources: vec!["app".to_owned()],
            destination: "app".to_owned(),
            owner: (0, 0),
            mode: None,
        };
        assert_eq!(split.copies, [copy]);
        assert_eq!(split.base, PYTHON.replace("COPY app app", ""));
        assert_eq!(split.inputs, ["requirements.txt"]);
    }

    #[test]
    fn copies_before_something_that_sees_files_belong_to_the_base() {
        for hard in ["RUN make", "WORKDIR /x", "ADD a b", "COPY --from=0 /x /x", "COPY --link a b"] {
            let split = split(&format!("FROM a\nCOPY one one\n{hard}\nCOPY two two\n")).unwrap();
            assert_eq!(split.copies.len(), 1, "{hard}");
            assert!(split.base.contains("COPY one") && split.base.contains(hard), "{}", split.base);
        }
    }

    #[test]
    fn what_cannot_be_told_gives_no_split() {
        for text in [
            "FROM a\nRUN make\n",
            "FROM a\nCOPY x x\nRUN make\n",
            "FROM scratch\nCOPY x x\n",
            "FROM $UNKNOWN\nCOPY x x\n",
            "FROM a\nONBUILD RUN make\nCOPY x x\n",
            "# syntax=example/other:1\nFROM a\nCOPY x x\n",
            "FROM a\nCOPY --link x x\n",
            "FROM a\nCOPY --chown=app x x\n",
            "FROM a\nCOPY <<EOF x\ncontent\nEOF\n",
            "FROM a\nCOPY x ../y\n",
            "FROM a\nCOPY ../x y\n",
            "FROM a\nCOPY [\"x\", 1]\n",
            "FROM a\nCOPY x\n",
            "COPY x x\n",
            "",
        ] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn both_forms_and_the_flags_are_read() {
        let text = "FROM a\ncopy --chown=10001:0 --chmod=0640 ./a//b c/ /to/\nCOPY --chown=7 [\"my file\", \".\"]\n\
                    COPY x \\\n  # between\n  y z/\n";
        let found = copies(text);
        assert_eq!(found[0].sources, ["a/b", "c"]);
        assert_eq!((found[0].owner, found[0].mode), ((10001, 0), Some(0o640)));
        assert_eq!((found[1].sources.as_slice(), found[1].owner), (&["my file".to_owned()][..], (7, 7)));
        assert_eq!((found[2].sources.len(), found[2].destination.as_str()), (2, "z/"));
        assert_eq!(split(text).unwrap().base, "FROM a\n\n\n\n\n\n");
    }

    #[test]
    fn the_base_needs_what_its_own_instructions_use() {
        let inputs = |text: &str| {
            let text = format!("FROM a AS b\n{text}\nFROM c\nRUN x\nCOPY app app\n");
            split(&text).map(|split| split.inputs.join(" "))
        };
        assert_eq!(inputs("COPY --from=x /y /z").unwrap(), "");
        assert_eq!(inputs("COPY a ./b/ /x/").unwrap(), "a b");
        assert_eq!(inputs("RUN --mount=type=cache,target=/x make").unwrap(), "");
        assert_eq!(inputs("RUN --mount=from=t,target=/x make").unwrap(), "");
    }

    #[test]
    fn a_base_that_needs_all_of_the_context_is_none() {
        for instruction in
            ["COPY . .", "COPY *.txt .", "RUN --mount=target=/x make", "RUN --mount=type=bind,target=/x make"]
        {
            assert_eq!(
                split(&format!("FROM a\n{instruction}\nRUN x\nCOPY app app\n")),
                None,
                "{instruction}"
            );
        }
    }
}

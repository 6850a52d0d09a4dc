use super::*;

fn images(text: &str) -> Vec<String> {
    base_images(text).into_iter().map(|base| format!("{}:{}", base.line, base.image)).collect()
}

fn aliased(text: &str) -> String {
    let aliases =
        [("python:3.13-slim", "mirror/python:3"), ("debian", "local/debian"), ("busybox:latest", "local/bb")];
    let aliases = aliases.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
    apply_aliases(text, &aliases).0
}

#[test]
fn every_from_names_an_image_unless_it_is_an_earlier_stage_or_nothing() {
    let text = "FROM rust:1 AS Build\nRUN x\nFROM build as test\nFROM scratch\nFROM debian\n";
    assert_eq!(images(text), ["1:rust:1", "5:debian"]);
}

#[test]
fn copies_from_stages_are_no_images_and_copies_from_images_are() {
    let text = "FROM a AS one\nFROM b\nCOPY --from=one /x /x\nCOPY --from=0 /x /x\nCOPY --chown=1 --from=c:1 /x /x\n\
                COPY --from=9 /x /x\nCOPY x --from=no /x\n";
    assert_eq!(images(text), ["1:a", "2:b", "5:c:1", "6:9"]);
}

#[test]
fn mounts_may_name_images_too() {
    let text = "FROM a\nRUN --mount=type=cache,target=/x --mount=type=bind,from=tools:1,target=/t make from=no\n\
                RUN --mount=from=other true\n";
    assert_eq!(images(text), ["1:a", "2:tools:1", "3:other"]);
}

#[test]
fn variables_take_the_value_that_was_given_before_the_first_from() {
    let text = "ARG VERSION=3.13 SLIM=\"-slim\"\nARG BASE=python:${VERSION}$SLIM\nFROM ${BASE} AS a\n\
                ARG VERSION=2\nFROM x:${VERSION}\nFROM y:${TAG:-1}\nFROM z${VERSION:+:new}\nFROM w:$UNKNOWN\n";
    assert_eq!(images(text), ["3:python:3.13-slim", "5:x:3.13", "6:y:1", "7:z:new"]);
}

#[test]
fn case_platforms_comments_and_continued_lines_are_understood() {
    let text = "# FROM no\n  from --platform=$BUILDPLATFORM \\\n  # a comment inside\n\n  debian \\\n AS x\n\
                RUN echo \\\nFROM no\n";
    assert_eq!(images(text), ["2:debian"]);
}

#[test]
fn the_escape_character_can_be_another() {
    assert_eq!(images("# escape=`\nFROM `\n debian\nRUN dir C:\\\nFROM next\n"), ["2:debian", "5:next"]);
}

#[test]
fn what_stands_in_a_here_document_is_no_instruction() {
    let text =
        "FROM a\nRUN <<EOF cat <<-'END'\nFROM no\nEOF\nFROM no\n\tEND\nFROM b\nRUN cat <<NEVER\nFROM c\n";
    assert_eq!(images(text), ["1:a", "7:b", "9:c"]);
}

#[test]
fn aliases_replace_only_the_names_of_images() {
    assert_eq!(
        aliased(
            "# python:3.13-slim\r\nFROM python:3.13-slim AS python\r\nCOPY --from=python:3.13-slim a b # x\r\n"
        ),
        "# python:3.13-slim\r\nFROM mirror/python:3 AS python\r\nCOPY --from=mirror/python:3 a b # x\r\n"
    );
    assert_eq!(
        aliased("from  --platform=linux/amd64   debian\n"),
        "from  --platform=linux/amd64   local/debian\n"
    );
    assert_eq!(aliased("FROM debian AS debian\nFROM debian\n"), "FROM local/debian AS debian\nFROM debian\n");
    assert_eq!(aliased("FROM debian:12\nFROM my/debian"), "FROM debian:12\nFROM my/debian");
}

#[test]
fn an_alias_replaces_the_variable_that_resolves_to_its_image() {
    let text = "ARG V=3.13\nFROM python:${V}-slim\nRUN pip install x==${V}\n";
    assert_eq!(aliased(text), "ARG V=3.13\nFROM mirror/python:3\nRUN pip install x==${V}\n");
}

#[test]
fn a_name_without_a_tag_is_the_latest() {
    assert_eq!(aliased("FROM debian:latest\nFROM busybox\n"), "FROM local/debian\nFROM local/bb\n");
}

#[test]
fn a_name_that_is_continued_on_the_next_line_is_replaced_as_a_whole() {
    assert_eq!(aliased("FROM deb\\\nian AS x\n"), "FROM local/debian AS x\n");
}

#[test]
fn nothing_and_nonsense_have_no_images() {
    for text in
        ["", "\n\n", "FROM", "FROM \\", "FROM ${", "COPY --from=", "RUN --mount=from=, x", "\u{feff}é $"]
    {
        assert_eq!(images(text), [""; 0], "{text:?}");
    }
}

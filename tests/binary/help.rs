//! What `--help` promises of every command, found by asking for it.

use std::process::{Command, Stdio};

use crate::harness::msctl::Msctl;

/// The long help of a command at 80 columns.
fn help(path: &[String]) -> String {
    let home = tempfile::tempdir().unwrap();
    let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let command = Msctl::new(home.path(), &words).without("MSCTL_STATE_DIR").env("COLUMNS", "80");
    let ran = command.within(home.path()).run().success();
    assert_eq!(ran.stderr, "");
    ran.stdout
}

/// Every command and its subcommands, each with its help.
fn commands() -> Vec<(Vec<String>, String)> {
    let mut waiting = vec![Vec::new()];
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        let text = help(&path);
        let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1);
        let names = listed.take_while(|line| line.starts_with("  ")).filter_map(|line| {
            let is_entry = !line.starts_with("   ");
            line.split_whitespace().next().filter(|name| is_entry && *name != "help")
        });
        waiting.extend(names.map(|name| [path.as_slice(), &[name.to_owned()]].concat()));
        found.push((path, text));
    }
    assert!(found.len() > 20, "{found:#?}");
    found
}

#[test]
fn every_help_ends_in_examples_and_fits_a_terminal() {
    for (path, text) in commands() {
        let is_group = text.contains("\nCommands:\n") && !path.is_empty();
        assert!(is_group || text.contains("\nExamples:\n  "), "{path:?} has no examples:\n{text}");
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert_eq!(wide, [""; 0], "{path:?}");
        let examples = text.lines().skip_while(|line| *line != "Examples:").skip(1);
        let broken: Vec<&str> = examples
            .take_while(|line| !line.is_empty())
            .filter(|line| {
                !["  msctl ", "  curl ", "  echo ", "  printf ", "  TOKEN=$("]
                    .iter()
                    .any(|word| line.starts_with(word))
            })
            .collect();
        assert_eq!(broken, [""; 0], "an example of {path:?} does not fit a line");
    }
}

#[test]
fn every_flag_has_a_variable_and_says_so() {
    for (path, text) in commands() {
        let mut options: Vec<String> = Vec::new();
        for line in
            text.lines().skip_while(|line| *line != "Options:").take_while(|line| *line != "Examples:")
        {
            if line.trim_start().starts_with('-') && line.contains("--") {
                options.push(line.trim().to_owned());
            } else if let Some(option) = options.last_mut() {
                *option += line;
            }
        }
        let bare: Vec<&String> = options
            .iter()
            .filter(|option| !option.contains("[env: MSCTL_"))
            .filter(|option| !option.contains("--help") && !option.contains("--version"))
            .collect();
        assert_eq!(bare, [""; 0], "{path:?}");
    }
}

#[test]
fn a_variable_stands_for_its_flag_in_the_words_that_people_use() {
    let folder = tempfile::tempdir().unwrap();
    let plan = |value: &str| {
        let command = Msctl::new(folder.path(), &["new", "platform", "shop"]).within(folder.path());
        command.env("MSCTL_PLAN", value).run()
    };
    for yes in ["1", "true", "YES", "on"] {
        assert_eq!(plan(yes).success().stderr, "nothing was written\n");
    }
    let wrong = plan("maybe").expect_code(2);
    assert!(wrong.stderr.contains("write \"1\" for yes or \"0\" for no"), "{}", wrong.stderr);
    assert!(!folder.path().join("shop").exists());
    plan("").success();
    assert!(folder.path().join("shop").exists());
}

#[test]
fn completions_are_scripts_that_their_shell_can_read() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Msctl::new(folder.path(), &["completions", shell]).within(folder.path()).run().success();
        assert_eq!(ran.stderr, "");
        assert!(ran.stdout.contains("msctl"), "{shell}");
        if shell == "bash" {
            let script = folder.path().join("script");
            std::fs::write(&script, &ran.stdout).unwrap();
            let read = Command::new("bash").arg("-n").arg(script).stdin(Stdio::null()).output().unwrap();
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        }
    }
}

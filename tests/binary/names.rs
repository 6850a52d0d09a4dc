//! `msctl new`: names, templates of others, and files that are there already.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::harness::msctl::{Msctl, Ran};
use crate::harness::platform::{TestPlatform, TestService};

const RULE: &str = "a name is 1 to 40 of a-z, 0-9 and \"-\", starting with a letter";

fn bad_names() -> Vec<String> {
    let names = [
        "--help",
        "../x",
        "a;rm -rf /",
        "",
        "a/b",
        "a b",
        ".",
        "A",
        "a_b",
        "1a",
        "a\nb",
        "${jndi}",
        "{{7*7}}",
        "\u{430}bc",
        "a\u{200b}",
        "\u{ff41}",
    ];
    names.into_iter().map(str::to_owned).chain(["a".repeat(300), "a".repeat(41)]).collect()
}

/// Every file below a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_no_name_is_refused_with_the_rule_and_nothing_is_written() {
    let shop = TestPlatform::of(&[]);
    let before = files(shop.as_ref());
    for name in bad_names() {
        for noun in [&["new", "platform"][..], &["new", "service", "--template", "rust-axum"]] {
            let ran = shop.msctl(&[noun, &["--", name.as_str()]].concat()).expect_code(2);
            assert_eq!(ran.stdout, "", "{name:?}");
            assert!(
                ran.stderr.starts_with("error: ") && ran.stderr.ends_with(&format!("{RULE}\n")),
                "{}",
                ran.stderr
            );
            assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        }
    }
    assert_eq!(files(shop.as_ref()), before);
}

#[test]
fn a_name_that_the_platform_needs_for_itself_is_refused() {
    let shop = TestPlatform::of(&[]);
    let ran = shop.msctl(&["new", "service", "msctl", "--template", "rust-axum"]).expect_code(2);
    insta::assert_snapshot!(ran.stderr, @r#"error: "msctl" is reserved: the platform itself answers to that name"#);
}

#[test]
fn a_platform_and_its_service_are_written_once_and_never_over_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let msctl = |arguments: &[&str]| Msctl::new(folder.path(), arguments);
    let new = msctl(&["new", "platform", "store"]).within(folder.path()).run().success();
    assert_eq!(new.stdout, "");
    let store = folder.path().join("store");
    let service = ["new", "service", "orders", "--template", "python-fastapi"];
    msctl(&service).within(&store).run().success();
    let mine = store.join("services/orders/service.toml");
    fs::write(&mine, fs::read_to_string(&mine).unwrap() + "# mine\n").unwrap();
    let before = files(folder.path());

    let again = msctl(&["new", "platform", "store"]).within(folder.path()).run().expect_code(6);
    let shown = |ran: &Ran| crate::harness::plain::plain(&ran.stderr, folder.path());
    insta::assert_snapshot!(shown(&again), @r#"
    error: failed to create [DIR]/store: it exists already
    hint: choose another name, or move what is there away
    "#);
    let again = msctl(&service).within(&store).run().expect_code(6);
    insta::assert_snapshot!(shown(&again), @r#"
    error: a service named "orders" exists already, in [DIR]/store/services/orders
    hint: choose another name, or move that folder away
    "#);
    assert_eq!(files(folder.path()), before);
    assert!(fs::read_to_string(&mine).unwrap().ends_with("# mine\n"));
}

#[test]
fn a_folder_in_the_way_of_a_service_is_left_as_it_is() {
    let shop = TestPlatform::of(&[]);
    fs::create_dir_all(shop.service_folder("orders")).unwrap();
    fs::write(shop.service_folder("orders").join("notes"), "mine").unwrap();
    let ran = shop.msctl(&["new", "service", "orders", "--template", "rust-axum"]).expect_code(6);
    insta::assert_snapshot!(shop.plain(&ran.stderr), @r#"
    error: failed to create [DIR]/shop/services/orders: it exists already
    hint: choose another name, or move what is there away
    "#);
    assert_eq!(files(&shop.service_folder("orders")).len(), 1);
}

#[test]
fn a_plan_of_files_writes_none() {
    let shop = TestPlatform::of(&[]);
    let before = files(shop.as_ref());
    let ran = shop.msctl(&["new", "service", "orders", "--template", "rust-axum", "--plan"]).success();
    assert!(ran.stdout.contains("── service.toml\n"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "nothing was written\n");
    assert_eq!(files(shop.as_ref()), before);
}

/// A folder with one template called `odd`, made by `fill`.
fn with_template(fill: impl Fn(&Path)) -> (TestPlatform, Ran) {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    let template = shop.home().join("templates/odd");
    fs::create_dir_all(&template).unwrap();
    let text = "name = \"odd\"\nkind = \"service\"\nlanguage = \"Rust\"\ndescription = \"odd\"\n";
    fs::write(template.join("template.toml"), text).unwrap();
    fs::write(template.join("service.toml.hbs"), "[service]\nname = \"{{name}}\"\n").unwrap();
    fill(&template);
    let folder = shop.home().join("templates").display().to_string();
    let ran = shop.msctl(&["new", "service", "orders", "--template", "odd", "--template-dir", &folder]);
    (shop, ran)
}

#[test]
fn a_template_with_a_symbolic_link_is_refused() {
    let (shop, ran) = with_template(|template| symlink("/etc/passwd", template.join("creds")).unwrap());
    let ran = ran.expect_code(1);
    insta::assert_snapshot!(shop.plain(&ran.stderr), @"error: failed to use [DIR]/templates/odd as a template: creds is a symbolic link; put a copy of the file there");
    assert!(!shop.service_folder("orders").exists());
}

#[test]
fn a_template_cannot_write_outside_of_its_service() {
    for default in ["../../../", "/tmp/"] {
        let (shop, ran) = with_template(|template| {
            let text = fs::read_to_string(template.join("template.toml")).unwrap()
                + &format!("[variables.up]\ntype = \"text\"\ndefault = {default:?}\n");
            fs::write(template.join("template.toml"), text).unwrap();
            fs::write(template.join("__up__escaped"), "escaped").unwrap();
        });
        let ran = ran.expect_code(1);
        assert!(ran.stderr.contains("it must stay inside its folder"), "{}", ran.stderr);
        assert!(!shop.service_folder("orders").exists());
        assert!(!files(shop.as_ref()).iter().any(|file| file.ends_with("/escaped")));
    }
}

//! What a service is made from besides its own folder: shared folders, files of variables.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::{ORDER, PLATFORM, Scratch};
use crate::model::platform::ServiceSpec;

/// `order`, packed, with these lines in `[build]`.
fn packed(lines: &str) -> String {
    format!(
        "[service]\nname = \"order\"\n[build]\nstrategy = \"pack\"\ncommand = \"make\"\nartifact = \"app\"\n{lines}\n"
    )
}

/// A platform with `order` and `product`, `libs/common` and `libs/proto`.
fn shop(order: &str) -> Scratch {
    let product = ORDER.replace("order", "product");
    Scratch::new(&[
        ("msctl.toml", PLATFORM.as_bytes()),
        ("services/order/service.toml", order.as_bytes()),
        ("services/order/src/main.rs", b""),
        ("services/product/service.toml", product.as_bytes()),
        ("libs/common/lib.rs", b""),
        ("libs/proto/order.proto", b""),
    ])
}

fn order(scratch: &Scratch) -> ServiceSpec {
    scratch.load().unwrap().services.remove(&"order".parse().unwrap()).unwrap()
}

/// The first line and the hint of each problem.
fn problems(scratch: &Scratch) -> String {
    let refusal = scratch.refusal();
    let shown = refusal.lines().filter(|line| line.starts_with("services/") || line.starts_with("hint: "));
    let shown = shown.collect::<Vec<_>>().join("\n");
    shown.replace(scratch.root().canonicalize().unwrap().to_str().unwrap(), "ROOT")
}

#[test]
fn shared_folders_are_known_by_what_they_are() {
    let scratch = shop(&packed("shared = [\"../../libs/proto\", \"../../linked\"]"));
    symlink("libs/common", scratch.root().join("linked")).unwrap();
    let libs = scratch.root().canonicalize().unwrap().join("libs");
    assert_eq!(order(&scratch).shared, [libs.join("common"), libs.join("proto")].into());
    assert!(order(&shop(ORDER)).shared.is_empty());
}

#[test]
fn a_shared_folder_is_one_of_the_platforms_and_there() {
    let scratch = shop(&packed(
        "shared = [\n\"../../libs/none\",\n\"../../libs/common/lib.rs\",\n\"../../../..\",\n\"\",\n7,\n\
         \"../../libs/proto\",\n\"../../libs/./proto\"]",
    ));
    let outside = scratch.root().canonicalize().unwrap().join("../..").canonicalize().unwrap();
    let shown = problems(&scratch).replace(&format!("to {outside:?}"), "to OUTSIDE");
    insta::assert_snapshot!(shown, @r#"
    services/order/service.toml:8:1: there is no folder "../../libs/none"
    hint: the path begins at the folder of service.toml
    services/order/service.toml:9:1: "../../libs/common/lib.rs" is not a folder
    hint: name the folder that the file is in
    services/order/service.toml:10:1: "../../../.." leads out of the platform's folder, to OUTSIDE
    hint: move it into the platform's folder: all that a platform is built from is in there
    services/order/service.toml:11:1: shared in [build] is empty
    hint: write shared = ["../../libs/common"]
    services/order/service.toml:12:1: shared in [build] must be a text, not a whole number
    hint: for example shared = ["../../libs/common"]
    services/order/service.toml:14:1: the shared folder "../../libs/./proto" is listed twice
    hint: keep one of the two
    "#);
}

#[test]
fn a_link_out_of_the_platform_is_no_shared_folder() {
    let outside = tempfile::tempdir().unwrap();
    let scratch = shop(&packed("shared = [\"../../libs/linked\"]"));
    symlink(outside.path(), scratch.root().join("libs/linked")).unwrap();
    assert!(problems(&scratch).contains("\"../../libs/linked\" leads out of the platform's folder"));
}

#[test]
fn a_shared_folder_is_none_of_a_service() {
    let scratch =
        shop(&packed("shared = [\n\".\",\n\"src\",\n\"..\",\n\"../product\"]\n[[routes]]\npath = \"/a\""));
    insta::assert_snapshot!(problems(&scratch), @r#"
    services/order/service.toml:8:1: the shared folder "services/order" overlaps the service's own folder
    hint: its own folder counts anyway: name one beside it
    services/order/service.toml:9:1: the shared folder "services/order/src" overlaps the service's own folder
    hint: its own folder counts anyway: name one beside it
    services/order/service.toml:10:1: the shared folder "services" overlaps the service's own folder
    hint: its own folder counts anyway: name one beside it
    services/order/service.toml:11:1: the shared folder "services/product" overlaps the folder of "product"
    hint: move what both are built from into a folder beside the services
    "#);
}

#[test]
fn only_what_is_built_on_this_machine_shares_folders() {
    let scratch = shop(&format!("{ORDER}shared = [\"../../libs/common\"]\n"));
    insta::assert_snapshot!(scratch.refusal(), @r#"
    services/order/service.toml:5:10: shared does not go with strategy "dockerfile", only with "pack"
      5 | shared = ["../../libs/common"]
        |          ^^^^^^^^^^^^^^^^^^^^^
    hint: the engine is sent the service's own folder alone: keep what is needed there, or build with "pack"
    "#);
    let image = ORDER.replace("\"dockerfile\"", "\"image\"\nimage = \"redis:7\"");
    let scratch = shop(&format!("{image}shared = [\"../../libs/common\"]\n"));
    assert!(scratch.refusal().contains("hint: an image is not built here: leave it out"));
}

/// `order` with these files of variables, as they are named and as they are.
fn given(files: &[(&str, &str)]) -> Scratch {
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let scratch = shop(&format!("{ORDER}[calls]\nservices = [\"product\"]\n[run]\nenv_files = {names:?}\n"));
    for (name, text) in files {
        scratch.write(&format!("services/order/{name}"), text.as_bytes());
    }
    scratch
}

#[test]
fn variables_are_read_from_the_files_that_a_service_names() {
    let scratch =
        given(&[("dev.env", "# ours\nexport A=1\nB='two words' # so\n"), ("../../common.env", "A=2\r\n")]);
    let files = order(&scratch).env_files;
    let shown: Vec<_> = files.iter().map(|file| (file.shown.to_str().unwrap(), &file.variables)).collect();
    let one = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "two words".to_owned())].into();
    let other = [("A".to_owned(), "2".to_owned())].into();
    assert_eq!(shown, [("services/order/dev.env", &one), ("common.env", &other)]);
    let root = scratch.root().canonicalize().unwrap();
    assert_eq!(files[1].paths, [root.join("common.env")].into());
}

#[test]
fn a_file_of_variables_may_be_anywhere_and_be_reached_by_a_link() {
    let outside = Scratch::new(&[("order.env", b"A=1")]);
    let scratch = given(&[("dev.env", "A=2")]);
    let link = scratch.root().canonicalize().unwrap().join("services/order/dev.env");
    let target: PathBuf = outside.root().canonicalize().unwrap().join("order.env");
    std::fs::remove_file(&link).unwrap();
    symlink(&target, &link).unwrap();
    let file = order(&scratch).env_files.remove(0);
    assert_eq!((file.variables["A"].as_str(), file.paths), ("1", [link, target].into()));
}

#[test]
fn a_file_of_variables_is_there() {
    let scratch = given(&[("dev.env", ""), ("folder/x.env", "")]);
    std::fs::remove_file(scratch.root().join("services/order/dev.env")).unwrap();
    insta::assert_snapshot!(problems(&scratch), @r#"
    services/order/service.toml:8:14: there is no file "dev.env"
    hint: create it, or leave it out here; the path begins at the folder of service.toml
    "#);
    std::fs::create_dir(scratch.root().join("services/order/dev.env")).unwrap();
    insta::assert_snapshot!(problems(&scratch), @r#"
    services/order/service.toml:8:14: "dev.env" cannot be read: it is not a regular file
    hint: check that it is a file and that you may read it
    "#);
}

#[test]
fn what_is_wrong_in_a_file_of_variables_is_shown_without_its_values() {
    let text = "PORT=8080\nSECRET=\"s3cret\" more\nMIIEvQ+s3cret\nA=1\nA=s3cret\ndb-url=s3cret\n\
                PRODUCT_URL=s3cret\nB=pa$s3cret\nMSCTL_X=1\nC='s3cret\n";
    let refusal = given(&[("dev.env", text)]).refusal();
    assert!(!refusal.contains("s3cret"), "{refusal}");
    insta::assert_snapshot!(refusal, @r#"
    services/order/dev.env:1:1: PORT is set by the platform itself
      1 | PORT=…
        | ^^^^
    hint: choose another name, or leave it out

    services/order/dev.env:2:1: there is more after the quoted value of SECRET
      2 | SECRET=…
        | ^^^^^^
    hint: put all of it in quotes, or none; a comment begins with #

    services/order/dev.env:3:1: this is not NAME=value
      3 | …
        | ^
    hint: write one variable a line; a value of several lines stands in quotes

    services/order/dev.env:5:1: A is there twice
      5 | A=…
        | ^
    hint: keep one of the two

    services/order/dev.env:6:1: "db-url" is not the name of a variable
      6 | db-url=…
        | ^^^^^^
    hint: write A-Z, 0-9 and _, not starting with a digit: DB_URL

    services/order/dev.env:7:1: PRODUCT_URL is set by the platform itself
      7 | PRODUCT_URL=…
        | ^^^^^^^^^^^
    note: it is the address of the service called at services/order/service.toml:6:13
    hint: choose another name, or leave it out

    services/order/dev.env:8:1: the value of B has a $ that some tools fill in, and msctl does not
      8 | B=…
        | ^
    hint: write what it stands for, or put the value in single quotes if the $ is meant as it is

    services/order/dev.env:9:1: MSCTL_X is set by the platform itself
      9 | MSCTL_X=…
        | ^^^^^^^
    hint: choose another name, or leave it out

    services/order/dev.env:10:1: the quote that begins the value of C does not end
      10 | C=…
         | ^
    hint: end it with the same quote
    "#);
}

#[test]
fn a_broken_file_that_two_services_name_is_told_of_once() {
    let scratch = given(&[("../../common.env", "PORT=1\n")]);
    let product = ORDER.replace("order", "product") + "[run]\nenv_files = [\"../../common.env\"]\n";
    scratch.write("services/product/service.toml", product.as_bytes());
    assert_eq!(scratch.refusal().matches("PORT is set by the platform itself").count(), 1);
}

#[test]
fn what_is_named_and_not_there_is_told_by_where_it_would_be() {
    let named =
        "shared = [\"../../libs/none\", \"../../linked/deep\"]\n[run]\nenv_files = [\"a/../dev.env\"]";
    let scratch = shop(&packed(named));
    symlink("libs/common", scratch.root().join("linked")).unwrap();
    let root = scratch.root().canonicalize().unwrap();
    let expected = ["libs/none", "libs/common/deep", "services/order/dev.env"].map(|path| root.join(path));
    assert_eq!(scratch.load().unwrap_err().missing(), expected.into());
    assert!(shop("[service]\n").load().unwrap_err().missing().is_empty());
}

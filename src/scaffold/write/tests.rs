use super::*;

fn plan(files: &[(&str, &str)]) -> FilePlan {
    let file = |&(path, contents): &(&str, &str)| FileOp {
        path: path.into(),
        contents: contents.into(),
        executable: contents.starts_with("#!/"),
    };
    FilePlan { target: "services/orders".into(), files: files.iter().map(file).collect() }
}

/// Every path below `folder`, hidden ones too.
fn everything_in(folder: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            paths.push(entry.path().strip_prefix(folder).unwrap().display().to_string());
            folders.extend(entry.file_type().unwrap().is_dir().then(|| entry.path()));
        }
    }
    paths.sort();
    paths
}

/// Writing fails with `expected` (`DIR` for the folder) and leaves the folder as it was.
fn check_refused(plan: &FilePlan, into: &tempfile::TempDir, expected: &str) {
    let before = everything_in(into.path());
    let error = write(plan, into.path()).unwrap_err().to_string();
    assert_eq!(error.replace(&into.path().display().to_string(), "DIR"), expected);
    assert_eq!(everything_in(into.path()), before);
}

#[test]
fn a_plan_is_written_whole_and_with_its_modes() {
    let into = tempfile::tempdir().unwrap();
    let written = write(&plan(&[("a.txt", "A"), ("src/run.sh", "#!/bin/sh\n")]), into.path()).unwrap();
    assert_eq!(written, Written { folder: into.path().join("services/orders"), files: 2 });
    assert_eq!(
        everything_in(into.path()),
        [
            "services",
            "services/orders",
            "services/orders/a.txt",
            "services/orders/src",
            "services/orders/src/run.sh"
        ]
    );
    let mode = |path: &str| into.path().join(path).metadata().unwrap().permissions().mode();
    assert_eq!(fs::read(into.path().join("services/orders/a.txt")).unwrap(), b"A");
    assert_eq!(mode("services/orders/a.txt") & 0o111, 0);
    assert_ne!(mode("services/orders/src/run.sh") & 0o100, 0);
    assert_eq!(mode("services/orders"), mode("services"), "the folder is as open as any other");
}

#[test]
fn what_exists_is_never_written_over() {
    let into = tempfile::tempdir().unwrap();
    let good = plan(&[("a.txt", "new")]);
    write(&plan(&[("a.txt", "mine")]), into.path()).unwrap();
    check_refused(&good, &into, "create DIR/services/orders: it exists already");
    assert_eq!(fs::read(into.path().join("services/orders/a.txt")).unwrap(), b"mine");
}

#[test]
fn an_empty_folder_and_a_broken_link_count_as_existing() {
    let into = tempfile::tempdir().unwrap();
    let services = into.path().join("services");
    fs::create_dir_all(services.join("orders")).unwrap();
    check_refused(&plan(&[("a", "")]), &into, "create DIR/services/orders: it exists already");
    fs::remove_dir(services.join("orders")).unwrap();
    std::os::unix::fs::symlink("nowhere", services.join("orders")).unwrap();
    check_refused(&plan(&[("a", "")]), &into, "create DIR/services/orders: it exists already");
}

#[test]
fn a_target_that_appears_while_writing_is_not_replaced() {
    let into = tempfile::tempdir().unwrap();
    let staging = stage(&plan(&[("a", "")]), into.path()).unwrap();
    let target = into.path().join("orders");
    fs::create_dir(&target).unwrap();
    assert!(matches!(publish(staging, &target), Err(ScaffoldError::Exists { path }) if path == target));
    assert_eq!(everything_in(into.path()), ["orders"]);
}

#[test]
fn a_path_that_leaves_the_folder_is_refused_before_anything_is_written() {
    let into = tempfile::tempdir().unwrap();
    for bad in ["../../.bashrc", "/tmp/x", "C:\\x", "a\0b"] {
        let error = write(&plan(&[("good", ""), (bad, "")]), into.path()).unwrap_err();
        assert!(matches!(error, ScaffoldError::UnsafePath { .. }), "{error}");
        assert_eq!(everything_in(into.path()), Vec::<String>::new(), "{bad:?}");
    }
}

#[test]
fn a_failure_half_way_leaves_nothing_behind() {
    let into = tempfile::tempdir().unwrap();
    let long = "x".repeat(300);
    check_refused(
        &plan(&[("good", ""), (&long, "")]),
        &into,
        &format!("create DIR/services/orders/{long}: File name too long (os error 36)"),
    );
    check_refused(
        &plan(&[("a", ""), ("a/b", "")]),
        &into,
        "create DIR/services/orders/a/b: File exists (os error 17)",
    );
    check_refused(&plan(&[("a", ""), ("a", "")]), &into, "write \"a\": two files have this path");
}

#[test]
fn a_file_in_the_place_of_the_services_folder_is_named() {
    let into = tempfile::tempdir().unwrap();
    fs::write(into.path().join("services"), "").unwrap();
    check_refused(&plan(&[("a", "")]), &into, "create DIR/services/orders: Not a directory (os error 20)");
}

/// Not even root may make a folder in `/proc/self`, so this holds for whoever runs the tests.
#[cfg(target_os = "linux")]
#[test]
fn a_place_where_nobody_may_write_is_a_plain_error() {
    let error = write(&plan(&[("a", "")]), Path::new("/proc/self")).unwrap_err();
    assert_eq!(error.to_string(), "create /proc/self/services: No such file or directory (os error 2)");
}

#[test]
fn a_folder_without_write_permission_says_what_to_do() {
    let into = tempfile::tempdir().unwrap();
    let path = into.path().join("locked");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o555)).unwrap();
    match write(&plan(&[("a", "")]), &path) {
        // Root may write everywhere; then the file has to be there.
        Ok(written) => assert!(rustix::process::geteuid().is_root() && written.folder.join("a").exists()),
        Err(error) => {
            assert_eq!(error.hint().unwrap(), "run it in a folder that you may write to");
            assert_eq!(everything_in(&path), Vec::<String>::new());
        }
    }
}

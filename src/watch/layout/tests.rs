use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Affected, Layout, affected};
use crate::model::name::ServiceName;
use crate::watch::tests::fixtures::{given, platform, service, sharing};

/// `order` has another service's folder in its own, `mail` lives where no pattern leads.
fn layout() -> Layout {
    let root = Path::new("/store");
    let services = [
        sharing(service("order", &root.join("services/order")), &root.join("proto")),
        service("stock", &root.join("services/order/stock")),
        sharing(service("mail", &root.join("extra/mail")), &root.join("proto")),
    ];
    let [order, stock, mail] = services;
    let order = given(order, &root.join("services/order/dev.env"));
    let mail = given(mail, &root.join("config/common.env"));
    Layout::of(&platform(root, &["services/*", "teams/*/parts/api"], [order, stock, mail]))
}

fn shown(Affected { services, manifest }: &Affected) -> String {
    let services = services.iter().map(ToString::to_string);
    services.chain(manifest.then(|| "+manifest".to_owned())).collect::<Vec<_>>().join(" ")
}

fn check(path: &str, expected: &str) {
    let found = affected([Path::new(path)], &layout());
    assert_eq!(shown(&found), expected, "{path}");
}

#[test]
fn a_file_concerns_the_services_whose_folders_it_is_in() {
    check("/store/services/order/src/main.rs", "order");
    check("/store/services/order/stock/src/main.rs", "order stock");
    check("/store/extra/mail/a\nb", "mail");
    check("/store/proto/order.proto", "mail order");
}

#[test]
fn what_is_beside_all_services_concerns_none() {
    for path in [
        "/store/README.md",
        "/store/.msctl/cache/x",
        "/store/services/order-history/src/main.rs",
        "/store/config/other.env",
        "/elsewhere/services/order/src/main.rs",
        "/store/target",
        "/store/services/.cache",
    ] {
        check(path, "");
    }
}

#[test]
fn manifests_and_what_may_become_a_service_concern_the_manifest() {
    check("/store/msctl.toml", "+manifest");
    check("/store/services/order/service.toml", "+manifest");
    check("/store/services/order/deep/service.toml", "order");
    check("/store/extra/mail/service.toml", "+manifest");
    check("/store/services/new", "+manifest");
    check("/store/services/new/service.toml", "+manifest");
    check("/store/services/new/src", "");
    check("/store/teams/a", "+manifest");
    check("/store/teams/a/parts/api/service.toml", "+manifest");
    check("/store/teams/a/parts/web/service.toml", "");
    check("/store/service.toml", "");
}

#[test]
fn a_file_of_variables_concerns_the_manifest_alone() {
    check("/store/config/common.env", "+manifest");
    check("/store/services/order/dev.env", "+manifest");
    check("/store/extra/mail/dev.env", "mail");
    let elsewhere = Path::new("/home/me/order.env");
    let order = given(service("order", Path::new("/store/services/order")), elsewhere);
    let layout = Layout::of(&platform(Path::new("/store"), &["services/*"], [order]));
    assert_eq!(shown(&affected([elsewhere], &layout)), "+manifest");
}

#[test]
fn a_folder_stands_for_everything_in_it() {
    check("/store/services/order/src", "order");
    check("/store/services/order", "order stock +manifest");
    check("/store/services", "order stock +manifest");
    check("/store/extra", "mail +manifest");
    check("/store", "mail order stock +manifest");
    check("/", "mail order stock +manifest");
    check("/store/config", "+manifest");
}

#[test]
fn an_ignore_file_further_up_concerns_every_service_below_it() {
    check("/store/.gitignore", "mail order stock");
    check("/store/services/.gitignore", "order stock");
    check("/.gitignore", "");
}

#[test]
fn which_files_are_sources_is_asked_of_each_folder_that_a_path_is_in() {
    let path = Path::new("/store/services/order/stock/debug.log");
    let found = layout().affected_by(path, |folder| folder.ends_with("stock"));
    assert_eq!(shown(&found), "stock");
    let manifest = Path::new("/store/services/order/service.toml");
    assert_eq!(shown(&layout().affected_by(manifest, |_| false)), "+manifest");
}

#[test]
fn what_another_layout_adds_is_known() {
    let small = Layout::of(&platform(
        Path::new("/store"),
        &["services/*", "teams/*/parts/api"],
        [service("order", Path::new("/store/services/order"))],
    ));
    assert_eq!(shown(&small.added_to(None)), "order +manifest");
    assert_eq!(shown(&small.added_to(Some(&small))), "");
    assert_eq!(shown(&layout().added_to(Some(&small))), "mail order stock +manifest", "it names files");
    assert_eq!(shown(&small.added_to(Some(&layout()))), "");
    let renamed = Layout::of(&platform(
        Path::new("/store"),
        &["services/*"],
        [service("orders", Path::new("/store/services/order"))],
    ));
    assert_eq!(shown(&renamed.added_to(Some(&small))), "orders +manifest");
}

fn path() -> impl Strategy<Value = PathBuf> {
    let name = prop_oneof![
        Just("services"),
        Just("order"),
        Just("stock"),
        Just("extra"),
        Just("mail"),
        Just("proto"),
        Just("teams"),
        Just("src"),
        Just("service.toml"),
        Just(".gitignore"),
        Just("config"),
        Just("common.env"),
    ];
    proptest::collection::vec(name, 0..5).prop_map(|names| Path::new("/store").join(names.join("/")))
}

fn services(affected: &Affected) -> &BTreeSet<ServiceName> {
    &affected.services
}

proptest! {
    #[test]
    fn several_paths_concern_what_each_of_them_does(one in path(), other in path()) {
        let (layout, each) = (layout(), |path: &PathBuf| affected([path.as_path()], &layout()));
        let both = affected([one.as_path(), other.as_path()], &layout);
        prop_assert_eq!(services(&both), &(services(&each(&one)) | services(&each(&other))));
        prop_assert_eq!(both.manifest, each(&one).manifest || each(&other).manifest);
    }

    #[test]
    fn a_folder_concerns_no_less_than_a_service_file_or_source_in_it(path in path()) {
        let layout = layout();
        let of_path = affected([path.as_path()], &layout);
        for folder in path.ancestors() {
            let of_folder = affected([folder], &layout);
            let is_inside = layout.trees().keys().any(|tree| tree.starts_with(folder) || folder.starts_with(tree));
            if is_inside {
                let lost: Vec<_> = services(&of_path).difference(services(&of_folder)).collect();
                let is_ignore_file = path.ends_with(".gitignore");
                prop_assert!(lost.is_empty() || is_ignore_file, "{folder:?} loses {lost:?} of {path:?}");
            }
        }
    }
}

use std::path::Path;

use super::*;
use crate::manifest;
use crate::model::name::CheckoutName;

/// A platform in a folder of its own whose manifest says this address, with its state below `base`.
fn platform(base: &Path, checkout: &str, listen: &str) -> (Platform, StateFolder) {
    let root = base.join(format!("checkout {checkout}"));
    std::fs::create_dir_all(&root).unwrap();
    let text = format!("[platform]\nname = \"store\"\nservices = []\n[gateway]\nlisten = \"{listen}\"\n");
    std::fs::write(root.join(manifest::MANIFEST_FILE), text).unwrap();
    let platform = manifest::load(&root.join(manifest::MANIFEST_FILE)).unwrap();
    let folder = StateFolder::open(&base.join("state"), &platform.id).unwrap();
    (Platform { checkout: CheckoutName::of(checkout), ..platform }, folder)
}

fn at(listener: &TcpListener) -> String {
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn who_finds_another_platform_at_its_address_gets_a_port_that_stays_its_own() {
    let base = tempfile::tempdir().unwrap();
    let (first, first_folder) = platform(base.path(), "", "127.0.0.1:0");
    let lock = first_folder.lock().unwrap();
    let taken = bind(&first, &first_folder).unwrap();
    let (second, folder) = platform(base.path(), "b", &at(&taken));
    let moved = bind(&second, &folder).unwrap();
    let own = at(&moved);
    assert_ne!(own, at(&taken));
    drop(moved);
    assert_eq!(at(&bind(&second, &folder).unwrap()), own);
    assert!(is_at(own.parse().unwrap(), at(&taken).parse().unwrap(), &folder));
    assert!(!is_at("127.0.0.1:1".parse().unwrap(), at(&taken).parse().unwrap(), &folder));
    // A linked worktree leaves the manifest's address to the main checkout even while that is down.
    let wanted = at(&taken);
    drop((taken, lock));
    assert_eq!(at(&bind(&second, &folder).unwrap()), own);
    let (main, main_folder) = platform(base.path(), "", &wanted);
    main_folder.remember_port(own.parse::<SocketAddr>().unwrap().port());
    assert_eq!(at(&bind(&main, &main_folder).unwrap()), wanted);
}

#[tokio::test]
async fn a_port_of_the_platforms_own_that_is_taken_gives_way_to_the_next() {
    let base = tempfile::tempdir().unwrap();
    let (first, first_folder) = platform(base.path(), "", "127.0.0.1:0");
    let _lock = first_folder.lock().unwrap();
    let taken = bind(&first, &first_folder).unwrap();
    let (second, folder) = platform(base.path(), "b", &at(&taken));
    let moved = bind(&second, &folder).unwrap();
    std::fs::remove_file(folder.path().join("port")).unwrap();
    let other = bind(&second, &folder).unwrap();
    assert_ne!(at(&other), at(&moved));
    assert_eq!(folder.own_port(), Some(other.local_addr().unwrap().port()));
}

#[tokio::test]
async fn a_port_that_is_nobodys_we_know_stays_a_conflict_that_names_its_holder() {
    let base = tempfile::tempdir().unwrap();
    let foreign = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (mine, folder) = platform(base.path(), "b", &foreign.local_addr().unwrap().to_string());
    // Not even this platform's own lock makes it another one's.
    let _lock = folder.lock().unwrap();
    // One that ended long ago, and whose number is this process's by now.
    let (_, gone) = platform(base.path(), "c", "127.0.0.1:0");
    drop(gone.lock().unwrap());
    let refused = bind(&mine, &folder).unwrap_err();
    assert!(refused.to_string().contains(&format!("(process {})", std::process::id())), "{refused}");
    assert_eq!(folder.own_port(), None);
}

#[tokio::test]
async fn a_redirect_is_left_out_where_another_platform_has_its_address() {
    let base = tempfile::tempdir().unwrap();
    let (first, first_folder) = platform(base.path(), "", "127.0.0.1:0");
    let lock = first_folder.lock().unwrap();
    let taken = bind(&first, &first_folder).unwrap();
    let (mut second, folder) = platform(base.path(), "b", "127.0.0.1:0");
    second.gateway.redirect_from = Some(taken.local_addr().unwrap());
    assert!(bind_redirect(&second, &folder).unwrap().is_none());
    drop(lock);
    assert!(bind_redirect(&second, &folder).is_err(), "nobody we know");
    drop(taken);
    assert!(bind_redirect(&second, &folder).unwrap().is_some());
}

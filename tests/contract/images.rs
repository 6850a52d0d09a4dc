//! The promises of [`msctl::runtime::Images`], over any runtime that has images.

use std::collections::BTreeMap;
use std::sync::Arc;

use msctl::model::instance::{InstanceSpec, Program};
use msctl::model::name::PlatformId;
use msctl::runtime::{Discarded, Extension, ImageId, Images, Runtime, StoredImage, labels};

use super::subject::{GRACE, Subject, name};
use crate::harness::image::TestImage;

/// Loads an image of the platform's that holds `content`, under the name `order:tag`.
async fn load(runtime: &dyn Runtime, platform: &PlatformId, tag: &str, content: &str) -> ImageId {
    let mut labels = labels::of_platform(platform);
    labels.push(("content".to_owned(), content.to_owned()));
    let tag = tag_of(platform, tag);
    let image = TestImage { tag: &tag, labels, user: "", entrypoint: "/responder" };
    let images = images(runtime);
    images.load(image.archive()).await.unwrap();
    let id = images.inspect(&tag).await.unwrap().expect("it was just loaded").id;
    images.name(&id, &tag).await.unwrap();
    id
}

fn tag_of(platform: &PlatformId, tag: &str) -> String {
    format!("msctl/{platform}/order:{tag}")
}

fn images(runtime: &dyn Runtime) -> &dyn Images {
    runtime.images().expect("this runtime has images")
}

async fn listed(runtime: &dyn Runtime) -> Vec<StoredImage> {
    let mut listed = images(runtime).list().await.unwrap();
    listed.sort_by_key(|image| image.named);
    listed
}

pub async fn a_loaded_image_is_found_by_its_name_and_by_its_identity(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    let id = load(&*runtime, &subject.platform, "one", "1").await;
    let images = images(&*runtime);
    for reference in [tag_of(&subject.platform, "one"), id.to_string()] {
        let facts = images.inspect(&reference).await.unwrap().expect("it is there");
        assert_eq!(facts.id, id);
        assert_eq!(facts.labels.get("content").map(String::as_str), Some("1"));
        assert!(images.has(&reference).await.unwrap());
    }
    assert_eq!(images.inspect(&tag_of(&subject.platform, "two")).await.unwrap(), None);
}

pub async fn images_are_listed_once_with_all_their_names_the_newest_named_last(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    let first = load(&*runtime, &subject.platform, "one", "1").await;
    let second = load(&*runtime, &subject.platform, "two", "2").await;
    let ids = |listed: &[StoredImage]| listed.iter().map(|image| image.id.clone()).collect::<Vec<_>>();
    let listed_once = listed(&*runtime).await;
    assert_eq!(ids(&listed_once), [first.clone(), second.clone()]);
    assert!(listed_once.iter().all(|image| image.size > 0 && !image.layers.is_empty()), "{listed_once:?}");
    let again = load(&*runtime, &subject.platform, "three", "1").await;
    assert_eq!(again, first, "the same content is the same image");
    let listed_again = listed(&*runtime).await;
    assert_eq!(ids(&listed_again), [second, first]);
    assert_eq!(listed_again[1].names, ["one", "three"].map(|tag| tag_of(&subject.platform, tag)));
}

pub async fn a_discarded_image_is_gone_and_going_twice_is_fine(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    let gone = load(&*runtime, &subject.platform, "one", "1").await;
    load(&*runtime, &subject.platform, "two", "1").await;
    let other = load(&*runtime, &subject.platform, "three", "2").await;
    for _ in 0..2 {
        assert_eq!(images(&*runtime).discard(&gone).await.unwrap(), Discarded::Yes);
    }
    assert!(!images(&*runtime).has(&tag_of(&subject.platform, "one")).await.unwrap());
    let left: Vec<ImageId> = listed(&*runtime).await.into_iter().map(|image| image.id).collect();
    assert_eq!(left, [other]);
}

pub async fn an_image_that_an_instance_is_made_from_stays(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    runtime.prepare().await.unwrap();
    let id = load(&*runtime, &subject.platform, "one", "1").await;
    load(&*runtime, &subject.platform, "two", "1").await;
    let program = Program::Image { reference: tag_of(&subject.platform, "two") };
    runtime.launch(&InstanceSpec { program, ..subject.spec("order", &[]) }).await.unwrap();
    let made_from = runtime.observe().await.unwrap().instances[0].program.clone();
    assert_eq!(made_from, Some(id.to_string()), "by whatever name it was launched");
    assert_eq!(images(&*runtime).discard(&id).await.unwrap(), Discarded::InUse);
    assert_eq!(listed(&*runtime).await[0].names.len(), 2, "it has lost no name");
    runtime.stop(&name("order"), GRACE).await.unwrap();
    assert_eq!(images(&*runtime).discard(&id).await.unwrap(), Discarded::InUse, "it may be looked at");
    runtime.remove(&name("order")).await.unwrap();
    assert_eq!(images(&*runtime).discard(&id).await.unwrap(), Discarded::Yes);
}

pub async fn another_platforms_images_are_neither_listed_nor_discarded(subject: Arc<Subject>) {
    let foreign = subject.foreign_runtime();
    let id = load(&*foreign, &subject.foreign, "one", "1").await;
    let runtime = subject.runtime();
    assert_eq!(listed(&*runtime).await, []);
    images(&*runtime).discard(&id).await.unwrap();
    assert!(images(&*foreign).has(&id.to_string()).await.unwrap());
}

pub async fn the_same_parts_make_the_same_image(subject: Arc<Subject>) {
    let runtime = subject.runtime();
    let base = load(&*runtime, &subject.platform, "base-1", "1").await;
    let extend = async |tag: &str, content: &str| {
        let labels: BTreeMap<String, String> = labels::of_platform(&subject.platform).into_iter().collect();
        let layers = vec![layer(content)];
        let tag = tag_of(&subject.platform, tag);
        images(&*runtime).extend(Extension { base: base.clone(), layers, labels, tag }).await.unwrap()
    };
    let one = extend("one", "1").await;
    assert_eq!(extend("two", "1").await, one);
    assert_ne!(extend("three", "2").await, one);
    let facts = images(&*runtime).inspect(&one.to_string()).await.unwrap().expect("it was just made");
    assert_eq!(facts.labels.get("content"), None, "the base's labels are not its own");
}

/// A layer with one file.
fn layer(content: &str) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    layer.append_data(&mut header, "file", content.as_bytes()).unwrap();
    layer.into_inner().unwrap()
}

//! Nothing is left when nobody watches any more.

use std::path::Path;
use std::sync::{Arc, OnceLock, Weak, mpsc};

use super::stage::{DEADLINE, Stage, options};
use crate::watch::ears::{self, Ears, Refusal};
use crate::watch::inbox::Inbox;

/// Says when it is dropped.
struct Ending {
    kernel: Box<dyn Ears>,
    ended: mpsc::Sender<()>,
}

impl Ears for Ending {
    fn watch(&mut self, folder: &Path) -> Result<(), Refusal> {
        self.kernel.watch(folder)
    }

    fn unwatch(&mut self, folder: &Path) {
        self.kernel.unwatch(folder);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.ended.send(());
    }
}

#[tokio::test]
async fn both_threads_end_with_their_owner() {
    let (ended, ears_ended) = mpsc::channel();
    let inbox: Arc<OnceLock<Weak<Inbox>>> = Arc::default();
    let given = Arc::clone(&inbox);
    let (stage, _) = Stage::hearing(options(), move |inbox| {
        drop(given.set(Arc::downgrade(&inbox)));
        Ok(Box::new(Ending { kernel: ears::open(inbox)?, ended }))
    })
    .await;
    drop(stage);
    ears_ended.recv_timeout(DEADLINE).unwrap();
    // The kernel's thread has the last of these, and lets go of it at its end.
    let gone = async {
        while inbox.get().unwrap().strong_count() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.expect("the inbox is still held");
}

#[tokio::test]
async fn a_fault_of_ours_ends_the_stream_and_does_not_hang_it() {
    struct Broken;
    impl Ears for Broken {
        fn watch(&mut self, _: &Path) -> Result<(), Refusal> {
            panic!("broken on purpose")
        }

        fn unwatch(&mut self, _: &Path) {}
    }
    let (_folder, root) = super::stage::files(&[]);
    let layout = super::stage::layout(&root, &["order"]);
    let watch = crate::watch::Watch::start_with(layout, options(), |_| Ok(Box::new(Broken))).unwrap();
    assert_eq!(tokio::time::timeout(DEADLINE, watch.next()).await, Ok(None));
}

//! What `msctl new` writes runs as it is.

use super::compiled::{self, NODE, PYTHON};

/// A service of each template, named after its language.
const TEMPLATES: [(&str, &str); 3] =
    [("carts", "rust-axum"), ("rates", "python-fastapi"), ("notes", "node-fastify")];

#[tokio::test]
async fn a_service_of_each_template_runs_as_it_was_written() {
    compiled::on_docker(&[PYTHON, NODE], async |stage| {
        let folder = stage.folder().to_str().unwrap();
        let (parent, name) = folder.rsplit_once('/').unwrap();
        let mut new = stage.command(&["new", "platform", name]);
        let made = stage.run(new.current_dir(parent)).await;
        assert_eq!(made.code, 0, "{}", made.stderr);
        compiled::settle(stage.folder());
        for (name, template) in TEMPLATES {
            let made = stage.msctl(&["new", "service", name, "--template", template]).await;
            assert_eq!(made.code, 0, "{template}: {}", made.stderr);
        }
        let gateway = stage.up().await;
        let bearer = format!("Bearer {}", stage.token("alice").await);
        for (name, template) in TEMPLATES {
            let path = format!("/{name}");
            assert_eq!(gateway.get(&path).await.unwrap().status, 401, "{template}");
            let answer = gateway.get_with(&path, &[("authorization", &bearer)]).await.unwrap();
            assert_eq!((answer.status, answer.body.trim()), (200, "[]"), "{template}");
        }
    })
    .await;
}

use super::*;
use crate::scaffold::Catalogue;
use crate::scaffold::file_plan::FileOp;

const SERVICE_TEMPLATES: [&str; 3] = ["node-fastify", "python-fastapi", "rust-axum"];

fn service(template: &str, name: &str, answers: &[(&str, &str)]) -> Result<FilePlan, ScaffoldError> {
    let catalogue = Catalogue::built_in().unwrap();
    let answers = answers.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
    let (name, platform) = (name.parse().unwrap(), "store".parse().unwrap());
    plan_service(
        catalogue.get(template).unwrap(),
        NewService { name: &name, platform: &platform, answers: &answers },
    )
}

fn text<'a>(plan: &'a FilePlan, path: &str) -> &'a str {
    let file = plan.files.iter().find(|file| file.path.as_os_str() == path);
    std::str::from_utf8(&file.unwrap_or_else(|| panic!("no {path} in\n{plan}")).contents).unwrap()
}

fn toml_of(plan: &FilePlan, path: &str) -> toml::Table {
    toml::from_str(text(plan, path)).unwrap()
}

#[test]
fn a_platform_is_a_manifest_and_a_place_for_services() {
    let catalogue = Catalogue::built_in().unwrap();
    let plan = plan_platform(catalogue.get("platform").unwrap(), &"store".parse().unwrap()).unwrap();
    insta::assert_snapshot!(plan, @r"
    store/
    ├── .gitignore
    ├── README.md
    ├── msctl.toml
    └── services/
        └── README.md
    4 files
    ");
    assert_eq!(toml_of(&plan, "msctl.toml")["platform"]["name"].as_str(), Some("store"));
}

#[test]
fn every_service_says_what_it_is_in_the_same_way() {
    for template in SERVICE_TEMPLATES {
        let plan = service(template, "exchange-rate", &[]).unwrap();
        assert_eq!(plan.target, PathBuf::from("services/exchange-rate"));
        let manifest = toml_of(&plan, "service.toml");
        assert_eq!(manifest["service"]["name"].as_str(), Some("exchange-rate"), "{template}");
        assert_eq!(manifest["routes"][0]["path"].as_str(), Some("/exchange-rate"), "{template}");
        assert_eq!(manifest["routes"][0]["access"].as_str(), Some("authenticated"), "{template}");
        assert_eq!(manifest["database"]["engine"].as_str(), Some("sqlite"), "{template}");
    }
}

#[test]
fn every_service_keeps_secrets_out_of_its_image_and_runs_as_nobody_special() {
    for template in SERVICE_TEMPLATES {
        let plan = service(template, "orders", &[]).unwrap();
        let ignored = text(&plan, ".dockerignore");
        for secret in [".env", "*.pem", "*.key", ".git"] {
            assert!(ignored.lines().any(|line| line == secret), "{template}: {secret}");
        }
        let dockerfile = text(&plan, "Dockerfile");
        assert!(dockerfile.contains("USER 10001:10001"), "{template}");
        assert!(!dockerfile.contains("# syntax="), "{template}");
    }
}

#[test]
fn the_same_inputs_give_the_same_files() {
    for template in SERVICE_TEMPLATES {
        assert_eq!(service(template, "orders", &[]).unwrap(), service(template, "orders", &[]).unwrap());
    }
}

#[test]
fn no_file_is_left_with_a_placeholder_or_the_ending_of_a_template() {
    for template in SERVICE_TEMPLATES {
        for FileOp { path, contents, .. } in service(template, "orders", &[]).unwrap().files {
            let path = path.display().to_string();
            assert!(!path.ends_with(".hbs") && !path.contains("__name__"), "{template}: {path}");
            assert!(!String::from_utf8_lossy(&contents).contains("{{name}}"), "{template}: {path}");
        }
    }
}

#[test]
fn a_free_text_stays_a_text_in_every_language() {
    let hostile = r#"a "quoted" \ text'; {{7*7}} ${jndi} $(id)"#;
    for template in SERVICE_TEMPLATES {
        let plan = service(template, "orders", &[("description", hostile)]).unwrap();
        assert!(text(&plan, "README.md").contains(hostile), "{template}");
    }
    let cargo = toml_of(&service("rust-axum", "orders", &[("description", hostile)]).unwrap(), "Cargo.toml");
    assert_eq!(cargo["package"]["description"].as_str(), Some(hostile));
    let node = service("node-fastify", "orders", &[("description", hostile)]).unwrap();
    let package: Value = serde_json::from_str(text(&node, "package.json")).unwrap();
    assert_eq!(package["description"].as_str(), Some(hostile));
}

#[test]
fn a_wrong_answer_names_the_variable() {
    let error = service("rust-axum", "orders", &[("descripton", "x")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "set \"descripton\" for the template \"rust-axum\": it has no such variable, only: description"
    );
    let error = service("rust-axum", "orders", &[("description", "a\nb")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "set \"description\" for the template \"rust-axum\": it has to be one line, without control characters"
    );
}

#[test]
fn a_name_that_the_language_keeps_for_itself_is_refused() {
    let error = service("rust-axum", "build", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "use the name \"build\" with the template \"rust-axum\": Rust keeps it for itself"
    );
}

#[test]
fn a_platform_template_makes_no_service() {
    let error = service("platform", "orders", &[]).unwrap_err();
    assert_eq!(error.to_string(), "use the template \"platform\" for a service: it makes a platform");
}

//! What the playbook of the page on Zuul returns, given to Zuul's own code.

use ostler_tests::nodepool::{told, yaml_of};
use serde_json::{Value, json};

const MD5: &str = "6f5902ac237024bdd0c176cb93063dc4";
const SHA256: &str = "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447";

/// The data of the playbook's `zuul_return`, with a value for each of its expressions.
fn returned() -> Value {
    let playbook: Value = serde_yaml::from_str(&yaml_of("docs/guide/images-zuul.md", "- hosts: builder\n")).expect("a playbook");
    let tasks = playbook[0]["tasks"].as_array().expect("tasks");
    let data = tasks.iter().find_map(|task| task.get("zuul_return")).expect("it returns something")["data"].to_string();
    let values = [
        ("{{ image }}", "noble"),
        ("{{ image_store }}", "https://images.example.org/zuul"),
        ("{{ zuul.build }}", "0f"),
        ("{{ (sums.results[0].content | b64decode).split()[0] }}", MD5),
        ("{{ (sums.results[1].content | b64decode).split()[0] }}", SHA256),
    ];
    let data = values.iter().fold(data, |data, (expression, value)| data.replace(expression, value));
    assert!(!data.contains("{{"), "{data}");
    serde_json::from_str(&data).expect("JSON")
}

fn images(data: &Value) -> Value {
    serde_json::from_str(&told("artifacts.py", &data.to_string())).expect("JSON")
}

#[test]
fn what_the_playbook_of_the_page_returns_is_an_image_to_zuul() {
    let mut data = returned();
    let wanted = json!([{"url": "https://images.example.org/zuul/noble-0f.qcow2", "format": "qcow2", "md5sum": MD5, "sha256": SHA256}]);
    assert_eq!(images(&data), wanted);
    // Zuul says nothing of what it does not take.
    let artifact = &mut data["zuul"]["artifacts"][0];
    artifact.as_object_mut().expect("an object").remove("name");
    assert_eq!(images(&data), json!([]));
}

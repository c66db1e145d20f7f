//! What a person sees who runs `weir-config`.

use std::process::Command;

#[test]
fn an_error_is_one_line_that_names_file_field_and_what_would_be_right() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/gateway.yaml");
    let wrong = std::fs::read_to_string(example).unwrap().replace("strategy: weighted", "strategy: wieghted");
    let file = std::env::temp_dir().join(format!("weir-config-{}.yaml", std::process::id()));
    std::fs::write(&file, wrong).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_weir-config"))
        .args(["check".as_ref(), file.as_os_str()])
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with(&format!("weir-config: {}:89:15: models.split.strategy: ", file.display())),
        "{said}"
    );
    assert!(said.ends_with("did you mean \"weighted\"?\n"), "{said}");
}

//! The workspace keeps the rules of its structure. `make lint` runs this.

use std::path::Path;

use weir_structure::{Tree, check};

#[test]
#[ignore = "the tree is being moved to these rules"]
fn imports_depend_downward_and_folders_files_and_words_keep_their_limits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let found = check(&Tree::read(&root).expect("the workspace's sources"));
    let report: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), report.join("\n"));
}

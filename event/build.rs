//! Says which build this is: the version, and behind a `+` what WEIR_BUILD holds, which `make dist` and the images
//! set to the commit. Without it a build is the same whatever lies around it, git or none.

fn main() {
    println!("cargo::rerun-if-env-changed=WEIR_BUILD");
    println!("cargo::rerun-if-changed=build.rs");
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let build = std::env::var("WEIR_BUILD").unwrap_or_default();
    let is_plain =
        build.len() <= 64 && build.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    if !is_plain {
        println!(
            "cargo::error=WEIR_BUILD must be letters, digits, '.' and '-', 64 at most, such as a commit's hash"
        );
    }
    let plus = if build.is_empty() { "" } else { "+" };
    println!("cargo::rustc-env=WEIR_VERSION={version}{plus}{build}");
}

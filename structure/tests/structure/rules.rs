use crate::{check, links, source::Tree};

fn violations(files: &[(&str, &str)]) -> Vec<String> {
    check(&Tree::of(files)).iter().map(ToString::to_string).collect()
}

#[test]
fn imports_that_go_down_are_no_circle() {
    let found = violations(&[
        ("a/src/lib.rs", "mod top; mod ground;"),
        ("a/src/top.rs", "use crate::ground::Stone; fn build() -> Stone { crate::ground::dig() }"),
        ("a/src/ground.rs", "pub struct Stone; pub fn dig() -> Stone { Stone }"),
    ]);
    assert_eq!(found, [""; 0]);
}

#[test]
fn two_files_that_import_each_other_are_named_with_both_lines() {
    let found = violations(&[
        ("a/src/lib.rs", "mod one; mod two;"),
        ("a/src/one.rs", "pub struct One;\nfn f() { crate::two::g(); }"),
        ("a/src/two.rs", "use crate::one::One;\npub fn g() -> One { One }"),
    ]);
    assert_eq!(
        found,
        ["file circle: 2 import each other\
          \n    a/src/one.rs:2 imports a/src/two.rs (crate::two::g)\
          \n    a/src/two.rs:1 imports a/src/one.rs (crate::one::One)"]
    );
}

#[test]
fn the_shortest_circle_comes_first_and_each_once() {
    let found = violations(&[
        ("a/src/lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("a/src/a.rs", "use crate::b::B; pub struct A;"),
        ("a/src/b.rs", "use crate::c::C; pub struct B;"),
        ("a/src/c.rs", "use crate::a::A; use crate::d::D; pub struct C;"),
        ("a/src/d.rs", "use crate::e::E; pub struct D;"),
        ("a/src/e.rs", "use crate::d::D; pub struct E;"),
    ]);
    let first: Vec<&str> = found.iter().filter_map(|circle| circle.lines().next()).collect();
    assert_eq!(first, ["file circle: 2 import each other", "file circle: 3 import each other"]);
}

#[test]
fn a_re_export_leads_to_the_file_behind_it() {
    // `two` takes Part from part.rs by way of mod.rs, which imports `two`: no circle.
    let sound = [
        ("a/src/lib.rs", "mod whole;"),
        ("a/src/whole/mod.rs", "mod part; mod two; pub use part::Part; use two::Two;"),
        ("a/src/whole/part.rs", "pub struct Part;"),
        ("a/src/whole/two.rs", "use super::Part; pub struct Two(Part);"),
    ];
    assert_eq!(violations(&sound), [""; 0]);
    // Renamed, and through a glob, it is the same.
    let mut renamed = sound;
    renamed[1].1 = "mod part; mod two; pub use part::*; use two::Two as Second;";
    assert_eq!(violations(&renamed), [""; 0]);
}

#[test]
fn a_re_export_is_an_import_where_its_file_uses_the_name() {
    let files = |whole: &'static str| {
        violations(&[
            ("a/src/lib.rs", "mod whole;"),
            ("a/src/whole.rs", whole),
            ("a/src/whole/part.rs", "use super::Ground; pub struct Part(Ground);"),
        ])
    };
    assert_eq!(files("mod part; pub use part::Part; pub struct Ground;"), [""; 0]);
    assert_eq!(files("mod part; pub use part::Part; pub struct Ground; fn f(_: Part) {}").len(), 1);
}

#[test]
fn a_child_that_takes_from_its_parent_by_super_closes_a_circle() {
    let found = violations(&[
        ("a/src/lib.rs", "mod whole;"),
        ("a/src/whole.rs", "mod part; pub struct Whole; fn f() { part::g() }"),
        ("a/src/whole/part.rs", "pub fn g() { let _ = super::Whole; }"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("parent circle: 2"), "{found:?}");
    assert!(found[0].contains("a/src/whole/part.rs:1 imports a/src/whole.rs (super::Whole)"), "{found:?}");
}

#[test]
fn a_declaration_alone_and_test_code_import_nothing() {
    let found = violations(&[
        ("a/src/lib.rs", "mod whole;"),
        (
            "a/src/whole/mod.rs",
            "mod part; #[cfg(test)] mod tests; pub struct Whole; #[cfg(test)] use part::g;",
        ),
        ("a/src/whole/part.rs", "use super::Whole; #[cfg(test)] mod own { fn f() {} }"),
        ("a/src/whole/tests.rs", "use super::*; use super::part::*;"),
    ]);
    assert_eq!(found, [""; 0]);
}

#[test]
fn paths_in_macros_attributes_and_modules_that_were_imported_count() {
    for user in [
        "fn f() { println!(\"{}\", crate::one::ONE) }",
        "#[serde(with = \"crate::one\")] struct S; #[serde(default = \"crate::one::one\")] struct T;",
        "use crate::one; fn f() { one::one() }",
        "mod inner { fn f() { super::super::one::one() } }",
        "fn f() { a_macro!(x => weir_a::one::ONE) }",
    ] {
        let found = violations(&[
            ("a/Cargo.toml", "[package]\nname = \"weir-a\""),
            ("a/src/lib.rs", "mod one; mod two;"),
            ("a/src/one.rs", "use crate::two::TWO; pub const ONE: u8 = TWO; pub fn one() {}"),
            ("a/src/two.rs", &format!("pub const TWO: u8 = 2; {user}")),
        ]);
        assert_eq!(found.len(), 1, "{user}: {found:?}");
    }
}

#[test]
fn folders_that_import_each_other_by_different_files_are_a_circle() {
    let found = violations(&[
        ("a/src/lib.rs", "mod x; mod y;"),
        ("a/src/x/mod.rs", "pub mod high; pub mod low;"),
        ("a/src/x/high.rs", "use crate::y::middle::M;"),
        ("a/src/x/low.rs", "pub struct L;"),
        ("a/src/y/mod.rs", "pub mod middle;"),
        ("a/src/y/middle.rs", "use crate::x::low::L; pub struct M(L);"),
    ]);
    assert_eq!(
        found,
        ["folder circle: 2 import each other\
          \n    a/src/x -> a/src/y: a/src/x/high.rs:1 imports a/src/y/middle.rs (crate::y::middle::M)\
          \n    a/src/y -> a/src/x: a/src/y/middle.rs:1 imports a/src/x/low.rs (crate::x::low::L)"]
    );
}

#[test]
fn a_folder_below_may_not_use_its_parents_files_and_be_used_by_them() {
    let files = |inner: &'static str| {
        [
            ("a/src/lib.rs", "mod x;"),
            ("a/src/x/mod.rs", "mod ground; mod inner; use inner::I;"),
            ("a/src/x/ground.rs", "pub struct G;"),
            ("a/src/x/inner/mod.rs", inner),
        ]
    };
    assert_eq!(violations(&files("pub struct I;")), [""; 0]);
    let found = violations(&files("use super::ground::G; pub struct I(G);"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("folder circle"), "{found:?}");
}

#[test]
fn folders_files_families_and_words_have_limits() {
    let long = "\n".repeat(501);
    let names: Vec<String> = (0..20).map(|at| format!("a/src/f{at}.rs")).collect();
    let mut files = vec![("a/src/lib.rs", "fn told() {} struct Unmanaged; struct ManagedList; struct Room;")];
    files.extend(names.iter().map(|name| (name.as_str(), "")));
    files[1].1 = &long;
    for file in files.iter_mut().skip(2).take(9) {
        file.1 = "// Cohere";
    }
    files.push(("a/src/cohere/mod.rs", "// Cohere"));
    files.push(("a/src/generated/all.rs", &long));
    let found = violations(&files);
    let rules: Vec<&str> = found.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(rules, ["word", "word", "word", "entries", "lines", "family"], "{found:#?}");
    assert!(found[3].contains("a/src: 23 entries"), "{found:#?}");
    assert!(found[4].contains("a/src/f0.rs:501"), "{found:#?}");
}

#[test]
fn tests_name_families_freely() {
    let names: Vec<String> = (0..9).map(|at| format!("a/src/f{at}.rs")).collect();
    let family = |text: &str| {
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), text)).collect();
        let mut found = violations(&files);
        found.retain(|line| line.starts_with("family"));
        found.pop()
    };
    let test = "fn f() {}\n#[cfg(test)]\nmod tests {\n    const COHERE: u8 = 0;\n}\n";
    assert_eq!(family(test), None);
    let found = family(&format!("{test}// Cohere\n")).expect("nine files name it");
    assert!(found.contains("a/src/f0.rs:6"), "{found}");
    assert_eq!(violations(&[("a/src/x/same_tests.rs", &"\n".repeat(501))]), [""; 0]);
}

#[test]
fn links_lead_to_files_and_headings_and_code_to_paths() {
    let read = |path: &str| match path {
        "docs" | "a/src" => Some(String::new()),
        "docs/b.md" => Some("# The `b` file, in full\n".to_owned()),
        _ => None,
    };
    let text = "[1](b.md) [2](../docs/b.md#the-b-file-in-full) [3](https://c.example/d) `docs/NAME/x` `e/f`\n\
        ```\n[4](not.md)\n```\n[5](c.md) [6](b.md#the-c-file) `docs/c.md`";
    let found: Vec<String> =
        links::broken("docs/a.md", text, &read).iter().map(ToString::to_string).collect();
    let lost = ["c.md", "b.md#the-c-file", "docs/c.md"];
    assert_eq!(found, lost.map(|target| format!("link: docs/a.md:5: {target} leads nowhere")));
}

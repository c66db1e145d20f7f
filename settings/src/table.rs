//! Every setting of a file for people, from its JSON schema: one table a section.

use std::collections::BTreeSet;

use serde_json::Value;

/// The reference of all settings as Markdown, below its head.
pub fn reference(schema: &Value, head: &str) -> String {
    let definitions = &schema["$defs"];
    let mut out = head.to_owned();
    let mut known = BTreeSet::new();
    let mut open = vec![("The file".to_owned(), schema)];
    // In the order in which they are first named; each once.
    while !open.is_empty() {
        let (title, section) = open.remove(0);
        let mut named = Vec::new();
        write_section(&mut out, &title, section, &mut named);
        for name in named {
            if let Some(definition) = definitions.get(&name)
                && known.insert(name.clone())
            {
                open.push((name, definition));
            }
        }
    }
    out
}

fn write_section(out: &mut String, title: &str, section: &Value, named: &mut Vec<String>) {
    out.push_str(&format!("\n## {title}\n"));
    if let Some(about) = section["description"].as_str() {
        out.push_str(&format!("\n{}\n", line(about)));
    }
    let required: Vec<&str> =
        section["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(fields) = section["properties"].as_object() {
        out.push_str("\n| field | value | default | what it is |\n|---|---|---|---|\n");
        for (name, field) in fields {
            let default = match &field["default"] {
                _ if required.contains(&name.as_str()) => "required".to_owned(),
                Value::Null => "–".to_owned(),
                default => format!("`{default}`"),
            };
            let about = field["description"].as_str().map(line).unwrap_or_default();
            out.push_str(&format!("| `{name}` | {} | {default} | {about} |\n", value(field, named)));
        }
    }
    let variants: Vec<&Value> = variants(section).collect();
    if !variants.is_empty() {
        out.push_str("\n| one of | what it is |\n|---|---|\n");
        for variant in variants {
            let about = variant["description"].as_str().map(line).unwrap_or_default();
            out.push_str(&format!("| {} | {about} |\n", value(variant, named)));
        }
    }
}

fn variants(schema: &Value) -> impl Iterator<Item = &Value> {
    let of = |keyword: &str| schema[keyword].as_array().into_iter().flatten();
    of("oneOf").chain(of("anyOf")).filter(|variant| variant["type"] != "null")
}

/// What may stand in a field.
fn value(schema: &Value, named: &mut Vec<String>) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        named.push(name.to_owned());
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(constant) = schema.get("const") {
        return format!("`{}`", constant.as_str().map_or_else(|| constant.to_string(), str::to_owned));
    }
    if let Some(constants) = schema["enum"].as_array() {
        let constants: Vec<String> =
            constants.iter().filter_map(Value::as_str).map(|it| format!("`{it}`")).collect();
        return constants.join(", ");
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect()
        }
        _ => Vec::new(),
    };
    match kinds.as_slice() {
        [] => {
            let any: Vec<String> = variants(schema).map(|variant| value(variant, named)).collect();
            if any.is_empty() { "anything".to_owned() } else { any.join(" or ") }
        }
        ["array"] => format!("list of {}", value(&schema["items"], named)),
        ["object"] => match (&schema["additionalProperties"], schema["properties"].as_object()) {
            (_, Some(fields)) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, field)| format!("`{name}:` {}", value(field, named))).collect();
                format!("{{ {} }}", fields.join(", "))
            }
            (inner @ Value::Object(_), None) => format!("map of {}", value(inner, named)),
            _ => "map".to_owned(),
        },
        kinds => kinds.join(" or "),
    }
}

/// Text that stays within a cell of a table.
fn line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

//! The fields of a record, in words: what the schema says of them, for man page and completion.

use serde_json::Value;

use super::schema;

/// A field of the record, or of an object in it.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name, as `procctl get` takes it.
    pub path: String,
    /// What kind of value it has.
    pub kind: String,
    /// What it means.
    pub meaning: String,
}

/// All of them, those of an object after it.
pub fn all() -> Vec<Field> {
    // What was compiled in is JSON.
    let root: Value = serde_json::from_str(schema::RECORD).unwrap_or_default();
    let mut fields = Vec::new();
    add(&root, &root, "", &mut fields);
    fields
}

fn add(root: &Value, object: &Value, below: &str, fields: &mut Vec<Field>) {
    for (name, property) in object["properties"].as_object().into_iter().flatten() {
        let path = format!("{below}{name}");
        let (shape, or_null) = shape_of(root, property);
        let mut meaning = text(property).trim_end_matches('.').to_owned();
        let values: Vec<&str> = alternatives(shape).filter_map(|one| one["const"].as_str()).collect();
        if !values.is_empty() {
            meaning = format!("{meaning}: {}", values.join(", "));
        }
        let kind = format!("{}{}", kind_of(shape), if or_null { " or null" } else { "" });
        fields.push(Field { path: path.clone(), kind, meaning });
        add(root, shape, &format!("{path}."), fields);
    }
}

/// What a value looks like if it is not null, and whether it can be.
fn shape_of<'a>(root: &'a Value, schema: &'a Value) -> (&'a Value, bool) {
    if let Some(pointer) = schema["$ref"].as_str().and_then(|to| to.strip_prefix('#')) {
        return (root.pointer(pointer).unwrap_or(schema), false);
    }
    let is_null = |schema: &Value| schema["type"] == "null";
    let either = schema["anyOf"].as_array();
    match either.filter(|either| either.iter().any(is_null)) {
        Some(either) => {
            let other = either.iter().find(|schema| !is_null(schema)).unwrap_or(schema);
            (shape_of(root, other).0, true)
        }
        None => (schema, schema["type"].as_array().is_some_and(|types| types.contains(&"null".into()))),
    }
}

fn alternatives(shape: &Value) -> impl Iterator<Item = &Value> {
    shape["oneOf"].as_array().into_iter().flatten()
}

fn kind_of(shape: &Value) -> &str {
    if shape["format"] == "date-time" {
        return "time";
    }
    let types = shape["type"].as_array().and_then(|types| types.first()).unwrap_or(&shape["type"]);
    match types.as_str() {
        Some("integer") => "number",
        Some(other) => other,
        // One of some words; or text, with a form for what is not UTF-8.
        None => "string",
    }
}

fn text(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_words() {
        let fields = all();
        let kind =
            |path: &str| fields.iter().find(|field| field.path == path).map(|field| field.kind.as_str());
        for (path, wanted) in [
            ("id", "string"),
            ("state", "string"),
            ("exitcode", "number or null"),
            ("identity", "array"),
            ("parent", "object or null"),
            ("parent.pid", "number"),
            ("command", "array"),
            ("cwd", "string"),
            ("started_at", "time or null"),
            ("unique", "boolean"),
            ("witness", "string or null"),
        ] {
            assert_eq!(kind(path), Some(wanted), "{path}");
        }
        assert_eq!(kind("cwd.hex"), None);
        for Field { path, meaning, .. } in &fields {
            assert!(!meaning.is_empty(), "{path} is not explained");
        }
        let state = fields.iter().find(|field| field.path == "state").expect("there");
        assert!(state.meaning.ends_with(": initial, started, stopped"), "{}", state.meaning);
    }
}

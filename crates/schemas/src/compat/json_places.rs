//! Places inside JSON Schemas: what a keyword holds, and where a `$ref` leads.

use super::json_scalars::{ALL_TYPES, Types, types};
use serde_json::{Map, Value};

/// A schema document and those it refers to.
pub(super) type Document<'s> = (&'s Value, &'s [(String, Value)]);

/// A schema inside its document: a `$ref` is looked up from the root.
#[derive(Clone, Copy)]
pub(super) struct Place<'s> {
    pub(super) root: &'s Value,
    pub(super) at: &'s Value,
}

impl<'s> Place<'s> {
    pub(super) fn with(self, at: &'s Value) -> Self {
        Self { at, ..self }
    }
}

pub(super) fn list<'s>(fields: &'s Map<String, Value>, name: &str) -> &'s [Value] {
    fields
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

pub(super) fn object<'s>(
    fields: &'s Map<String, Value>,
    name: &str,
) -> Option<&'s Map<String, Value>> {
    fields.get(name).and_then(Value::as_object)
}

pub(super) fn types_of(schema: &Value) -> Types {
    match schema {
        Value::Object(fields) => types(fields),
        Value::Bool(false) => 0,
        _ => ALL_TYPES,
    }
}

/// The keywords of a schema that forbid something.
pub(super) fn constrains(fields: &Map<String, Value>) -> impl Iterator<Item = &str> {
    const KEYWORDS: &[&str] = &[
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "additionalItems",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "contains",
        "contentEncoding",
        "contentMediaType",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "disallow",
        "else",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "extends",
        "format",
        "if",
        "items",
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "oneOf",
        "pattern",
        "patternProperties",
        "prefixItems",
        "properties",
        "propertyNames",
        "required",
        "then",
        "type",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    ];
    let names = fields.keys().map(String::as_str);
    names.filter(|name| KEYWORDS.contains(name))
}

/// Whether a `$ref` is anywhere inside.
pub(super) fn refers(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            matches!(name.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef") || refers(value)
        }),
        Value::Array(list) => list.iter().any(refers),
        _ => false,
    }
}

/// The place a `$ref` names: a JSON pointer, in this document or in one it refers to.
pub(super) fn resolve<'s>(
    from: Place<'s>,
    reference: &str,
    (_, dependencies): Document<'s>,
) -> Result<Place<'s>, String> {
    let (document, pointer) = reference.split_once('#').unwrap_or((reference, ""));
    let root = if document.is_empty() {
        from.root
    } else {
        let known = dependencies.iter().find(|(name, _)| name == document);
        let missing = || format!("cannot decide about `$ref` to {document}");
        &known.ok_or_else(missing)?.1
    };
    let at = root.pointer(pointer);
    let at = at.ok_or_else(|| format!("cannot decide about `$ref` to #{pointer}"))?;
    Ok(Place { root, at })
}

//! The parts of JSON Schema containment that look at one keyword: types, bounds, lists of values.

use serde_json::{Map, Value};

/// The types of JSON Schema as a bit set; `number` includes `integer`.
pub(super) type Types = u8;

const NAMES: [(&str, Types); 7] = [
    ("null", 1),
    ("boolean", 2),
    ("integer", 4),
    ("number", 12),
    ("string", 16),
    ("array", 32),
    ("object", 64),
];

pub(super) const ALL_TYPES: Types = 127;
pub(super) const NUMBER: Types = 12;
pub(super) const STRING: Types = 16;
pub(super) const ARRAY: Types = 32;
pub(super) const OBJECT: Types = 64;
const INTEGER: Types = 4;

fn type_named(name: &str) -> Types {
    let known = NAMES.iter().find(|(known, _)| *known == name);
    known.map_or(0, |(_, types)| *types)
}

fn type_of(value: &Value) -> Types {
    match value {
        Value::Null => 1,
        Value::Bool(_) => 2,
        Value::Number(number) => {
            let is_whole = number.as_f64().is_some_and(|number| number.fract() == 0.0);
            if is_whole { INTEGER } else { NUMBER }
        }
        Value::String(_) => STRING,
        Value::Array(_) => ARRAY,
        Value::Object(_) => OBJECT,
    }
}

/// The values a schema lists, if it does.
pub(super) fn listed(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
    if let Some(value) = schema.get("const") {
        return Some(vec![value]);
    }
    schema
        .get("enum")?
        .as_array()
        .map(|values| values.iter().collect())
}

/// The types that instances of a schema can have, as far as `type`, `enum` and `const` say.
pub(super) fn types(schema: &Map<String, Value>) -> Types {
    let named = match schema.get("type") {
        Some(Value::String(name)) => type_named(name),
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            names.fold(0, |types, name| types | type_named(name))
        }
        _ => ALL_TYPES,
    };
    let of_values = listed(schema).map_or(ALL_TYPES, |values| {
        values.iter().fold(0, |types, value| types | type_of(value))
    });
    named & of_values
}

/// Keywords that compare numbers: name, the types they concern, and whether more is stricter.
const BOUNDS: [(&str, Types, bool); 8] = [
    ("minLength", STRING, true),
    ("maxLength", STRING, false),
    ("minItems", ARRAY, true),
    ("maxItems", ARRAY, false),
    ("minProperties", OBJECT, true),
    ("maxProperties", OBJECT, false),
    ("minimum", NUMBER, true),
    ("maximum", NUMBER, false),
];

/// The first bound of `sup` that `sub` does not imply.
pub(super) fn broken_bound(
    sup: &Map<String, Value>,
    sub: &Map<String, Value>,
    types: Types,
) -> Option<String> {
    for (name, concerned, more_is_stricter) in BOUNDS {
        let Some(bound) = sup.get(name).and_then(Value::as_f64) else {
            continue;
        };
        if types & concerned == 0 || (bound == 0.0 && name.starts_with("min") && name != "minimum")
        {
            continue;
        }
        let mut own = sub.get(name).and_then(Value::as_f64);
        if name == "minProperties" {
            let required = sub.get("required").and_then(Value::as_array);
            let required = required.map(|names| names.len() as f64);
            own = own.into_iter().chain(required).reduce(f64::max);
        }
        let exclusive = match name {
            "minimum" => sub.get("exclusiveMinimum").and_then(Value::as_f64),
            "maximum" => sub.get("exclusiveMaximum").and_then(Value::as_f64),
            _ => None,
        };
        let mut implied = own.into_iter().chain(exclusive);
        let is_implied = implied.any(|own| {
            if more_is_stricter {
                own >= bound
            } else {
                own <= bound
            }
        });
        if !is_implied {
            return Some(format!("`{name}` {bound} is not implied"));
        }
    }
    broken_exclusive(sup, sub, types)
}

fn broken_exclusive(
    sup: &Map<String, Value>,
    sub: &Map<String, Value>,
    types: Types,
) -> Option<String> {
    if types & NUMBER == 0 {
        return None;
    }
    for (name, inclusive, more_is_stricter) in [
        ("exclusiveMinimum", "minimum", true),
        ("exclusiveMaximum", "maximum", false),
    ] {
        let Some(bound) = sup.get(name) else { continue };
        let Some(bound) = bound.as_f64() else {
            // The flag of draft 4 changes the keyword beside it.
            return Some(format!("cannot decide about a `{name}` that is no number"));
        };
        let own = sub.get(name).and_then(Value::as_f64);
        let own_inclusive = sub.get(inclusive).and_then(Value::as_f64);
        let is_implied = if more_is_stricter {
            own.is_some_and(|own| own >= bound) || own_inclusive.is_some_and(|own| own > bound)
        } else {
            own.is_some_and(|own| own <= bound) || own_inclusive.is_some_and(|own| own < bound)
        };
        if !is_implied {
            return Some(format!("`{name}` {bound} is not implied"));
        }
    }
    let step = sup.get("multipleOf").and_then(Value::as_f64)?;
    let own = sub.get("multipleOf").and_then(Value::as_f64);
    let is_whole = types & NUMBER == INTEGER && step == 1.0;
    let is_multiple =
        own.is_some_and(|own| own == step || (own / step).fract() == 0.0 && step.fract() == 0.0);
    (!is_whole && !is_multiple).then(|| format!("`multipleOf` {step} is not implied"))
}

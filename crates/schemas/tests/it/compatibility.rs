//! The rules of compatibility, case by case, and held against other judges where there are any.

use nowcast_schemas::compat::CompatibilityLevel;
use nowcast_schemas::registry::NewSchema;
use nowcast_schemas::schema_type::SchemaType;
use nowcast_schemas::{Registry, RegistryChange};

/// Whether a registry at `level` that has `earlier` takes `new`.
fn takes(
    schema_type: SchemaType,
    level: CompatibilityLevel,
    earlier: &[&str],
    new: &str,
) -> Result<(), Vec<String>> {
    let mut registry = Registry::default();
    let level_of = |level| RegistryChange::SetLevel {
        subject: None,
        level: Some(level),
    };
    registry.apply(&level_of(CompatibilityLevel::None)).unwrap();
    let schema = |text: &str| NewSchema {
        schema_type,
        schema: text.to_owned(),
        ..NewSchema::default()
    };
    for text in earlier {
        let (_, change) = registry.plan_register("s", &schema(text)).unwrap();
        registry.apply(&change.expect("a new schema")).unwrap();
    }
    registry.apply(&level_of(level)).unwrap();
    let reasons = registry.objections("s", &schema(new), None).unwrap();
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(reasons)
    }
}

/// Checks backward (new reads old) and forward (old reads new) of one pair.
fn pair(schema_type: SchemaType, old: &str, new: &str, backward: bool, forward: bool) {
    use CompatibilityLevel as Level;
    for (level, expected) in [
        (Level::Backward, backward),
        (Level::Forward, forward),
        (Level::Full, backward && forward),
        (Level::None, true),
    ] {
        let answer = takes(schema_type, level, &[old], new);
        assert_eq!(
            answer.is_ok(),
            expected,
            "{level:?}: {old} -> {new}: {answer:?}"
        );
    }
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

#[test]
fn avro_follows_schema_resolution() {
    let check = |old: &str, new: &str, backward, forward| {
        pair(SchemaType::Avro, old, new, backward, forward);
    };
    let a = r#"{"name":"a","type":"int"}"#;
    let plain_b = r#"{"name":"b","type":"string"}"#;
    let default_b = r#"{"name":"b","type":"string","default":""}"#;
    check(&record(a), &record(&format!("{a},{default_b}")), true, true);
    check(&record(a), &record(&format!("{a},{plain_b}")), false, true);
    check(&record(&format!("{a},{plain_b}")), &record(a), true, false);
    for (old, new, backward, forward) in [
        ("int", "long", true, false),
        ("int", "float", true, false),
        ("long", "double", true, false),
        ("float", "double", true, false),
        ("string", "bytes", true, true),
        ("int", "string", false, false),
        ("long", "int", false, true),
        ("boolean", "int", false, false),
    ] {
        check(
            &format!("\"{old}\""),
            &format!("\"{new}\""),
            backward,
            forward,
        );
    }
    check(r#""int""#, r#"["null","int"]"#, true, false);
    check(
        r#"["null","int"]"#,
        r#"["null","int","string"]"#,
        true,
        false,
    );
    check(r#"["int","string"]"#, r#"["string","long"]"#, true, false);
    let symbols = |names: &str, default: &str| {
        format!(r#"{{"type":"enum","name":"E","symbols":[{names}]{default}}}"#)
    };
    check(
        &symbols(r#""A""#, ""),
        &symbols(r#""A","B""#, ""),
        true,
        false,
    );
    let with_default = symbols(r#""A""#, r#","default":"A""#);
    check(&with_default, &symbols(r#""A","B""#, ""), true, true);
    let fixed = |size: u8| format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#);
    check(&fixed(4), &fixed(5), false, false);
    check(
        &record(a),
        &record(a).replace("\"R\"", "\"Q\""),
        false,
        false,
    );
    check(
        &record(a),
        r#"{"type":"record","name":"Q","aliases":["R"],"fields":[{"name":"b","aliases":["a"],"type":"long"}]}"#,
        true,
        false,
    );
    check(
        r#"{"type":"array","items":"int"}"#,
        r#"{"type":"array","items":"long"}"#,
        true,
        false,
    );
    check(
        r#"{"type":"map","values":"int"}"#,
        r#"{"type":"array","items":"int"}"#,
        false,
        false,
    );
    let tree = |kind: &str| {
        record(&format!(
            r#"{{"name":"v","type":"{kind}"}},{{"name":"next","type":["null","R"]}}"#
        ))
    };
    check(&tree("int"), &tree("long"), true, false);
}

#[test]
fn avro_accepts_nothing_that_the_other_implementation_refuses() {
    use apache_avro::{Schema, schema_compatibility::SchemaCompatibility};
    let schemas = [
        "\"int\"",
        "\"long\"",
        "\"float\"",
        "\"double\"",
        "\"string\"",
        "\"bytes\"",
        "\"null\"",
        "\"boolean\"",
        r#"["null","int"]"#,
        r#"["int","null","string"]"#,
        r#"["null","long"]"#,
        r#"{"type":"array","items":"int"}"#,
        r#"{"type":"array","items":"double"}"#,
        r#"{"type":"map","values":"long"}"#,
        r#"{"type":"map","values":["null","long"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
        r#"{"type":"fixed","name":"F","size":2}"#,
        r#"{"type":"fixed","name":"F","size":3}"#,
        r#"{"type":"record","name":"R","fields":[]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long","default":0}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","R"],"default":null}]}"#,
    ];
    let mut disagreements = Vec::new();
    for writer in schemas {
        for reader in schemas {
            if writer == reader {
                continue;
            }
            let ours = takes(
                SchemaType::Avro,
                CompatibilityLevel::Backward,
                &[writer],
                reader,
            );
            let parse = |text| Schema::parse_str(text).unwrap();
            let theirs = SchemaCompatibility::can_read(&parse(writer), &parse(reader));
            // The other one asks of a union that any branch be readable, and of an enum that any
            // symbol be known; the specification makes the rest errors while reading.
            let is_union_or_enum = writer.contains('[') || writer.contains("enum");
            let is_stricter_by_intent = ours.is_err() && theirs.is_ok() && is_union_or_enum;
            if ours.is_ok() != theirs.is_ok() && !is_stricter_by_intent {
                disagreements.push((writer, reader, ours.is_ok()));
            }
        }
    }
    assert!(disagreements.is_empty(), "{disagreements:#?}");
}

fn proto(fields: &str) -> String {
    format!("syntax = \"proto3\"; message M {{ {fields} }}")
}

#[test]
fn protobuf_looks_at_number_type_and_label() {
    let check = |old: &str, new: &str, backward, forward| {
        pair(
            SchemaType::Protobuf,
            &proto(old),
            &proto(new),
            backward,
            forward,
        );
    };
    check("string a = 1;", "string a = 1; int32 b = 2;", true, true);
    check("string a = 1; int32 b = 2;", "string a = 1;", true, true);
    check("string a = 1;", "string renamed = 1;", true, true);
    check("int32 a = 1;", "int64 a = 1;", true, true);
    check("int32 a = 1;", "bool a = 1;", true, true);
    check("string a = 1;", "bytes a = 1;", true, true);
    check("int32 a = 1;", "sint32 a = 1;", false, false);
    check("int32 a = 1;", "string a = 1;", false, false);
    check("int32 a = 1;", "repeated int32 a = 1;", false, false);
    check("string a = 1;", "repeated string a = 1;", true, true);
    check("fixed32 a = 1;", "fixed64 a = 1;", false, false);
    check("enum E { X = 0; } E a = 1;", "int32 a = 1;", true, true);
    check(
        "message N {} N a = 1;",
        "message P {} message N {} P a = 1;",
        false,
        false,
    );
    check(
        "int32 a = 1; int32 b = 2;",
        "oneof o { int32 a = 1; int32 b = 2; }",
        false,
        true,
    );
    check(
        "oneof o { int32 a = 1; int32 b = 2; }",
        "oneof o { int32 a = 1; }",
        false,
        true,
    );
    let (old, new) = (
        "syntax = \"proto3\"; message M {} message Gone {}",
        "syntax = \"proto3\"; message M {}",
    );
    pair(SchemaType::Protobuf, old, new, false, true);
    let required =
        |rest: &str| format!("syntax = \"proto2\"; message M {{ optional int32 a = 1; {rest} }}");
    pair(
        SchemaType::Protobuf,
        &required(""),
        &required("required int32 b = 2;"),
        false,
        false,
    );
}

#[test]
fn json_schema_is_containment_or_an_honest_refusal() {
    let check = |old: &str, new: &str, backward, forward| {
        pair(SchemaType::Json, old, new, backward, forward);
    };
    check(r#"{"type":"integer"}"#, r#"{"type":"number"}"#, true, false);
    check(
        r#"{"type":"string"}"#,
        r#"{"type":["string","null"]}"#,
        true,
        false,
    );
    check(r#"{"type":"string"}"#, "{}", true, false);
    check(
        r#"{"type":"string","maxLength":5}"#,
        r#"{"type":"string","maxLength":9}"#,
        true,
        false,
    );
    check(r#"{"minimum":3}"#, r#"{"exclusiveMinimum":2}"#, true, false);
    check(r#"{"enum":["a"]}"#, r#"{"enum":["a","b"]}"#, true, false);
    check(
        r#"{"enum":["a","b"]}"#,
        r#"{"type":"string","minLength":1}"#,
        true,
        false,
    );
    check(
        r#"{"const":5}"#,
        r#"{"type":"integer","multipleOf":5}"#,
        true,
        false,
    );
    let open = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    let open_b = r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}}}"#;
    // An open object may have had a `b` of any type; dropping a member of one is fine.
    check(open, open_b, false, true);
    let shut = |fields: &str, rest: &str| {
        format!(
            r#"{{"type":"object","properties":{{{fields}}},"additionalProperties":false{rest}}}"#
        )
    };
    let (a, b) = (r#""a":{"type":"string"}"#, r#""b":{"type":"integer"}"#);
    check(&shut(a, ""), &shut(&format!("{a},{b}"), ""), true, false);
    check(&shut(a, ""), &shut(a, r#","required":["a"]"#), false, true);
    check(&shut(a, ""), open, true, false);
    check(
        r#"{"type":"array","items":{"type":"integer"}}"#,
        r#"{"type":"array","items":{"type":"number"}}"#,
        true,
        false,
    );
    check(r#"{"pattern":"^a"}"#, r#"{"pattern":"^ab"}"#, false, false);
    check(
        r#"{"not":{"type":"null"}}"#,
        r#"{"not":{"type":"null"},"title":"x"}"#,
        true,
        true,
    );
    check(
        r#"{"not":{"type":"null"}}"#,
        r#"{"not":{"type":"string"}}"#,
        false,
        false,
    );
    check(
        r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
        r#"{"type":["string","null","integer"]}"#,
        true,
        false,
    );
    check(
        r#"{"type":["string","null"]}"#,
        r#"{"oneOf":[{"type":"string"},{"type":"null"},{"type":"integer"}]}"#,
        true,
        false,
    );
    let list = |kind: &str| {
        format!(
            r##"{{"$ref":"#/$defs/n","$defs":{{"n":{{"type":"object","properties":{{"v":{{"type":"{kind}"}},"next":{{"$ref":"#/$defs/n"}}}},"additionalProperties":false}}}}}}"##
        )
    };
    check(&list("integer"), &list("number"), true, false);
    check(
        r#"{"type":"string"}"#,
        r#"{"type":"string","description":"x","x-own":1}"#,
        true,
        true,
    );
    check("true", "false", false, true);
    let refused = takes(
        SchemaType::Json,
        CompatibilityLevel::Backward,
        &[r#"{"if":{"type":"null"},"then":false}"#],
        r#"{"if":{"type":"string"},"then":false}"#,
    );
    assert!(refused.unwrap_err()[0].contains("cannot decide"));
}

#[test]
fn json_schema_containment_is_never_wrong_about_examples() {
    // Whatever is accepted as compatible must hold for every sample instance.
    let schemas = [
        "true",
        "{}",
        r#"{"type":"integer"}"#,
        r#"{"type":"number"}"#,
        r#"{"type":["integer","null"]}"#,
        r#"{"type":"string","minLength":2}"#,
        r#"{"enum":[1,"ab",null]}"#,
        r#"{"const":2}"#,
        r#"{"minimum":0}"#,
        r#"{"type":"number","exclusiveMinimum":0}"#,
        r#"{"multipleOf":2}"#,
        r#"{"properties":{"a":{"type":"integer"}}}"#,
        r#"{"type":"object","required":["a"]}"#,
        r#"{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false}"#,
        r#"{"type":"object","additionalProperties":{"type":"integer"}}"#,
        r#"{"type":"object","properties":{"a":{},"b":{"type":"string"}},"minProperties":1}"#,
        r#"{"type":"object","patternProperties":{"^a":{"type":"integer"}},"additionalProperties":false}"#,
        r#"{"type":"array","items":{"type":"integer"},"maxItems":1}"#,
        r#"{"type":"array","items":false}"#,
        r#"{"type":"array","prefixItems":[{"type":"integer"}]}"#,
        r#"{"items":{"type":"string"}}"#,
        r#"{"anyOf":[{"type":"integer"},{"type":"string","maxLength":1}]}"#,
        r#"{"oneOf":[{"type":"integer"},{"type":"object"}]}"#,
        r#"{"oneOf":[{"minimum":0},{"type":"integer"}]}"#,
        r#"{"allOf":[{"type":"integer"},{"minimum":1}]}"#,
        r#"{"allOf":[{"type":"integer"}],"maximum":1}"#,
        r#"{"type":"integer","not":{"const":2}}"#,
        r#"{"uniqueItems":true}"#,
        r#"{"type":"object","required":["a"],"properties":{"a":{"type":"integer"}},"maxProperties":1}"#,
    ];
    let instances: Vec<serde_json::Value> = [
        "null",
        "true",
        "0",
        "1",
        "2",
        "-1",
        "0.5",
        "\"\"",
        "\"a\"",
        "\"ab\"",
        "[]",
        "[1]",
        "[1,1]",
        "[\"a\"]",
        "[0.5]",
        "{}",
        r#"{"a":1}"#,
        r#"{"a":"x"}"#,
        r#"{"b":1}"#,
        r#"{"b":"x"}"#,
        r#"{"a":1,"b":"x"}"#,
        r#"{"a":1,"b":2}"#,
        r#"{"ab":"x"}"#,
        r#"{"c":0.5}"#,
    ]
    .map(|json| serde_json::from_str(json).unwrap())
    .into();
    let mut accepted = 0;
    for old in schemas {
        for new in schemas {
            if old == new
                || takes(SchemaType::Json, CompatibilityLevel::Backward, &[old], new).is_err()
            {
                continue;
            }
            accepted += 1;
            let build = |text: &str| {
                jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
            };
            let (of_old, of_new) = (build(old), build(new));
            for instance in &instances {
                assert!(
                    !of_old.is_valid(instance) || of_new.is_valid(instance),
                    "{instance} is valid under {old} but not under {new}"
                );
            }
        }
    }
    assert!(accepted > 60, "only {accepted} pairs were accepted");
}

#[test]
fn transitive_levels_look_at_every_version() {
    use CompatibilityLevel as Level;
    let f = |default: &str| record(&format!(r#"{{"name":"a","type":"int"}}{default}"#));
    let (first, second) = (f(""), f(r#",{"name":"b","type":"int","default":0}"#));
    // Reads what has a `b`, not what lacks it.
    let third = f(r#",{"name":"b","type":"int"}"#);
    let earlier = [first.as_str(), second.as_str()];
    let takes = |level| takes(SchemaType::Avro, level, &earlier, &third).is_ok();
    assert!(takes(Level::Backward));
    assert!(!takes(Level::BackwardTransitive));
    assert!(takes(Level::Forward) && takes(Level::ForwardTransitive));
    assert!(takes(Level::Full) && !takes(Level::FullTransitive));
}

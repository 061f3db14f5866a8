//! The REST API, call by call: paths, bodies, error codes and the media type.

use crate::running::Running;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

struct Api(Running);

impl Api {
    fn new() -> Self {
        Self(Running::registry().0)
    }

    /// One call over a plain socket: status and JSON body.
    fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map_or_else(String::new, |body| body.to_string());
        let mut stream = TcpStream::connect(self.0.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains("application/vnd.schemaregistry.v1+json"),
            "{head}"
        );
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None)
    }

    fn post(&self, path: &str, schema: &str) -> (u16, Value) {
        self.call("POST", path, Some(json!({"schema": schema})))
    }

    fn code(&self, method: &str, path: &str, body: Option<Value>) -> (u16, u64) {
        let (status, body) = self.call(method, path, body);
        assert!(body["message"].is_string(), "{body}");
        (status, body["error_code"].as_u64().unwrap())
    }
}

#[test]
fn schemas_are_registered_looked_up_and_listed() {
    let api = Api::new();
    assert_eq!(api.get("/subjects"), (200, json!([])));
    assert_eq!(
        api.get("/schemas/types"),
        (200, json!(["JSON", "PROTOBUF", "AVRO"]))
    );
    assert_eq!(
        api.post("/subjects/a/versions", "\"int\""),
        (200, json!({"id": 1}))
    );
    assert_eq!(
        api.post("/subjects/a/versions", "\"long\""),
        (200, json!({"id": 2}))
    );
    assert_eq!(
        api.post("/subjects/a/versions", "\"int\""),
        (200, json!({"id": 1}))
    );
    assert_eq!(
        api.post("/subjects/b%2Fc/versions", "\"int\""),
        (200, json!({"id": 1}))
    );
    assert_eq!(api.get("/subjects"), (200, json!(["a", "b/c"])));
    assert_eq!(api.get("/subjects?subjectPrefix=b"), (200, json!(["b/c"])));
    assert_eq!(api.get("/subjects/a/versions"), (200, json!([1, 2])));
    let second = json!({"subject": "a", "version": 2, "id": 2, "schema": "\"long\""});
    for version in ["2", "latest", "-1"] {
        let path = format!("/subjects/a/versions/{version}");
        assert_eq!(api.get(&path), (200, second.clone()));
    }
    assert_eq!(
        api.get("/subjects/a/versions/2/schema"),
        (200, json!("long"))
    );
    assert_eq!(api.post("/subjects/a", " \"long\""), (200, second));
    assert_eq!(
        api.get("/schemas/ids/1"),
        (200, json!({"schema": "\"int\""}))
    );
    assert_eq!(api.get("/schemas/ids/1/schema"), (200, json!("int")));
    assert_eq!(
        api.get("/schemas/ids/1/subjects"),
        (200, json!(["a", "b/c"]))
    );
    let uses = json!([{"subject": "a", "version": 1}, {"subject": "b/c", "version": 1}]);
    assert_eq!(api.get("/schemas/ids/1/versions"), (200, uses));
    let (_, all) = api.get("/schemas?latestOnly=true");
    let latest: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["id"].clone())
        .collect();
    assert_eq!(latest, [2, 1]);
    assert_eq!(api.get("/").0, 200);
}

#[test]
fn every_refusal_has_the_code_of_the_api() {
    let api = Api::new();
    let schema = |text: &str| Some(json!({"schema": text}));
    api.post("/subjects/a/versions", "\"int\"");
    for (method, path, body, expected) in [
        ("GET", "/subjects/x/versions", None, (404, 40401)),
        ("GET", "/subjects/x/versions/1", None, (404, 40401)),
        ("GET", "/subjects/a/versions/9", None, (404, 40402)),
        ("GET", "/subjects/a/versions/0", None, (422, 42202)),
        ("GET", "/subjects/a/versions/x", None, (422, 42202)),
        ("GET", "/schemas/ids/9", None, (404, 40403)),
        ("GET", "/schemas/ids/x", None, (404, 404)),
        ("GET", "/nowhere", None, (404, 404)),
        ("POST", "/subjects/x", schema("\"int\""), (404, 40401)),
        ("POST", "/subjects/a", schema("\"bytes\""), (404, 40403)),
        ("POST", "/subjects/a", schema("{"), (422, 42201)),
        (
            "POST",
            "/subjects/a/versions",
            schema("{\"type\":\"x\"}"),
            (422, 42201),
        ),
        (
            "POST",
            "/subjects/a/versions",
            Some(json!({})),
            (422, 42201),
        ),
        ("POST", "/subjects/a/versions", Some(json!([])), (422, 422)),
        (
            "POST",
            "/subjects/a/versions",
            Some(json!({"schema": "", "schemaType": "XML"})),
            (422, 422),
        ),
        (
            "POST",
            "/subjects/a/versions",
            schema("\"string\""),
            (409, 409),
        ),
        (
            "POST",
            "/subjects/a/versions",
            Some(json!({"schema": "\"long\"", "id": 7})),
            (422, 42205),
        ),
        ("DELETE", "/subjects/x", None, (404, 40401)),
        ("DELETE", "/subjects/a?permanent=true", None, (404, 40405)),
        (
            "DELETE",
            "/subjects/a/versions/1?permanent=true",
            None,
            (404, 40407),
        ),
        ("GET", "/config/a", None, (404, 40408)),
        ("GET", "/mode/a", None, (404, 40409)),
        (
            "PUT",
            "/config",
            Some(json!({"compatibility": "SOME"})),
            (422, 42203),
        ),
        ("PUT", "/mode", Some(json!({"mode": "SOME"})), (422, 42204)),
        (
            "PUT",
            "/mode/a",
            Some(json!({"mode": "IMPORT"})),
            (422, 422),
        ),
    ] {
        assert_eq!(api.code(method, path, body), expected, "{method} {path}");
    }
}

#[test]
fn deletion_is_soft_first_and_then_for_good() {
    let api = Api::new();
    for text in ["\"int\"", "\"long\"", "\"double\""] {
        api.post("/subjects/a/versions", text);
    }
    assert_eq!(
        api.call("DELETE", "/subjects/a/versions/1", None),
        (200, json!(1))
    );
    assert_eq!(
        api.code("DELETE", "/subjects/a/versions/1", None),
        (404, 40406)
    );
    assert_eq!(api.get("/subjects/a/versions"), (200, json!([2, 3])));
    assert_eq!(
        api.get("/subjects/a/versions?deleted=true"),
        (200, json!([1, 2, 3]))
    );
    assert_eq!(
        api.code("GET", "/subjects/a/versions/1", None),
        (404, 40402)
    );
    assert_eq!(api.get("/subjects/a/versions/1?deleted=true").0, 200);
    assert_eq!(
        api.get("/schemas/ids/1").0,
        200,
        "messages that are there can still be read"
    );
    assert_eq!(
        api.call("DELETE", "/subjects/a/versions/1?permanent=true", None),
        (200, json!(1))
    );
    assert_eq!(
        api.get("/subjects/a/versions?deleted=true"),
        (200, json!([2, 3]))
    );
    assert_eq!(
        api.call("DELETE", "/subjects/a", None),
        (200, json!([2, 3]))
    );
    assert_eq!(api.code("DELETE", "/subjects/a", None), (404, 40404));
    assert_eq!(api.get("/subjects"), (200, json!([])));
    assert_eq!(api.get("/subjects?deleted=true"), (200, json!(["a"])));
    assert_eq!(
        api.post("/subjects/a/versions", "\"long\""),
        (200, json!({"id": 2}))
    );
    assert_eq!(
        api.get("/subjects/a/versions"),
        (200, json!([4])),
        "numbers are not used twice"
    );
    api.call("DELETE", "/subjects/a", None);
    assert_eq!(
        api.call("DELETE", "/subjects/a?permanent=true", None),
        (200, json!([2, 3, 4]))
    );
    assert_eq!(
        api.code("GET", "/subjects/a/versions?deleted=true", None),
        (404, 40401)
    );
}

#[test]
fn levels_and_modes_are_set_per_subject_and_for_all() {
    let api = Api::new();
    let level = |name: &str| json!({"compatibilityLevel": name});
    assert_eq!(api.get("/config"), (200, level("BACKWARD")));
    let put = api.call("PUT", "/config/a", Some(json!({"compatibility": "none"})));
    assert_eq!(put, (200, json!({"compatibility": "NONE"})));
    assert_eq!(api.get("/config/a"), (200, level("NONE")));
    assert_eq!(
        api.get("/config/b?defaultToGlobal=true"),
        (200, level("BACKWARD"))
    );
    api.post("/subjects/a/versions", "\"int\"");
    assert_eq!(api.post("/subjects/a/versions", "\"string\"").0, 200);
    assert_eq!(api.call("DELETE", "/config/a", None), (200, level("NONE")));
    assert_eq!(api.post("/subjects/a/versions", "\"boolean\"").0, 409);

    let check = |path: &str, text: &str| api.post(path, text).1;
    let at = "/compatibility/subjects/a/versions/latest";
    assert_eq!(check(at, "\"bytes\""), json!({"is_compatible": true}));
    assert_eq!(check(at, "\"int\""), json!({"is_compatible": false}));
    let verbose = check("/compatibility/subjects/a/versions?verbose=true", "\"int\"");
    assert!(
        verbose["messages"][0]
            .as_str()
            .unwrap()
            .contains("string cannot be read as int")
    );

    let set = api.call("PUT", "/mode", Some(json!({"mode": "READONLY"})));
    assert_eq!(set, (200, json!({"mode": "READONLY"})));
    let refused = api.code(
        "POST",
        "/subjects/z/versions",
        Some(json!({"schema": "\"int\""})),
    );
    assert_eq!(refused, (422, 42205));
    api.call("PUT", "/mode/z", Some(json!({"mode": "IMPORT"})));
    let body = json!({"schema": "\"int\"", "id": 1, "version": 5});
    assert_eq!(
        api.call("POST", "/subjects/z/versions", Some(body)),
        (200, json!({"id": 1}))
    );
    let clash = json!({"schema": "\"float\"", "id": 1, "version": 6});
    assert_eq!(
        api.code("POST", "/subjects/z/versions", Some(clash)),
        (422, 422)
    );
    assert_eq!(api.get("/subjects/z/versions"), (200, json!([5])));
    assert_eq!(api.get("/mode/z"), (200, json!({"mode": "IMPORT"})));
}

#[test]
fn references_are_resolved_and_hold_what_they_refer_to() {
    let api = Api::new();
    let address = r#"{"type":"record","name":"Address","namespace":"x","fields":[{"name":"city","type":"string"}]}"#;
    api.post("/subjects/address/versions", address);
    let person = r#"{"type":"record","name":"Person","namespace":"x","fields":[{"name":"home","type":"x.Address"}]}"#;
    assert_eq!(
        api.code(
            "POST",
            "/subjects/p/versions",
            Some(json!({"schema": person}))
        ),
        (422, 42201)
    );
    let references = json!([{"name": "x.Address", "subject": "address", "version": 1}]);
    let body = json!({"schema": person, "references": references});
    assert_eq!(
        api.call("POST", "/subjects/p/versions", Some(body)),
        (200, json!({"id": 2}))
    );
    assert_eq!(api.get("/schemas/ids/2").1["references"], references);
    assert_eq!(
        api.get("/subjects/address/versions/1/referencedby"),
        (200, json!([2]))
    );
    assert_eq!(api.code("DELETE", "/subjects/address", None), (422, 42206));

    let common = "syntax = \"proto3\"; package c; message Common { string id = 1; }";
    let body = json!({"schema": common, "schemaType": "PROTOBUF"});
    assert_eq!(
        api.call("POST", "/subjects/common/versions", Some(body)).0,
        200
    );
    let user = "syntax = \"proto3\"; import \"common.proto\"; message M { c.Common c = 1; }";
    let references = json!([{"name": "common.proto", "subject": "common", "version": 1}]);
    let body = json!({"schema": user, "schemaType": "PROTOBUF", "references": references});
    assert_eq!(
        api.call("POST", "/subjects/user/versions", Some(body)).0,
        200
    );

    let leaf = json!({"schema": "{\"type\":\"integer\"}", "schemaType": "JSON"});
    api.call("POST", "/subjects/leaf/versions", Some(leaf));
    let body = json!({"schema": "{\"items\":{\"$ref\":\"leaf.json\"}}", "schemaType": "JSON",
        "references": [{"name": "leaf.json", "subject": "leaf", "version": 1}]});
    assert_eq!(
        api.call("POST", "/subjects/tree/versions", Some(body)).0,
        200
    );
}

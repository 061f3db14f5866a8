//! The client against the built-in registry, and against servers that are slow, broken or absent.

use crate::running::Running;
use crate::samples::{self, with_header};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use nowcast_schemas::registry::{NewSchema, VersionSelector};
use nowcast_schemas::schema_type::{SchemaReference, SchemaType};
use nowcast_schemas::{
    Decoded, Decoder, FaultCode, Message, RecordKind, RegistryClient, RegistryClientConfig,
    SchemaError, TopicConfig,
};
use nowcast_types::{ErrorKind, Span};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn avro(text: &str) -> NewSchema {
    NewSchema {
        schema: text.to_owned(),
        ..NewSchema::default()
    }
}

fn client(url: &str) -> RegistryClient {
    RegistryClient::new(&RegistryClientConfig::new(url)).unwrap()
}

#[test]
fn the_client_registers_checks_and_decodes_with_what_it_fetched() {
    let (running, _) = Running::registry();
    let client = Arc::new(client(&running.url()));
    let schema = samples::text(RecordKind::Event, SchemaType::Avro);
    running.runtime.block_on(async {
        let id = client
            .register("clicks-value", &avro(&schema.text))
            .await
            .unwrap();
        let found = client
            .lookup("clicks-value", &avro(&schema.text))
            .await
            .unwrap();
        assert_eq!((found.id, found.version), (id, 1));
        let latest = client
            .version("clicks-value", VersionSelector::Latest)
            .await
            .unwrap();
        assert_eq!(latest, found);
        let checked = client
            .compatibility("clicks-value", VersionSelector::Latest, &avro("\"int\""))
            .await
            .unwrap();
        assert!(!checked.is_compatible && !checked.messages.is_empty());
        let refused = client
            .register("clicks-value", &avro("\"int\""))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);

        let decoder = Decoder::new(Some(client.clone()));
        let bytes = with_header(id, &samples::avro_datum());
        let message = Message::of_value(&bytes);
        let decoded = decoder
            .decode(&message, &TopicConfig::default())
            .await
            .unwrap();
        let Decoded::Event(fields) = decoded else {
            panic!("{decoded:?}");
        };
        assert_eq!(fields.to_json(), samples::event_json());
        let unknown = with_header(999, b"");
        let refused = decoder
            .decode(&Message::of_value(&unknown), &TopicConfig::default())
            .await;
        assert!(
            matches!(refused, Err(SchemaError::Fault(f)) if f.code == FaultCode::UnknownSchemaId)
        );
    });
}

#[test]
fn references_are_fetched_before_what_builds_on_them() {
    let (running, _) = Running::registry();
    let client = client(&running.url());
    let proto = |schema: &str, references: Vec<SchemaReference>| NewSchema {
        schema_type: SchemaType::Protobuf,
        schema: schema.to_owned(),
        references,
        ..NewSchema::default()
    };
    let to = |name: &str| SchemaReference {
        name: name.to_owned(),
        subject: name.to_owned(),
        version: 1,
    };
    running.runtime.block_on(async {
        let c = "syntax = \"proto3\"; message C { string v = 1; }";
        let b = "syntax = \"proto3\"; import \"c\"; message B { C c = 1; }";
        let a = "syntax = \"proto3\"; import \"b\"; import \"c\"; message A { B b = 1; C c = 2; }";
        client.register("c", &proto(c, vec![])).await.unwrap();
        client
            .register("b", &proto(b, vec![to("c")]))
            .await
            .unwrap();
        let new = proto(a, vec![to("b"), to("c")]);
        let id = client.register("a", &new).await.unwrap();
        let schema = client.schema_by_id(id).await.unwrap().unwrap();
        let names: Vec<_> = schema
            .dependencies
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["c", "b"]);
    });
}

/// A registry that answers `/schemas/ids/{id}` with what `answer` makes of the call's number.
fn fake(answer: fn(usize, &HeaderMap) -> (StatusCode, String)) -> (Running, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = move |headers: HeaderMap| {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        async move { answer(call, &headers) }
    };
    let router = Router::new().route("/schemas/ids/{id}", get(handler));
    (Running::router(router), calls)
}

const INT: &str = r#"{"schema":"\"int\""}"#;
const MISSING: &str = r#"{"error_code":40403,"message":"Schema not found"}"#;

#[test]
fn schemas_and_missing_ids_are_asked_for_once() {
    let (running, calls) = fake(|call, _| match call {
        0 => (StatusCode::OK, INT.to_owned()),
        _ => (StatusCode::NOT_FOUND, MISSING.to_owned()),
    });
    let client = client(&running.url());
    running.runtime.block_on(async {
        for _ in 0..5 {
            assert!(client.schema_by_id(1).await.unwrap().is_some());
            assert!(client.schema_by_id(2).await.unwrap().is_none());
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    // A client that does not remember misses asks again.
    let mut config = RegistryClientConfig::new(&running.url());
    config.missing_for = Span(0);
    let forgetful = RegistryClient::new(&config).unwrap();
    running.runtime.block_on(async {
        for _ in 0..3 {
            assert!(forgetful.schema_by_id(2).await.unwrap().is_none());
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 5);
}

#[test]
fn many_messages_with_one_new_id_make_one_call() {
    let (running, calls) = fake(|_, _| (StatusCode::OK, INT.to_owned()));
    let client = Arc::new(client(&running.url()));
    running.runtime.block_on(async {
        let asked: Vec<_> = (0..20)
            .map(|_| {
                let client = Arc::clone(&client);
                tokio::spawn(async move { client.schema_by_id(7).await.unwrap().is_some() })
            })
            .collect();
        for answer in asked {
            assert!(answer.await.unwrap());
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_stumbling_registry_is_tried_again_within_the_budget() {
    let (running, calls) = fake(|call, _| match call {
        0 | 1 => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
        _ => (StatusCode::OK, INT.to_owned()),
    });
    let found = running
        .runtime
        .block_on(client(&running.url()).schema_by_id(1));
    assert!(found.unwrap().is_some());
    assert_eq!(calls.load(Ordering::SeqCst), 3);

    let (running, calls) = fake(|_, _| (StatusCode::INTERNAL_SERVER_ERROR, String::new()));
    let mut config = RegistryClientConfig::new(&running.url());
    config.attempts_max = 20;
    config.call_timeout = Span(600);
    let client = RegistryClient::new(&config).unwrap();
    for _ in 0..10 {
        let error = running
            .runtime
            .block_on(client.schema_by_id(1))
            .unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    let calls = calls.load(Ordering::SeqCst);
    assert!(calls <= 10 + 11, "{calls} calls for 10 look-ups");
}

#[test]
fn what_does_not_answer_is_unavailable_and_never_a_fault_of_the_message() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut config = RegistryClientConfig::new(&silent);
    config.attempt_timeout = Span(50);
    config.call_timeout = Span(400);
    let decoder = Decoder::new(Some(Arc::new(RegistryClient::new(&config).unwrap())));
    let bytes = with_header(1, b"x");
    let message = Message::of_value(&bytes);
    let error = runtime
        .block_on(decoder.decode(&message, &TopicConfig::default()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    // Something that is no registry: not retryable, and not an answer about the id.
    let (running, _) = fake(|_, _| (StatusCode::NOT_FOUND, "<html>nginx</html>".to_owned()));
    let error = running
        .runtime
        .block_on(client(&running.url()).schema_by_id(1))
        .unwrap_err();
    assert!(matches!(error, SchemaError::BadAnswer { .. }), "{error}");
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let (running, _) = fake(|_, headers| {
        let sent = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        if sent == Some("Basic YW5uOnMzY3JldA==") {
            (StatusCode::OK, INT.to_owned())
        } else {
            let body = r#"{"error_code":401,"message":"Unauthorized"}"#;
            (StatusCode::UNAUTHORIZED, body.to_owned())
        }
    });
    let mut config = RegistryClientConfig::new(&running.url());
    let refused = RegistryClient::new(&config).unwrap();
    let error = running
        .runtime
        .block_on(refused.schema_by_id(1))
        .unwrap_err();
    assert!(matches!(error, SchemaError::Refused { status: 401, .. }));
    config.username = Some("ann".to_owned());
    config.password = Some("s3cret".to_owned());
    assert!(!format!("{config:?}").contains("s3cret"));
    let known = RegistryClient::new(&config).unwrap();
    assert!(
        running
            .runtime
            .block_on(known.schema_by_id(1))
            .unwrap()
            .is_some()
    );
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    for url in [
        "",
        "ftp://x",
        "http://",
        "http://ann:pw@x",
        "localhost:8081",
        "http://x/?a=b",
    ] {
        let config = RegistryClientConfig::new(url);
        assert!(RegistryClient::new(&config).is_err(), "{url}");
    }
    let mut config = RegistryClientConfig::new("https://x");
    config.ca_file = Some("/no/such/file.pem".into());
    assert!(matches!(
        RegistryClient::new(&config),
        Err(SchemaError::BadConfig(_))
    ));
}

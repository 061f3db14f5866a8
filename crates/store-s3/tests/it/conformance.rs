//! The rules of every place, and that it works wherever the caller's thread is from.

use crate::rig::{FIRST, config, place, server};
use nowcast_store::artifact::{ArtifactPlace, conformance};
use std::sync::Arc;

#[test]
fn an_object_store_keeps_the_rules_of_every_place() {
    let server = server();
    let config = config(&server.url());
    for prefix in ["", "shop/models"] {
        conformance::check(&|| Arc::new(place(prefix, &config)));
        if prefix.is_empty() {
            // The second run is below what the first has left.
            let names = place(prefix, &config).names().unwrap();
            assert!(names.contains(&"raced".to_owned()), "{names:?}");
        }
    }
}

#[tokio::test]
async fn a_task_of_another_runtime_may_call_it_and_drop_it() {
    let server = tokio::task::spawn_blocking(server).await.unwrap();
    let place = place("a", &config(&server.url()));
    assert!(place.create(FIRST, b"bytes").unwrap());
    assert_eq!(place.read(FIRST).unwrap().unwrap().bytes, b"bytes");
    drop(place);
}

#[test]
fn many_objects_are_listed_over_many_pages() {
    let server = server();
    let place = place("pages", &config(&server.url()));
    // One page of a listing has a thousand.
    let files: Vec<String> = (0..1_030).map(|at| format!("{at:010}.artifact")).collect();
    std::thread::scope(|scope| {
        for some in files.chunks(260) {
            let place = &place;
            scope.spawn(move || {
                for file in some {
                    let key = nowcast_store::artifact::Key {
                        artifact: "many",
                        file,
                    };
                    assert!(place.create(key, b"x").unwrap());
                }
            });
        }
    });
    let mut listed: Vec<String> = place
        .entries("many")
        .unwrap()
        .into_iter()
        .map(|entry| entry.file)
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, files);
}

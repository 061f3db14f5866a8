//! An item that nobody has met is recommended by the first request after it was put.

use crate::files;
use crate::program::run;
use crate::server::Server;
use serde_json::{Value, json};

fn ask(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = server.ask(method, path, &body.to_string());
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

/// Where the item stands in the answer, from 0.
fn place(answer: &Value, id: &str) -> Option<usize> {
    let items = answer["items"].as_array().unwrap();
    items.iter().position(|item| item["item_id"] == id)
}

#[test]
fn the_first_request_after_an_item_was_put_can_recommend_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    files::events(dir);
    files::items(dir);
    let import = "import --format events --header --user who --item what --time when --type kind \
                  --items items.csv --item-id id --item-categories topics --item-attribute title \
                  --json events.csv";
    let import: Vec<&str> = import.split_ascii_whitespace().collect();
    assert_eq!(run(dir, &import).ok()["accepted"], 400);
    // By the trained model's map alone: neither the content index nor the popular list help.
    files::write(
        dir,
        "nowcast.toml",
        "[recommend.slots.mapped.sources]\nnewcomers = 10\n\
         [recommend.slots.mapped.scorers]\nials = 1.0\n[training]\ninteractions_min = 100\n",
    );
    run(dir, &["train", "--model", "ials", "--json", "--quiet"]).ok();
    let args = "up --json --quiet --listen 127.0.0.1:0";
    let args: Vec<&str> = args.split_ascii_whitespace().collect();
    let server = Server::start(dir, &args);
    for n in 0..5 {
        let item = |title: &str, topic: &str| json!({"categories": [topic], "attributes": {"title": title}});
        let cook = format!("/v1/items/new-cook-{n}?wait=applied");
        let put = ask(&server, "PUT", &cook, &item("Broth again", "cooking"));
        assert_eq!(put["applied"], true);
        let of_cook = |slot: &str| json!({"history": ["cook-1", "cook-4"], "k": 40, "slot": slot});
        let first = ask(&server, "POST", "/v1/recommendations", &of_cook("mapped"));
        let new = format!("new-cook-{n}");
        let at = place(&first, &new).unwrap_or_else(|| panic!("{new} in {first}"));
        assert_eq!(first["items"][at]["source"], "newcomers");
        let sail = format!("/v1/items/new-sail-{n}?wait=applied");
        ask(&server, "PUT", &sail, &item("Tide again", "sailing"));
        let next = ask(&server, "POST", "/v1/recommendations", &of_cook("mapped"));
        let other = place(&next, &format!("new-sail-{n}"));
        assert!(
            other.is_none_or(|other| Some(other) > place(&next, &new)),
            "cooks read of cooking first: {next}"
        );
        let default = ask(&server, "POST", "/v1/recommendations", &of_cook("default"));
        let at = place(&default, &new);
        let of_sailing = place(&default, "sail-2");
        assert!(at.is_some(), "{default}");
        assert!(of_sailing.is_none_or(|other| at < Some(other)), "{default}");
    }
    ask(
        &server,
        "DELETE",
        "/v1/items/new-cook-0?wait=applied",
        &json!({}),
    );
    let body = json!({"history": ["cook-1"], "k": 40, "slot": "mapped"});
    let gone = ask(&server, "POST", "/v1/recommendations", &body);
    assert_eq!(place(&gone, "new-cook-0"), None);
    server.stop();
}

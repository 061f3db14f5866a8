//! Change data capture: PostgreSQL, Debezium in Kafka Connect, Kafka, and the running program.

use crate::connect::shipped;
use crate::server::Server;
use crate::waiting::wait_until;
use nowcast_services::{Connect, Postgres, unique_name};
use serde_json::{Value, json};
use std::time::Duration;

/// What a change of a row may take until recommendations follow it.
const FRESH: Duration = Duration::from_secs(2);

fn recommended(server: &Server) -> Vec<String> {
    let question = json!({"user_id": "ann", "slot": "default", "k": 20, "impressions": false});
    let (status, body) = server.ask("POST", "/v1/recommendations", &question.to_string());
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let items = answer["items"].as_array().unwrap().iter();
    items
        .map(|item| item["item_id"].as_str().unwrap().to_owned())
        .collect()
}

fn debezium(postgres: &Postgres, prefix: &str) -> Value {
    let port = postgres.address().port().to_string();
    let changes = json!({"database.port": port, "topic.prefix": prefix});
    shipped("postgres-source.json", &changes)
}

#[test]
fn a_row_changed_in_postgres_changes_recommendations_within_two_seconds() {
    let postgres = Postgres::start().unwrap();
    postgres
        .sql(
            "create table products (sku text primary key, shelf text, title text, stock int, \
             since timestamp default now());
             insert into products select 'p' || n, 'tea', 'Sencha ' || n, 5 \
             from generate_series(1, 8) n",
        )
        .unwrap();
    let connect = Connect::shared().unwrap();
    let name = unique_name("shop");
    connect
        .put_connector(&name, &debezium(&postgres, &name))
        .unwrap();

    let dir = tempfile::tempdir().unwrap();
    let url = format!("intake.url=kafka://{}", connect.kafka().bootstrap());
    let group = format!("intake.group={}", unique_name("group"));
    let topics = format!(
        "intake.topics=[{{topic=\"{name}.public.products\", kind=\"items\", format=\"debezium\", \
         columns={{id=\"sku\", categories=[\"shelf\"], available=\"stock\", \
         published_at=\"since\", attributes=[\"title\"]}}}}]"
    );
    let mut args = vec!["up", "--json", "--listen", "127.0.0.1:0", "--data", "d"];
    args.extend(["--set", &url, "--set", &group, "--set", &topics]);
    let server = Server::start(dir.path(), &args);
    wait_until("the snapshot's rows are items", || {
        (1..=8).all(|n| server.ask("GET", &format!("/v1/items/p{n}"), "").0 == 200)
    });
    for reader in 0..20 {
        let events: Vec<Value> = (1..=8)
            .map(|n| {
                json!({"event_type": "click", "user_id": format!("r{reader}"),
                       "item_id": format!("p{n}")})
            })
            .collect();
        let sent = server.ask(
            "POST",
            "/v1/events?wait=applied",
            &json!(events).to_string(),
        );
        assert_eq!(sent.0, 200, "{}", sent.1);
    }
    wait_until("all products are recommended", || {
        recommended(&server).len() == 8
    });

    let mut slowest = Duration::ZERO;
    for round in 0..5 {
        let sku = format!("p{}", round + 1);
        for (stock, is_wanted) in [(0, false), (5, true)] {
            let update = format!("update products set stock = {stock} where sku = '{sku}'");
            postgres.sql(&update).unwrap();
            let took = wait_until("the change is followed", || {
                recommended(&server).contains(&sku) == is_wanted
            });
            slowest = slowest.max(took);
        }
    }
    eprintln!("slowest of ten changes: {slowest:?}");
    postgres
        .sql("delete from products where sku = 'p8'")
        .unwrap();
    let took = wait_until("a deleted row is gone", || {
        !recommended(&server).contains(&"p8".to_owned())
    });
    connect.delete_connector(&name).unwrap();
    assert!(slowest.max(took) <= FRESH, "{slowest:?}, {took:?}");
    assert_eq!(
        server.ask("GET", "/v1/dead-letters", "").1,
        "{\"letters\":[]}"
    );
}

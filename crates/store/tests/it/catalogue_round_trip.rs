//! The catalogue: what it answers, and that a checkpoint brings back what it knew.

use nowcast_store::{Catalog, ItemStatus};
use nowcast_types::{ItemChange, Timestamp};

fn put(catalog: &Catalog, item_id: &str, item: Option<&str>) {
    let change = ItemChange {
        item_id,
        at: Timestamp(0),
        item,
    };
    catalog.apply(&change).unwrap();
}

fn filled() -> Catalog {
    let catalog = Catalog::new();
    put(
        &catalog,
        "a",
        Some(
            r#"{"categories":["news","sport"],"tags":["x"],"attributes":{"price":9.5,"title":"A"}}"#,
        ),
    );
    put(
        &catalog,
        "b",
        Some(r#"{"published_at":100,"expires_at":200}"#),
    );
    put(&catalog, "c", Some(r#"{"available":false}"#));
    put(&catalog, "gone", Some("{}"));
    put(&catalog, "gone", None);
    let _ = catalog.intern("implicit");
    catalog
}

#[test]
fn liveness_follows_rows_deletions_and_time() {
    let catalog = filled();
    let view = catalog.view();
    let is_live = |id: &str, at: i64| view.is_live(catalog.find(id).unwrap(), Timestamp(at));
    assert!(is_live("a", 0) && is_live("implicit", 0));
    assert!(!is_live("b", 99) && is_live("b", 100) && is_live("b", 199) && !is_live("b", 200));
    assert!(!is_live("c", 0) && !is_live("gone", 0));
    let later = catalog.intern("after the view");
    assert!(view.is_live(later, Timestamp(0)));
    assert_eq!(
        view.status(catalog.find("gone").unwrap()),
        ItemStatus::Deleted
    );
    assert_eq!(view.status(later), ItemStatus::Implicit);
}

#[test]
fn rows_answer_by_name_and_by_number() {
    let catalog = filled();
    let a = catalog.find("a").unwrap();
    let news = catalog.category("news").unwrap();
    assert_eq!(catalog.view().categories(a)[0], news);
    assert_eq!(catalog.category_name(news).as_deref(), Some("news"));
    let price = catalog.attribute("price").unwrap();
    let row = catalog.row(a).unwrap();
    assert_eq!(
        row.attribute(price),
        Some(&nowcast_types::AttributeValue::Number(9.5))
    );
    assert_eq!(catalog.id(a).as_deref(), Some("a"));
    assert_eq!(catalog.find("nobody"), None);
}

#[test]
fn an_old_view_does_not_move() {
    let catalog = filled();
    let (a, before) = (catalog.find("a").unwrap(), catalog.view());
    put(&catalog, "a", None);
    assert!(before.is_live(a, Timestamp(0)));
    assert!(!catalog.view().is_live(a, Timestamp(0)));
}

#[test]
fn a_bad_item_changes_nothing() {
    let catalog = filled();
    let dump = catalog.dump();
    let change = ItemChange {
        item_id: "a",
        at: Timestamp(0),
        item: Some(r#"{"colour":"red"}"#),
    };
    assert!(catalog.apply(&change).is_err());
    assert_eq!(catalog.dump(), dump);
}

#[test]
fn a_checkpoint_brings_back_rows_and_deletions() {
    let catalog = filled();
    let restored = Catalog::new();
    // Events may have named items, in another order, before the catalogue is back.
    let _ = restored.intern("c");
    let upto = catalog.encode_changes(0, |id, value| restored.restore_entry(id, value).unwrap());
    restored.publish();
    assert_eq!(restored.dump(), catalog.dump());
    let gone = restored.find("gone").unwrap();
    assert!(!restored.view().is_live(gone, Timestamp(0)));
    put(&catalog, "b", Some("{}"));
    let mut delta = Vec::new();
    catalog.encode_changes(upto, |id, _| {
        delta.push(String::from_utf8(id.to_vec()).unwrap())
    });
    assert_eq!(delta, ["b"]);
}

#[test]
fn changes_are_counted_and_listed() {
    let catalog = filled();
    let all = catalog.changes_since(0);
    assert_eq!(
        all.items.len(),
        4,
        "the implicit item has no row that changed"
    );
    put(&catalog, "b", Some(r#"{"tags":["new"]}"#));
    let changes = catalog.changes_since(all.upto);
    assert_eq!(changes.items, [catalog.find("b").unwrap()]);
    assert_eq!(catalog.changes_since(changes.upto).items, []);
}

#[test]
fn an_ordinary_row_stays_far_below_its_budget() {
    let catalog = Catalog::new();
    for item in 0..10_000 {
        let row = format!(
            r#"{{"categories":["c{}"],"tags":["t{}","t{}"],"attributes":{{"price":{item},"title":"The title of item {item}"}}}}"#,
            item % 50,
            item % 300,
            item % 77
        );
        let change = ItemChange {
            item_id: &format!("item-{item:08}"),
            at: Timestamp(0),
            item: Some(&row),
        };
        catalog.apply_unpublished(&change).unwrap();
    }
    let stats = catalog.stats();
    assert_eq!((stats.items, stats.listed), (10_000, 10_000));
    let per_item = stats.bytes / stats.items;
    assert!(per_item < 512, "{per_item} bytes per item");
}

//! Filter expressions: what they see, and that no text can do harm.

use crate::world::{World, ids, request, stranger};
use nowcast_recommend::{RecommendError, Recommender, Request};
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static LIVELY: LazyLock<Recommender> = LazyLock::new(|| World::lively().ready());

fn filtered(filter: &str) -> Result<Vec<String>, RecommendError> {
    let context = json!({"max_price": 12, "countries": ["de", "fr"]});
    let answer = LIVELY.recommend(&Request {
        filter: Some(filter),
        context: context.as_object(),
        ..stranger(60)
    })?;
    Ok(ids(&answer).into_iter().map(str::to_owned).collect())
}

fn check(filter: &str, expected: usize) {
    assert_eq!(filtered(filter).unwrap().len(), expected, "{filter}");
}

#[test]
fn items_are_seen_by_categories_tags_attributes_and_id() {
    check("'space' in item.categories", 20);
    check("item.categories[0] == 'space' || item.id == 'crime-03'", 21);
    check("item.tags.exists(tag, tag == 'shelf-2')", 15);
    check(
        "item.tags.all(tag, tag.startsWith('crime') || tag == 'shelf-0')",
        5,
    );
    check("size(item.tags) == 2", 60);
    check("item.attributes.price < 10", 10);
    check("item.attributes['price'] >= 38.0", 2);
    check("item.attributes.title.contains('number 7')", 3);
    check("item.available && !('crime' in item.categories)", 40);
    check("item.published_at > 0", 60);
    check(
        "'space' in item.categories ? item.attributes.price > 30 : false",
        9,
    );
}

#[test]
fn the_context_is_seen() {
    check("item.attributes.price <= context.max_price", 16);
    check("'de' in context.countries", 60);
    check("has(context.absent)", 0);
}

#[test]
fn an_absent_attribute_removes_the_item_unless_the_expression_asks_first() {
    check("item.attributes.colour == 'red'", 0);
    check(
        "has(item.attributes.colour) && item.attributes.colour == 'red'",
        0,
    );
    check(
        "!has(item.attributes.colour) || item.attributes.colour == 'red'",
        60,
    );
    check("item.attributes.title > 5", 0);
    check("item.attributes.price", 0);
    let explained = LIVELY.recommend(&Request {
        filter: Some("item.attributes.colour == 'red'"),
        explain: true,
        ..stranger(5)
    });
    let why = explained.unwrap().explanation.unwrap();
    assert_eq!(
        (why.removals[0].filter, why.removals[0].reason),
        ("expression", "failed")
    );
    assert_eq!(why.removals[0].count, 60);
}

#[test]
fn a_rare_condition_does_not_shorten_the_answer() {
    let answer = LIVELY.recommend(&Request {
        filter: Some("item.tags.exists(tag, tag == 'shelf-3') && 'space' in item.categories"),
        ..request(5)
    });
    assert_eq!(
        ids(&answer.unwrap()).len(),
        5,
        "filters work while sources retrieve"
    );
}

fn refusal(filter: &str) -> String {
    match filtered(filter) {
        Err(RecommendError::Expression(refused)) => refused.to_string(),
        other => panic!("{filter}: {other:?}"),
    }
}

#[test]
fn refusals_name_the_place_and_what_would_be_valid() {
    assert!(
        refusal("item.price <").contains("line 1, column 13"),
        "{}",
        refusal("item.price <")
    );
    let unknown = refusal("true &&\n  itm.price > 3");
    assert!(
        unknown.contains("`itm`") && unknown.contains("item, context"),
        "{unknown}"
    );
    assert!(unknown.contains("line 2, column 3"), "{unknown}");
    let function = refusal("item.id.matches('a+')");
    assert!(
        function.contains("`matches`") && function.contains("startsWith"),
        "{function}"
    );
    assert!(refusal(&"a".repeat(2_000)).contains("2000 bytes"));
    refusal("");
    refusal("item.tags.map(t, t + t)");
    refusal("item.tags.filter(t, true)");
    refusal("{'a': 1}.a == 1");
    refusal("item{}");
    refusal("tag in item.tags");
}

#[test]
fn costly_and_deep_expressions_are_refused_before_they_run() {
    let nested = "item.tags.exists(a, item.tags.exists(b, item.tags.exists(c, a == c)))";
    assert!(refusal(nested).contains("steps"));
    assert!(
        refusal(
            &"1 + "
                .repeat(200)
                .chars()
                .chain("1 > 0".chars())
                .collect::<String>()
        )
        .contains("nested")
    );
    refusal(&format!("{}true{}", "(".repeat(300), ")".repeat(300)));
    refusal(&format!("{}item.id == ''", "!(".repeat(200)));
    refusal(&"[".repeat(1_000));
    refusal(&format!("item{} == 1", ".a".repeat(400)));
    refusal(&format!("{}1 == 1", "true ? true : ".repeat(60)));
}

#[test]
fn hostile_texts_are_answered_on_a_small_stack() {
    let texts: Vec<String> = [
        "(", "[", "{", "!", "-", "a.", "a?b:", "1+", "'", "\\", "f(", "[1,", "&&", "\u{0}", "é",
    ]
    .iter()
    .flat_map(|unit| {
        let long = unit.repeat(1_024 / unit.len());
        [format!("{}1", &unit.repeat(300)), long]
    })
    .collect();
    let run = move || {
        for text in &texts {
            let _ = filtered(text);
        }
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run);
    thread.unwrap().join().unwrap();
}

#[test]
fn an_expression_that_runs_out_of_time_removes_what_it_did_not_look_at() {
    let answer = LIVELY.recommend(&Request {
        filter: Some("true"),
        deadline: Some(Instant::now() - Duration::from_millis(1)),
        explain: true,
        ..stranger(5)
    });
    let answer = answer.unwrap();
    assert!(answer.items.is_empty(), "the caller asked for a guarantee");
    let why = answer.explanation.unwrap();
    assert_eq!(why.removals[0].reason, "out_of_time");
}

fn fragment() -> impl Strategy<Value = String> {
    let words = [
        "item",
        "context",
        ".",
        "tags",
        "attributes",
        "price",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'a'",
        "1",
        "-9223372036854775808",
        "18446744073709551615u",
        "1e308",
        "==",
        "<",
        "+",
        "*",
        "/",
        "%",
        "&&",
        "||",
        "!",
        "?",
        ":",
        ",",
        "exists",
        "all",
        "has",
        "size",
        "in",
        " ",
        "t",
        "\"",
        "b'\\xff'",
        "null",
        "true",
        "//",
        "\n",
        "`x`",
        "..",
        "e\u{301}",
        "0x",
        "startsWith",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..60)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_refusals_lie_within_the_text(text in prop_oneof![fragment(), ".{0,80}"]) {
        match filtered(&text) {
            Ok(items) => prop_assert!(items.len() <= 60),
            Err(RecommendError::Expression(refused)) => {
                prop_assert!(refused.line as usize <= text.lines().count() + 2, "{refused}");
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

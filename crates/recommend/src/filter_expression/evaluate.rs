//! One evaluation: a compiled expression over one item's row and the request's context.
//!
//! Nothing is built that the expression does not ask for: `item` is a view of the row whose fields
//! are made on access.

use super::Expression;
use cel::common::traits::Indexer;
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelString, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, Value};
use nowcast_store::{Catalog, CatalogReader, ItemIdx, ItemRow, LabelIdx};
use nowcast_types::{AttributeValue, Timestamp};
use serde_json::Map;
use std::fmt;
use std::sync::{Arc, LazyLock};

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
static ITEM_TYPE: Type = Type::new_unspecified_type("item");
static ATTRIBUTES_TYPE: Type = Type::new_unspecified_type("item.attributes");

/// What an expression said of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It has no truth value: a missing attribute, a comparison of text with a number.
    Failed,
}

/// An expression with the context of one request.
pub(crate) struct BoundExpression {
    expression: Arc<Expression>,
    context: Box<dyn Val>,
}

impl fmt::Debug for BoundExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundExpression")
    }
}

impl BoundExpression {
    /// Binds `context.*`; an absent context is an empty one.
    pub(crate) fn new(
        expression: Arc<Expression>,
        context: Option<&Map<String, serde_json::Value>>,
    ) -> Self {
        let empty = Map::new();
        let value = cel::to_value(context.unwrap_or(&empty)).unwrap_or(Value::Null);
        let context: Result<Box<dyn Val>, _> = value.try_into();
        Self {
            expression,
            context: context.unwrap_or_else(|_| Box::new(CelBool::from(false))),
        }
    }

    /// Evaluates over an item; one that the catalogue does not know has no fields but empty lists.
    pub(crate) fn evaluate(&self, catalog: &Catalog, item: Option<ItemIdx>) -> Outcome {
        let table = catalog.read();
        let scope = Scope {
            table: &table,
            id: item.and_then(|item| table.id(item)),
            row: item.and_then(|item| table.row(item)).map(|row| &**row),
            context: &*self.context,
        };
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&scope);
        let result = Value::resolve_val(&self.expression.ast, &context);
        match result.map(|value| value.downcast_ref::<CelBool>().map(|truth| *truth.inner())) {
            Ok(Some(true)) => Outcome::True,
            Ok(Some(false)) => Outcome::False,
            Ok(None) | Err(_) => Outcome::Failed,
        }
    }
}

/// The two variables.
struct Scope<'a> {
    table: &'a CatalogReader<'a>,
    id: Option<&'a str>,
    row: Option<&'a ItemRow>,
    context: &'a (dyn Val + 'static),
}

// The lock behind the reader is only read through, on the thread that took it.
impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            "item" => Some(CowVal::owned(ItemVal(self))),
            "context" => Some(CowVal::Borrowed(self.context)),
            _ => None,
        }
    }
}

/// `item`: its fields are made when asked for.
struct ItemVal<'a>(&'a Scope<'a>);

/// `item.attributes`.
struct AttributesVal<'a>(&'a Scope<'a>);

impl<'a> ItemVal<'a> {
    fn field(&self, name: &str) -> Option<Box<dyn Val + 'a>> {
        let Scope { table, id, row, .. } = *self.0;
        let labels =
            |labels: &'a [LabelIdx],
             name: fn(&'a CatalogReader<'a>, LabelIdx) -> Option<&'a str>| {
                texts(labels.iter().filter_map(move |label| name(table, *label)))
            };
        let time = |at: Option<Timestamp>| {
            let ms = CelInt::from(at?.0);
            Some(Box::new(ms) as Box<dyn Val + 'a>)
        };
        match name {
            "id" => Some(Box::new(CelString::from(id?))),
            "categories" => {
                let of_row = row.map_or(&[][..], |row| &row.categories);
                Some(labels(of_row, |table, label| table.category_name(label)))
            }
            "tags" => {
                let of_row = row.map_or(&[][..], |row| &row.tags);
                Some(labels(of_row, |table, label| table.tag_name(label)))
            }
            "attributes" => Some(Box::new(AttributesVal(self.0))),
            "published_at" => time(row?.published_at),
            "expires_at" => time(row?.expires_at),
            "available" => Some(Box::new(CelBool::from(row?.available))),
            _ => None,
        }
    }
}

impl<'a> AttributesVal<'a> {
    fn field(&self, name: &str) -> Option<Box<dyn Val + 'a>> {
        let Scope { table, row, .. } = *self.0;
        let mut attributes = row?.attributes.iter();
        let is_wanted = |label: LabelIdx| table.attribute_name(label) == Some(name);
        let (_, value) = attributes.find(|(label, _)| is_wanted(*label))?;
        Some(match value {
            AttributeValue::Bool(truth) => Box::new(CelBool::from(*truth)),
            AttributeValue::Number(number) => Box::new(CelDouble::from(*number)),
            AttributeValue::Text(text) => Box::new(CelString::from(text.as_str())),
            AttributeValue::Texts(list) => texts(list.iter().map(String::as_str)),
            AttributeValue::Numbers(list) => {
                let boxed = list
                    .iter()
                    .map(|n| Box::new(CelDouble::from(*n)) as Box<dyn Val>);
                Box::new(CelList::from(boxed.collect::<Vec<_>>()))
            }
        })
    }
}

fn texts<'v>(texts: impl Iterator<Item = &'v str>) -> Box<dyn Val + 'v> {
    let boxed = texts.map(|text| Box::new(CelString::from(text)) as Box<dyn Val + 'v>);
    Box::new(CelList::from(boxed.collect::<Vec<_>>()))
}

/// What both views have in common: fields by name, and nothing else.
macro_rules! fields_by_name {
    ($view:ident, $type:ident) => {
        impl Val for $view<'_> {
            fn get_type(&self) -> &Type {
                &$type
            }

            fn cel_type() -> &'static Type {
                &$type
            }

            fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
            where
                Self: 'v,
            {
                Box::new($view(self.0))
            }
        }

        impl Indexer for $view<'_> {
            fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
            where
                Self: 'v,
            {
                let name = key
                    .downcast_ref::<CelString>()
                    .map_or("", |key| key.inner());
                let value = self.field(name).map(CowVal::Owned);
                value.ok_or_else(|| ExecutionError::no_such_key(name))
            }

            fn steal<'v>(
                self: Box<Self>,
                key: &dyn Val,
            ) -> Result<Box<dyn Val + 'v>, ExecutionError>
            where
                Self: 'v,
            {
                self.get(key).map(CowVal::into_owned)
            }
        }

        impl fmt::Debug for $view<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($view))
            }
        }
    };
}
fields_by_name!(ItemVal, ITEM_TYPE);
fields_by_name!(AttributesVal, ATTRIBUTES_TYPE);

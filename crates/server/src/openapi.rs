//! The description of the API: generated from the handlers, with the shapes of the bodies that the
//! engine reads itself. A test holds it against the route table.

use crate::handlers;
use nowcast_schemas::http;
use serde::Serialize;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Required, ResponseBuilder};
use utoipa::{Modify, OpenApi, ToSchema};

/// One event as a client sends it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventIn {
    /// The client's id and the key of retries; derived and returned if absent.
    pub event_id: Option<String>,
    /// `view`, `click`, `impression`, `scroll`, `dwell`, `search`, `like`, `dislike`,
    /// `add_to_cart`, `purchase`, `rating`, `play`, `skip`, `share`, `conversion`, `identify`, or
    /// a configured type.
    #[schema(example = "click")]
    pub event_type: String,
    /// The raw user id; it is replaced by a pseudonym before anything is stored.
    #[schema(example = "user-1")]
    pub user_id: Option<String>,
    /// The raw session id; required if there is no `user_id`.
    pub session_id: Option<String>,
    /// The item; required by most types.
    #[schema(example = "item-1")]
    pub item_id: Option<String>,
    /// Event time: milliseconds since 1970 or RFC 3339 text; the time of receipt if absent.
    #[schema(value_type = Option<i64>)]
    pub timestamp: Option<i64>,
    /// The quantity: milliseconds for `dwell` and `play`, stars for `rating`, a share for
    /// `scroll`, a price for `purchase`.
    pub value: Option<f64>,
    /// Where on the surface it happened.
    pub slot: Option<String>,
    /// The `request_id` of the answer it came from.
    pub request_id: Option<String>,
    /// `desktop`, `mobile`, `tablet`, `tv`, `bot` or `unknown`; told by the user agent if absent.
    pub device_type: Option<String>,
    /// Where the user was, such as a country code.
    pub location: Option<String>,
    /// Minutes east of Greenwich; told by a textual timestamp if absent.
    pub utc_offset_minutes: Option<i32>,
    /// Anything else.
    #[schema(value_type = Option<Object>)]
    pub properties: Option<()>,
    /// What the user allows; everything if absent.
    pub consent: Option<ConsentIn>,
    /// Version of this shape; 1.
    pub schema_version: Option<u8>,
}

/// What a user allows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Consent)]
pub struct ConsentIn {
    /// The event may change this user's answers; true if absent.
    pub personalize: Option<bool>,
    /// The event may train models and count for items; true if absent.
    pub train: Option<bool>,
}

/// An item as a client sends it; `{}` is a valid one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
pub struct ItemIn {
    /// Categories, the most important first.
    pub categories: Option<Vec<String>>,
    /// Free labels.
    pub tags: Option<Vec<String>>,
    /// Truth values, numbers, texts and lists of texts by name; texts feed content similarity.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<()>,
    /// Not recommended before: milliseconds since 1970 or RFC 3339 text.
    pub published_at: Option<i64>,
    /// Not recommended from then on: milliseconds since 1970 or RFC 3339 text.
    pub expires_at: Option<i64>,
    /// Whether it may be recommended at all; true if absent.
    pub available: Option<bool>,
}

/// An item among many.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BulkItem)]
pub struct BulkItemIn {
    /// The item's id.
    pub item_id: String,
    /// Its fields.
    #[serde(flatten)]
    pub item: ItemIn,
}

/// A user's record as a client sends it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserIn {
    /// The segment, such as `premium`; `null` for none.
    pub segment: Option<String>,
    /// Anything else.
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<()>,
}

/// What is known of a user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Profile)]
pub struct ProfileOut {
    /// The user's pseudonym.
    pub user_key: String,
    /// The segment, if the user's record names one.
    pub segment: Option<String>,
    /// Attributes of the user's record.
    #[schema(value_type = Object)]
    pub attributes: (),
    /// Interactions, newest first: item, event type, time, strength.
    #[schema(value_type = Vec<Object>)]
    pub history: (),
    /// Categories and their decayed weight, heaviest first.
    #[schema(value_type = Vec<Object>)]
    pub affinity: (),
    /// The present or last session.
    #[schema(value_type = Option<Object>)]
    pub session: (),
    /// Feature values by view.
    #[schema(value_type = Object)]
    pub features: (),
}

/// Values of feature views.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Features)]
pub struct FeaturesOut {
    /// When, in milliseconds since 1970.
    pub as_of: i64,
    /// Name, entity and value of each view.
    #[schema(value_type = Vec<Object>)]
    pub features: (),
}

/// How the engine is doing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusOut {
    /// Events accepted per second, over the last seconds.
    pub events_per_second: f64,
    /// Events folded per second, over the last seconds.
    pub applied_per_second: f64,
    /// Median time from receipt to being visible, in milliseconds.
    pub freshness_p50_ms: Option<f64>,
    /// 99th percentile of it.
    pub freshness_p99_ms: Option<f64>,
    /// Events stored and not yet folded.
    pub lag_events: u64,
    /// Per partition: end of the log, position of the fold, of the last checkpoint.
    #[schema(value_type = Vec<Object>)]
    pub partitions: (),
    /// Impressions, clicks and click-through rate by slot.
    #[schema(value_type = Vec<Object>)]
    pub slots: (),
    /// Models in use.
    #[schema(value_type = Vec<Object>)]
    pub models: (),
    /// Where the online ranker stands, if it learns: position, end, durable position.
    #[schema(value_type = Option<Object>)]
    pub online: (),
    /// Items in the catalogue.
    pub items: u64,
    /// Users with a profile.
    pub users: u64,
}

struct ApiKeySecurity;

impl Modify for ApiKeySecurity {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme(
            "api_key",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nowcast",
        description = "Real-time personalization: events in, recommendations that follow the last \
                       click out. Every error has the same shape, `{\"error\": {\"code\", \
                       \"message\", \"field\", \"expected\", \"value\", \"docs\"}}`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        handlers::events::ingest,
        handlers::catalogue::bulk,
        handlers::catalogue::put,
        handlers::catalogue::patch,
        handlers::catalogue::delete,
        handlers::catalogue::get,
        handlers::users::put,
        handlers::users::patch,
        handlers::users::delete,
        handlers::users::profile,
        handlers::dead_letters::list,
        handlers::dead_letters::show,
        handlers::dead_letters::replay,
        handlers::sessions::put,
        handlers::recommendations::recommend,
        handlers::lists::similar,
        handlers::lists::trending,
        handlers::features::features,
        handlers::health::status,
        handlers::health::healthz,
        handlers::health::readyz,
        handlers::health::metrics,
        handlers::documents::openapi_json,
        handlers::documents::docs,
        handlers::documents::console,
    ),
    components(schemas(EventIn, BulkItemIn)),
    modifiers(&ApiKeySecurity),
    security((), ("api_key" = []))
)]
struct Api;

/// The document. The schema registry is in it at its default place; its bodies are those of the
/// Confluent REST API.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Api::openapi();
    for route in &http::ROUTES {
        let path = format!("/registry{}", route.path.trim_end_matches('/'));
        let parameters = route.path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            let parameter = ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(Object::with_type(Type::String)));
            Some(parameter.build())
        });
        let operation = OperationBuilder::new()
            .tag("schema registry")
            .summary(Some(route.summary))
            .parameters(Some(parameters))
            .response(
                "200",
                ResponseBuilder::new().description("The answer").build(),
            );
        let methods = match route.method.as_str() {
            "POST" => HttpMethod::Post,
            "PUT" => HttpMethod::Put,
            "DELETE" => HttpMethod::Delete,
            _ => HttpMethod::Get,
        };
        document
            .paths
            .add_path_operation(path, vec![methods], operation.build());
    }
    document
}

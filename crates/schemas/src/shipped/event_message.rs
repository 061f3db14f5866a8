//! The shipped Protobuf event as a struct: what `schemas/event.proto` says, held equal by test.

/// `nowcast.v1.Event`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EventMessage {
    /// The producer's id of the event.
    #[prost(string, optional, tag = "1")]
    pub event_id: Option<String>,
    /// What happened.
    #[prost(string, optional, tag = "2")]
    pub event_type: Option<String>,
    /// Who did it.
    #[prost(string, optional, tag = "3")]
    pub user_id: Option<String>,
    /// The session.
    #[prost(string, optional, tag = "4")]
    pub session_id: Option<String>,
    /// What it was done to.
    #[prost(string, optional, tag = "5")]
    pub item_id: Option<String>,
    /// When it happened, in milliseconds since 1970.
    #[prost(int64, optional, tag = "6")]
    pub timestamp: Option<i64>,
    /// A quantity.
    #[prost(double, optional, tag = "7")]
    pub value: Option<f64>,
    /// Where on the surface it happened.
    #[prost(string, optional, tag = "8")]
    pub slot: Option<String>,
    /// The answer it came from.
    #[prost(string, optional, tag = "9")]
    pub request_id: Option<String>,
    /// The device class.
    #[prost(string, optional, tag = "10")]
    pub device_type: Option<String>,
    /// Where the user was.
    #[prost(string, optional, tag = "11")]
    pub location: Option<String>,
    /// Minutes east of Greenwich of the event's zone.
    #[prost(sint32, optional, tag = "12")]
    pub utc_offset_minutes: Option<i32>,
    /// Anything else.
    #[prost(message, optional, tag = "13")]
    pub properties: Option<prost_types::Struct>,
    /// What the user allows.
    #[prost(message, optional, tag = "14")]
    pub consent: Option<ConsentMessage>,
    /// Version of the meaning of the fields.
    #[prost(int32, optional, tag = "15")]
    pub schema_version: Option<i32>,
}

/// `nowcast.v1.Consent`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct ConsentMessage {
    /// May change this user's profile and answers.
    #[prost(bool, optional, tag = "1")]
    pub personalize: Option<bool>,
    /// May train models and item counters.
    #[prost(bool, optional, tag = "2")]
    pub train: Option<bool>,
}

//! Path, query and headers, for the API's document.

use events::BookingStatus;
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, Required, SchemaFormat};

use crate::http::listing::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::idempotency::MAX_CHARACTERS;

/// The PNR of the path.
pub(super) struct PnrParameter;

/// `Idempotency-Key`.
pub(super) struct KeyParameter;

/// `If-Match`.
pub(super) struct MatchParameter;

/// The query of a list.
pub(super) struct ListParameters;

impl IntoParams for PnrParameter {
    fn into_params(_location: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let pnr = of(Type::String).pattern(Some("^[1-9][0-9]{9}$"));
        let description = "The PNR: 10 digits, the first not 0";
        let parameter = parameter("pnr", ParameterIn::Path, description, pnr);
        vec![
            parameter
                .required(Required::True)
                .example(Some(json!("2412345678")))
                .build(),
        ]
    }
}

impl IntoParams for KeyParameter {
    fn into_params(_location: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let key = of(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_CHARACTERS));
        let description = "Makes a retry safe: the same key and body answer as the first time. Visible characters, bare or in double quotes, which do not count. Kept for 24 hours.";
        vec![parameter("Idempotency-Key", ParameterIn::Header, description, key).build()]
    }
}

impl IntoParams for MatchParameter {
    fn into_params(_location: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let tags = of(Type::String).min_length(Some(1));
        let description = "Only if the booking still has this `ETag`, or one of these; `*` is any. A weak one (`W/`) never matches.";
        let parameter = parameter("If-Match", ParameterIn::Header, description, tags);
        vec![parameter.example(Some(json!("\"1\""))).build()]
    }
}

impl IntoParams for ListParameters {
    fn into_params(_location: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let int64 = SchemaFormat::KnownFormat(KnownFormat::Int64);
        let account = of(Type::Integer).format(Some(int64)).minimum(Some(1));
        let words = BookingStatus::ALL.iter().map(ToString::to_string);
        let status = of(Type::String).enum_values(Some(words));
        let limit = of(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MAX_LIMIT))
            .default(Some(json!(DEFAULT_LIMIT)));
        let cursor = of(Type::String).min_length(Some(1));
        let all = [
            ("userId", "Only this account's", account),
            ("status", "Only those with this `bookingStatus`", status),
            ("limit", "How many at most", limit),
            ("cursor", "The `nextCursor` of the page before", cursor),
        ];
        let all = all.into_iter().map(|(name, description, schema)| {
            parameter(name, ParameterIn::Query, description, schema).build()
        });
        all.collect()
    }
}

fn of(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

/// A parameter that may be left out.
fn parameter(
    name: &str,
    place: ParameterIn,
    description: &str,
    schema: ObjectBuilder,
) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
}

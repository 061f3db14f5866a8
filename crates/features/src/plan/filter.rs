//! The filter of a feature view: fields of an event that must equal given values.
//!
//! Only equality, and only fields that every event has: anything richer belongs into an event type
//! of its own.

use nowcast_types::{DeviceClass, Event};
use std::collections::BTreeMap;

/// One field that must have one value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    Device(DeviceClass),
    Slot(String),
    Location(String),
    Category(String),
    Hour(u8),
    Weekday(u8),
}

/// Compiles the filter of a view; the error says what is wrong.
pub(super) fn compile(filter: &BTreeMap<String, String>) -> Result<Vec<Condition>, String> {
    filter
        .iter()
        .map(|(field, value)| condition(field, value))
        .collect()
}

fn condition(field: &str, value: &str) -> Result<Condition, String> {
    match field {
        "device" => DeviceClass::from_name(value)
            .map(Condition::Device)
            .ok_or_else(|| {
                let names = DeviceClass::ALL.map(DeviceClass::name).join(", ");
                format!("`{value}` is not a device class ({names})")
            }),
        "slot" => Ok(Condition::Slot(value.to_owned())),
        "location" => Ok(Condition::Location(value.to_owned())),
        "category" => Ok(Condition::Category(value.to_owned())),
        "hour" => number_below(value, 24).map(Condition::Hour),
        "weekday" => number_below(value, 7).map(Condition::Weekday),
        _ => Err(format!(
            "`{field}` cannot be filtered on (device, slot, location, category, hour, weekday can)"
        )),
    }
}

fn number_below(value: &str, limit: u8) -> Result<u8, String> {
    value
        .parse()
        .ok()
        .filter(|n| *n < limit)
        .ok_or_else(|| format!("`{value}` is not a number from 0 to {}", limit - 1))
}

impl Condition {
    /// Whether the event has the value.
    pub(crate) fn holds(&self, event: &Event<'_>) -> bool {
        match self {
            Self::Device(device) => event.device == *device,
            Self::Slot(slot) => event.slot == Some(slot.as_str()),
            Self::Location(location) => event.location == Some(location.as_str()),
            Self::Category(category) => event.categories.iter().any(|c| c == category),
            Self::Hour(hour) => event.timestamp.local_hour(event.utc_offset_minutes) == *hour,
            Self::Weekday(day) => event.timestamp.local_weekday(event.utc_offset_minutes) == *day,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_and_values_are_refused_with_the_valid_ones() {
        assert!(condition("colour", "red").unwrap_err().contains("weekday"));
        assert!(
            condition("device", "fridge")
                .unwrap_err()
                .contains("mobile")
        );
        assert!(condition("hour", "24").is_err());
        assert_eq!(condition("hour", "23"), Ok(Condition::Hour(23)));
    }
}

//! The ordered table of event types: one block each. To add a built-in type, add one block.
//!
//! The code is what the log stores, so it never changes and is never used again for another type.
//! Sites add their own types by configuration, with codes from 64 on.

use serde::Deserialize;
use std::collections::HashMap;

/// What the log stores in place of an event type's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct EventTypeCode(pub u8);

/// One event type: its name and what it says about taste.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTypeDef {
    /// The number on disk: built-in below 64, custom from 64 to 255.
    pub code: EventTypeCode,
    /// The name on the wire: lower-case ASCII letters, digits and `_`.
    pub name: String,
    /// Strength as implicit feedback: positive likes, negative dislikes, 0 says nothing.
    pub weight: f32,
    /// Whether the event must name an item.
    pub needs_item: bool,
    /// How `value` changes the strength.
    #[serde(default)]
    pub value: ValueMeaning,
}

/// What the `value` of an event type measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueMeaning {
    /// `value` does not change the strength.
    #[default]
    Plain,
    /// Milliseconds of attention; the strength grows with `ln(1 + seconds / 10)`, at most 3-fold.
    EngagedMs,
    /// Stars from 1 to 5; strength is `weight * (value - 2.5) / 2.5`.
    Stars,
    /// Share seen or heard, 0 to 1; multiplies the strength.
    Fraction,
}

impl EventTypeDef {
    /// Signed strength of one event of this type as implicit feedback.
    #[must_use]
    pub fn strength(&self, value: Option<f32>) -> f32 {
        let Some(value) = value.filter(|v| v.is_finite()) else {
            return self.weight;
        };
        let factor = match self.value {
            ValueMeaning::Plain => 1.0,
            ValueMeaning::EngagedMs => (value.max(0.0) / 10_000.0).ln_1p().min(3.0),
            ValueMeaning::Stars => (value.clamp(0.0, 5.0) - 2.5) / 2.5,
            ValueMeaning::Fraction => value.clamp(0.0, 1.0),
        };
        self.weight * factor
    }
}

macro_rules! built_in {
    ($($(#[doc = $doc:literal])+ $const:ident = $code:literal, $name:literal, weight $weight:literal, item $item:literal, $value:ident;)*) => {
        impl EventTypeCode {
            $($(#[doc = $doc])+ pub const $const: Self = Self($code);)*
        }
        fn built_in() -> Vec<EventTypeDef> {
            vec![$(EventTypeDef {
                code: EventTypeCode($code),
                name: $name.to_owned(),
                weight: $weight,
                needs_item: $item,
                value: ValueMeaning::$value,
            }),*]
        }
    };
}

built_in! {
    /// An item's page or detail was opened.
    VIEW = 0, "view", weight 1.0, item true, Plain;
    /// An item in a list was clicked.
    CLICK = 1, "click", weight 1.5, item true, Plain;
    /// An item was shown; says nothing by itself, but is the denominator of every rate.
    IMPRESSION = 2, "impression", weight 0.0, item true, Plain;
    /// Scrolled through an item; `value` is the share seen.
    SCROLL = 3, "scroll", weight 0.5, item true, Fraction;
    /// Time spent on an item; `value` is milliseconds.
    DWELL = 4, "dwell", weight 1.0, item true, EngagedMs;
    /// A search; the text is in `properties.query`.
    SEARCH = 5, "search", weight 0.0, item false, Plain;
    /// An explicit like.
    LIKE = 6, "like", weight 3.0, item true, Plain;
    /// An explicit dislike.
    DISLIKE = 7, "dislike", weight -3.0, item true, Plain;
    /// Put into the cart.
    ADD_TO_CART = 8, "add_to_cart", weight 3.0, item true, Plain;
    /// Bought; `value` is the price.
    PURCHASE = 9, "purchase", weight 5.0, item true, Plain;
    /// Rated; `value` is stars from 1 to 5.
    RATING = 10, "rating", weight 3.0, item true, Stars;
    /// Played; `value` is milliseconds.
    PLAY = 11, "play", weight 1.0, item true, EngagedMs;
    /// Skipped.
    SKIP = 12, "skip", weight -1.0, item true, Plain;
    /// Shared with others.
    SHARE = 13, "share", weight 3.0, item true, Plain;
    /// A goal was reached; the item, if any, led there.
    CONVERSION = 14, "conversion", weight 5.0, item false, Plain;
    /// A visitor made themselves known.
    IDENTIFY = 15, "identify", weight 0.0, item false, Plain;
}

/// First code that a site may give to a type of its own.
pub const CUSTOM_CODE_MIN: u8 = 64;

/// Every event type this process knows, by name and by code.
#[derive(Debug, Clone)]
pub struct EventTypes {
    by_code: Vec<Option<EventTypeDef>>,
    by_name: HashMap<String, EventTypeCode>,
}

impl EventTypes {
    /// The built-in types and `custom` ones.
    ///
    /// # Errors
    /// A sentence that names the custom type and what is wrong with it.
    pub fn with_custom(custom: &[EventTypeDef]) -> Result<Self, String> {
        let mut types = Self {
            by_code: vec![None; 256],
            by_name: HashMap::new(),
        };
        for def in custom {
            if def.code.0 < CUSTOM_CODE_MIN {
                return Err(format!(
                    "event type `{}`: code {} is below {CUSTOM_CODE_MIN}, which are built in",
                    def.name, def.code.0
                ));
            }
            let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if def.name.is_empty() || !def.name.bytes().all(valid) {
                return Err(format!(
                    "event type `{}`: a name is a-z, 0-9 and _",
                    def.name
                ));
            }
            if !def.weight.is_finite() {
                return Err(format!("event type `{}`: weight must be finite", def.name));
            }
        }
        for def in built_in().into_iter().chain(custom.iter().cloned()) {
            let code = def.code;
            if types.by_name.insert(def.name.clone(), code).is_some() {
                return Err(format!("event type `{}` is defined twice", def.name));
            }
            if let Some(other) = types.by_code[usize::from(code.0)].replace(def) {
                return Err(format!(
                    "code {} is given twice, first to `{}`",
                    code.0, other.name
                ));
            }
        }
        Ok(types)
    }

    /// The code of a name.
    #[must_use]
    pub fn code(&self, name: &str) -> Option<EventTypeCode> {
        self.by_name.get(name).copied()
    }

    /// The definition behind a code; `None` for a code of a type no longer configured.
    #[must_use]
    pub fn get(&self, code: EventTypeCode) -> Option<&EventTypeDef> {
        self.by_code[usize::from(code.0)].as_ref()
    }

    /// The name behind a code, or `unknown`.
    #[must_use]
    pub fn name(&self, code: EventTypeCode) -> &str {
        self.get(code).map_or("unknown", |def| &def.name)
    }

    /// Signed strength of an event as implicit feedback; 0 for an unknown code.
    #[must_use]
    pub fn strength(&self, code: EventTypeCode, value: Option<f32>) -> f32 {
        self.get(code).map_or(0.0, |def| def.strength(value))
    }

    /// All names in the order of their codes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_code.iter().flatten().map(|def| def.name.as_str())
    }
}

impl Default for EventTypes {
    fn default() -> Self {
        Self::with_custom(&[]).expect("the built-in table has no duplicates")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(code: u8, name: &str) -> EventTypeDef {
        EventTypeDef {
            code: EventTypeCode(code),
            name: name.into(),
            weight: 1.0,
            needs_item: true,
            value: ValueMeaning::Plain,
        }
    }

    #[test]
    fn custom_types_join_the_built_in_ones() {
        let types = EventTypes::with_custom(&[custom(64, "bookmark")]).unwrap();
        assert_eq!(types.code("bookmark"), Some(EventTypeCode(64)));
        assert_eq!(types.code("click"), Some(EventTypeCode::CLICK));
        assert_eq!(types.names().count(), 17);
    }

    #[test]
    fn clashes_and_bad_names_are_refused() {
        for bad in [
            custom(3, "x"),
            custom(64, "click"),
            custom(64, "Böse"),
            custom(64, ""),
        ] {
            assert!(EventTypes::with_custom(&[bad]).is_err());
        }
        assert!(EventTypes::with_custom(&[custom(64, "a"), custom(64, "b")]).is_err());
    }

    #[test]
    fn strength_has_the_sign_of_the_taste() {
        let types = EventTypes::default();
        assert!(types.strength(EventTypeCode::RATING, Some(1.0)) < 0.0);
        assert!(types.strength(EventTypeCode::RATING, Some(5.0)) > 0.0);
        assert_eq!(types.strength(EventTypeCode::DWELL, Some(0.0)), 0.0);
        assert_eq!(types.strength(EventTypeCode::CLICK, Some(f32::NAN)), 1.5);
    }
}

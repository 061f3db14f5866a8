//! Names of event types in other people's files.

use nowcast_types::EventTypes;
use std::collections::BTreeMap;

/// Other names for built-in types, in the words of common public data sets, normalised.
const KNOWN_ALIASES: [(&str, &str); 22] = [
    ("pageview", "view"),
    ("page_view", "view"),
    ("detail_view", "view"),
    ("pv", "view"),
    ("clickout_item", "click"),
    ("interaction_item_image", "view"),
    ("interaction_item_info", "view"),
    ("interaction_item_rating", "view"),
    ("interaction_item_deals", "view"),
    ("search_for_item", "view"),
    ("search_for_destination", "search"),
    ("search_for_poi", "search"),
    ("filter_selection", "search"),
    ("change_of_sort_order", "search"),
    ("addtocart", "add_to_cart"),
    ("cart", "add_to_cart"),
    ("fav", "like"),
    ("favourite", "like"),
    ("transaction", "purchase"),
    ("buy", "purchase"),
    ("listen", "play"),
    ("rate", "rating"),
];

/// Maps the names in a file to the names of our event types.
#[derive(Debug, Clone, Default)]
pub struct TypeNames {
    given: BTreeMap<String, String>,
}

impl TypeNames {
    /// Reads `--map-type "theirs=ours"` assignments.
    ///
    /// # Errors
    /// A sentence about an assignment without `=` or to a type there is not.
    pub fn parse(assignments: &[String], types: &EventTypes) -> anyhow::Result<Self> {
        let mut given = BTreeMap::new();
        for text in assignments {
            let (theirs, ours) = text.split_once('=').ok_or_else(|| {
                anyhow::anyhow!("--map-type {text}: expected \"name in file=event type\"")
            })?;
            if types.code(ours).is_none() {
                let names: Vec<&str> = types.names().collect();
                anyhow::bail!(
                    "--map-type {text}: there is no event type `{ours}`; there are {}",
                    names.join(", ")
                );
            }
            given.insert(theirs.to_owned(), ours.to_owned());
        }
        Ok(Self { given })
    }

    /// Our name for `theirs`; unknown names come back normalised, for the edge to judge.
    #[must_use]
    pub fn ours(&self, theirs: &str) -> String {
        if let Some(ours) = self.given.get(theirs) {
            return ours.clone();
        }
        let plain: String = theirs
            .trim()
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '_'
                }
            })
            .collect();
        let known = KNOWN_ALIASES.iter().find(|(alias, _)| *alias == plain);
        known.map_or(plain, |(_, ours)| (*ours).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_aliased_and_overridden() {
        let names =
            TypeNames::parse(&["item deals=click".to_owned()], &EventTypes::default()).unwrap();
        assert_eq!(names.ours("item deals"), "click");
        assert_eq!(names.ours("clickout item"), "click");
        assert_eq!(names.ours("Add-To-Cart"), "add_to_cart");
        assert_eq!(names.ours("View"), "view");
    }

    #[test]
    fn every_alias_leads_to_a_built_in_type() {
        let types = EventTypes::default();
        assert!(
            KNOWN_ALIASES
                .iter()
                .all(|(_, ours)| types.code(ours).is_some())
        );
    }

    #[test]
    fn a_type_that_does_not_exist_is_refused_with_the_list() {
        let error = TypeNames::parse(&["a=b".to_owned()], &EventTypes::default()).unwrap_err();
        assert!(error.to_string().contains("add_to_cart"));
    }
}

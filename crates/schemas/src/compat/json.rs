//! Containment of JSON Schemas: does the reader's schema accept everything that the writer's does?
//!
//! In general that is beyond any program, so this decides a sound subset and refuses the rest with
//! a reason. Decided are: `type`, `enum`, `const`, all bounds, `required`, `properties`,
//! `additionalProperties`, `items`, `$ref` to a place in the same or a referenced schema, `allOf`,
//! `anyOf` and, where the branches differ in type, `oneOf`. `pattern` and `format` have to be
//! equal. Any other constraint (`not`, `if`, `contains`, `patternProperties`, `prefixItems`,
//! `dependent…`, `unevaluated…`, `propertyNames`) is accepted only where the same object has it
//! unchanged on both sides. Annotations and unknown keywords do not count.

use super::json_places::{Document, Place, constrains, list, object, refers, resolve, types_of};
use super::json_scalars::{ARRAY, OBJECT, STRING, Types, broken_bound, listed, types};
use crate::parsed::validator;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::LazyLock;

/// Why `reader` does not accept everything that `writer` does.
pub(super) fn cannot_read(reader: Document<'_>, writer: Document<'_>) -> Vec<String> {
    let mut checker = Checker {
        sup_document: reader,
        sub_document: writer,
        assumed: HashSet::new(),
        trail: Vec::new(),
        steps: 0,
    };
    let sup = Place {
        root: reader.0,
        at: reader.0,
    };
    let sub = Place {
        root: writer.0,
        at: writer.0,
    };
    match checker.contains(sup, sub, "") {
        Ok(()) => Vec::new(),
        Err(reason) => vec![reason],
    }
}

/// The schema `true`, as an object.
static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// Comparisons in one check; schemas that need more are refused.
const STEPS_MAX: usize = 20_000;

/// Keywords whose meaning depends on what is decided here, each with the ones it works with. They
/// count as implied where both sides have the whole group unchanged.
const OPAQUE: &[&[&str]] = &[
    &["not"],
    &["if", "then", "else"],
    &["contains", "minContains", "maxContains"],
    &["patternProperties", "properties", "additionalProperties"],
    &["prefixItems", "items", "additionalItems"],
    &["dependencies"],
    &["dependentRequired"],
    &["dependentSchemas"],
    &["propertyNames"],
    &["uniqueItems"],
    &["$dynamicRef"],
    &["$recursiveRef"],
    &["extends"],
    &["disallow"],
];

struct Checker<'s> {
    sup_document: Document<'s>,
    sub_document: Document<'s>,
    /// Pairs under way: schemas that refer to themselves are right if the rest is.
    assumed: HashSet<(usize, usize)>,
    /// The same pairs in the order in which they came.
    trail: Vec<(usize, usize)>,
    steps: usize,
}

type Verdict = Result<(), String>;

impl<'s> Checker<'s> {
    fn contains(&mut self, sup: Place<'s>, sub: Place<'s>, path: &str) -> Verdict {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err("cannot decide: the schemas are too large to compare".to_owned());
        }
        let pair = (address(sup.at), address(sub.at));
        if !self.assumed.insert(pair) {
            return Ok(());
        }
        let before = self.trail.len();
        self.trail.push(pair);
        let verdict = self.compare(sup, sub, path);
        if verdict.is_err() {
            // What was shown inside may rest on this pair, so it goes too.
            for pair in self.trail.drain(before..) {
                self.assumed.remove(&pair);
            }
        }
        verdict
    }

    fn compare(&mut self, sup: Place<'s>, sub: Place<'s>, path: &str) -> Verdict {
        let (sup_fields, sub_fields) = match (sup.at, sub.at) {
            (Value::Bool(true), _) | (_, Value::Bool(false)) => return Ok(()),
            (Value::Object(fields), _) if constrains(fields).next().is_none() => return Ok(()),
            (Value::Bool(false), _) => {
                return refuse(path, "what was allowed is allowed no longer");
            }
            (Value::Object(sup), Value::Object(sub)) => (sup, sub),
            (Value::Object(sup), Value::Bool(true)) => (sup, &*EMPTY),
            _ => return refuse(path, "this is not a JSON Schema"),
        };
        if types(sub_fields) == 0 {
            return Ok(());
        }
        if let Some(done) = self.split_sub(sup, sub, sub_fields, path) {
            return done;
        }
        self.split_sup(sup, sub, sup_fields, path)?;
        self.assertions(sup, sub, (sup_fields, sub_fields), path)
    }

    /// Takes the writer's schema apart where it is made of others. The other keywords beside them
    /// make it smaller still, so leaving them out is sound.
    fn split_sub(
        &mut self,
        sup: Place<'s>,
        sub: Place<'s>,
        fields: &'s Map<String, Value>,
        path: &str,
    ) -> Option<Verdict> {
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            let target = match resolve(sub, reference, self.sub_document) {
                Ok(target) => target,
                Err(reason) => return Some(refuse(path, &reason)),
            };
            // What stands beside a `$ref` counts in some drafts only, so it is left out.
            return Some(self.contains(sup, target, path));
        }
        for name in ["anyOf", "oneOf"] {
            if let Some(branches) = fields.get(name).and_then(Value::as_array) {
                let mut verdicts = branches
                    .iter()
                    .map(|branch| self.contains(sup, sub.with(branch), path));
                let verdict = verdicts.find(Result::is_err).unwrap_or(Ok(()));
                let is_alone = constrains(fields).all(|other| other == name);
                return (is_alone || verdict.is_ok()).then_some(verdict);
            }
        }
        let parts = fields.get("allOf").and_then(Value::as_array)?;
        let mut verdict = Err(String::new());
        for part in parts {
            verdict = self.contains(sup, sub.with(part), path);
            if verdict.is_ok() {
                return Some(verdict);
            }
        }
        // The parts may imply together what none does alone.
        let is_alone = constrains(fields).all(|other| other == "allOf");
        (is_alone && parts.len() == 1).then_some(verdict)
    }

    /// Checks the parts of the reader's schema that are made of others.
    fn split_sup(
        &mut self,
        sup: Place<'s>,
        sub: Place<'s>,
        fields: &'s Map<String, Value>,
        path: &str,
    ) -> Verdict {
        if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
            let target = resolve(sup, reference, self.sup_document);
            self.contains(
                target.or_else(|reason| refuse_with(path, &reason))?,
                sub,
                path,
            )?;
        }
        for part in list(fields, "allOf") {
            self.contains(sup.with(part), sub, path)?;
        }
        let any = list(fields, "anyOf");
        if !any.is_empty()
            && !any
                .iter()
                .any(|part| self.contains(sup.with(part), sub, path).is_ok())
        {
            self.by_type(sup, any, sub, path)?;
        }
        let one = list(fields, "oneOf");
        if !one.is_empty() {
            for (place, part) in one.iter().enumerate() {
                let overlap = one[..place]
                    .iter()
                    .any(|other| types_of(other) & types_of(part) != 0);
                if overlap {
                    return refuse(
                        path,
                        "cannot decide about `oneOf` with branches of one type",
                    );
                }
            }
            self.by_type(sup, one, sub, path)?;
        }
        Ok(())
    }

    /// Shows that each type the writer's schema allows is covered by one branch of the reader's.
    /// Sound because a branch is asked about the whole writer's schema cut down to that type.
    fn by_type(
        &mut self,
        sup: Place<'s>,
        branches: &'s [Value],
        sub: Place<'s>,
        path: &str,
    ) -> Verdict {
        let of_sub = types_of(sub.at);
        for bit in 0..7 {
            let one: Types = 1 << bit;
            // Whole numbers are covered by whatever covers numbers.
            if of_sub & one == 0 {
                continue;
            }
            let is_covered = branches.iter().any(|branch| {
                let of_branch = types_of(branch);
                if of_branch & one == 0 {
                    return false;
                }
                let of_both = of_branch & of_sub;
                let Value::Object(fields) = branch else {
                    return branch == &Value::Bool(true);
                };
                let is_type_alone = constrains(fields).all(|name| name == "type");
                is_type_alone && of_both & one != 0
                    || of_sub == one | (of_sub & of_branch)
                        && self.contains(sup.with(branch), sub, path).is_ok()
            });
            if !is_covered {
                return refuse(path, "no branch of `anyOf` or `oneOf` is known to cover it");
            }
        }
        Ok(())
    }

    fn assertions(
        &mut self,
        sup: Place<'s>,
        sub: Place<'s>,
        (sup_fields, sub_fields): (&'s Map<String, Value>, &'s Map<String, Value>),
        path: &str,
    ) -> Verdict {
        let (of_sup, of_sub) = (types(sup_fields), types(sub_fields));
        if let Some(values) = listed(sub_fields) {
            return self.values(sup, &values, path);
        }
        if listed(sup_fields).is_some() {
            return refuse(path, "the values are now limited to a list");
        }
        if sup_fields.contains_key("type") && of_sub & !of_sup != 0 {
            return refuse(path, "a type is allowed no longer");
        }
        if let Some(reason) = broken_bound(sup_fields, sub_fields, of_sub) {
            return refuse(path, &reason);
        }
        for name in ["pattern", "format", "contentEncoding", "contentMediaType"] {
            let is_new =
                sup_fields.contains_key(name) && sup_fields.get(name) != sub_fields.get(name);
            if is_new && of_sub & STRING != 0 {
                return refuse(path, &format!("cannot decide about a changed `{name}`"));
            }
        }
        let objects_may_differ = of_sub & OBJECT != 0;
        let arrays_may_differ = of_sub & ARRAY != 0;
        self.opaque((sup, sup_fields), (sub, sub_fields), path)?;
        if objects_may_differ {
            self.required(sup_fields, sub_fields, path)?;
            self.members(sup, sub, (sup_fields, sub_fields), path)?;
        }
        if arrays_may_differ && !sup_fields.contains_key("prefixItems") {
            let (Some(of_sup), of_sub) = (sup_fields.get("items"), sub_fields.get("items")) else {
                return Ok(());
            };
            if of_sup.is_array() || of_sub.is_some_and(Value::is_array) {
                return equal_or(of_sup, of_sub, path, "a list of `items`");
            }
            if sub_fields.contains_key("prefixItems") {
                return refuse(path, "cannot decide about `prefixItems`");
            }
            let of_sub = sub.with(of_sub.unwrap_or(&Value::Bool(true)));
            self.contains(sup.with(of_sup), of_sub, &format!("{path}/items"))?;
        }
        Ok(())
    }

    /// A writer that lists its values: each is put to the reader's schema itself.
    fn values(&mut self, sup: Place<'s>, values: &[&Value], path: &str) -> Verdict {
        if refers(sup.at) && !std::ptr::eq(sup.root, sup.at) {
            return refuse(path, "cannot decide about listed values behind a `$ref`");
        }
        let validator = validator(sup.at, self.sup_document.1);
        let validator = validator.or_else(|reason| refuse_with(path, &reason))?;
        match values.iter().find(|value| !validator.is_valid(value)) {
            None => Ok(()),
            Some(value) => refuse(path, &format!("the value {value} is allowed no longer")),
        }
    }

    fn opaque(
        &self,
        (sup, sup_fields): (Place<'s>, &Map<String, Value>),
        (sub, sub_fields): (Place<'s>, &Map<String, Value>),
        path: &str,
    ) -> Verdict {
        for group in OPAQUE {
            let Some(value) = sup_fields.get(group[0]) else {
                continue;
            };
            if group[0] == "uniqueItems" && value == &Value::Bool(false) {
                continue;
            }
            let is_same = group
                .iter()
                .all(|name| sup_fields.get(*name) == sub_fields.get(*name));
            // Equal text means the same only if what it refers to is the same too.
            let is_closed = !refers(value) || sup.root == sub.root;
            if !is_same || !is_closed {
                return refuse(path, &format!("cannot decide about `{}`", group[0]));
            }
        }
        let unevaluated = ["unevaluatedProperties", "unevaluatedItems"];
        let has_unevaluated = unevaluated
            .iter()
            .any(|name| sup_fields.contains_key(*name));
        if has_unevaluated && (sup_fields != sub_fields || refers(sup.at) && sup.root != sub.root) {
            return refuse(path, "cannot decide about `unevaluated…`");
        }
        Ok(())
    }

    fn required(&self, sup: &Map<String, Value>, sub: &Map<String, Value>, path: &str) -> Verdict {
        let of_sub = list(sub, "required");
        match list(sup, "required")
            .iter()
            .find(|name| !of_sub.contains(name))
        {
            None => Ok(()),
            Some(name) => refuse(path, &format!("{name} is required now")),
        }
    }

    fn members(
        &mut self,
        sup: Place<'s>,
        sub: Place<'s>,
        (sup_fields, sub_fields): (&'s Map<String, Value>, &'s Map<String, Value>),
        path: &str,
    ) -> Verdict {
        if sup_fields.contains_key("patternProperties") {
            // Found unchanged together with the others of its group.
            return Ok(());
        }
        const ANYTHING: &Value = &Value::Bool(true);
        let of_sup = object(sup_fields, "properties");
        let of_sub = object(sub_fields, "properties");
        let sub_rest = sub_fields.get("additionalProperties").unwrap_or(ANYTHING);
        // Members that match a pattern of the writer's may be anything that the pattern allows.
        let has_patterns = sub_fields.contains_key("patternProperties");
        for (name, member) in of_sup.into_iter().flatten() {
            let path = format!("{path}/properties/{name}");
            match of_sub.and_then(|members| members.get(name)) {
                Some(written) => self.contains(sup.with(member), sub.with(written), &path)?,
                None if has_patterns => {
                    return refuse(&path, "cannot decide about `patternProperties`");
                }
                None => self
                    .contains(sup.with(member), sub.with(sub_rest), &path)
                    .or_else(|reason| {
                        refuse(&path, &format!("it was open to anything before ({reason})"))
                    })?,
            }
        }
        let Some(sup_rest) = sup_fields.get("additionalProperties") else {
            return Ok(());
        };
        for (name, written) in of_sub.into_iter().flatten() {
            if of_sup.is_some_and(|members| members.contains_key(name)) {
                continue;
            }
            let path = format!("{path}/properties/{name}");
            self.contains(sup.with(sup_rest), sub.with(written), &path)?;
        }
        if has_patterns && sup_rest != ANYTHING {
            return refuse(path, "cannot decide about `patternProperties`");
        }
        let path = format!("{path}/additionalProperties");
        self.contains(sup.with(sup_rest), sub.with(sub_rest), &path)
    }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value) as usize
}

fn refuse(path: &str, reason: &str) -> Verdict {
    refuse_with(path, reason)
}

fn refuse_with<T>(path: &str, reason: &str) -> Result<T, String> {
    let path = if path.is_empty() { "/" } else { path };
    Err(format!("{path}: {reason}"))
}

fn equal_or(sup: &Value, sub: Option<&Value>, path: &str, what: &str) -> Verdict {
    if sub == Some(sup) && !refers(sup) {
        return Ok(());
    }
    refuse(path, &format!("cannot decide about {what}"))
}

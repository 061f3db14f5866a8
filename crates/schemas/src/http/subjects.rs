//! `/subjects` and `/compatibility`: registration, look-up, deletion and checks.

use super::answers::{Answer, Failure, Parameters, new_schema, version_json};
use super::schemas::formatted;
use super::{Service, write};
use crate::registry::{RegistryRefusal, SubjectVersion, VersionSelector};
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use serde_json::json;

pub(super) async fn list(State(service): Service, Query(parameters): Query<Parameters>) -> Answer {
    let names = service.read(|registry| {
        let with_deleted = parameters.deleted || parameters.deleted_only;
        let visible: Vec<String> = registry.subjects(false).map(str::to_owned).collect();
        let names = registry.subjects(with_deleted);
        let names = names.filter(|name| {
            let is_hidden = !visible.iter().any(|other| other == name);
            parameters.wants(name) && (!parameters.deleted_only || is_hidden)
        });
        names.map(str::to_owned).collect::<Vec<_>>()
    });
    Answer::json(&json!(parameters.page(names)))
}

pub(super) async fn register(
    State(service): Service,
    Path(subject): Path<String>,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    let new = new_schema(&bytes)?;
    let id = write(service, move |registry| {
        registry.plan_register(&subject, &new)
    })
    .await?;
    Ok(Answer::json(&json!({"id": id})))
}

pub(super) async fn lookup(
    State(service): Service,
    Path(subject): Path<String>,
    Query(parameters): Query<Parameters>,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    let new = new_schema(&bytes)?;
    service.read(|registry| {
        let found = registry.lookup(&subject, &new, parameters.deleted)?;
        let text = formatted(registry, &found.schema, &parameters)?;
        Ok(Answer::json(&version_json(&found, &text)))
    })
}

pub(super) async fn versions(
    State(service): Service,
    Path(subject): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let versions = service.read(|registry| registry.versions(&subject, parameters.deleted))?;
    Ok(Answer::json(&json!(parameters.page(versions))))
}

fn find(
    service: &Service,
    subject: &str,
    version: &str,
    with_deleted: bool,
) -> Result<SubjectVersion, Failure> {
    let selector = VersionSelector::parse(version)?;
    let found = service.read(|registry| registry.version(subject, selector, with_deleted));
    Ok(found?)
}

pub(super) async fn version(
    service: Service,
    Path((subject, version)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let found = find(&service, &subject, &version, parameters.deleted)?;
    let text = service.read(|registry| formatted(registry, &found.schema, &parameters))?;
    Ok(Answer::json(&version_json(&found, &text)))
}

pub(super) async fn version_text(
    service: Service,
    Path((subject, version)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let found = find(&service, &subject, &version, parameters.deleted)?;
    let text = service.read(|registry| formatted(registry, &found.schema, &parameters))?;
    Ok(Answer::text(&text))
}

pub(super) async fn referenced_by(
    service: Service,
    Path((subject, version)): Path<(String, String)>,
) -> Result<Answer, Failure> {
    let found = find(&service, &subject, &version, true)?;
    let ids = service.read(|registry| registry.referenced_by(&subject, found.version));
    Ok(Answer::json(&json!(ids)))
}

pub(super) async fn delete(
    State(service): Service,
    Path(subject): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let versions = write(service, move |registry| {
        let plan = registry.plan_delete_subject(&subject, parameters.permanent)?;
        Ok((plan.0, Some(plan.1)))
    });
    Ok(Answer::json(&json!(versions.await?)))
}

pub(super) async fn delete_version(
    State(service): Service,
    Path((subject, version)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let selector = VersionSelector::parse(&version)?;
    let version = write(service, move |registry| {
        let plan = registry.plan_delete_version(&subject, selector, parameters.permanent)?;
        Ok((plan.0, Some(plan.1)))
    });
    Ok(Answer::json(&json!(version.await?)))
}

pub(super) async fn compatible_with_all(
    service: Service,
    Path(subject): Path<String>,
    Query(parameters): Query<Parameters>,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    compatible(&service, &subject, None, &parameters, &bytes)
}

pub(super) async fn compatible_with(
    service: Service,
    Path((subject, version)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    let selector = VersionSelector::parse(&version)?;
    compatible(&service, &subject, Some(selector), &parameters, &bytes)
}

fn compatible(
    service: &Service,
    subject: &str,
    selector: Option<VersionSelector>,
    parameters: &Parameters,
    bytes: &Bytes,
) -> Result<Answer, Failure> {
    let new = new_schema(bytes)?;
    let objections = service.read(|registry| registry.objections(subject, &new, selector));
    let reasons = match objections {
        // Nothing was registered yet, so nothing speaks against it.
        Err(RegistryRefusal::SubjectNotFound(_)) if selector == Some(VersionSelector::Latest) => {
            Vec::new()
        }
        other => other?,
    };
    let mut body = json!({"is_compatible": reasons.is_empty()});
    if parameters.verbose {
        body["messages"] = json!(reasons);
    }
    Ok(Answer::json(&body))
}

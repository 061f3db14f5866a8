//! `/config` and `/mode`: the compatibility level and the mode, of one subject or of all.

use super::answers::{Answer, Failure, Parameters, body};
use super::{Service, write};
use crate::compat::CompatibilityLevel;
use crate::registry::{Mode, RegistryRefusal, RegistryService};
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

#[derive(Deserialize)]
struct LevelBody {
    compatibility: Option<String>,
}

#[derive(Deserialize)]
struct ModeBody {
    mode: Option<String>,
}

fn level_answer(level: CompatibilityLevel) -> Answer {
    Answer::json(&json!({"compatibilityLevel": level.name()}))
}

fn mode_answer(mode: Mode) -> Answer {
    Answer::json(&json!({"mode": mode.name()}))
}

pub(super) async fn level_of_all(State(service): Service) -> Answer {
    level_answer(service.read(|registry| registry.level(None)))
}

pub(super) async fn level(
    State(service): Service,
    Path(subject): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let level = service.read(|registry| match registry.own_level(Some(&subject)) {
        None if parameters.default_to_global => Some(registry.level(None)),
        own => own,
    });
    let level = level.ok_or(RegistryRefusal::NoSubjectLevel(subject))?;
    Ok(level_answer(level))
}

async fn put_level(
    service: Arc<RegistryService>,
    subject: Option<String>,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    let LevelBody { compatibility } = body(&bytes)?;
    let name = compatibility.unwrap_or_default();
    let level = CompatibilityLevel::from_name(&name).ok_or(RegistryRefusal::InvalidLevel)?;
    write(service, move |registry| {
        let change = registry.plan_set_level(subject.as_deref(), Some(level))?;
        Ok(((), Some(change)))
    })
    .await?;
    Ok(Answer::json(&json!({"compatibility": level.name()})))
}

pub(super) async fn set_level_of_all(
    State(service): Service,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    put_level(service, None, bytes).await
}

pub(super) async fn set_level(
    State(service): Service,
    Path(subject): Path<String>,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    put_level(service, Some(subject), bytes).await
}

async fn remove_level(
    service: Arc<RegistryService>,
    subject: Option<String>,
) -> Result<Answer, Failure> {
    let level = write(service, move |registry| {
        let own = registry.own_level(subject.as_deref());
        let level = match (&subject, own) {
            (Some(subject), None) => {
                return Err(RegistryRefusal::NoSubjectLevel(subject.clone()));
            }
            (_, own) => own.unwrap_or_default(),
        };
        let change = registry.plan_set_level(subject.as_deref(), None)?;
        Ok((level, Some(change)))
    });
    Ok(level_answer(level.await?))
}

pub(super) async fn unset_level_of_all(State(service): Service) -> Result<Answer, Failure> {
    remove_level(service, None).await
}

pub(super) async fn unset_level(
    State(service): Service,
    Path(subject): Path<String>,
) -> Result<Answer, Failure> {
    remove_level(service, Some(subject)).await
}

pub(super) async fn mode_of_all(State(service): Service) -> Answer {
    mode_answer(service.read(|registry| registry.mode(None)))
}

pub(super) async fn mode(
    State(service): Service,
    Path(subject): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let mode = service.read(|registry| match registry.own_mode(Some(&subject)) {
        None if parameters.default_to_global => Some(registry.mode(None)),
        own => own,
    });
    let mode = mode.ok_or(RegistryRefusal::NoSubjectMode(subject))?;
    Ok(mode_answer(mode))
}

async fn put_mode(
    service: Arc<RegistryService>,
    subject: Option<String>,
    is_forced: bool,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    let ModeBody { mode } = body(&bytes)?;
    let mode = Mode::from_name(&mode.unwrap_or_default()).ok_or(RegistryRefusal::InvalidMode)?;
    write(service, move |registry| {
        let change = registry.plan_set_mode(subject.as_deref(), Some(mode), is_forced)?;
        Ok(((), Some(change)))
    })
    .await?;
    Ok(mode_answer(mode))
}

pub(super) async fn set_mode_of_all(
    State(service): Service,
    Query(parameters): Query<Parameters>,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    put_mode(service, None, parameters.force, bytes).await
}

pub(super) async fn set_mode(
    State(service): Service,
    Path(subject): Path<String>,
    Query(parameters): Query<Parameters>,
    bytes: Bytes,
) -> Result<Answer, Failure> {
    put_mode(service, Some(subject), parameters.force, bytes).await
}

async fn remove_mode(
    service: Arc<RegistryService>,
    subject: Option<String>,
) -> Result<Answer, Failure> {
    let mode = write(service, move |registry| {
        let own = registry.own_mode(subject.as_deref());
        let mode = match (&subject, own) {
            (Some(subject), None) => {
                return Err(RegistryRefusal::NoSubjectMode(subject.clone()));
            }
            (_, own) => own.unwrap_or_default(),
        };
        let change = registry.plan_set_mode(subject.as_deref(), None, false)?;
        Ok((mode, Some(change)))
    });
    Ok(mode_answer(mode.await?))
}

pub(super) async fn unset_mode_of_all(State(service): Service) -> Result<Answer, Failure> {
    remove_mode(service, None).await
}

pub(super) async fn unset_mode(
    State(service): Service,
    Path(subject): Path<String>,
) -> Result<Answer, Failure> {
    remove_mode(service, Some(subject)).await
}

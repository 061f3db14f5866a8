//! The whole product as a value: log, fold, catalogue, models, pipeline.

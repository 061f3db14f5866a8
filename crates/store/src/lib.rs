//! Durable checkpoints, model artifacts and the item catalogue.

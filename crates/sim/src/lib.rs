//! A seeded catalogue and readers with hidden tastes.

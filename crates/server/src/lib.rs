//! The HTTP API, its wire shapes, limits and documentation.

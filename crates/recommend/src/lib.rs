//! The candidate pipeline: sources, filters, scorers, selectors, ladder.

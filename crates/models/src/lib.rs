//! Algorithms as pure code: history in, scores out; training; ranking metrics.

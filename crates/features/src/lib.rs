//! Feature views, sessions, history: the pure fold of a partition.

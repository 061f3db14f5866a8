//! Files behind one small trait, checksummed frames, failpoints.

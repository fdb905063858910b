//! Models of flue-core; see `tests/`.

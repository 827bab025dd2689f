//! What is served although it breaks a rule: zones of control panels come so, and other servers take them.

/// Nothing of it, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// Records whose owner is not in the zone are left out, with a warning.
    pub drop_out_of_zone: bool,
    /// A zone may have no NS record at its apex, with a warning.
    pub serve_without_ns: bool,
}

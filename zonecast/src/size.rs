//! Sizes in bytes, for people.

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// `1.5 GiB`; below a mebibyte rounded up, so that nothing is nothing.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..MIB => format!("{} KiB", bytes.div_ceil(KIB)),
        MIB..GIB => format!("{} MiB", bytes / MIB),
        _ => format!("{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let sizes = [0, 1, MIB - 1, MIB, GIB - 1, GIB, GIB + GIB / 2, 100 * GIB + 1].map(size);
        assert_eq!(sizes, ["0 KiB", "1 KiB", "1024 KiB", "1 MiB", "1023 MiB", "1.0 GiB", "1.5 GiB", "100.0 GiB"]);
    }
}

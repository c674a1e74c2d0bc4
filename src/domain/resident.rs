//! The memory of the process, as the system counts it.

/// Bytes of a page on every system that has the file; those with larger ones count too little.
const PAGE_BYTES: u64 = 4096;

/// Returns the bytes of memory that the process holds; `None` where the system does not say.
pub fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(PAGE_BYTES)
}

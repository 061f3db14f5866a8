//! What a program has had of the processors; Linux keeps it.

/// User and system time of this process; the kernel counts hundredths of a second.
pub(crate) fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind_name = stat.rsplit(')').next().expect("a name in parentheses");
    let ticks = |field| -> f64 {
        let value = behind_name.split_whitespace().nth(field);
        value.and_then(|v| v.parse().ok()).expect("a number")
    };
    (ticks(11) + ticks(12)) / 100.0
}

//! The fuzz targets. What they do is in `targets.rs`.

mod targets;

/// The target of this name.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn target(name: &str) -> fn(&[u8]) -> bool {
    let found = targets::TARGETS.iter().find(|(own, _)| *own == name);
    found
        .unwrap_or_else(|| panic!("no target is called `{name}`"))
        .1
}

/// Makes a fuzzer out of the target of this name.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        static TARGET: std::sync::LazyLock<fn(&[u8]) -> bool> =
            std::sync::LazyLock::new(|| $crate::target($name));
        libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            TARGET(data);
        });
    };
}

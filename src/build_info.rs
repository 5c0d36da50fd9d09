//! What was built, from what, with what.

/// The package's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built from; `unknown` outside a checkout.
pub const REVISION: &str = env!("BUILD_REVISION");
/// The compiler's version.
pub const RUSTC: &str = env!("BUILD_RUSTC");
/// All three in one line, for people.
pub const LINE: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (revision ",
    env!("BUILD_REVISION"),
    ", rustc ",
    env!("BUILD_RUSTC"),
    ")"
);

//! Identity tokens: where they come from, what stands in them, and whether they may sign.
//!
//! A token is a JSON Web Token whose signature nobody verifies here: Fulcio does, and a token that
//! lies gets no certificate. What stands in it decides all the same whether scgate asks for one,
//! because Fulcio certifies whatever the issuer vouches for, a pull request's build included.
//!
//! Start with [`Ambient::fetch`] for the token of a CI job, [`Token::parse`] for one that is given,
//! and [`Rules::permit`] for who may sign.

mod ambient;
mod claims;
pub mod device;
mod identity;
mod rules;

pub use ambient::Ambient;
pub use ambient::Provider;
pub use claims::Token;
pub use identity::Claimed;
pub use rules::RefPatternError;
pub use rules::Rules;

/// The audience that Fulcio expects, unless its operator says otherwise.
pub const AUDIENCE: &str = "sigstore";

//! What kept a command from its work, where it is not the command line: one sentence, what helps, and
//! the exit code.

use crate::cli::Outcome;
use crate::cli::UsageError;
use crate::cli::say;
use crate::model;
use crate::model::DenyCode;
use crate::output::remedy;
use crate::output::signing_remedy;
use crate::services;
use crate::services::tuf;
use crate::services::tuf::Fault;
use crate::sign;

/// What kept a command from its work.
#[derive(Debug)]
pub(super) enum Failed {
    /// A reason that has a code.
    Coded {
        code: DenyCode,
        text: String,
        remedy: &'static str,
    },
    /// The command line, or a file that it names.
    Usage(UsageError),
}

impl Failed {
    /// Says it, and what helps.
    pub(super) fn outcome(self) -> Result<Outcome, UsageError> {
        match self {
            Self::Usage(error) => Err(error),
            Self::Coded { code, text, remedy } => {
                say("error", &format!("{text} ({code})"));
                say("help", remedy);
                Ok(outcome_of(code))
            }
        }
    }
}

/// What a reason ends with. A token or predicate that is none is the asker's to mend.
pub(super) const fn outcome_of(code: DenyCode) -> Outcome {
    match code {
        DenyCode::TokenMissing | DenyCode::TokenMalformed | DenyCode::PredicateMalformed => {
            Outcome::Usage
        }
        code => match code.outcome() {
            model::Outcome::Deny => Outcome::Denied,
            model::Outcome::Undecided => Outcome::Undecided,
        },
    }
}

impl From<UsageError> for Failed {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}

impl From<tuf::Error> for Failed {
    fn from(error: tuf::Error) -> Self {
        let code = match error.fault() {
            Fault::Asker => return Self::Usage(UsageError::Tuf(error)),
            Fault::Repository => DenyCode::MirrorUntrusted,
            Fault::World => DenyCode::ServiceUnavailable,
        };
        Self::Coded {
            code,
            text: error.to_string(),
            remedy: remedy(code),
        }
    }
}

impl From<services::Error> for Failed {
    fn from(error: services::Error) -> Self {
        sign::Error::from(error).into()
    }
}

impl From<sign::Error> for Failed {
    fn from(error: sign::Error) -> Self {
        Self::Coded {
            code: error.code(),
            text: error.to_string(),
            remedy: signing_remedy(&error),
        }
    }
}

impl From<sign::PredicateError> for Failed {
    fn from(error: sign::PredicateError) -> Self {
        Self::Coded {
            code: error.code(),
            text: error.to_string(),
            remedy: remedy(error.code()),
        }
    }
}

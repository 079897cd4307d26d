//! A change that is made to a value just before it is signed.

use core::fmt;
use std::sync::Arc;

/// What an order does to one of its values on the way. The default does nothing.
///
/// Whatever is computed later (hashes, proofs, signatures) is computed over the changed value, so
/// that only the check of the value itself can notice.
#[derive(Clone)]
pub struct Hook<T>(Option<Arc<Change<T>>>);

type Change<T> = dyn Fn(&mut T) + Send + Sync;

impl<T> Hook<T> {
    /// A hook that makes `change`.
    #[must_use]
    pub fn new(change: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(change)))
    }

    pub(in crate::sandbox) fn apply(&self, value: &mut T) {
        if let Some(change) = &self.0 {
            change(value);
        }
    }

    /// The changed value.
    pub(super) fn on(&self, mut value: T) -> T {
        self.apply(&mut value);
        value
    }
}

/// Hooks are equal when they are the same one, or both do nothing.
impl<T> PartialEq for Hook<T> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl<T> Eq for Hook<T> {}

impl<T> Default for Hook<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> fmt::Debug for Hook<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Hook(…)"
        } else {
            "Hook"
        })
    }
}

//! Users from an htpasswd file.
//!
//! Plain passwords (`htpasswd -p`) and SHA-1 (`htpasswd -s`) are read. bcrypt is not: it would bring
//! a second cryptographic library for a test double, and Basic sends the password with every
//! request, which bcrypt makes slow on purpose.

use aws_lc_rs::digest as hash;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::RegistryError;
use super::config::User;

/// What stands before a password that was hashed with SHA-1.
const SHA: &str = "{SHA}";

impl User {
    /// Reads the users of an htpasswd file. Each may read and write everything.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Htpasswd`] with the number of the line that has no colon, no name, or a
    /// password in another form than plain or `{SHA}`.
    pub fn htpasswd(text: &str) -> Result<Vec<Self>, RegistryError> {
        let mut users = Vec::new();
        for (place, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |reason| RegistryError::Htpasswd {
                line: place + 1,
                reason,
            };
            let (name, password) = line
                .split_once(':')
                .ok_or_else(|| wrong("there is no colon"))?;
            if name.is_empty() {
                return Err(wrong("there is no name"));
            }
            if password.starts_with('$') {
                return Err(wrong(
                    "bcrypt, MD5 and crypt are not read, only plain (`htpasswd -p`) and SHA-1 (`-s`)",
                ));
            }
            users.push(Self::new(name, password));
        }
        Ok(users)
    }

    /// The user as a line of an htpasswd file, the password hashed with SHA-1.
    #[must_use]
    pub fn to_htpasswd(&self) -> String {
        if self.password.starts_with(SHA) {
            format!("{}:{}", self.name, self.password)
        } else {
            format!("{}:{}", self.name, hashed(&self.password))
        }
    }

    /// Whether it is the password.
    pub(super) fn has_password(&self, password: &str) -> bool {
        if self.password.starts_with(SHA) {
            self.password == hashed(password)
        } else {
            self.password == password
        }
    }
}

fn hashed(password: &str) -> String {
    let value = hash::digest(&hash::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    format!("{SHA}{}", STANDARD.encode(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_written() {
        // The second line is what `htpasswd -nbs bob secret` prints.
        let text = "# users\nalice:open:sesame\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n\n";
        let users = User::htpasswd(text).unwrap();
        let [alice, bob] = users.as_slice() else {
            panic!("{users:?}");
        };
        assert!(alice.has_password("open:sesame"));
        assert!(!alice.has_password("open"));
        assert!(bob.has_password("secret"));
        assert!(!bob.has_password("Secret"));
        assert!(!bob.has_password("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="));
        assert_eq!(bob.to_htpasswd(), "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=");
        let again = User::htpasswd(&alice.to_htpasswd()).unwrap();
        assert!(again[0].has_password("open:sesame"));
    }

    #[test]
    fn a_line_that_cannot_be_obeyed_is_named() {
        for (text, expected) in [
            ("a:b\nalice", "there is no colon"),
            ("a:b\n:x", "there is no name"),
            ("a:b\nc:$2y$05$abc", "only plain"),
            ("a:b\nc:$apr1$abc", "only plain"),
        ] {
            let error = User::htpasswd(text).unwrap_err().to_string();
            assert!(
                error.contains("line 2") && error.contains(expected),
                "{error}"
            );
        }
    }
}

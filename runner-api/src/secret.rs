//! Tokens and other secret texts: never printed by `Debug`, read only by an explicit call.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// How many characters of a token identify a runner in logs, metrics and paths.
const SHORT_LENGTH: usize = 9;

/// Defines a secret text type with redacted `Debug`.
macro_rules! secret {
    ($(#[$meta:meta])* pub struct $name:ident) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Takes the text into protection.
            ///
            /// ```
            #[doc = concat!("let secret = runner_api::", stringify!($name), "::new(\"hidden\");")]
            /// assert!(!format!("{secret:?}").contains("hidden"));
            /// ```
            pub fn new(text: impl Into<String>) -> Self {
                Self(SecretString::from(text.into()))
            }

            /// The text itself. Whoever calls this answers for where it goes.
            ///
            /// ```
            #[doc = concat!("let secret = runner_api::", stringify!($name), "::new(\"hidden\");")]
            /// assert_eq!(secret.expose(), "hidden");
            /// ```
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }

            /// Whether there is no text at all.
            ///
            /// ```
            #[doc = concat!("let secret = runner_api::", stringify!($name), "::new(\"\");")]
            /// assert!(secret.is_empty());
            /// ```
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.expose().is_empty()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.expose() == other.expose()
            }
        }

        impl Eq for $name {}

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

secret! {
    /// The authentication token of one runner: made in GitLab's user interface (`glrt-…`) or by a registration.
    ///
    /// Source: GitLab documentation, "Runner authentication tokens".
    ///
    /// ```
    /// use runner_api::RunnerToken;
    ///
    /// let token = RunnerToken::new("glrt-t1_abcdefghijklmnop");
    /// assert_eq!(token.short(), "abcdefghi");
    /// assert_eq!(format!("{token:?}"), "RunnerToken([redacted])");
    /// ```
    pub struct RunnerToken
}

secret! {
    /// The token of one job (`glcbt-…`): allows updates, trace and artifacts of that job while it runs.
    ///
    /// ```
    /// use runner_api::JobToken;
    ///
    /// let token = JobToken::new("glcbt-64_secret");
    /// assert_eq!(format!("{token:?}"), "JobToken([redacted])");
    /// assert_eq!(token.expose(), "glcbt-64_secret");
    /// ```
    pub struct JobToken
}

secret! {
    /// A legacy registration token, which can create runners.
    ///
    /// ```
    /// let token = runner_api::RegistrationToken::new("GR1348941secret");
    /// assert_eq!(format!("{token:?}"), "RegistrationToken([redacted])");
    /// ```
    pub struct RegistrationToken
}

secret! {
    /// Any other secret text: a password, a private key, a personal access token.
    ///
    /// ```
    /// let password = runner_api::SecretText::new("hunter2");
    /// assert_eq!(format!("{password:?}"), "SecretText([redacted])");
    /// ```
    pub struct SecretText
}

impl Default for SecretText {
    fn default() -> Self {
        Self::new("")
    }
}

impl RunnerToken {
    /// What identifies this runner in logs, metrics and paths: well-known prefixes are left out, then the first nine
    /// characters are taken.
    ///
    /// ```
    /// use runner_api::RunnerToken;
    ///
    /// assert_eq!(RunnerToken::new("GR1348941abcdefghijk").short(), "abcdefghi");
    /// assert_eq!(RunnerToken::new("abcdefghijk").short(), "abcdefghi");
    /// ```
    #[must_use]
    pub fn short(&self) -> &str {
        short(self.expose())
    }

    /// Whether the runner was created in GitLab's user interface or REST API (`glrt-…`). Such a runner is verified
    /// instead of registered, and its managers are unregistered one by one.
    ///
    /// ```
    /// assert!(runner_api::RunnerToken::new("glrt-abc").is_created_in_gitlab());
    /// assert!(!runner_api::RunnerToken::new("abc").is_created_in_gitlab());
    /// ```
    #[must_use]
    pub fn is_created_in_gitlab(&self) -> bool {
        self.expose().starts_with("glrt-")
    }
}

impl JobToken {
    /// The part of the token that may identify it in diagnostics, by the rule of [`RunnerToken::short`].
    ///
    /// ```
    /// assert_eq!(runner_api::JobToken::new("glcbt-64_abcdefghi").short(), "64_abcdef");
    /// ```
    #[must_use]
    pub fn short(&self) -> &str {
        short(self.expose())
    }
}

impl RegistrationToken {
    /// The part of the token that may identify it in diagnostics, by the rule of [`RunnerToken::short`].
    ///
    /// ```
    /// assert_eq!(runner_api::RegistrationToken::new("GR1348941abcdefghijk").short(), "abcdefghi");
    /// ```
    #[must_use]
    pub fn short(&self) -> &str {
        short(self.expose())
    }
}

/// Strips each known prefix once, in this order, then cuts at nine characters.
fn short(token: &str) -> &str {
    let mut rest = token;
    if let Some(stripped) = rest.strip_prefix("glrt-") {
        rest = strip_kind(stripped);
    }
    rest = strip_kind(rest);
    for prefix in ["glrtr-", "glcbt-"] {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    rest = strip_rotated(rest);
    match rest.char_indices().nth(SHORT_LENGTH) {
        Some((end, _)) => rest.get(..end).unwrap_or(rest),
        None => rest,
    }
}

/// `t1_`, `t2_` and `t3_` tell the runner's kind: instance, group, project.
fn strip_kind(token: &str) -> &str {
    ["t1_", "t2_", "t3_"].iter().find_map(|kind| token.strip_prefix(kind)).unwrap_or(token)
}

/// `GR` and seven hexadecimal digits in front of legacy registration tokens.
fn strip_rotated(token: &str) -> &str {
    let Some((prefix, rest)) = token.split_at_checked(9) else { return token };
    let hex = prefix.strip_prefix("GR").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    if hex { rest } else { token }
}

#[cfg(test)]
mod tests {
    use super::{RunnerToken, short};

    #[test]
    fn short_tokens() {
        for (token, expected) in [
            ("", ""),
            ("abc", "abc"),
            ("abcdefghijkl", "abcdefghi"),
            ("glrt-abcdefghijkl", "abcdefghi"),
            ("glrt-t1_abcdefghijkl", "abcdefghi"),
            ("glrt-t3_abcdefghijkl", "abcdefghi"),
            ("glrt-t4_abcdefghijkl", "t4_abcdef"),
            ("t2_abcdefghijkl", "abcdefghi"),
            ("glrtr-abcdefghijkl", "abcdefghi"),
            ("glcbt-64_abcdefghi", "64_abcdef"),
            ("GR1348941abcdefghijkl", "abcdefghi"),
            ("GR134894xabcdefghijkl", "GR134894x"),
            ("GR1348941", ""),
            ("äöüäöüäöüäöü", "äöüäöüäöü"),
        ] {
            assert_eq!(short(token), expected, "{token}");
        }
    }

    #[test]
    fn debug_never_shows_the_text() {
        let token = RunnerToken::new("glrt-abcdefghijkl");
        assert!(!format!("{token:?} {:?}", Some(&token)).contains("abc"));
    }
}

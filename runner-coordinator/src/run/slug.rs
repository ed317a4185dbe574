//! Names made safe for URLs and host names.

use sha2::{Digest, Sha256};

/// GitLab's slug: lower case, everything outside `a-z0-9` one `-` each, at most 63 characters, no `-` at the ends.
///
/// ```
/// assert_eq!(runner_coordinator::run::slug("Feature/A--b_"), "feature-a--b");
/// ```
#[must_use]
pub fn slug(name: &str) -> String {
    let dashed: String = name.to_lowercase().chars().map(dashed).take(63).collect();
    dashed.trim_matches('-').to_owned()
}

/// Slug of an environment: at most 24 characters, starts with a letter; a name that had to be changed gets a suffix
/// that keeps different names apart.
///
/// ```
/// assert_eq!(runner_coordinator::run::environment_slug("prod"), "prod");
/// ```
#[must_use]
pub fn environment_slug(name: &str) -> String {
    let mut slug: String = name.to_lowercase().chars().map(dashed).collect();
    if !slug.starts_with(|c: char| c.is_ascii_lowercase()) {
        slug.insert_str(0, "env-");
    }
    let mut last = ' ';
    slug.retain(|c| {
        let again = c == '-' && last == '-';
        last = c;
        !again
    });
    if slug.len() <= 24 && slug == name {
        return slug;
    }
    slug.truncate(17);
    if !slug.ends_with('-') {
        slug.push('-');
    }
    slug + &suffix(name)
}

/// A number made of a path, the same on every machine: where GitLab has a row id, and there is no GitLab.
pub(super) fn stable_id(path: &str) -> u64 {
    let digest = Sha256::digest(path.as_bytes());
    let number = digest.iter().take(4).fold(0, |number, byte| number << 8 | u64::from(*byte));
    (number & 0x7fff_ffff).max(1)
}

/// The last six base-36 digits of the name's SHA-256.
fn suffix(name: &str) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digest = Sha256::digest(name.as_bytes());
    let mut rest = digest.iter().fold(0, |rest, byte| (rest * 256 + u64::from(*byte)) % 36_u64.pow(6));
    let mut digits = ['0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = char::from(DIGITS[(rest % 36) as usize]);
        rest /= 36;
    }
    digits.iter().collect()
}

fn dashed(c: char) -> char {
    if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for (name, expected) in [
            ("main", "main"),
            ("Feature/New_Thing", "feature-new-thing"),
            ("a//b", "a--b"),
            ("-x-", "x"),
            ("grün", "gr-n"),
            (&"x".repeat(80), &"x".repeat(63)),
        ] {
            assert_eq!(slug(name), expected);
        }
    }

    // Suffixes computed apart from this code: SHA-256 as one number, in base 36, its last six digits.
    #[test]
    fn environment_slugs() {
        for (name, expected) in [
            ("prod", "prod"),
            ("review/a", "review-a-ppbxnw"),
            ("Prod", "prod-njlta9"),
            ("1a", "env-1a-wazbdx"),
            ("a-very-long-environment-name", "a-very-long-envir-8opby0"),
        ] {
            assert_eq!(environment_slug(name), expected);
        }
    }
}

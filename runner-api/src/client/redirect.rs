//! Following redirects, without taking tokens where they do not belong.
//!
//! Downloads lead to object storage, whose address carries its own signature: tokens stay behind when a `GET` leaves the
//! instance's origin. Other methods are only redirected with their body (307, 308), when the instance tells to use another
//! address of itself; the token is part of such a call. The other redirects would turn it into a `GET` that cannot mean the
//! same: they are reported as an error that names the new address. No redirect leads from https to http.

use http::{HeaderMap, Method, StatusCode, header};
use url::Url;

use crate::base_url::{BaseUrl, without_secrets};

/// How many redirects one request follows.
pub(super) const LIMIT: u32 = 10;

/// Headers that authenticate.
const TOKENS: [&str; 4] = ["job-token", "runner-token", "private-token", "authorization"];

/// Where an answer leads: nowhere else, to another address, or nowhere with a reason.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Stay,
    Follow(Url),
    Refuse(String),
}

/// What to do about an answer to a request of `method` to `from`.
pub(super) fn step(method: &Method, from: &Url, status: StatusCode, headers: &HeaderMap) -> Step {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Step::Stay;
    }
    let Some(location) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) else {
        return Step::Stay;
    };
    let Ok(to) = from.join(location) else {
        return Step::Refuse("its redirect leads to an address that cannot be parsed".to_owned());
    };
    let shown = without_secrets(&to);
    if !matches!(to.scheme(), "http" | "https") {
        return Step::Refuse(format!("its redirect leads to {shown}, which is not http or https"));
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        return Step::Refuse(format!("its redirect leads to {shown}, which is not encrypted"));
    }
    if method != Method::GET && !matches!(status.as_u16(), 307 | 308) {
        return Step::Refuse(format!("it redirects to {shown}: use that address as the instance URL"));
    }
    Step::Follow(to)
}

/// Takes the tokens out of the headers of a `GET` that leaves the instance.
pub(super) fn leave_tokens(base: &BaseUrl, method: &Method, to: &Url, headers: &mut HeaderMap) {
    if method == Method::GET && !base.same_origin(to) {
        for name in TOKENS {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(method: &Method, from: &str, status: u16, location: Option<&str>) -> Step {
        let mut headers = HeaderMap::new();
        if let Some(location) = location {
            headers.insert(header::LOCATION, location.parse().unwrap());
        }
        step(method, &from.parse().unwrap(), StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn decisions() {
        let follow = |url: &str| Step::Follow(url.parse().unwrap());
        let h = "https://h/api/v4/jobs/1/artifacts";
        assert_eq!(decide(&Method::GET, h, 200, Some("https://x/")), Step::Stay);
        assert_eq!(decide(&Method::GET, h, 304, Some("https://x/")), Step::Stay);
        assert_eq!(decide(&Method::GET, h, 302, None), Step::Stay);
        assert_eq!(decide(&Method::GET, h, 302, Some("https://x/a?s=1")), follow("https://x/a?s=1"));
        assert_eq!(decide(&Method::GET, h, 307, Some("/b")), follow("https://h/b"));
        assert_eq!(decide(&Method::POST, h, 307, Some("https://x/a")), follow("https://x/a"));
        assert_eq!(decide(&Method::PUT, "http://h/a", 308, Some("https://h/a")), follow("https://h/a"));
        for (method, from, status, location, part) in [
            (&Method::GET, h, 302, "http://x/a", "not encrypted"),
            (&Method::GET, h, 302, "ftp://x/a", "not http"),
            (&Method::GET, h, 302, "https://", "cannot be parsed"),
            (&Method::POST, "http://h/a", 301, "https://u:p@h/a?token=x", "it redirects to https://h/a: use"),
        ] {
            let Step::Refuse(reason) = decide(method, from, status, Some(location)) else {
                panic!("{location}")
            };
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn tokens_stay_at_home() {
        let base = BaseUrl::parse("https://h").unwrap();
        for (method, to, kept) in [
            (Method::GET, "https://h/x", true),
            (Method::GET, "https://h:444/x", false),
            (Method::GET, "https://storage/x", false),
            (Method::POST, "https://h2/x", true),
        ] {
            let mut headers = HeaderMap::from_iter([("job-token".parse().unwrap(), "t".parse().unwrap())]);
            leave_tokens(&base, &method, &to.parse().unwrap(), &mut headers);
            assert_eq!(headers.contains_key("job-token"), kept, "{to}");
        }
    }
}

//! "Did you mean": the nearest known name for a mistyped one.

/// The known name that is nearest to `name`, if any is near enough to be what was meant.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let limit = (name.chars().count() / 3).max(1);
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .copied()
        .filter(|candidate| candidate.len() <= 64)
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate);
    // Or the name was cut short: `prod` is meant to be `production`.
    near.or_else(|| {
        let mut longer = known.into_iter().filter(|known| name.len() >= 3 && known.starts_with(name));
        longer.next().filter(|_| longer.next().is_none())
    })
}

/// "did you mean …" for the first name that has a near one, otherwise `fallback`.
pub(crate) fn closest_of(names: &[&str], known: &[&str], fallback: &str) -> String {
    let near = names.iter().find_map(|name| closest(name, known.iter().copied()));
    near.map_or_else(|| fallback.to_owned(), |near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn finds_what_was_meant() {
        let known = ["script", "stage", "services", "before_script"];
        assert_eq!(closest("scirpt", known), Some("script"));
        assert_eq!(closest("stages", known), Some("stage"));
        assert_eq!(closest("befor_script", known), Some("before_script"));
        assert_eq!(closest("foo", known), None);
        assert_eq!(closest("serv", known), Some("services"));
        assert_eq!(closest("st", known), None);
    }
}

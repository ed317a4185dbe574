//! Keywords that were ignored, said once.

/// The notes, each once; those that only count the jobs of an ignored keyword become one, with the jobs of all pipelines.
pub(in crate::exec) fn joined(notes: Vec<String>) -> Vec<String> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    let mut joined: Vec<String> = Vec::new();
    let mut place = None;
    for note in notes {
        let Some((keyword, count)) = ignored(&note) else {
            if !joined.contains(&note) {
                joined.push(note);
            }
            continue;
        };
        place.get_or_insert(joined.len());
        match counts.iter_mut().find(|(known, _)| *known == keyword) {
            Some((_, sum)) => *sum += count,
            None => counts.push((keyword, count)),
        }
    }
    if let Some(place) = place {
        let counted = counts.iter().map(|(keyword, count)| {
            format!("{keyword} ({count} {})", if *count == 1 { "job" } else { "jobs" })
        });
        joined.insert(place, format!("ignored: {}", counted.collect::<Vec<_>>().join(", ")));
    }
    joined
}

/// Keyword and number of a note `ignored: KEYWORD (N jobs)`, in a child pipeline with that one's name in front.
fn ignored(note: &str) -> Option<(String, usize)> {
    let (pipeline, rest) = note.split_once("ignored: ")?;
    if !pipeline.is_empty() && !pipeline.ends_with("/: ") {
        return None;
    }
    let (keyword, count) =
        rest.strip_suffix(" jobs)").or_else(|| rest.strip_suffix(" job)"))?.split_once(" (")?;
    Some((keyword.to_owned(), count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn ignored_keywords_are_one_note() {
        let notes = [
            "first",
            "ignored: tags (14 jobs)",
            "first",
            "ignored: identity (1 job)",
            "ignored: image and services (2 jobs): scripts run on this machine",
            "child/: ignored: tags (1 job)",
        ];
        assert_eq!(
            joined(notes.map(str::to_owned).to_vec()),
            [
                "first",
                "ignored: tags (15 jobs), identity (1 job)",
                "ignored: image and services (2 jobs): scripts run on this machine",
            ]
        );
    }
}

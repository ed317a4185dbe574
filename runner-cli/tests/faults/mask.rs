//! Masking as the documentation has it, in the simplest way that can be right: at each place the longest value that stands there.

/// Characters that continue a token.
fn in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.=-".contains(&byte)
}

/// What a trace shows of these bytes: values masked, tokens masked behind their prefix, and no invalid UTF-8.
pub(crate) fn shown(bytes: &[u8], secrets: &[String]) -> Vec<u8> {
    const PREFIX: &[u8] = b"glpat-";
    let (mut masked, mut at) = (Vec::new(), 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let longest =
            secrets.iter().filter(|secret| rest.starts_with(secret.as_bytes())).map(String::len).max();
        let token = rest.starts_with(PREFIX).then(|| {
            PREFIX.len() + rest.iter().skip(PREFIX.len()).take_while(|byte| in_token(**byte)).count()
        });
        if let Some(length) = longest {
            masked.extend_from_slice(b"[MASKED]");
            at += length;
        } else if let Some(length) = token {
            masked.extend_from_slice(PREFIX);
            if length > PREFIX.len() {
                masked.extend_from_slice(b"[MASKED]");
            }
            at += length;
        } else {
            masked.push(rest[0]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&masked).into_owned().into_bytes()
}

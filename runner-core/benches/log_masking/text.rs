//! What a build prints, the same in each run.

/// Length of a line with its end.
pub(crate) const LINE: usize = 100;

/// One of the secrets: 16 to 39 letters and digits.
pub(crate) fn secret(i: u64) -> String {
    let mut seed = i.wrapping_mul(7919);
    (0..16 + i % 24).map(|_| char::from(random(&mut seed))).collect()
}

/// `total` bytes of lines: words, paths, numbers and hashes, and a secret in each `every`th.
pub(crate) fn build(secrets: &[String], every: usize, total: usize) -> Vec<u8> {
    let words = [
        "Compiling",
        "warning:",
        "src/lib.rs:",
        "Downloaded",
        "unused variable",
        "in",
        "[INFO]",
        "/usr/bin/cc",
        "-O2",
    ];
    let mut text = Vec::with_capacity(total + LINE);
    let mut seed = 1;
    let mut line = 0;
    while text.len() < total {
        let end = text.len() + LINE - 1;
        line += 1;
        if line % every == 0 {
            text.extend_from_slice(secrets[line / every % secrets.len()].as_bytes());
        }
        while text.len() < end {
            let choice = usize::from(random(&mut seed));
            match choice % 4 {
                0 => text.extend((0..3 + choice % 13).map(|_| random(&mut seed))),
                1 => text.extend((0..8).map(|_| b"0123456789abcdef"[usize::from(random(&mut seed)) % 16])),
                _ => text.extend_from_slice(words[choice % words.len()].as_bytes()),
            }
            text.push(b' ');
        }
        text.truncate(end);
        text.push(b'\n');
    }
    text.truncate(total);
    text
}

fn random(seed: &mut u64) -> u8 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[(*seed >> 33) as usize % 62]
}

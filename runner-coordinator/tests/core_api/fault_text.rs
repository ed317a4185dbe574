//! Every rule has a text that reads back as the same rule.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use runner_coordinator::core::Endpoint;
use runner_coordinator::fault::{Calls, Chance, Effect, Fault, Target, Window};

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        Just(Target::Any),
        Just(Target::Job),
        proptest::sample::select(Endpoint::ALL.to_vec()).prop_map(Target::Endpoint),
    ]
}

fn calls() -> impl Strategy<Value = Calls> {
    prop_oneof![
        Just(Calls::ALL),
        (1_u64.., proptest::option::of(0_u64..1000)).prop_map(|(first, more)| Calls::Range {
            first,
            last: more.map(|more| first.saturating_add(more))
        }),
        (1_u64..).prop_map(Calls::EveryNth),
    ]
}

fn millis() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|millis| Duration::from_millis(u64::from(millis)))
}

fn window() -> impl Strategy<Value = Window> {
    (millis(), proptest::option::of(1_u64..100_000)).prop_map(|(from, length)| Window {
        from,
        until: length.map(|length| from + Duration::from_millis(length)),
    })
}

fn effect() -> impl Strategy<Value = Effect> {
    let header = ("[a-z][a-z0-9-]{0,10}", proptest::collection::vec(any::<u8>(), 0..20)).prop_filter_map(
        "not a header",
        |(name, value)| {
            Some(Effect::Header(HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(&value).ok()?))
        },
    );
    prop_oneof![
        (100_u16..1000).prop_map(|status| Effect::Status(StatusCode::from_u16(status).unwrap())),
        millis().prop_map(Effect::Throttle),
        header,
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|body| Effect::Body(body.into())),
        // Text with what is special in it.
        r"[a-z,:&\\=x0-9 é]{0,20}".prop_map(|body| Effect::Body(body.into())),
        millis().prop_map(Effect::Delay),
        millis().prop_map(Effect::DelayBefore),
        Just(Effect::ResetBefore),
        Just(Effect::ResetAfter),
        any::<u64>().prop_map(Effect::Truncate),
        Just(Effect::StallBefore),
        Just(Effect::StallAfter),
        any::<u64>().prop_map(Effect::StallBody),
        Just(Effect::Unread),
        any::<u64>().prop_map(Effect::Forget),
        Just(Effect::Twice),
    ]
}

proptest! {
    #[test]
    fn the_text_of_a_rule_reads_back(
        target in target(),
        calls in calls(),
        chance in proptest::option::of((0_u32..=1_000_000).prop_map(|chance| Chance::from_millionths(chance).unwrap())),
        window in proptest::option::of(window()),
        per_job in proptest::option::of((1_u32..).prop_map(|times| times.try_into().unwrap())),
        effects in proptest::collection::vec(effect(), 1..5),
    ) {
        let fault = Fault { target, calls, chance, window, per_job, effects };
        let text = fault.to_string();
        prop_assert_eq!(text.parse::<Fault>(), Ok(fault), "{}", text);
    }

    #[test]
    fn down_reads_back(window in proptest::option::of(window())) {
        let fault = Fault { target: Target::Any, calls: Calls::ALL, chance: None, window, per_job: None, effects: vec![Effect::Down] };
        prop_assert_eq!(fault.to_string().parse::<Fault>(), Ok(fault));
    }

    #[test]
    fn no_text_is_a_panic(text in ".{0,60}") {
        let _ = text.parse::<Fault>();
        let _ = format!("patch_trace:{text}:503").parse::<Fault>();
        let _ = format!("patch_trace:1:{text}").parse::<Fault>();
    }
}

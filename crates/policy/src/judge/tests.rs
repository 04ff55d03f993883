//! A judge against cases worked out by hand; and pages of its verdicts against all at once.

use super::*;
use crate::{RetentionSpec, Untagged};
use proptest::prelude::*;

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_000 * DAY;

fn rule(spec: RetentionSpec) -> RetentionRule {
    let repositories = "**".to_owned();
    RetentionRule::new(RetentionSpec { repositories, ..spec }, 3600).unwrap()
}

fn named(name: &str) -> RetentionSpec {
    RetentionSpec {
        name: name.into(),
        ..RetentionSpec::default()
    }
}

fn tag(name: &str, age_days: i64) -> TagFacts<'_> {
    TagFacts {
        name,
        set_at: NOW - age_days * DAY,
        pulled_at: None,
        immutable_by: None,
        describes: None,
    }
}

#[test]
fn what_any_rule_keeps_stays_and_the_reason_names_it() {
    let last = rule(RetentionSpec {
        keep_last: Some(1),
        ..named("last")
    });
    let new = rule(RetentionSpec {
        keep_newer_seconds: Some(10 * 86_400),
        tags: vec!["pr-*".into()],
        ..named("new")
    });
    let mut judge = Judge::of([&last, &new], "a", NOW, 0).unwrap();
    assert!(matches!(
        judge.tag(&tag("pr-9", 1)),
        Verdict::Stays(Reason::Last { place: 1, .. })
    ));
    assert_eq!(
        judge.tag(&tag("pr-8", 2)),
        Verdict::Stays(Reason::Newer { rule: "new".into() })
    );
    assert_eq!(judge.tag(&tag("main", 2)), Verdict::Goes(vec!["last".into()]));
    assert_eq!(
        judge.tag(&tag("pr-1", 30)),
        Verdict::Goes(vec!["last".into(), "new".into()])
    );
    let locked = TagFacts {
        immutable_by: Some("releases"),
        ..tag("main", 99)
    };
    assert!(matches!(
        judge.tag(&locked),
        Verdict::Stays(Reason::Immutable { .. })
    ));
}

#[test]
fn what_is_too_new_to_have_been_pulled_stays() {
    let pulled = rule(RetentionSpec {
        keep_pulled_seconds: Some(30 * 86_400),
        ..named("used")
    });
    let mut judge = Judge::of([&pulled], "a", NOW, 0).unwrap();
    assert!(matches!(judge.tag(&tag("new", 3)), Verdict::Stays(_)));
    assert_eq!(judge.tag(&tag("old", 40)), Verdict::Goes(vec!["used".into()]));
    let used = TagFacts {
        pulled_at: Some(NOW - 2 * DAY),
        ..tag("used", 400)
    };
    assert!(matches!(
        judge.tag(&used),
        Verdict::Stays(Reason::Pulled { pulled: true, .. })
    ));
    let mut young = Judge::of([&pulled], "a", NOW, NOW - DAY).unwrap();
    assert!(
        matches!(young.tag(&tag("adopted", 400)), Verdict::Stays(_)),
        "nobody knows yet who pulls it"
    );
}

#[test]
fn a_clock_that_went_back_makes_everything_young() {
    let new = rule(RetentionSpec {
        keep_newer_seconds: Some(86_400),
        untagged: Some(Untagged::OlderSeconds(3600)),
        ..named("new")
    });
    let mut judge = Judge::of([&new], "a", NOW - 365 * DAY, 0).unwrap();
    assert!(matches!(judge.tag(&tag("x", 30)), Verdict::Stays(_)));
    assert!(matches!(
        judge.untagged(NOW - 30 * DAY),
        Verdict::Stays(Reason::Young { .. })
    ));
}

#[test]
fn untagged_manifests_stay_where_any_rule_says_so() {
    let gone = rule(RetentionSpec {
        untagged: Some(Untagged::OlderSeconds(86_400)),
        ..named("gone")
    });
    let kept = rule(RetentionSpec {
        untagged: Some(Untagged::Keep),
        ..named("kept")
    });
    let one = Judge::of([&gone], "a", NOW, 0).unwrap();
    assert_eq!(one.untagged(NOW - DAY), Verdict::Goes(vec!["gone".into()]));
    assert!(matches!(
        one.untagged(NOW - DAY + 1),
        Verdict::Stays(Reason::Young { .. })
    ));
    let both = Judge::of([&gone, &kept], "a", NOW, 0).unwrap();
    assert!(matches!(
        both.untagged(0),
        Verdict::Stays(Reason::Untagged { .. })
    ));
}

#[test]
fn what_describes_an_image_takes_no_place_of_one() {
    let last = rule(RetentionSpec {
        keep_last: Some(2),
        ..named("last")
    });
    let mut judge = Judge::of([&last], "a", NOW, 0).unwrap();
    let mut verdicts = Vec::new();
    for age in 1..=3 {
        let signature = TagFacts {
            describes: Some("sha256:one"),
            ..tag("sha256-one.sig", age)
        };
        assert!(matches!(
            judge.tag(&signature),
            Verdict::Stays(Reason::Describes { .. })
        ));
        verdicts.push(judge.tag(&tag("image", age)));
    }
    assert!(
        matches!(
            verdicts[..],
            [
                Verdict::Stays(Reason::Last { place: 1, .. }),
                Verdict::Stays(Reason::Last { place: 2, .. }),
                Verdict::Goes(_)
            ]
        ),
        "{verdicts:?}"
    );
}

proptest! {
    /// More rules never take more than each alone would let go, and a page break changes nothing.
    #[test]
    fn pages_and_rules_together_change_nothing(
        ages in proptest::collection::vec(0_i64..60, 0..20),
        last in 1_u32..5,
        days in 1_u64..40,
        cut in 0_usize..20,
    ) {
        let mut ages = ages;
        ages.sort_unstable();
        let names: Vec<String> = (0..ages.len()).map(|n| format!("t{n}")).collect();
        let a = rule(RetentionSpec { keep_last: Some(last), ..named("a") });
        let b = rule(RetentionSpec { keep_newer_seconds: Some(days * 86_400), ..named("b") });
        let run = |rules: Vec<&RetentionRule>| -> Vec<Verdict> {
            let mut judge = Judge::of(rules, "r", NOW, 0).unwrap();
            names.iter().zip(&ages).map(|(name, &age)| judge.tag(&tag(name, age))).collect()
        };
        let (of_a, of_b, of_both) = (run(vec![&a]), run(vec![&b]), run(vec![&a, &b]));
        for ((x, y), both) in of_a.iter().zip(&of_b).zip(&of_both) {
            let goes = |one: &Verdict| matches!(one, Verdict::Goes(_));
            prop_assert_eq!(goes(both), goes(x) && goes(y));
        }
        let mut first = Judge::of([&a, &b], "r", NOW, 0).unwrap();
        let cut = cut.min(names.len());
        let mut paged: Vec<Verdict> =
            names[..cut].iter().zip(&ages).map(|(name, &age)| first.tag(&tag(name, age))).collect();
        let mut second = Judge::of([&a, &b], "r", NOW, 0).unwrap();
        prop_assert!(second.resume(first.counts()));
        paged.extend(names[cut..].iter().zip(&ages[cut..]).map(|(name, &age)| second.tag(&tag(name, age))));
        prop_assert_eq!(paged, of_both);
    }
}

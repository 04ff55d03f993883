//! Scrub beside pushes and collection, and after any damage.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn scrubbing_beside_pushes_and_collection_accuses_nobody() {
    let house = House::new();
    let registry = house
        .open_with(Rules {
            read_grace_ms: 0,
            lease_ms: 0,
            ..rules()
        })
        .await;
    let kept = push_image(&registry, "team/app:1", 77, 300_000).await;
    let stop = CancellationToken::new();
    let pusher = {
        let (registry, stop) = (registry.clone(), stop.clone());
        tokio::spawn(async move {
            let mut round = 0;
            while !stop.is_cancelled() {
                round += 1;
                push_in_parts(&registry, "busy", &noise(round % 11 + 1, 60_000))
                    .await
                    .unwrap();
                registry.gc_run().await.unwrap();
            }
        })
    };
    for _ in 0..20 {
        let run = registry
            .scrub_run(ScrubWanted::default(), None, &never())
            .await
            .unwrap();
        assert_eq!(run.found, 0);
    }
    stop.cancel();
    pusher.await.unwrap();
    assert!(registry.damages(0, 10).await.unwrap().is_empty());
    assert_eq!(
        read(&registry, "team/app", &digest_of(&kept)).await.unwrap(),
        kept
    );
    assert_eq!(check(&registry, DEEP).await.1, []);
}

/// What may happen to a file.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Flip(u64),
    Cut(u64),
    Grow,
    Remove,
}

fn blow() -> impl Strategy<Value = Option<Blow>> {
    prop_oneof![
        3 => Just(None),
        2 => (0..50_000_u64).prop_map(|at| Some(Blow::Flip(at))),
        1 => (0..50_000_u64).prop_map(|len| Some(Blow::Cut(len))),
        1 => Just(Some(Blow::Grow)),
        1 => Just(Some(Blow::Remove)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever happens to files: all of it is found, nothing else is accused, and half of it healed by pushes and half from
    /// a source leaves everything as it was.
    #[test]
    fn every_damage_is_found_nothing_sound_is_accused_and_all_comes_back(
        blows in proptest::collection::vec(blow(), 6..14), by_check in any::<bool>()
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::new();
            let registry = house.open_with(rules()).await;
            let mut layers = Vec::new();
            for seed in 0..blows.len() as u64 {
                layers.push(push_image(&registry, &format!("team/app:{seed}"), seed + 1, 50_000).await);
            }
            for (layer, blow) in layers.iter().zip(&blows) {
                let file = file_of(&house, layer);
                let cut = |len| std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(len).unwrap();
                match blow {
                    None => {}
                    Some(Blow::Flip(at)) => flip(&file, *at),
                    Some(Blow::Cut(len)) => cut(*len),
                    Some(Blow::Grow) => cut(50_001),
                    Some(Blow::Remove) => std::fs::remove_file(&file).unwrap(),
                }
            }
            let hurt = blows.iter().filter(|blow| blow.is_some()).count();
            if by_check {
                assert_eq!(check(&registry, DEEP).await.1.len(), hurt);
            }
            let run = registry.scrub_run(ScrubWanted::default(), None, &never()).await.unwrap();
            assert_eq!(run.found, hurt as u64);
            let damages = registry.damages(0, 100).await.unwrap();
            for (layer, blow) in layers.iter().zip(&blows) {
                let named = damages.iter().any(|damage| damage.digest == digest_of(layer));
                assert_eq!(named, blow.is_some());
                assert_eq!(is_damaged(&registry, "team/app", layer).await, blow.is_some());
            }
            assert_eq!(check(&registry, Check::default()).await.1.len(), hurt);
            let mut healed = 0;
            for (layer, _) in layers.iter().zip(&blows).filter(|(_, blow)| blow.is_some()) {
                healed += 1;
                if healed % 2 == 0 {
                    push_in_parts(&registry, "elsewhere", layer).await.unwrap();
                } else {
                    registry.heal(&digest_of(layer), body(layer)).await.unwrap();
                }
            }
            for layer in &layers {
                assert_eq!(read(&registry, "team/app", &digest_of(layer)).await.unwrap(), *layer);
            }
            house.clock.advance(DAY);
            registry.gc_run().await.unwrap();
            assert_eq!(check(&registry, DEEP).await.1, []);
            assert_eq!(run.files, blows.len() as u64);
        });
    }
}

//! The failure drill: every request of a signing fails once, breaks off once, and is the last one
//! that is answered. Whatever comes of it, one more run ends with exactly one valid set.
//!
//! Every second request meets one of the ways to break; with `SCGATE_DRILL` set every request meets all
//! of them (`tests/interop/run --full`).

use std::sync::Mutex;
use std::thread;

use scgate::sandbox::Config;
use scgate::sandbox::registry;
use scgate::sandbox::registry::Referrers;

use super::World;

/// What happens to a request, and to those after it.
const BREAKS: &[&str] = &[
    // Once, which a retry mends.
    "status=500,times=1",
    "reset,times=1",
    // From then on, as if the signer had been killed there.
    "status=503",
    "reset",
];

/// Rows at the same time.
const SIDE_BY_SIDE: usize = 3;

/// How many requests a whole run makes of the services and of the registry.
async fn count(config: &Config) -> (usize, usize) {
    let world = World::with(config.clone()).await;
    world.sign(&["-r", &world.reference()]).exits(0);
    let services = world.sandbox.requests().len();
    let registry = world.sandbox.registry().unwrap().requests().len();
    world.end().await;
    (services, registry)
}

/// Whether every request meets every break, and not each of some one of them.
fn is_whole() -> bool {
    std::env::var_os("SCGATE_DRILL").is_some()
}

/// Which request of whom breaks how.
#[derive(Clone, Copy, Debug)]
struct Row {
    is_service: bool,
    at: usize,
    broken: &'static str,
}

async fn drill(referrers: Referrers) {
    let config = Config {
        registry: registry::Config {
            referrers,
            ..registry::Config::default()
        },
        ..Config::default()
    };
    let (services, registry) = count(&config).await;
    let mut rows = Vec::new();
    for (number, broken) in BREAKS.iter().copied().enumerate() {
        let (start, step) = if is_whole() { (0, 1) } else { (number, 8) };
        for (is_service, count) in [(true, services), (false, registry)] {
            rows.extend((start..count).step_by(step).map(|at| Row {
                is_service,
                at,
                broken,
            }));
        }
    }
    // Each row has a runtime of its own: its servers run while its thread waits for a program.
    let rows = Mutex::new(rows.into_iter());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .enable_all()
                    .build()
                    .unwrap();
                loop {
                    let row = rows.lock().unwrap().next();
                    let Some(row) = row else {
                        break;
                    };
                    runtime.block_on(one(config.clone(), row));
                }
            });
        }
    });
}

async fn one(config: Config, row: Row) {
    let world = World::with(config).await;
    let fault = format!("{},after={}", row.broken, row.at).parse().unwrap();
    let faulty = world.sandbox.registry().unwrap();
    match row.is_service {
        true => world.sandbox.inject(fault),
        false => faulty.inject(fault),
    }
    let said = world
        .sign(&["-r", "--timeout=5s", &world.reference()])
        .run();
    let shown = format!("{row:?}\n{said}");
    // 0 where a retry mended it, else the world failed.
    assert!(matches!(said.code, Some(0 | 3)), "{shown}");
    world.sandbox.clear_faults();
    faulty.clear_faults();
    if said.code == Some(0) {
        // Every piece in each layout, and not only one that suffices.
        world.assert_once_each(1, 1);
    }
    let again = world.sign(&["-r", &world.reference()]).run();
    assert_eq!(again.code, Some(0), "{shown}{again}");
    assert!(world.is_signed(), "{shown}{again}");
    world.assert_once_each(1, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_run_is_completed_with_the_referrers_api() {
    drill(Referrers::Api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_run_is_completed_with_the_fallback_tag() {
    drill(Referrers::Off).await;
}

//! What one ad request costs: the whole path without sockets, by size, by SSPs and by who the user is.
//!
//! `cargo bench --bench gateway`; `-- --test` runs each once. `-- --laps N` does the plain case N times and nothing else:
//! under `valgrind --tool=callgrind` the difference between two such runs is what a request takes, the same on any machine
//! whatever else it does.

mod settings;
mod world;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group};
use mimalloc::MiMalloc;

use self::world::{TOKEN, World};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const SIZES: [(&str, &str); 3] =
    [("0.4 KB", "web-banner-tiny"), ("2 KB", "web-banner-2k"), ("8 KB", "web-multi-imp-8k")];

/// More users than this have no token.
const USERS: usize = 1_000;
const MANY: usize = 1_000_000;

fn read(name: &str) -> Bytes {
    let path = format!("{}/fixtures/openrtb/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("the corpus is part of the repository").into()
}

/// A number that differs from lap to lap, and with it the user.
fn user(lap: &mut usize, users: usize) -> usize {
    *lap = lap.wrapping_add(1);
    lap.wrapping_mul(0x9E37_79B9_7F4A_7C15) % users
}

fn bench(c: &mut Criterion, name: &str, world: &World, body: &Bytes, mut next: impl FnMut() -> usize) {
    let _entered = world.runtime.enter();
    c.bench_function(name, |b| {
        let inbound = || world.inbound(body, next());
        b.iter_batched(inbound, |inbound| black_box(world.request(inbound)), BatchSize::SmallInput);
    });
}

fn path(c: &mut Criterion) {
    for ssps in [1, 3] {
        let world = World::new(ssps, USERS);
        world.warm(&read("web-banner-2k"), USERS);
        for (size, name) in SIZES {
            let (body, mut lap) = (read(name), 0);
            assert!(world.sent(&body, 1).windows(TOKEN.len()).any(|text| text == TOKEN.as_bytes()), "{name}");
            bench(c, &format!("{ssps} SSP, {size}, token in memory"), &world, &body, || {
                user(&mut lap, USERS)
            });
        }
    }
}

fn users(c: &mut Criterion) {
    let world = World::new(1, USERS);
    let body = read("web-banner-2k");
    world.warm(&body, USERS);
    let mut lap = 0;
    bench(c, "2 KB, unknown user", &world, &body, || USERS + user(&mut lap, MANY));
    bench(c, "2 KB, 80 % unknown users", &world, &body, || {
        let user = user(&mut lap, MANY);
        if lap % 5 == 0 { user % USERS } else { USERS + user }
    });
    bench(c, "coppa: nothing may be sent", &world, &read("web-banner-coppa"), || user(&mut lap, USERS));
}

/// What is asked of memory for one request, alone and beside others.
fn cache(c: &mut Criterion) {
    let world = World::new(1, USERS);
    world.warm(&read("web-banner-2k"), USERS);
    let (identities, subjects) = world.subjects(USERS);
    let mut lap = 0;
    c.bench_function("cache, hit", |b| {
        b.iter(|| identities.see(black_box(&subjects[user(&mut lap, USERS)])).denial());
    });
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for subject in subjects[..8].iter().cycle().take_while(|_| !done.load(Ordering::Relaxed)) {
                    black_box(identities.see(subject).denial());
                }
            });
        }
        c.bench_function("cache, hit, two other threads at the same 8 users", |b| {
            b.iter(|| identities.see(black_box(&subjects[user(&mut lap, 8)])).denial());
        });
        done.store(true, Ordering::Relaxed);
    });
}

/// Does cost grow with the number of users?
fn many_users(c: &mut Criterion) {
    let users = if is_test() { USERS } else { MANY };
    let world = World::new(1, users);
    let body = read("web-banner-2k");
    world.warm(&body, users);
    let mut lap = 0;
    bench(c, "2 KB, token in memory, 1,000,000 users", &world, &body, || user(&mut lap, users));
}

fn is_test() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// N of `--laps N`.
fn laps() -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--laps");
    arguments.nth(1)?.parse().ok()
}

fn run_laps(laps: usize) {
    let world = World::new(1, USERS);
    let body = read("web-banner-2k");
    world.warm(&body, USERS);
    let _entered = world.runtime.enter();
    for lap in 0..laps {
        black_box(world.request(world.inbound(&body, lap % USERS)));
    }
}

criterion_group!(benches, path, users, cache, many_users);

fn main() {
    if let Some(laps) = laps() {
        return run_laps(laps);
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}

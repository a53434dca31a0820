//! Whoever has an e-mail address or phone number, and no other name: what ends a user's identity holds for their address.

use super::*;

impl Bench {
    fn claimed(&self) -> Claimed {
        let hash = dii("u1@example.com");
        let dii = Some((self.identities.dii_key(&self.publisher, &hash), hash));
        Claimed { dii, ..Claimed::default() }
    }

    /// What a request with the address alone gets.
    async fn by_address(&self) -> String {
        shown(&self.identities.of_dii(&self.publisher, &self.claimed(), consent(), || Duration::MAX).await)
    }

    /// Whether somebody who is only known by the address may be represented by an entry that is there already.
    async fn marker_of_address(&self) -> Marked {
        let named = self.claimed().dii.into_iter().map(|(key, _)| key).collect();
        self.denial(&Subject { named, ..Subject::default() }).await
    }
}

fn shown(resolution: &Resolution) -> String {
    match resolution {
        Resolution::Token(token) => {
            format!("{:?} {}", token.how, token.as_str().replace("A4AAAAtoken", "#"))
        }
        Resolution::Absent(absence) => format!("{absence:?}"),
        Resolution::Denied(denial) => format!("{denial:?}"),
    }
}

fn patient(script: &[Say]) -> Bench {
    bench_with(Settings { wait: Duration::from_secs(1), ..Settings::default() }, OPEN, script)
}

#[tokio::test(start_paused = true)]
async fn the_publishers_opt_out_holds_for_the_address_until_it_is_taken_back() {
    let bench = patient(&[HOURLY]);
    bench.login().await;
    assert_eq!(bench.by_address().await, "Fresh #1");
    bench.identities.opt_out_at_site(&bench.publisher, b"u1").await.unwrap();
    for days in [0, 1, 40, 400] {
        bench.clock.advance(days * 24 * HOUR);
        assert_eq!(bench.by_address().await, "OptedOut", "{days} days later");
        assert_eq!(bench.marker_of_address().await, Marked::Denied(Denial::OptedOut), "{days} days later");
    }
    bench.identities.opt_in_at_site(&bench.publisher, b"u1").await.unwrap();
    bench.clock.advance(MINUTE);
    assert_eq!(bench.by_address().await, "Generated #2");
}

/// Of a user who had logged out before, and of one whom a provider opts out.
#[tokio::test(start_paused = true)]
async fn an_opt_out_after_a_logout_and_one_by_a_provider_hold_for_the_address_too() {
    for by_agency in [false, true] {
        let bench = patient(&[HOURLY]);
        let who = if by_agency { bench.as_agency() } else { bench.publisher.clone() };
        if by_agency {
            bench.login_by_agency("u1@example.com").await.unwrap();
        } else {
            bench.login().await;
            bench.identities.logout(&who, b"u1").await.unwrap();
        }
        bench.identities.opt_out_at_site(&who, b"u1").await.unwrap();
        for days in [0, 1, 40, 400] {
            bench.clock.advance(days * 24 * HOUR);
            assert_eq!(bench.by_address().await, "OptedOut", "{by_agency}, {days} days later");
        }
    }
}

/// Who logged in with the address of a user that is opted out later keeps it.
#[tokio::test(start_paused = true)]
async fn an_opt_out_takes_no_address_away_from_who_has_it_now() {
    let bench = patient(&[HOURLY]);
    bench.login().await;
    let key = bench.identities.user_key(&bench.publisher, b"u2");
    let login = Login { key, ..login_of(bench.key(), "u1@example.com") };
    bench.identities.login(&bench.publisher, login, consent()).await.unwrap();
    bench.identities.opt_out_at_site(&bench.publisher, b"u1").await.unwrap();
    assert_eq!(bench.by_address().await, "Fresh #2");
}

#[tokio::test(start_paused = true)]
async fn what_sticks_holds_for_the_address_of_a_login_that_was_refused() {
    let coppa = Said { coppa: true, ..Said::default() };
    for earlier in [false, true] {
        let bench = patient(&[HOURLY]);
        if earlier {
            assert_eq!(bench.by_address().await, "Generated #1");
        }
        let hash = dii("u1@example.com");
        bench.identities.refuse_with(&bench.publisher, (bench.key(), &hash), &coppa).await.unwrap();
        for days in [0, 1, 400] {
            bench.clock.advance(days * 24 * HOUR);
            assert_eq!(bench.by_address().await, "Privacy(Coppa)", "{days} days later");
        }
        bench.login().await;
        assert!(bench.by_address().await.starts_with("Fresh"), "until the next login");
    }
}

/// The address has an identity made for it while its user, whose alias is gone, logs out: it comes too late.
#[tokio::test(start_paused = true)]
async fn an_identity_on_its_way_to_an_address_loses_against_its_users_logout() {
    let bench = bench_with(Settings { wait: Duration::from_secs(1), ..Settings::default() }, 1, &[HOURLY]);
    bench.login().await;
    let (key, _) = bench.claimed().dii.unwrap();
    let alias = bench.store.read(key).await.unwrap().unwrap();
    let ended = Draft { keep_until: bench.clock.now(), ..alias.into() };
    bench.store.write(key, Expect::Any, ended).await.unwrap();
    bench.identities.0.pointers.forget(&key);
    let leaving = async {
        rest().await;
        bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
        bench.operator.gate.add_permits(1);
    };
    let (told, ()) = tokio::join!(bench.by_address(), leaving);
    assert_eq!(told, "LoggedOut");
    rest().await;
    assert_eq!((bench.by_address().await, bench.calls().len()), ("LoggedOut".into(), 2));
}

/// Anybody can send ID tokens, and no two are alike: what is remembered of them must not take the room of users.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_believed_takes_no_room_in_the_hot_cache() {
    let bench = patient(&[HOURLY]);
    let key = bench.identities.id_token_key(&bench.publisher, b"a.b.c");
    let id_token = Some((key, Arc::new(Secret::new(String::from("a.b.c")))));
    let claimed = Claimed { id_token, ..Claimed::default() };
    let wait = || Duration::MAX;
    let marker = bench.identities.token_marker(&bench.publisher, &claimed, wait).await;
    let told = bench.identities.of_id_token(&bench.publisher, &claimed, consent(), wait).await;
    assert_eq!((marker, shown(&told).as_str()), (Marked::Clear, "DiiInvalid"));
    assert!(bench.identities.0.cache.find(&key).is_none());
}

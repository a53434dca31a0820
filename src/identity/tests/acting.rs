//! Identity providers that act for a publisher: whatever happens between the look at a record and the write, they touch only
//! what they made themselves.

use super::*;

const AGENCY: &str = "agency";

impl Bench {
    pub(super) fn as_agency(&self) -> Publisher {
        self.publisher.acted_for_by(&AGENCY.into())
    }

    fn agency_login(&self, address: &str) -> Login {
        Login { provider: Some(AGENCY.into()), ..login_of(self.key(), address) }
    }

    pub(super) async fn login_by_agency(&self, address: &str) -> Result<LoginAnswer, LoginError> {
        self.identities.login(&self.as_agency(), self.agency_login(address), consent()).await
    }

    /// What stands under the user's key: whose it is, and what.
    async fn stands(&self) -> (Option<String>, &'static str) {
        let Some(record) = self.store.read(self.key()).await.unwrap() else { return (None, "nothing") };
        let what = match record.state {
            State::Active(_) => "active",
            State::OptedOut => "opted_out",
            State::LoggedOut => "logged_out",
            State::Alias(_) => "alias",
        };
        (record.provider, what)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "written where it is called")]
fn refused<T: std::fmt::Debug>(answer: Result<T, LoginError>) {
    assert!(matches!(answer, Err(LoginError::NotTheirs)), "{answer:?}");
}

/// Every call of a provider about a user of the publisher's own.
#[tokio::test(start_paused = true)]
async fn what_the_publisher_made_no_call_of_a_provider_touches() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    let (agency, identities) = (bench.as_agency(), &bench.identities);
    refused(bench.login_by_agency("u1@example.com").await);
    refused(identities.logout(&agency, b"u1").await);
    refused(identities.opt_out_at_site(&agency, b"u1").await);
    refused(identities.opt_in_at_site(&agency, b"u1").await);
    refused(identities.status(&agency, b"u1").await);
    refused(identities.token(&agency, b"u1", None, consent()).await);
    refused(identities.refresh_now(&agency, b"u1", consent()).await);
    refused(identities.may_ask(&agency, b"u1", true).await);
    refused(identities.refuse(&agency, bench.key(), &Said { coppa: true, ..Said::default() }).await);
    assert_eq!(bench.stands().await, (None, "active"));
    assert_eq!(bench.resolve().await, "Fresh #1", "nor is it marked in memory");
    assert_eq!(bench.calls(), ["generate"], "the operator was asked for the publisher alone");
}

/// The operator hangs while the provider's login is there; the publisher's overtakes it.
#[tokio::test(start_paused = true)]
async fn a_providers_login_loses_against_the_publishers_that_came_while_it_was_at_the_operator() {
    let bench = bench_with(Settings::default(), 0, &[HOURLY]);
    let (identities, agency) = (bench.identities.clone(), bench.as_agency());
    let login = bench.agency_login("u1@example.com");
    let late = tokio::spawn(async move { identities.login(&agency, login, consent()).await });
    rest().await;
    // The publisher's is written beside it, as another node would.
    let mine = bench.made_elsewhere().await;
    bench.operator.gate.add_permits(OPEN);
    refused(late.await.unwrap());
    assert_eq!(bench.store.read(bench.key()).await.unwrap().unwrap().generation, mine);
    assert_eq!(bench.stands().await, (None, "active"));
}

/// The same with an operator that says the identifier opted out: that is kept, and the publisher's user is left alone.
#[tokio::test(start_paused = true)]
async fn an_opt_out_that_a_provider_hears_of_does_not_mark_a_user_who_became_the_publishers() {
    let bench = bench_with(Settings::default(), 0, &[Say::OptOut]);
    let (identities, agency) = (bench.identities.clone(), bench.as_agency());
    let login = bench.agency_login("gone@example.com");
    let late = tokio::spawn(async move { identities.login(&agency, login, consent()).await });
    rest().await;
    bench.made_elsewhere().await;
    bench.operator.gate.add_permits(OPEN);
    refused(late.await.unwrap());
    assert_eq!(bench.stands().await, (None, "active"));
    let now = bench.clock.now();
    assert!(!bench.store.opted_out(&bench.key(), now));
    let address = bench.identities.dii_key(&bench.publisher, &dii("gone@example.com"));
    assert!(bench.store.opted_out(&address, now), "whoever has that address");
}

/// Its own it logs in again, refreshes, looks at, opts out and ends.
#[tokio::test(start_paused = true)]
async fn a_provider_does_everything_with_what_it_made() {
    let bench = bench(&[HOURLY]);
    let (agency, identities) = (bench.as_agency(), &bench.identities);
    for _ in 0..2 {
        assert!(matches!(bench.login_by_agency("u1@example.com").await, Ok(LoginAnswer::Active(_))));
    }
    assert!(identities.status(&agency, b"u1").await.unwrap().is_some());
    identities.opt_out_at_site(&agency, b"u1").await.unwrap();
    assert_eq!(bench.stands().await, (Some(AGENCY.into()), "logged_out"));
    assert!(matches!(bench.login_by_agency("u1@example.com").await, Ok(LoginAnswer::OptedOutAtSite)));
    identities.opt_in_at_site(&agency, b"u1").await.unwrap();
    assert!(matches!(bench.login_by_agency("u1@example.com").await, Ok(LoginAnswer::Active(_))));
    identities.logout(&agency, b"u1").await.unwrap();
    assert_eq!(bench.stands().await, (Some(AGENCY.into()), "logged_out"));
    // And so does the publisher, whose user it is in the end.
    bench.login().await;
    assert_eq!(bench.stands().await, (None, "active"));
    refused(identities.logout(&agency, b"u1").await);
}

/// Logins of both about one user, in whatever order: as soon as the publisher's is written, it stays.
#[tokio::test(start_paused = true)]
async fn of_logins_at_once_the_publishers_stays() {
    for early in [0, 1, 2, 5, 20] {
        let bench = bench(&[HOURLY]);
        let (identities, agency) = (bench.identities.clone(), bench.as_agency());
        let key = bench.key();
        let spawned = tokio::spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..5 {
                let login = Login { provider: Some(AGENCY.into()), ..login_of(key, "u1@example.com") };
                answers.push(identities.login(&agency, login, consent()).await);
            }
            answers
        });
        for _ in 0..early {
            tokio::task::yield_now().await;
        }
        bench.login().await;
        spawned.await.unwrap();
        assert_eq!(bench.stands().await, (None, "active"), "after {early} turns");
    }
}

/// The address of a publisher's user goes on leading to that user.
#[tokio::test(start_paused = true)]
async fn a_providers_login_takes_no_address_away_from_a_user_of_the_publisher() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    let other = bench.identities.user_key(&bench.publisher, b"u2");
    let login = Login { provider: Some(AGENCY.into()), ..login_of(other, "u1@example.com") };
    let answer = bench.identities.login(&bench.as_agency(), login, consent()).await;
    assert!(matches!(answer, Ok(LoginAnswer::Active(_))), "{answer:?}");
    let address = bench.identities.dii_key(&bench.publisher, &dii("u1@example.com"));
    let leads = async || bench.store.read(address).await.unwrap().unwrap().state;
    assert_eq!(leads().await, State::Alias(bench.key()));
    bench.identities.logout(&bench.as_agency(), b"u2").await.unwrap();
    assert_eq!(leads().await, State::Alias(bench.key()), "nor does its logout");
}

impl Bench {
    /// A record that another node writes meanwhile; its generation.
    async fn made_elsewhere(&self) -> u64 {
        let now = self.clock.now();
        let times = crate::uid2::Times {
            refresh_from: now.plus(HOUR),
            identity_expires: now.plus(2 * HOUR),
            refresh_expires: now.plus(24 * HOUR),
        };
        let identity = Identity {
            advertising_token: AdvertisingToken::parse("A4AAAAtokenX").unwrap(),
            refresh_token: Secret::new("R".repeat(388)),
            refresh_response_key: Secret::new(STANDARD.encode(RESPONSE_KEY)),
            times,
        };
        let draft = Draft {
            publisher: "acme".into(),
            scope: Scope::Uid2,
            environment: Environment::Local,
            dii: None,
            origin: Origin::Login,
            provider: None,
            said: Said::default(),
            created: now,
            keep_until: now.plus(24 * HOUR),
            state: State::Active(identity),
        };
        match self.store.write(self.key(), Expect::Any, draft).await.unwrap() {
            Written::Stored { generation } => generation,
            lost @ Written::Lost { .. } => panic!("{lost:?}"),
        }
    }
}

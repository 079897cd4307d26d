//! Which services a signing configuration selects.

use scgate::Limits;
use scgate::Timestamp;
use scgate::sandbox::Config;
use scgate::sandbox::Sandbox;
use scgate::sandbox::Stamps;
use scgate::sandbox::mint::LogVersion;
use scgate::services::Endpoint;
use scgate::services::rekor::Version;
use scgate::services::signing_config::Services;
use scgate::services::signing_config::SigningConfig;
use scgate::services::signing_config::SigningConfigError;
use serde_json::Value;
use serde_json::json;

const NOW: &str = "2026-06-01T00:00:00Z";

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

/// One entry: name, version, start, end, operator.
fn service(name: &str, version: u32, start: &str, end: &str, operator: &str) -> Value {
    let mut window = json!({});
    if !start.is_empty() {
        window["start"] = json!(format!("{start}T00:00:00Z"));
    }
    if !end.is_empty() {
        window["end"] = json!(format!("{end}T00:00:00Z"));
    }
    json!({
        "url": format!("https://{name}.test"),
        "majorApiVersion": version,
        "validFor": window,
        "operator": operator,
    })
}

fn config(rekor: &[Value], selector: &Value) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [service("fulcio", 1, "2022-01-01", "", "a")],
        "oidcUrls": [service("oidc", 1, "2022-01-01", "", "a")],
        "rekorTlogUrls": rekor,
        "rekorTlogConfig": selector,
        "tsaUrls": [service("tsa", 1, "2022-01-01", "", "a")],
        "tsaConfig": { "selector": "ANY" },
    })
}

fn parse(config: &Value) -> Result<SigningConfig, SigningConfigError> {
    SigningConfig::parse(config.to_string().as_bytes(), &Limits::default())
}

/// The names of the logs, with their versions; or which refusal it is.
fn logs(rekor: &[Value], selector: &Value) -> String {
    let selected = parse(&config(rekor, selector)).and_then(|config| config.select(now()));
    match selected {
        Ok(services) => told(&services),
        Err(error) => refusal(&error).to_owned(),
    }
}

fn told(services: &Services) -> String {
    let names = services.rekor().iter().map(|log| {
        let host = log.url.host();
        format!("{}/{}", host.trim_end_matches(".test"), log.version)
    });
    names.collect::<Vec<_>>().join(" ")
}

fn refusal(error: &SigningConfigError) -> &'static str {
    match error {
        SigningConfigError::Address { .. } => "address",
        SigningConfigError::Exceeded(_) => "exceeded",
        SigningConfigError::Json(_) => "json",
        SigningConfigError::MediaType { .. } => "media type",
        SigningConfigError::NoneCounts { .. } => "none counts",
        SigningConfigError::NoSelector { .. } => "no selector",
        SigningConfigError::Selector { .. } => "selector",
        SigningConfigError::Time { .. } => "time",
        SigningConfigError::TooFew { .. } => "too few",
        _ => "another",
    }
}

#[test]
fn logs_are_selected_by_version_time_and_operator() {
    let old = service("old", 1, "2021-01-01", "", "a");
    let new = service("new", 2, "2026-01-01", "", "a");
    let newer = service("newer", 2, "2026-05-01", "", "a");
    let other = service("other", 2, "2025-01-01", "", "b");
    let third = service("third", 2, "2025-06-01", "2026-06-01", "c");
    let later = service("later", 2, "2026-06-02", "", "d");
    let over = service("over", 2, "2021-01-01", "2026-05-31", "e");
    let exotic = service("exotic", 3, "2026-05-01", "", "f");
    let none = service("none", 0, "", "", "g");
    let ever = service("ever", 1, "", "", "h");
    let one = core::slice::from_ref(&new);
    let any = json!({ "selector": "ANY" });
    let all = json!({ "selector": "ALL" });
    let exact = |count: u32| json!({ "selector": "EXACT", "count": count });
    let every = [
        &old, &new, &newer, &other, &third, &later, &over, &exotic, &none, &ever,
    ]
    .map(Clone::clone);
    for (rekor, selector, expected) in [
        (&every[..], &any, "newer/2"),
        (&every, &all, "newer/2 third/2 other/2"),
        (&every, &exact(1), "newer/2"),
        (&every, &exact(2), "newer/2 third/2"),
        (&every, &exact(3), "newer/2 third/2 other/2"),
        // Two versions are never mixed, and two of one operator are one.
        (&every, &exact(4), "too few"),
        (&[new.clone(), newer.clone()], &exact(2), "too few"),
        (&[old.clone(), ever.clone()], &all, "old/1 ever/1"),
        (&[ever.clone(), old.clone()], &any, "old/1"),
        (&[old.clone(), over.clone(), later.clone()], &any, "old/1"),
        (&[over, later, exotic, none], &any, "none counts"),
        (&[], &any, ""),
        (&[], &json!({}), ""),
        (&[], &exact(2), ""),
        (one, &json!({}), "no selector"),
        (one, &Value::Null, "no selector"),
        (
            one,
            &json!({ "selector": "SERVICE_SELECTOR_UNDEFINED" }),
            "no selector",
        ),
        (one, &json!({ "selector": 2 }), "new/2"),
        (one, &json!({ "selector": 1, "count": 5 }), "new/2"),
        (one, &json!({ "selector": "EXACT" }), "selector"),
        (one, &exact(0), "selector"),
        (one, &exact(1000), "selector"),
        (one, &json!({ "selector": "SOME" }), "selector"),
        (one, &json!({ "selector": 7 }), "selector"),
    ] {
        assert_eq!(logs(rekor, selector), expected, "{selector} of {rekor:?}");
    }
}

#[test]
fn the_legacy_layout_finds_its_log_beside_a_preferred_one() {
    let rekor = [
        service("older", 1, "2020-01-01", "", "a"),
        service("old", 1, "2021-01-01", "", "b"),
        service("gone", 1, "2022-01-01", "2023-01-01", "b"),
        service("new", 2, "2026-01-01", "", "a"),
    ];
    let of = |rekor: &[Value]| {
        let config = parse(&config(rekor, &json!({ "selector": "ANY" }))).unwrap();
        let services = config.select(now()).unwrap();
        services.rekor_v1().map(Endpoint::to_string)
    };
    assert_eq!(of(&rekor).as_deref(), Some("https://old.test"));
    assert_eq!(of(&rekor[3..]), None);
    assert_eq!(of(&[]), None);
}

#[test]
fn a_configuration_is_read_strictly() {
    let good = config(&[], &json!({ "selector": "ANY" }));
    assert!(parse(&good).is_ok());
    let mut snake = good.clone();
    let members = snake.as_object_mut().unwrap();
    let urls = members.remove("caUrls").unwrap();
    members.insert("ca_urls".to_owned(), urls);
    assert!(parse(&snake).is_ok(), "protobuf readers take both names");
    let mut null = good.clone();
    null["oidcUrls"] = Value::Null;
    assert!(parse(&null).is_ok());
    let with = |path: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(path).unwrap() = value;
        changed
    };
    let extra = |path: &str| {
        let mut changed = good.clone();
        changed.pointer_mut(path).unwrap()["extra"] = json!(1);
        changed
    };
    let many = vec![service("x", 1, "", "", ""); 65];
    for (changed, expected) in [
        (with("/mediaType", json!("")), "media type"),
        (
            with(
                "/mediaType",
                json!("application/vnd.dev.sigstore.signingconfig.v0.1+json"),
            ),
            "media type",
        ),
        (with("/caUrls", json!("x")), "json"),
        (with("/caUrls", json!([["https://x.test"]])), "json"),
        (with("/caUrls", json!(many)), "exceeded"),
        (with("/caUrls/0/majorApiVersion", json!("1")), "json"),
        (with("/caUrls/0/majorApiVersion", json!(-1)), "json"),
        (
            with("/caUrls/0/url", json!("http://fulcio.test")),
            "address",
        ),
        (
            with("/caUrls/0/url", json!("https://a:b@fulcio.test")),
            "address",
        ),
        (with("/caUrls/0/url", json!("fulcio.test")), "address"),
        (with("/caUrls/0/validFor/start", json!("2022")), "time"),
        (with("/caUrls/0/validFor/start", json!(1)), "json"),
        (extra(""), "json"),
        (extra("/caUrls/0"), "json"),
        (extra("/caUrls/0/validFor"), "json"),
        (extra("/tsaConfig"), "json"),
    ] {
        let error = parse(&changed).unwrap_err();
        assert_eq!(refusal(&error), expected, "{error}");
    }
    let twice = good.to_string().replacen('{', "{\"caUrls\":[],", 1);
    let read = |text: &str| SigningConfig::parse(text.as_bytes(), &Limits::default());
    assert_eq!(refusal(&read(&twice).unwrap_err()), "json");
    let mut limits = Limits::default();
    limits.trusted_root_bytes = 100;
    let small = SigningConfig::parse(good.to_string().as_bytes(), &limits);
    assert_eq!(refusal(&small.unwrap_err()), "exceeded");
}

#[test]
fn what_a_person_needs_is_no_obstacle_to_a_machine() {
    let mut config = config(&[], &json!({ "selector": "ANY" }));
    config["oidcUrls"][0]["validFor"]["end"] = json!("2023-01-01T00:00:00Z");
    let services = parse(&config).unwrap().select(now()).unwrap();
    assert_eq!(services.oidc(), None);
    assert!(services.fulcio().is_some());
    assert_eq!(services.tsa().len(), 1);
    config["caUrls"][0]["validFor"]["end"] = json!("2023-01-01T00:00:00Z");
    let none = parse(&config).unwrap().select(now()).unwrap_err();
    assert_eq!(refusal(&none), "none counts");
}

#[test]
fn single_urls_are_all_asked() {
    let url = |name: &str| Endpoint::parse(&format!("https://{name}.test")).unwrap();
    let config = SigningConfig::from_urls(
        Some(url("fulcio")),
        vec![(url("a"), Version::V2), (url("b"), Version::V2)],
        vec![url("t"), url("u")],
        None,
    );
    let services = config.select(now()).unwrap();
    assert_eq!(told(&services), "a/2 b/2");
    assert_eq!(services.tsa().len(), 2);
    assert_eq!(services.oidc(), None);
    let nothing = SigningConfig::from_urls(None, Vec::new(), Vec::new(), None);
    let services = nothing.select(now()).unwrap();
    assert_eq!((services.fulcio(), services.tsa().len()), (None, 0));
}

#[tokio::test]
async fn what_the_sandbox_distributes_is_read() {
    let sandbox = Sandbox::with(Config::default()).await.unwrap();
    for (log, expected) in [(LogVersion::V1, Version::V1), (LogVersion::V2, Version::V2)] {
        for (stamps, count) in [(Stamps::None, 0), (Stamps::Rfc3161, 1)] {
            let json = sandbox.signing_config(log, stamps);
            let config = SigningConfig::parse(&json, &Limits::default()).unwrap();
            let now = Timestamp::from(std::time::SystemTime::now());
            let services = config.select(now).unwrap();
            assert_eq!(services.rekor()[0].version, expected);
            assert_eq!(services.tsa().len(), count);
            assert_eq!(services.fulcio().unwrap().to_string(), sandbox.url());
        }
    }
    sandbox.stop().await.unwrap();
}

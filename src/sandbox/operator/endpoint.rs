//! The endpoints by name: what faults are aimed at and what is counted.

use http::Method;
use serde::{Deserialize, Serialize};

/// An endpoint of the UID2 API. (`/sandbox/*` is beside it: never faulty, never counted.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `/v2/token/generate`
    Generate,
    /// `/v2/token/refresh`
    Refresh,
    /// `/v2/token/validate`
    Validate,
    /// `/v2/token/client-generate`
    ClientGenerate,
    /// `/v2/key/bidstream`
    Bidstream,
    /// `/v2/key/sharing`
    Sharing,
    /// `/v2/identity/map`
    MapV2,
    /// `/v3/identity/map`
    MapV3,
    /// `/ops/healthcheck`
    Healthcheck,
}

/// Where a request goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Route {
    Api(Endpoint),
    /// The path after `/sandbox/`.
    Control(Control),
    /// Known path, wrong method.
    WrongMethod,
    Unknown,
}

/// The sandbox's own switches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Control {
    AddClient,
    OptOut,
    OptIn,
    SetFaults,
    ClearFaults,
    SetLifetimes,
    Stats,
    ClearStats,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 9] = [
        Self::Generate,
        Self::Refresh,
        Self::Validate,
        Self::ClientGenerate,
        Self::Bidstream,
        Self::Sharing,
        Self::MapV2,
        Self::MapV3,
        Self::Healthcheck,
    ];

    /// The name used in faults and statistics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Refresh => "refresh",
            Self::Validate => "validate",
            Self::ClientGenerate => "client_generate",
            Self::Bidstream => "bidstream",
            Self::Sharing => "sharing",
            Self::MapV2 => "map_v2",
            Self::MapV3 => "map_v3",
            Self::Healthcheck => "healthcheck",
        }
    }

    /// The path it is served at.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Generate => "/v2/token/generate",
            Self::Refresh => "/v2/token/refresh",
            Self::Validate => "/v2/token/validate",
            Self::ClientGenerate => "/v2/token/client-generate",
            Self::Bidstream => "/v2/key/bidstream",
            Self::Sharing => "/v2/key/sharing",
            Self::MapV2 => "/v2/identity/map",
            Self::MapV3 => "/v3/identity/map",
            Self::Healthcheck => "/ops/healthcheck",
        }
    }

    const fn method(self) -> Method {
        match self {
            Self::Healthcheck => Method::GET,
            _ => Method::POST,
        }
    }
}

impl Route {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        if let Some(control) = path.strip_prefix("/sandbox/") {
            return Control::of(method, control);
        }
        match Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path) {
            Some(endpoint) if endpoint.method() == *method => Self::Api(endpoint),
            Some(_) => Self::WrongMethod,
            None => Self::Unknown,
        }
    }
}

impl Control {
    fn of(method: &Method, name: &str) -> Route {
        let control = match (method.as_str(), name) {
            ("POST", "clients") => Self::AddClient,
            ("POST", "optout") => Self::OptOut,
            ("DELETE", "optout") => Self::OptIn,
            ("POST", "faults") => Self::SetFaults,
            ("DELETE", "faults") => Self::ClearFaults,
            ("POST", "lifetimes") => Self::SetLifetimes,
            ("GET", "stats") => Self::Stats,
            ("DELETE", "stats") => Self::ClearStats,
            (_, "clients" | "optout" | "faults" | "lifetimes" | "stats") => return Route::WrongMethod,
            _ => return Route::Unknown,
        };
        Route::Control(control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_method_and_path_alone() {
        for endpoint in Endpoint::ALL {
            let right = endpoint.method();
            let wrong = if right == Method::GET { Method::POST } else { Method::GET };
            assert_eq!(Route::of(&right, endpoint.path()), Route::Api(endpoint));
            assert_eq!(Route::of(&wrong, endpoint.path()), Route::WrongMethod);
            assert_eq!(serde_json::to_value(endpoint).unwrap(), endpoint.as_str());
        }
        assert_eq!(Route::of(&Method::POST, "/v1/token/generate"), Route::Unknown);
        assert_eq!(Route::of(&Method::DELETE, "/sandbox/optout"), Route::Control(Control::OptIn));
        assert_eq!(Route::of(&Method::PUT, "/sandbox/optout"), Route::WrongMethod);
        assert_eq!(Route::of(&Method::GET, "/sandbox/x"), Route::Unknown);
    }
}

//! Properties on which no identity is ever added, whatever anybody consented to: those about health, for example.

use super::directory::Publisher;
use crate::openrtb::BidRequest;

impl Publisher {
    /// The request stands on a property where no identity may be added: a site, with all below it, or an app.
    pub fn denies(&self, request: &BidRequest) -> bool {
        let denied = &self.settings.matches.deny_domains;
        !denied.is_empty()
            && [request.site_domain(), request.app_bundle()]
                .into_iter()
                .flatten()
                .any(|property| denied.iter().any(|denied| is_or_is_below(&property, denied)))
    }
}

/// Whether a property is this one, or a site below it.
fn is_or_is_below(property: &str, denied: &str) -> bool {
    let at = property.len().checked_sub(denied.len());
    let Some((below, same)) = at.and_then(|at| property.split_at_checked(at)) else { return false };
    same.eq_ignore_ascii_case(denied) && (below.is_empty() || below.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_denies_all_below_it_and_nothing_that_looks_like_it() {
        for (property, denied, is) in [
            ("clinic.example", "clinic.example", true),
            ("Clinic.Example", "clinic.example", true),
            ("www.clinic.example", "clinic.example", true),
            ("aclinic.example", "clinic.example", false),
            ("example", "clinic.example", false),
            ("clinic.example.com", "clinic.example", false),
            ("com.example.clinic", "com.example.clinic", true),
            ("", "clinic.example", false),
            ("klinik-süd.example", "d.example", false),
        ] {
            assert_eq!(is_or_is_below(property, denied), is, "{property} {denied}");
        }
    }
}

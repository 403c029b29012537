//! Checks a layer's configuration, each option by itself and against the others.

use std::time::Duration;

use cloakroom_core::{Expiry, Limits, codec};

use crate::context::Context;
use crate::cookie::TokenHeader;
use crate::error::{ConfigError, ConfigErrorKind};

/// The smallest limit of a session's size, in bytes.
const SMALLEST_SESSION: usize = 1024;

/// The longest time that a request may wait for the store.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// Checks everything, in a fixed order: which of several errors is reported does not depend on the
/// order in which options were set.
pub(super) fn validate(context: &Context, realm: Option<&str>) -> Result<(), ConfigError> {
    context.cookie.validate().map_err(named("with_cookie"))?;
    validate_realm(realm).map_err(named("with_realm"))?;
    validate_renaming(context, realm).map_err(named("with_cookie"))?;
    validate_path_prefix(context).map_err(named("with_path_prefix"))?;
    validate_pages(context)?;
    validate_expiry(context.expiry).map_err(named("with_expiry"))?;
    if let Some(anonymous) = context.anonymous_expiry {
        validate_expiry(anonymous).map_err(named("with_anonymous_expiry"))?;
    }
    validate_max_expiry(context).map_err(named("with_max_expiry"))?;
    validate_session_limit(context).map_err(named("with_session_limit"))?;
    validate_rotation(context).map_err(named("with_rotation"))?;
    if let Some(devices) = &context.devices {
        devices.validate().map_err(named("with_device_tracking"))?;
    }
    if let Some(header) = &context.token_header {
        header.validate().map_err(named("with_token_header"))?;
    }
    validate_migration(context).map_err(named("with_migration"))?;
    #[cfg(feature = "oauth")]
    validate_oauth(context).map_err(named("with_oauth"))?;
    validate_store_timeout(context).map_err(named("with_store_timeout"))?;
    validate_max_session_size(context).map_err(named("with_max_session_size"))
}

fn named(option: &'static str) -> impl FnOnce(ConfigError) -> ConfigError {
    move |error| error.of(option)
}

fn limit(message: impl Into<String>) -> ConfigError {
    ConfigError::new(ConfigErrorKind::Limit, message)
}

fn validate_realm(realm: Option<&str>) -> Result<(), ConfigError> {
    if realm == Some("") {
        return Err(ConfigError::new(
            ConfigErrorKind::Realm,
            "a realm needs a name; without `with_realm`, it is the cookie's",
        ));
    }
    Ok(())
}

/// Without an explicit realm, a new name would be a new realm, in which no session is valid.
fn validate_renaming(context: &Context, realm: Option<&str>) -> Result<(), ConfigError> {
    if realm.is_none() && context.cookie.was_renamed() {
        return Err(ConfigError::new(
            ConfigErrorKind::FormerCookie,
            "a former cookie of another name needs `with_realm`: the realm was the former name so far, and \
             sessions are valid in one realm only",
        ));
    }
    Ok(())
}

fn validate_path_prefix(context: &Context) -> Result<(), ConfigError> {
    match &context.path_prefix {
        Some(prefix) if !prefix.starts_with('/') => Err(ConfigError::new(
            ConfigErrorKind::CookieText,
            format!("the path prefix `{prefix}` must begin with `/`"),
        )),
        _ => Ok(()),
    }
}

fn validate_pages(context: &Context) -> Result<(), ConfigError> {
    let pages = &context.pages;
    for (option, page) in [
        ("with_sign_in_page", &pages.sign_in),
        ("with_reauthentication_page", &pages.reauthentication),
    ] {
        if let Some(Err((text, error))) = page {
            let message = format!("the page `{text}`: {error}");
            return Err(ConfigError::new(ConfigErrorKind::Page, message).of(option));
        }
    }
    Ok(())
}

fn validate_expiry(expiry: Expiry) -> Result<(), ConfigError> {
    Ok(expiry.validate()?)
}

fn validate_max_expiry(context: &Context) -> Result<(), ConfigError> {
    let max = context.longest;
    let error = |message| ConfigError::new(ConfigErrorKind::Expiry, message);
    if !(Expiry::MIN..=Expiry::MAX).contains(&max) {
        return Err(error(format!(
            "a longest absolute timeout of {max:?} cannot be kept: it must be from 1s to 400 days"
        )));
    }
    let anonymous = context.anonymous_expiry.unwrap_or(context.expiry);
    for (option, expiry) in [
        ("with_expiry", context.expiry),
        ("with_anonymous_expiry", anonymous),
    ] {
        let absolute = expiry.absolute_timeout();
        if absolute > max {
            return Err(error(format!(
                "a longest absolute timeout of {max:?} contradicts that of {absolute:?} in \
                 `{option}`: make this one longer, or that one shorter"
            )));
        }
    }
    Ok(())
}

fn validate_session_limit(context: &Context) -> Result<(), ConfigError> {
    let Some(session_limit) = context.session_limit else {
        return Ok(());
    };
    if session_limit.0.most == 0 {
        return Err(limit("with a limit of no session nobody could sign in"));
    }
    if !context.store.has_index() {
        return Err(ConfigError::new(
            ConfigErrorKind::Store,
            "this store keeps no index of users, which a limit of sessions needs",
        ));
    }
    Ok(())
}

fn validate_rotation(context: &Context) -> Result<(), ConfigError> {
    let Some(rotation) = context.rotation else {
        return Ok(());
    };
    let (interval, grace) = (rotation.interval(), rotation.grace_period());
    if grace.is_zero() || grace >= interval {
        return Err(limit(format!(
            "tokens cannot rotate every {interval:?} with a grace period of {grace:?}: it must be \
             longer than zero and shorter than the interval"
        )));
    }
    if interval >= context.longest {
        return Err(limit(format!(
            "tokens would never rotate: an interval of {interval:?} is not shorter than the longest absolute \
             timeout of a session, {:?}",
            context.longest
        )));
    }
    if grace < Limits::CLOCK_TOLERANCE {
        return Err(limit(format!(
            "a grace period of {grace:?} is shorter than what the clocks of servers may differ, {:?}: a \
             request that is not late would count as the reuse of a stolen token",
            Limits::CLOCK_TOLERANCE
        )));
    }
    Ok(())
}

fn validate_migration(context: &Context) -> Result<(), ConfigError> {
    let Some(migration) = &context.migration else {
        return Ok(());
    };
    let header = context.token_header.as_ref();
    if header.is_some_and(TokenHeader::is_header_only) {
        return Err(ConfigError::new(
            ConfigErrorKind::Migration,
            "legacy sessions are found by their cookie, and by `with_token_header` no cookie is read",
        ));
    }
    migration.validate(&context.cookie, context.clock.now())
}

#[cfg(feature = "oauth")]
fn validate_oauth(context: &Context) -> Result<(), ConfigError> {
    let Some(oauth) = &context.oauth else {
        return Ok(());
    };
    if !context.uses_cookies() {
        return Err(ConfigError::new(
            ConfigErrorKind::CookieRefused,
            "transactions are kept in cookies, and by `with_token_header` no cookie is read",
        ));
    }
    oauth.validate()
}

fn validate_store_timeout(context: &Context) -> Result<(), ConfigError> {
    if context.budget == Duration::ZERO {
        return Err(limit(
            "a request without any time for the store could never load its session",
        ));
    }
    if context.budget > LONGEST_WAIT {
        return Err(limit(format!(
            "a request cannot wait for the store for {:?}: at most {LONGEST_WAIT:?}",
            context.budget
        )));
    }
    Ok(())
}

fn validate_max_session_size(context: &Context) -> Result<(), ConfigError> {
    let (size, largest) = (context.max_session_size, codec::MAX_LEN);
    if !(SMALLEST_SESSION..=largest).contains(&size) {
        return Err(limit(format!(
            "a session cannot be limited to {size} bytes: it must be from {SMALLEST_SESSION} to {largest}"
        )));
    }
    Ok(())
}

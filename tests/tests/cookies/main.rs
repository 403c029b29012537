//! The cookie's way through the whole middleware.

#[cfg(test)]
mod attributes;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod presented;

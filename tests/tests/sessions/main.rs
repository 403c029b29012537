//! What a session does for its app.

#[cfg(test)]
mod beside;
#[cfg(test)]
mod counters;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod now;
#[cfg(test)]
mod odd_moments;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod values;

//! The layer's place in a stack: whatever is around it and inside it.

#[cfg(test)]
mod beyond;
#[cfg(test)]
mod dropped;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod routers;
#[cfg(test)]
mod services;

//! What the stores that wrap another one leave to it.

/// Leaves the index, the store-wide operations and the bus to the wrapped store, which is in the field `inner`.
macro_rules! forward_optional_parts {
    () => {
        fn index(&self) -> Option<impl cloakroom_core::UserIndex> {
            self.inner.index()
        }

        fn admin(&self) -> Option<impl cloakroom_core::StoreAdmin> {
            self.inner.admin()
        }

        fn bus(&self) -> Option<impl cloakroom_core::EventBus> {
            self.inner.bus()
        }
    };
}

pub(crate) use forward_optional_parts;

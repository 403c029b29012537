//! What the stores that wrap another one leave to it.

/// Leaves the index, where sessions of users are placed, the store-wide operations and the bus to the wrapped store, which is in
/// the field `inner`.
macro_rules! forward_optional_parts {
    () => {
        fn place(
            &self,
            user: &cloakroom_core::UserKey,
            drawn: cloakroom_core::SessionId,
        ) -> cloakroom_core::SessionId {
            self.inner.place(user, drawn)
        }

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

/// Leaves the verbs that every store has to the wrapped store, which is in the field `inner`.
#[macro_export]
macro_rules! forward_verbs {
    () => {
        async fn create(
            &self,
            id: ::cloakroom_core::SessionId,
            record: &::cloakroom_core::Record,
            ttl: ::std::time::Duration,
        ) -> Result<::cloakroom_core::store::Created, ::cloakroom_core::StoreError> {
            self.inner.create(id, record, ttl).await
        }

        async fn load(
            &self,
            id: ::cloakroom_core::SessionId,
        ) -> Result<::cloakroom_core::store::Loaded, ::cloakroom_core::StoreError> {
            self.inner.load(id).await
        }

        async fn update(
            &self,
            id: ::cloakroom_core::SessionId,
            expected: ::cloakroom_core::Revision,
            record: &::cloakroom_core::Record,
            ttl: ::std::time::Duration,
        ) -> Result<::cloakroom_core::store::Updated, ::cloakroom_core::StoreError> {
            self.inner.update(id, expected, record, ttl).await
        }

        async fn touch(
            &self,
            id: ::cloakroom_core::SessionId,
            expected: ::cloakroom_core::Revision,
            seen: ::cloakroom_core::Timestamp,
            ttl: ::std::time::Duration,
        ) -> Result<::cloakroom_core::store::Touched, ::cloakroom_core::StoreError> {
            self.inner.touch(id, expected, seen, ttl).await
        }

        async fn end(
            &self,
            id: ::cloakroom_core::SessionId,
            expected: Option<::cloakroom_core::Revision>,
            tombstone: &::cloakroom_core::Tombstone,
            keep: ::std::time::Duration,
        ) -> Result<::cloakroom_core::store::Ended, ::cloakroom_core::StoreError> {
            self.inner.end(id, expected, tombstone, keep).await
        }
    };
}

//! Loads members by id, in one statement for a whole list.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{
    dataloader::{DataLoader, Loader},
    runtime::{TokioSpawner, TokioTimer},
};

use crate::reports::{self, Member, Session};

/// The most ids in one statement: not less than the largest page. PostgreSQL allows 65,535 bound values, SQLite 32,766.
const BATCH: usize = 10_000;

/// Loads members through the request's session.
#[derive(Debug)]
pub(in crate::graphql) struct UserLoader(Arc<Session>);

pub(in crate::graphql) fn users(session: Arc<Session>) -> DataLoader<UserLoader> {
    DataLoader::new(UserLoader(session), TokioSpawner::current(), TokioTimer::default()).max_batch_size(BATCH)
}

impl Loader<i32> for UserLoader {
    type Value = Member;
    type Error = reports::Error;

    async fn load(&self, ids: &[i32]) -> Result<HashMap<i32, Self::Value>, Self::Error> {
        self.0.users(ids).await
    }
}

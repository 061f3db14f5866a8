//! Taking a chain over.

use crate::error::RedisStoreError;
use crate::script::run;
use crate::store::Inner;
use nowcast_store::{ChainId, Epoch};

impl Inner {
    /// Makes `epoch` the owner: whatever an older one sends from now on is refused.
    pub(crate) async fn claim(&self, chain: ChainId, epoch: Epoch) -> Result<(), RedisStoreError> {
        let keys = self.keys(chain);
        let mut call = self.scripts.claim.key(keys.head());
        call.arg(epoch.0);
        let answer = run(&self.link, &call).await?;
        Ok(answer.check(chain, epoch, None)?)
    }
}

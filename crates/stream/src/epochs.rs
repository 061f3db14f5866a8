//! Which owner of each chain a processor is.
//!
//! Where the log gives epochs, each partition has a sequence of its own, so one number for a whole
//! processor would make it too old for some partition or too new for the next owner of another.

use nowcast_store::{ChainId, Epoch};
use nowcast_types::Stream;

/// The epochs of one owner of all chains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epochs {
    /// By partition of the events; the last one stands for all that follow.
    partitions: Vec<Epoch>,
}

impl Default for Epochs {
    fn default() -> Self {
        Self::same(Epoch::default())
    }
}

impl Epochs {
    /// One epoch for every chain.
    #[must_use]
    pub fn same(epoch: Epoch) -> Self {
        Self {
            partitions: vec![epoch],
        }
    }

    /// One epoch for each partition of the events; the catalogue goes with the first.
    /// An empty list is [`Epochs::default`].
    #[must_use]
    pub fn by_partition(epochs: Vec<Epoch>) -> Self {
        if epochs.is_empty() {
            return Self::default();
        }
        Self { partitions: epochs }
    }

    /// The epoch of a chain.
    #[must_use]
    pub fn of(&self, chain: ChainId) -> Epoch {
        let at = match chain.stream {
            Stream::Events => usize::from(chain.partition.0),
            _ => 0,
        };
        let last = self.partitions.len() - 1;
        self.partitions[at.min(last)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_types::PartitionId;

    #[test]
    fn each_partition_has_its_epoch_and_the_catalogue_goes_with_the_first() {
        let epochs = Epochs::by_partition(vec![Epoch(7), Epoch(2)]);
        assert_eq!(epochs.of(ChainId::events(PartitionId(0))), Epoch(7));
        assert_eq!(epochs.of(ChainId::events(PartitionId(1))), Epoch(2));
        assert_eq!(epochs.of(ChainId::CATALOG), Epoch(7));
        assert_eq!(Epochs::by_partition(Vec::new()), Epochs::default());
    }
}

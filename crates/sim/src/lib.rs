//! A seeded world: a small catalogue with invented titles, readers whose tastes nobody is told,
//! and raw event streams for measurements.
//!
//! Everything is a pure function of a seed, so a demonstration, a test and a benchmark can name
//! the exact world they ran in. It knows nothing of the engine: a reader sees a slate and reacts,
//! and whether that slate was personalized is none of its business.
//!
//! # It is not
//! a model of real people. Its readers have steady favourites that drift, look at the top of a
//! list first and tire of what they know; that is enough to tell a list that learns from one
//! that does not, and says nothing about the size of the effect elsewhere.
//!
//! ```
//! use nowcast_sim::{SimRng, World, WorldOptions};
//! let world = World::new(7, &WorldOptions::default());
//! let mut reader = world.reader(0);
//! let mut rng = SimRng::new(1);
//! let slate: Vec<usize> = (0..10).collect();
//! let reaction = reader.react(&world, &slate, &mut rng);
//! assert!(reaction.examined <= slate.len());
//! ```

pub mod reader;
pub mod rng;
pub mod subjects;
pub mod titles;
pub mod traffic;
pub mod world;
pub mod zipf;

pub use reader::{Reaction, Reader, SimEvent};
pub use rng::SimRng;
pub use traffic::{RawEvent, Traffic, TrafficOptions};
pub use world::{World, WorldItem, WorldOptions};
pub use zipf::Zipf;

//! What the invented catalogue is about: subjects with the words their titles and tags use.

/// A category of the catalogue.
#[derive(Debug)]
pub struct Subject {
    /// The category's name.
    pub name: &'static str,
    /// Free labels; a reader who likes the subject likes some of them more.
    pub tags: [&'static str; 6],
    /// Things that titles speak of, singular.
    pub things: [&'static str; 8],
    /// Places or settings.
    pub places: [&'static str; 5],
}

/// Every subject, in a fixed order.
#[rustfmt::skip]
pub const SUBJECTS: [Subject; 12] = [
    Subject {
        name: "astronomy",
        tags: ["comets", "telescopes", "moons", "spaceflight", "sun", "deep-sky"],
        things: ["Comet", "Eclipse", "Orbit", "Nebula", "Telescope", "Moon", "Meteor", "Pulsar"],
        places: ["Atacama", "the Far Side", "Saturn", "La Palma", "Low Orbit"],
    },
    Subject {
        name: "cooking",
        tags: ["bread", "fermentation", "noodles", "vegetables", "pastry", "street-food"],
        things: ["Sourdough", "Broth", "Dumpling", "Pickle", "Oven", "Saffron", "Ladle", "Pear"],
        places: ["Emilia", "the Night Market", "Oaxaca", "a Small Kitchen", "Kyoto"],
    },
    Subject {
        name: "history",
        tags: ["antiquity", "trade", "empires", "letters", "maps", "archaeology"],
        things: ["Treaty", "Caravan", "Ledger", "Mosaic", "Harbour", "Scribe", "Siege", "Amphora"],
        places: ["Carthage", "Samarkand", "the Hanse", "Nineveh", "Old Lisbon"],
    },
    Subject {
        name: "cycling",
        tags: ["climbing", "touring", "track", "repair", "gravel", "commuting"],
        things: ["Climb", "Derailleur", "Breakaway", "Wheel", "Saddle", "Sprint", "Chain", "Descent"],
        places: ["the Stelvio", "Flanders", "Ventoux", "the Long Way Home", "Jura"],
    },
    Subject {
        name: "gardening",
        tags: ["roses", "compost", "bees", "orchards", "herbs", "balconies"],
        things: ["Rose", "Hedge", "Greenhouse", "Orchard", "Seed", "Compost", "Bee", "Trellis"],
        places: ["a Walled Garden", "the North Wall", "Kent", "a Rooftop", "the Allotment"],
    },
    Subject {
        name: "architecture",
        tags: ["concrete", "timber", "bridges", "housing", "light", "restoration"],
        things: ["Staircase", "Bridge", "Atrium", "Facade", "Vault", "Courtyard", "Tower", "Lintel"],
        places: ["Porto", "the Terrace", "Ahmedabad", "the Docklands", "Helsinki"],
    },
    Subject {
        name: "jazz",
        tags: ["piano", "big-band", "trumpet", "bebop", "vocals", "vinyl"],
        things: ["Chorus", "Quartet", "Trumpet", "Bassline", "Encore", "Blue Note", "Standard", "Brush"],
        places: ["Harlem", "the Cellar", "Kansas City", "Stockholm", "the Last Set"],
    },
    Subject {
        name: "sailing",
        tags: ["racing", "navigation", "knots", "storms", "wooden-boats", "single-handed"],
        things: ["Keel", "Tide", "Sextant", "Mainsail", "Lighthouse", "Squall", "Anchor", "Passage"],
        places: ["Cape Horn", "the Baltic", "Madeira", "the Lee Shore", "the Trade Winds"],
    },
    Subject {
        name: "chess",
        tags: ["openings", "endgames", "sacrifices", "engines", "blitz", "studies"],
        things: ["Gambit", "Rook", "Endgame", "Fork", "Bishop", "Zugzwang", "Queen", "Pawn"],
        places: ["Reykjavik", "the Park", "Riga", "Time Trouble", "Board Nine"],
    },
    Subject {
        name: "mountains",
        tags: ["alpine", "ice", "hiking", "huts", "geology", "rescue"],
        things: ["Ridge", "Glacier", "Summit", "Couloir", "Rope", "Avalanche", "Hut", "Cairn"],
        places: ["the Karakoram", "Skye", "the North Face", "the Dolomites", "Camp Three"],
    },
    Subject {
        name: "robotics",
        tags: ["walking", "swarms", "grippers", "vision", "drones", "home-built"],
        things: ["Gripper", "Swarm", "Servo", "Gait", "Sensor", "Drone", "Automaton", "Joint"],
        places: ["the Workshop", "Shenzhen", "the Seabed", "Bench Four", "the Assembly Line"],
    },
    Subject {
        name: "crime",
        tags: ["detectives", "heists", "noir", "courtroom", "cold-cases", "forgery"],
        things: ["Alibi", "Forgery", "Heist", "Witness", "Inspector", "Ransom", "Fingerprint", "Verdict"],
        places: ["Marseille", "the Quay", "Room 214", "Trieste", "the Evidence Room"],
    },
];

/// What an item is.
pub const KINDS: [&str; 3] = ["article", "book", "film"];

/// Adjectives that go with anything.
pub const QUALITIES: [&str; 16] = [
    "Quiet",
    "Last",
    "Hidden",
    "Borrowed",
    "Crooked",
    "Patient",
    "Midnight",
    "Broken",
    "Second",
    "Silver",
    "Unfinished",
    "Distant",
    "Stubborn",
    "Winter",
    "Perfect",
    "Forgotten",
];

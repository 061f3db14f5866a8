//! The device class of a user agent: a small ordered table, first match wins.
//!
//! It is coarse on purpose. Six classes are what slicing and features need, and a table of marks
//! does not go stale the way a database of models does.

use nowcast_types::DeviceClass;

/// Marks in a lower-cased user agent, the more telling first.
const MARKS: [(DeviceClass, &[&str]); 6] = [
    (
        DeviceClass::Bot,
        &[
            "bot",
            "crawl",
            "spider",
            "slurp",
            "curl/",
            "wget/",
            "python-",
            "headless",
            "http-client",
        ],
    ),
    (
        DeviceClass::Tv,
        &[
            "smart-tv",
            "smarttv",
            "appletv",
            "apple tv",
            "googletv",
            "hbbtv",
            "aft",
            "roku",
            "playstation",
            "xbox",
            "crkey",
            "bravia",
            "web0s",
            "webos.tv",
        ],
    ),
    (DeviceClass::Tablet, &["ipad", "tablet", "kindle", "silk/"]),
    (
        DeviceClass::Mobile,
        &["mobile", "iphone", "ipod", "windows phone", "opera mini"],
    ),
    // Android without `mobile` is how tablets and televisions call themselves.
    (DeviceClass::Tablet, &["android"]),
    (
        DeviceClass::Desktop,
        &["windows nt", "macintosh", "x11;", "linux x86_64", "cros "],
    ),
];

/// Longest part of a user agent that is looked at, in bytes.
const LOOKED_AT_BYTES_MAX: usize = 512;

/// The class of the device behind a `User-Agent` header; unknown if nothing tells.
#[must_use]
pub fn device_class(user_agent: &str) -> DeviceClass {
    let cut = user_agent
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at < LOOKED_AT_BYTES_MAX)
        .last()
        .unwrap_or(0);
    let looked_at = if user_agent.len() > LOOKED_AT_BYTES_MAX {
        &user_agent[..cut]
    } else {
        user_agent
    };
    let lower = looked_at.to_ascii_lowercase();
    MARKS
        .iter()
        .find(|(_, marks)| marks.iter().any(|mark| lower.contains(mark)))
        .map_or(DeviceClass::Unknown, |(class, _)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_agents_fall_into_their_class() {
        for (agent, class) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/129.0 Safari/537.36",
                DeviceClass::Desktop,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148",
                DeviceClass::Mobile,
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/120 Mobile Safari/537.36",
                DeviceClass::Mobile,
            ),
            (
                "Mozilla/5.0 (Linux; Android 13; SM-X700) Chrome/120 Safari/537.36",
                DeviceClass::Tablet,
            ),
            ("Mozilla/5.0 (iPad; CPU OS 16_0)", DeviceClass::Tablet),
            (
                "Mozilla/5.0 (Web0S; Linux/SmartTV) Chrome/79",
                DeviceClass::Tv,
            ),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                DeviceClass::Bot,
            ),
            ("curl/8.5.0", DeviceClass::Bot),
            ("", DeviceClass::Unknown),
            ("okhttp/4", DeviceClass::Unknown),
        ] {
            assert_eq!(device_class(agent), class, "{agent}");
        }
    }

    #[test]
    fn a_long_agent_of_wide_characters_is_cut_between_characters() {
        assert_eq!(device_class(&"é".repeat(1000)), DeviceClass::Unknown);
    }
}

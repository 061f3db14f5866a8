//! A message as a log hands it over: value, key and headers, all borrowed.

/// One message of a foreign producer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Message<'m> {
    /// The payload; `None` is a tombstone.
    pub value: Option<&'m [u8]>,
    /// The key, if there is one.
    pub key: Option<&'m [u8]>,
    /// Names and values of the headers, in order; names are matched in any case.
    pub headers: &'m [(&'m str, &'m [u8])],
}

impl<'m> Message<'m> {
    /// A message with a payload alone.
    #[must_use]
    pub const fn of_value(value: &'m [u8]) -> Self {
        Self {
            value: Some(value),
            key: None,
            headers: &[],
        }
    }

    /// The last header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'m [u8]> {
        let mut newest_first = self.headers.iter().rev();
        newest_first
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The last header of this name, if it is UTF-8.
    #[must_use]
    pub fn text_header(&self, name: &str) -> Option<&'m str> {
        self.header(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The key as text, if it is there, is UTF-8 and is not empty.
    #[must_use]
    pub fn text_key(&self) -> Option<&'m str> {
        self.key
            .and_then(|key| std::str::from_utf8(key).ok())
            .filter(|key| !key.is_empty())
    }
}

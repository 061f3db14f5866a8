//! An item as bytes of a checkpoint: names as text, numbers exactly, one version byte in front.
//!
//! Layout: version, flags (1 available, 2 published_at, 4 expires_at), the times as 8 bytes each,
//! categories, tags, then attributes as (name, tag byte, value). Counts and lengths are 4 bytes;
//! everything is little-endian. It does not check itself: the frame around it does.

use crate::error::StoreError;
use nowcast_types::{AttributeValue, Item, Timestamp};
use std::collections::BTreeMap;

const VERSION: u8 = 1;
const AVAILABLE: u8 = 1;
const PUBLISHED: u8 = 2;
const EXPIRES: u8 = 4;

pub(crate) fn encode(item: &Item, out: &mut Vec<u8>) {
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    out.push(VERSION);
    out.push(
        flag(item.available, AVAILABLE)
            | flag(item.published_at.is_some(), PUBLISHED)
            | flag(item.expires_at.is_some(), EXPIRES),
    );
    for time in [item.published_at, item.expires_at].into_iter().flatten() {
        out.extend(time.0.to_le_bytes());
    }
    put_texts(out, &item.categories);
    put_texts(out, &item.tags);
    put_len(out, item.attributes.len());
    for (name, value) in &item.attributes {
        put_text(out, name);
        match value {
            AttributeValue::Bool(value) => out.extend([0, u8::from(*value)]),
            AttributeValue::Number(value) => {
                out.push(1);
                out.extend(value.to_bits().to_le_bytes());
            }
            AttributeValue::Text(value) => {
                out.push(2);
                put_text(out, value);
            }
            AttributeValue::Texts(values) => {
                out.push(3);
                put_texts(out, values);
            }
            AttributeValue::Numbers(values) => {
                out.push(4);
                put_len(out, values.len());
                out.extend(
                    values
                        .iter()
                        .flat_map(|value| value.to_bits().to_le_bytes()),
                );
            }
        }
    }
}

/// # Errors
/// [`StoreError::Corrupt`] when the bytes are not what [`encode`] writes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Item, StoreError> {
    let damaged = || StoreError::corrupt("catalogue row", "its bytes do not decode");
    let mut input = Input(bytes);
    let item = read_item(&mut input).ok_or_else(damaged)?;
    if input.0.is_empty() {
        Ok(item)
    } else {
        Err(damaged())
    }
}

fn read_item(input: &mut Input<'_>) -> Option<Item> {
    if input.byte()? != VERSION {
        return None;
    }
    let flags = input.byte()?;
    let mut time = |bit: u8| -> Option<Option<Timestamp>> {
        if flags & bit == 0 {
            return Some(None);
        }
        Some(Some(Timestamp(i64::from_le_bytes(input.array()?))))
    };
    let (published_at, expires_at) = (time(PUBLISHED)?, time(EXPIRES)?);
    let (categories, tags) = (input.texts()?, input.texts()?);
    let mut attributes = BTreeMap::new();
    for _ in 0..input.len()? {
        let name = input.text()?;
        let value = match input.byte()? {
            0 => AttributeValue::Bool(input.byte()? == 1),
            1 => AttributeValue::Number(f64::from_bits(u64::from_le_bytes(input.array()?))),
            2 => AttributeValue::Text(input.text()?),
            3 => AttributeValue::Texts(input.texts()?),
            4 => AttributeValue::Numbers(input.numbers()?),
            _ => return None,
        };
        attributes.insert(name, value);
    }
    Some(Item {
        categories,
        tags,
        attributes,
        published_at,
        expires_at,
        available: flags & AVAILABLE != 0,
    })
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("the edge limits an item to far less than 4 GiB");
    out.extend(len.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend(text.as_bytes());
}

fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_len(out, texts.len());
    texts.iter().for_each(|text| put_text(out, text));
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn len(&mut self) -> Option<usize> {
        let len = u32::from_le_bytes(self.array()?) as usize;
        // Every element takes at least a byte, so a wild count cannot make us allocate.
        (len <= self.0.len()).then_some(len)
    }

    fn text(&mut self) -> Option<String> {
        let len = self.len()?;
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        String::from_utf8(head.to_vec()).ok()
    }

    fn numbers(&mut self) -> Option<Vec<f64>> {
        let len = self.len()?;
        (0..len)
            .map(|_| Some(f64::from_bits(u64::from_le_bytes(self.array()?))))
            .collect()
    }

    fn texts(&mut self) -> Option<Vec<String>> {
        (0..self.len()?).map(|_| self.text()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full() -> Item {
        let mut item = Item {
            categories: vec!["news".into(), "sport".into()],
            tags: vec!["a".into()],
            published_at: Some(Timestamp(-5)),
            expires_at: Some(Timestamp(i64::MAX)),
            available: false,
            ..Item::default()
        };
        let mut set = |name: &str, value| item.attributes.insert(name.into(), value);
        set("price", AttributeValue::Number(0.1 + 0.2));
        set("sale", AttributeValue::Bool(true));
        set("title", AttributeValue::Text("Zürich".into()));
        set("by", AttributeValue::Texts(vec!["x".into(), String::new()]));
        set("like", AttributeValue::Numbers(vec![0.25, -1e-3]));
        item
    }

    fn encoded(item: &Item) -> Vec<u8> {
        let mut out = Vec::new();
        encode(item, &mut out);
        out
    }

    #[test]
    fn an_item_comes_back_as_it_was() {
        for item in [full(), Item::default()] {
            assert_eq!(decode(&encoded(&item)).unwrap(), item);
        }
    }

    #[test]
    fn the_bytes_on_disk_are_the_documented_ones() {
        let item = Item {
            tags: vec!["a".into()],
            ..Item::default()
        };
        let expected = [1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, b'a', 0, 0, 0, 0];
        assert_eq!(encoded(&item), expected);
    }

    #[test]
    fn cut_or_lengthened_bytes_are_refused() {
        let bytes = encoded(&full());
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}

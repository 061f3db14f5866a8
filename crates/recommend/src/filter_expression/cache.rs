//! Compiled expressions by their text: compiling takes a millisecond, looking up does not.

use super::{Expression, ExpressionError, error_at};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Compiled expressions by their text. Old ones go in the order in which they were compiled: a
/// site uses few expressions, and a flood of odd ones must not cost memory.
#[derive(Debug)]
pub(crate) struct ExpressionCache {
    entries_max: usize,
    bytes_max: usize,
    inner: Mutex<CacheInner>,
}

#[derive(Debug, Default)]
struct CacheInner {
    by_text: HashMap<Arc<str>, Arc<Expression>>,
    order: VecDeque<Arc<str>>,
}

impl ExpressionCache {
    /// A cache of at most `entries_max` expressions of at most `bytes_max` bytes each.
    pub(crate) fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            entries_max,
            bytes_max,
            inner: Mutex::default(),
        }
    }

    /// The compiled form of `text`. Refused texts are not kept: refusing one again costs the
    /// sender as much as us.
    pub(crate) fn get(&self, text: &str) -> Result<Arc<Expression>, ExpressionError> {
        if text.len() > self.bytes_max {
            let message = format!(
                "is {} bytes long, at most {} are allowed",
                text.len(),
                self.bytes_max
            );
            return Err(error_at("", 0, message));
        }
        if let Some(expression) = self.inner.lock().by_text.get(text) {
            return Ok(Arc::clone(expression));
        }
        let expression = Arc::new(Expression::compile(text)?);
        let mut inner = self.inner.lock();
        if self.entries_max > 0 && !inner.by_text.contains_key(text) {
            if inner.order.len() >= self.entries_max
                && let Some(oldest) = inner.order.pop_front()
            {
                inner.by_text.remove(&oldest);
            }
            let key: Arc<str> = Arc::from(text);
            inner.order.push_back(Arc::clone(&key));
            inner.by_text.insert(key, Arc::clone(&expression));
        }
        Ok(expression)
    }
}

//! Which streams have something new for a consumer: commits write it, the consumer's task reads it.
//!
//! A list of those that have news, so that a wake-up touches no other. A stream is in it at most once,
//! however often something is committed. Look at the outbox only after [`Bell::answer`]: what is committed
//! later rings again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use streamkeeper_core::id::FeedId;
use tokio::sync::Notify;

/// The news of all streams of one consumer. One task reads it.
#[derive(Debug, Default)]
pub(crate) struct News {
    feeds: Mutex<Vec<FeedId>>,
    some: Notify,
}

impl News {
    /// Takes what there is. Each feed's bell is to be answered.
    pub(crate) fn take(&self) -> Vec<FeedId> {
        std::mem::take(&mut *self.feeds.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there may be some.
    pub(crate) async fn some(&self) {
        self.some.notified().await;
    }
}

/// A stream's bell at one consumer.
#[derive(Debug)]
pub(crate) struct Bell {
    feed: FeedId,
    news: Arc<News>,
    /// It is in the list.
    rung: AtomicBool,
}

impl Bell {
    /// The bell of the feed of that number. Numbers are used once.
    pub(crate) const fn new(feed: FeedId, news: Arc<News>) -> Self {
        Self { feed, news, rung: AtomicBool::new(false) }
    }

    /// Where it rings.
    pub(crate) const fn news(&self) -> &Arc<News> {
        &self.news
    }

    /// Whose it is.
    pub(crate) const fn feed(&self) -> FeedId {
        self.feed
    }

    /// Whether it rings there.
    pub(crate) fn is_at(&self, news: &Arc<News>) -> bool {
        Arc::ptr_eq(&self.news, news)
    }

    /// Something was committed.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            let mut feeds = self.news.feeds.lock().unwrap_or_else(PoisonError::into_inner);
            feeds.push(self.feed);
            drop(feeds);
            self.news.some.notify_one();
        }
    }

    /// The outbox will be looked at.
    pub(crate) fn answer(&self) {
        // With what it reads, so that whatever did not ring again is seen.
        self.rung.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_bell_is_in_the_list_once_until_it_is_answered() {
        let news = Arc::new(News::default());
        let [one, other] = [1, 2].map(|number| Bell::new(FeedId(number), Arc::clone(&news)));
        assert_eq!(news.some().now_or_never(), None);
        one.ring();
        other.ring();
        one.ring();
        assert_eq!(news.some().now_or_never(), Some(()));
        assert_eq!(news.take(), [FeedId(1), FeedId(2)]);
        one.ring();
        assert_eq!(news.take(), []);
        one.answer();
        one.ring();
        assert_eq!(news.take(), [FeedId(1)]);
        assert_eq!(news.some().now_or_never(), Some(()));
    }
}

//! A bounded queue with two priorities for threads that block on it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Which jobs go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Somebody waits for the answer now.
    Final,
    /// The answer may turn out not to be needed.
    Speculative,
}

/// Jobs wait here, final before speculative, first come first served within each.
#[derive(Debug)]
pub struct JobQueue<T> {
    inner: Mutex<Inner<T>>,
    ready: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct Inner<T> {
    waiting: [VecDeque<T>; 2],
    closed: bool,
}

impl<T> JobQueue<T> {
    /// At most `limit` jobs of each priority wait.
    pub fn new(limit: usize) -> Self {
        let inner = Inner {
            waiting: [VecDeque::new(), VecDeque::new()],
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            ready: Condvar::new(),
            limit: limit.max(1),
        }
    }

    /// Adds a job, or gives it back when the queue is full or closed. Never waits.
    pub fn push(&self, job: T, priority: Priority) -> Result<(), T> {
        let mut inner = self.lock();
        if inner.closed || inner.waiting[priority as usize].len() >= self.limit {
            return Err(job);
        }
        inner.waiting[priority as usize].push_back(job);
        drop(inner);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for the next job; `None` once the queue is closed.
    pub fn pop(&self) -> Option<T> {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return None;
            }
            if let Some(job) = inner.waiting.iter_mut().find_map(VecDeque::pop_front) {
                return Some(job);
            }
            inner = self.ready.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops what waits and wakes everybody.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.waiting = [VecDeque::new(), VecDeque::new()];
        drop(inner);
        self.ready.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_jobs_go_first_and_the_bound_holds() {
        let queue = JobQueue::new(2);
        assert!(queue.push(1, Priority::Speculative).is_ok());
        assert!(queue.push(2, Priority::Final).is_ok());
        assert!(queue.push(3, Priority::Final).is_ok());
        assert_eq!(queue.push(4, Priority::Final), Err(4));
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(2), Some(3), Some(1)]);
    }

    #[test]
    fn closing_wakes_the_waiting_and_refuses_the_new() {
        let queue = JobQueue::<u8>::new(1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.pop());
            queue.close();
            assert_eq!(waiting.join().expect("no panic"), None);
        });
        assert_eq!(queue.push(1, Priority::Final), Err(1));
    }
}

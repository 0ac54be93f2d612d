//! A bounded queue for threads that block on it; urgent jobs go first.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What the queue must know of a job.
pub trait Job {
    /// Somebody waits for the answer now. May become true while the job waits.
    fn is_urgent(&self) -> bool;

    /// The answer is still wanted.
    fn is_wanted(&self) -> bool;
}

/// Jobs wait here: urgent before speculative, first come first served within each.
#[derive(Debug)]
pub struct JobQueue<J> {
    inner: Mutex<Inner<J>>,
    ready: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct Inner<J> {
    waiting: VecDeque<J>,
    closed: bool,
}

impl<J: Job> JobQueue<J> {
    /// At most `limit` jobs wait, and at most half as many speculative ones.
    pub fn new(limit: usize) -> Self {
        let inner = Inner {
            waiting: VecDeque::new(),
            closed: false,
        };
        Self {
            inner: Mutex::new(inner),
            ready: Condvar::new(),
            limit: limit.max(1),
        }
    }

    /// Adds a job, or gives it back when the queue is full or closed. Never waits.
    pub fn push(&self, job: J) -> Result<(), J> {
        let mut inner = self.lock();
        let limit = if job.is_urgent() { self.limit } else { self.limit / 2 };
        if inner.waiting.len() >= limit {
            inner.waiting.retain(Job::is_wanted);
        }
        if inner.closed || inner.waiting.len() >= limit {
            return Err(job);
        }
        inner.waiting.push_back(job);
        drop(inner);
        self.ready.notify_one();
        Ok(())
    }

    /// Waits for the next job; `None` once the queue is closed.
    pub fn pop(&self) -> Option<J> {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return None;
            }
            let urgent = inner.waiting.iter().position(Job::is_urgent);
            if let Some(job) = inner.waiting.remove(urgent.unwrap_or(0)) {
                return Some(job);
            }
            inner = self.ready.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<J> JobQueue<J> {
    /// Drops what waits and wakes everybody.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.waiting.clear();
        drop(inner);
        self.ready.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<J>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Number, urgent, wanted.
    #[derive(Debug, Clone, PartialEq)]
    struct Test(u8, Cell<bool>, bool);

    impl Job for Test {
        fn is_urgent(&self) -> bool {
            self.1.get()
        }

        fn is_wanted(&self) -> bool {
            self.2
        }
    }

    fn job(number: u8, urgent: bool) -> Test {
        Test(number, Cell::new(urgent), true)
    }

    #[test]
    fn urgent_jobs_go_first_and_the_bounds_hold() {
        let queue = JobQueue::new(4);
        for (number, urgent) in [(1, false), (2, false), (3, true), (4, true)] {
            assert!(queue.push(job(number, urgent)).is_ok());
        }
        assert!(queue.push(job(5, true)).is_err(), "full");
        let order: Vec<u8> = (0..4).filter_map(|_| queue.pop()).map(|job| job.0).collect();
        assert_eq!(order, [3, 4, 1, 2]);
        assert!(queue.push(job(6, false)).is_ok() && queue.push(job(7, false)).is_ok());
        assert!(queue.push(job(8, false)).is_err(), "speculation takes half at most");
    }

    #[test]
    fn a_full_queue_makes_room_from_what_nobody_wants() {
        let queue = JobQueue::new(2);
        assert!(queue.push(Test(1, Cell::new(true), false)).is_ok());
        assert!(queue.push(job(2, true)).is_ok());
        assert!(queue.push(job(3, true)).is_ok());
        assert_eq!(queue.pop().map(|job| job.0), Some(2));
    }

    #[test]
    fn closing_wakes_the_waiting_and_refuses_the_new() {
        let queue = JobQueue::<Test>::new(1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.pop().is_none());
            queue.close();
            assert!(waiting.join().expect("no panic"));
        });
        assert!(queue.push(job(1, true)).is_err());
    }
}

//! From bytes to choices. Every string of bytes is a valid run; what is missing is zero.

/// What a run came to. The same bytes give the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// Of everything that was read and written, in order.
    pub(crate) hash: u64,
    /// Which kinds of things happened.
    pub(crate) kinds: u32,
}

impl Report {
    /// Something of this kind happened.
    pub(crate) fn note(&mut self, kind: u32, what: &[u8]) {
        self.kinds |= 1 << kind;
        for &byte in what {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(FNV);
        }
    }
}

/// Reads from the front.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn next(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    /// Less than `limit`; two bytes where one does not reach.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let mut value = usize::from(self.next());
        if limit > 256 {
            value = value << 8 | usize::from(self.next());
        }
        value % limit
    }

    /// One of some.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// So many bytes as they are; fewer at the end.
    pub(crate) fn raw(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

const FNV: u64 = 0x0100_0000_01b3;

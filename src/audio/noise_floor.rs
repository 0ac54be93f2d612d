//! How loud the line is when nobody speaks, from the quietest moments of the last second and a half.

/// Follows the level of steady noise. Falls within 100 ms, rises by at most 20 dB a second and only when 1.6 s had no
/// quieter moment, so that words do not lift it: speech has a gap more often than that.
#[derive(Debug, Clone)]
pub struct NoiseFloor {
    /// Level of the last few windows, dBFS.
    smoothed: f32,
    /// The quietest of each finished block, in a ring.
    blocks: [f32; BLOCKS],
    next: usize,
    /// The quietest of the block that is being filled, and its windows so far.
    quietest: f32,
    windows: u32,
    floor: f32,
}

impl NoiseFloor {
    /// Begins with a quiet line.
    pub fn new() -> Self {
        Self {
            smoothed: START_DBFS,
            blocks: [START_DBFS; BLOCKS],
            next: 0,
            quietest: f32::INFINITY,
            windows: 0,
            floor: START_DBFS,
        }
    }

    /// Takes the level of the next 20 ms window and gives the floor, both in dBFS.
    pub fn push(&mut self, dbfs: f32) -> f32 {
        self.smoothed += (dbfs.max(LOWEST_DBFS) - self.smoothed) * SMOOTHING;
        self.quietest = self.quietest.min(self.smoothed);
        let quietest = self.blocks.iter().copied().fold(self.quietest, f32::min);
        self.floor = (quietest + BIAS_DB).min(self.floor + RISE_DB);
        self.windows += 1;
        if self.windows == BLOCK {
            self.blocks[self.next] = self.quietest;
            self.next = (self.next + 1) % BLOCKS;
            self.quietest = f32::INFINITY;
            self.windows = 0;
        }
        self.floor
    }

    /// The floor now, in dBFS.
    pub fn dbfs(&self) -> f32 {
        self.floor
    }
}

impl Default for NoiseFloor {
    fn default() -> Self {
        Self::new()
    }
}

/// Eight blocks of 200 ms.
const BLOCKS: usize = 8;
const BLOCK: u32 = 10;
/// Of a new window in the running level: a time constant of 60 ms.
const SMOOTHING: f32 = 0.3;
/// The quietest moment of steady noise lies about this far below its level.
const BIAS_DB: f32 = 1.5;
/// Per window.
const RISE_DB: f32 = 0.4;
const START_DBFS: f32 = -60.0;
/// Digital silence counts as a very quiet line, not as none.
const LOWEST_DBFS: f32 = -70.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn push(floor: &mut NoiseFloor, windows: usize, mut level: impl FnMut(usize) -> f32) -> f32 {
        (0..windows).for_each(|n| {
            floor.push(level(n));
        });
        floor.dbfs()
    }

    /// Steady noise: a window's level strays by a decibel or so.
    fn noise(dbfs: f32) -> impl FnMut(usize) -> f32 {
        move |n| dbfs + [0.9, -0.7, 0.2, -1.1, 0.6, 0.1][n % 6]
    }

    #[test]
    fn it_settles_on_steady_noise() {
        for dbfs in [-65.0, -50.0, -35.0, -20.0] {
            let found = push(&mut NoiseFloor::new(), 250, noise(dbfs));
            assert!((found - dbfs).abs() < 2.5, "{dbfs}: {found}");
        }
    }

    #[test]
    fn words_do_not_lift_it() {
        let mut floor = NoiseFloor::new();
        let before = push(&mut floor, 250, noise(-50.0));
        // Four syllables a second with a dip of 80 ms after every fifth.
        let mut hush = noise(-49.0);
        let after = push(&mut floor, 500, |n| if n % 60 < 4 { hush(n) } else { -20.0 });
        assert!(after - before < 9.0, "{before} to {after}");
    }

    #[test]
    fn it_falls_at_once_and_rises_slowly() {
        let mut floor = NoiseFloor::new();
        push(&mut floor, 250, noise(-30.0));
        assert!(push(&mut floor, 10, noise(-55.0)) < -50.0);
        assert!(push(&mut floor, 75, noise(-30.0)) < -50.0);
        assert!(push(&mut floor, 150, noise(-30.0)) > -33.0);
        assert!(push(&mut floor, 500, |_| -96.0) >= -70.0);
    }
}

//! How busy the machine was during a measurement, and with whom. Linux only: elsewhere nothing is known.

use std::time::Duration;

/// Processor time used up to one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    /// By all.
    machine: Duration,
    /// By this process and all its threads.
    own: Duration,
}

impl Used {
    pub(super) fn so_far() -> Option<Self> {
        let read = |path| std::fs::read_to_string(path).ok();
        Some(Self {
            machine: machine(&read("/proc/stat")?)?,
            own: own(&read("/proc/self/stat")?)?,
        })
    }

    /// Cores that others and that this process kept busy since `before`, `elapsed` ago.
    pub(super) fn since(self, before: Self, elapsed: Duration) -> Cores {
        let machine = self.machine.saturating_sub(before.machine);
        let own = self.own.saturating_sub(before.own);
        let cores = |used: Duration| used.as_secs_f64() / elapsed.as_secs_f64().max(1e-3);
        Cores {
            foreign: cores(machine.saturating_sub(own)),
            own: cores(own),
        }
    }
}

/// Processor time over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cores {
    pub(super) foreign: f64,
    pub(super) own: f64,
}

/// All that is not idle in the first line of `/proc/stat`. Source: `proc_stat(5)`.
fn machine(stat: &str) -> Option<Duration> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are in user and nice already.
    let busy = [0, 1, 2, 5, 6, 7].into_iter().map(|field| ticks.get(field).copied());
    busy.sum::<Option<u64>>().map(ticks_long)
}

/// User and system time in `/proc/self/stat`, the 14th and 15th field. Source: `proc_pid_stat(5)`.
fn own(stat: &str) -> Option<Duration> {
    // The second field is the program's name in brackets, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    Some(ticks_long(user + system))
}

fn ticks_long(ticks: u64) -> Duration {
    Duration::from_millis(ticks * TICK_MS)
}

/// The kernel reports in hundredths of a second, whatever its own clock (`USER_HZ`).
const TICK_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_neither_idle_nor_waiting() {
        let stat = "cpu  100 20 30 4000 500 6 7 8 50 0\ncpu0 1 1 1 1\n";
        assert_eq!(machine(stat), Some(Duration::from_millis(1710)));
        assert_eq!(machine("cpu  1 2 3"), None);
        assert_eq!(machine(""), None);
    }

    #[test]
    fn own_time_is_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 9 9 20 0";
        assert_eq!(own(stat), Some(Duration::from_secs(3)));
        assert_eq!(own("42 (x) S 1"), None);
    }

    #[test]
    fn what_others_used_is_the_rest() {
        let at = |machine, own| Used {
            machine: Duration::from_secs(machine),
            own: Duration::from_secs(own),
        };
        let cores = at(25, 9).since(at(10, 4), Duration::from_secs(10));
        assert_eq!(cores, Cores { foreign: 1.0, own: 0.5 });
    }
}

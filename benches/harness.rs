//! Timing without a framework: what is compared is run in turn, in one process, many times, and each
//! figure is a median, so that a busy machine slows all of them alike.

use std::time::Duration;
use std::time::Instant;

/// A piece of work.
pub(crate) type Work<'a> = Box<dyn FnMut() + 'a>;

/// The median time of `runs` of each piece of work. They take turns; the first tenth is not counted.
pub(crate) fn medians(runs: usize, works: &mut [Work<'_>]) -> Vec<Duration> {
    let mut times = vec![Vec::with_capacity(runs); works.len()];
    for run in 0..runs + runs / 10 {
        for (work, times) in works.iter_mut().zip(&mut times) {
            let start = Instant::now();
            work();
            let time = start.elapsed();
            if run >= runs / 10 {
                times.push(time);
            }
        }
    }
    times.into_iter().map(median).collect()
}

/// The middle one.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// A time for a table.
pub(crate) fn show(time: Duration) -> String {
    match time.as_micros() {
        0..10_000 => format!("{:.1} µs", time.as_secs_f64() * 1e6),
        _ => format!("{:.1} ms", time.as_secs_f64() * 1e3),
    }
}

/// How often `floor` goes into `time`.
pub(crate) fn ratio(time: Duration, floor: Duration) -> f64 {
    time.as_secs_f64() / floor.as_secs_f64()
}

//! What a server takes from the machine: processor time and memory, its threads and child processes included.
//!
//! Units: seconds of processor time, user and kernel; bytes of memory. Source: proc(5). The peak is `VmHWM`, which the kernel
//! keeps for each process and which [`reset_peak`] sets back to what is resident now.
//! Fails: a process that is gone.

use std::collections::BTreeMap;
use std::fs;
use std::io;

/// `USER_HZ`: a constant of the kernel's interface, whatever its timer does.
const TICKS_PER_SECOND: f64 = 100.0;

/// This process and all that it started.
pub(crate) fn family(pid: u32) -> io::Result<Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(child) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end between the list and the look.
        let text = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        if let Some(stat) = Stat::parse(&text) {
            children.entry(stat.parent).or_default().push(child);
        }
    }
    let mut family = vec![pid];
    let mut next = 0;
    while next < family.len() {
        family.extend(children.get(&family[next]).into_iter().flatten());
        next += 1;
    }
    Ok(family)
}

/// Processor time until now.
pub(crate) fn cpu_seconds(family: &[u32]) -> io::Result<f64> {
    let mut ticks = 0;
    for pid in family {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        ticks += Stat::parse(&text)
            .ok_or_else(|| io::Error::other("no times in /proc"))?
            .ticks;
    }
    Ok(f64::from(ticks) / TICKS_PER_SECOND)
}

pub(crate) fn reset_peak(family: &[u32]) -> io::Result<()> {
    family
        .iter()
        .try_for_each(|pid| fs::write(format!("/proc/{pid}/clear_refs"), "5"))
}

pub(crate) fn peak_bytes(family: &[u32]) -> io::Result<u64> {
    family.iter().map(|pid| status(*pid, "VmHWM:")).sum()
}

pub(crate) fn resident_bytes(family: &[u32]) -> io::Result<u64> {
    family.iter().map(|pid| status(*pid, "VmRSS:")).sum()
}

fn status(pid: u32, field: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    kib(&text, field)
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other(format!("no {field} in /proc")))
}

/// `VmHWM:      1234 kB`
fn kib(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

struct Stat {
    parent: u32,
    ticks: u32,
}

impl Stat {
    /// The name, in parentheses, may hold anything; the fields after it are numbered from 3 on.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u32>().ok();
        Some(Self {
            parent: number(4)?,
            ticks: number(14)? + number(15)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_whatever_the_name_of_the_program() {
        let text =
            "7 (a ) b) S 3 7 7 0 -1 4194304 100 0 0 0 25 17 1 1 20 0 4 0 99 1000 10 18446744073709551615";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.parent, stat.ticks), (3, 42));
    }

    #[test]
    fn a_size_is_read_from_the_status() {
        assert_eq!(kib("Name:\tx\nVmHWM:\t   1234 kB\n", "VmHWM:"), Some(1234));
        assert_eq!(kib("Name:\tx\n", "VmHWM:"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let own = &family(std::process::id()).unwrap()[..1];
        assert!(peak_bytes(own).unwrap() > 0 && resident_bytes(own).unwrap() > 0);
        assert!(cpu_seconds(own).unwrap() >= 0.0);
    }
}

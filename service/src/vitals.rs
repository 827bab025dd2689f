//! The state of this process and its machine: disk, memory, files, clock, certificate. It is read on request.
//!
//! # Failure
//! Values that the system does not report are left out; reading never makes a node fail.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use prometheus::{Counter, IntGauge, IntGaugeVec, Opts, Registry};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use zonecast_kv_transport::Identity;

use zonecast_api::types::{CertificateInfo, DiskSpace, Vitals};

/// Most files that are counted for the size of a folder: the largest databases have some thousands.
const MAX_FILES: usize = 100_000;

/// What `stat` counts blocks in, whatever the file system's own are.
const BLOCK: u64 = 512;

/// Reads the state of this process and its machine. Clones share the metrics. Reading blocks on the disk.
#[derive(Clone, Debug)]
pub struct VitalSigns {
    data: PathBuf,
    identity: Identity,
    metrics: VitalMetrics,
}

#[derive(Clone, Debug)]
struct VitalMetrics {
    free: IntGauge,
    total: IntGauge,
    used: IntGauge,
    memory: IntGauge,
    open_files: IntGauge,
    max_files: IntGauge,
    cpu: Counter,
}

impl VitalSigns {
    /// Of the process that started then, keeps its data there, and is this node. Registers the metrics.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(
        registry: &Registry,
        data: &Path,
        identity: Identity,
        started: Instant,
    ) -> Result<Self, prometheus::Error> {
        let begun = unix_time(SystemTime::now()).saturating_sub(started.elapsed());
        let start = IntGauge::new("zonecast_process_start_time_seconds", "Unix time at which the process started")?;
        start.set(number(begun.as_secs()));
        registry.register(Box::new(start))?;
        let opts = Opts::new("zonecast_build_info", "1, labelled with the release that runs");
        let build = IntGaugeVec::new(opts, &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        Ok(Self { data: data.to_owned(), identity, metrics: VitalMetrics::register(registry)? })
    }

    /// Where the process keeps its data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// How they are now. Brings the metrics up to date too.
    #[must_use]
    pub fn read(&self) -> Vitals {
        let disk = disk_space(&self.data);
        let memory = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| resident(&status));
        let open_files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let vitals = Vitals {
            pid: std::process::id(),
            memory_bytes: memory.unwrap_or_default(),
            open_files: u64::try_from(open_files).unwrap_or(u64::MAX),
            max_files: getrlimit(Resource::Nofile).current,
            disk,
            certificate: Some(certificate(&self.identity)),
            // Last: looking took time.
            now: unix_time(SystemTime::now()).as_secs_f64(),
        };
        self.metrics.show(&vitals, cpu_time());
        vitals
    }
}

impl VitalMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |gauge: Result<IntGauge, prometheus::Error>| {
            let gauge = gauge?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let cpu =
            Counter::new("zonecast_process_cpu_seconds_total", "Seconds of processor time that the process took")?;
        registry.register(Box::new(cpu.clone()))?;
        Ok(Self {
            free: gauge(IntGauge::new("zonecast_data_free_bytes", "Bytes that may still be written"))?,
            total: gauge(IntGauge::new("zonecast_data_total_bytes", "Bytes of the disk of the data folder"))?,
            used: gauge(IntGauge::new("zonecast_data_used_bytes", "Bytes that the data folder takes"))?,
            memory: gauge(IntGauge::new("zonecast_process_resident_bytes", "Bytes of memory the process holds"))?,
            open_files: gauge(IntGauge::new("zonecast_process_open_files", "Files and sockets that are open"))?,
            max_files: gauge(IntGauge::new("zonecast_process_max_files", "How many may be; 0: no limit"))?,
            cpu,
        })
    }

    fn show(&self, vitals: &Vitals, cpu: Duration) {
        if let Some(disk) = vitals.disk {
            self.free.set(number(disk.free_bytes));
            self.total.set(number(disk.total_bytes));
            self.used.set(number(disk.used_bytes));
        }
        self.memory.set(number(vitals.memory_bytes));
        self.open_files.set(number(vitals.open_files));
        self.max_files.set(number(vitals.max_files.unwrap_or_default()));
        // A counter cannot be set. Never negative: somebody else may have looked at the same moment.
        self.cpu.inc_by((cpu.as_secs_f64() - self.cpu.get()).max(0.0));
    }
}

/// What all threads of this process have taken of all processors, in user mode and in the kernel.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// Room on the disk of a folder, if the system tells.
#[must_use]
pub fn disk_space(folder: &Path) -> Option<DiskSpace> {
    free_space(folder).map(|disk| DiskSpace { used_bytes: used_bytes(folder), ..disk })
}

/// The same without looking at what the folder takes.
#[must_use]
pub fn free_space(folder: &Path) -> Option<DiskSpace> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(DiskSpace {
        total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        used_bytes: 0,
    })
}

/// Bytes that the files of a folder take on the disk. Those that go while we look count for nothing.
fn used_bytes(folder: &Path) -> u64 {
    let (mut folders, mut files, mut bytes) = (vec![folder.to_owned()], 0, 0_u64);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            files += 1;
            if files > MAX_FILES {
                return bytes;
            }
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => bytes = bytes.saturating_add(metadata.blocks().saturating_mul(BLOCK)),
                Err(_) => {}
            }
        }
    }
    bytes
}

fn certificate(identity: &Identity) -> CertificateInfo {
    CertificateInfo {
        node: identity.peer().to_string(),
        serial: identity.serial().to_string(),
        not_after: unix_time(identity.not_after()).as_secs(),
        revoked: identity.is_revoked(),
    }
}

/// `VmRSS` of `/proc/self/status`, in bytes.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn unix_time(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_system_says_it() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1234 kB\nRssAnon:\t 1 kB\n"), Some(1234 * 1024));
        assert_eq!(resident("Name:\tx\n"), None);
        assert_eq!(resident("VmRSS:\tmany kB\n"), None);
    }

    #[test]
    fn processor_time_grows_with_work_and_not_with_looking_twice() {
        let before = cpu_time();
        let mut sum = 0_u64;
        while cpu_time() < before + Duration::from_millis(2) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let metrics = VitalMetrics::register(&Registry::new()).unwrap();
        for (now, shown) in [(1.5, 1.5), (1.5, 1.5), (1.0, 1.5), (4.0, 4.0)] {
            let vitals = Vitals::default();
            metrics.show(&vitals, Duration::from_secs_f64(now));
            assert!((metrics.cpu.get() - shown).abs() < 1e-9, "{now}: {}", metrics.cpu.get());
        }
    }

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(used_bytes(folder.path()), 0);
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("in/file"), vec![1; 100_000]).unwrap();
        let disk = disk_space(folder.path()).unwrap();
        assert!((100_000..1_000_000).contains(&disk.used_bytes), "{disk:?}");
        assert!(disk.free_bytes <= disk.total_bytes && disk.total_bytes > 0, "{disk:?}");
        assert_eq!(disk_space(&folder.path().join("none")), None);
    }
}
